//! What a worker has, and what runs on it.

use boatyard_core::secret::sha256;
use serde_json::{Value, json};

use crate::world::{Machine, World};

const GIB: u64 = 1 << 30;
/// What the kubelet keeps free before it evicts pods.
const EVICTION_MEMORY: u64 = 100 << 20;

/// Quantities by resource.
pub(super) type Resources = Vec<(&'static str, String)>;

pub(super) struct Sizes {
    pub(super) capacity: Resources,
    pub(super) allocatable: Resources,
}

/// What each tier of memory (in GiB) leaves to the system, in percent, as the service documents it.
const MEMORY_TIERS: [(u64, u64); 5] = [(4, 25), (4, 20), (8, 10), (112, 6), (u64::MAX / GIB, 2)];
/// What each tier of cores leaves to the system, in hundredths of a thousandth of a core.
const CPU_TIERS: [(u64, u64); 4] = [(1, 6_000), (2, 1_000), (2, 500), (u64::MAX, 250)];

/// The sum over tiers of a size, each with its share.
fn by_tiers(size: u64, unit: u64, tiers: &[(u64, u64)]) -> u64 {
    let mut rest = size;
    tiers.iter().fold(0, |sum, (units, share)| {
        let part = rest.min(units.saturating_mul(unit));
        rest -= part;
        sum + part * share
    })
}

/// What a worker has, and what of it pods can have.
pub(super) fn resources(machine: &Machine) -> Sizes {
    let cores = u64::from(machine.cpus);
    let reserved_cpu = by_tiers(cores, 1, &CPU_TIERS).div_ceil(100);
    let reserved_memory = by_tiers(machine.memory_bytes / 1024, GIB / 1024, &MEMORY_TIERS) / 100 + EVICTION_MEMORY / 1024;
    // Ten pods for each core of large workers.
    let pods = (cores * 10).clamp(110, 250).to_string();
    let sizes = |cpu: String, storage: String, memory_kib: u64| {
        vec![
            ("cpu", cpu),
            ("ephemeral-storage", storage),
            ("hugepages-1Gi", "0".to_owned()),
            ("hugepages-2Mi", "0".to_owned()),
            ("memory", format!("{memory_kib}Ki")),
            ("pods", pods.clone()),
        ]
    };
    let memory = machine.memory_bytes / 1024;
    Sizes {
        capacity: sizes(cores.to_string(), format!("{}Ki", machine.disk_bytes / 1024), memory),
        allocatable: sizes(
            format!("{}m", (cores * 1000).saturating_sub(reserved_cpu)),
            // A tenth of the disk is the system's.
            (machine.disk_bytes - machine.disk_bytes / 10).to_string(),
            memory.saturating_sub(reserved_memory),
        ),
    }
}

/// Operating systems as the service names them: image and kernel.
const SYSTEMS: [(&str, &str, &str); 6] = [
    ("UBUNTU_20_64", "Ubuntu 20.04.6 LTS", "5.4.0-216-generic"),
    ("UBUNTU_22_64", "Ubuntu 22.04.5 LTS", "5.15.0-144-generic"),
    ("UBUNTU_24_64", "Ubuntu 24.04.5 LTS", "6.8.0-117-generic"),
    ("REDHAT_8_64", "Red Hat Enterprise Linux 8.10 (Ootpa)", "4.18.0-553.el8_10.x86_64"),
    ("RHEL_9_64", "Red Hat Enterprise Linux 9.6 (Plow)", "5.14.0-570.116.1.el9_6.x86_64"),
    ("RHCOS", "Red Hat Enterprise Linux CoreOS", "5.14.0-570.116.1.el9_6.x86_64"),
];

/// `status.nodeInfo`.
pub(super) fn info(machine: &Machine, world: &World) -> Value {
    let system = SYSTEMS.iter().find(|(name, ..)| *name == machine.operating_system);
    let (image, kernel) =
        system.map_or((machine.operating_system.as_str(), "6.8.0-117-generic"), |(_, image, kernel)| (image, kernel));
    let minor = machine.version.split('.').take(2).collect::<Vec<_>>().join(".");
    let (kubelet, runtime) = match &world.openshift {
        Some(_) => (format!("v{}", machine.version), format!("cri-o://{minor}.0")),
        None => (format!("v{}+IKS", machine.version), "containerd://2.1.5".to_owned()),
    };
    let digest = sha256(format!("{}/{}", world.id, machine.worker_id).as_bytes());
    let hex = boatyard_core::id::hex(&digest);
    let uuid = |hex: &str| format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32]);
    json!({
        "architecture": if machine.architecture.is_empty() { "amd64" } else { &machine.architecture },
        "bootID": uuid(&hex[32..]), "systemUUID": uuid(&hex), "machineID": &hex[..32],
        "containerRuntimeVersion": runtime, "kernelVersion": kernel, "kubeProxyVersion": "",
        "kubeletVersion": kubelet, "operatingSystem": "linux", "osImage": image,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_keeps_what_the_service_documents() {
        // Cores, GiB of memory, and what pods can have.
        let cases = [
            (4, 16, "3915m", 16.0 - 2.6 - 0.0977, "110"),
            (28, 256, "27852m", 256.0 - 11.88 - 0.0977, "250"),
            (2, 4, "1930m", 4.0 - 1.0 - 0.0977, "110"),
            (16, 64, "15882m", 64.0 - 5.48 - 0.0977, "160"),
        ];
        for (cpus, gib, cpu, memory, pods) in cases {
            let machine = Machine { cpus, memory_bytes: gib * GIB, disk_bytes: 100 * GIB, ..Machine::default() };
            let found = resources(&machine);
            let quantity = |name: &str| found.allocatable.iter().find(|(of, _)| *of == name).unwrap().1.clone();
            assert_eq!((quantity("cpu").as_str(), quantity("pods").as_str()), (cpu, pods));
            let kib: f64 = quantity("memory").trim_end_matches("Ki").parse().unwrap();
            assert!((kib / 1024.0 / 1024.0 - memory).abs() < 0.02, "{cpus}x{gib}: {}", kib / 1024.0 / 1024.0);
            assert_eq!(quantity("ephemeral-storage"), (90 * GIB).to_string());
        }
        let nothing = resources(&Machine::default());
        assert_eq!(nothing.allocatable[4], ("memory", "0Ki".to_owned()));
    }
}
