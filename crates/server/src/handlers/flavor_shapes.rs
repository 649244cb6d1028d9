//! Flavors as each operation shows them: with numbers as texts, except among zones.

use boatyard_api::containers::{DiskConfigResp, Flavor as V2Flavor, FlavorResponse, GpuConfigResp, MachineType};
use boatyard_fleet::Provider;
use boatyard_fleet::catalog::{Disk, Flavor, Offering, RawDisk};

/// An item of `GET /v1/datacenters/{datacenter}/machine-types`.
#[must_use]
pub fn machine_type(flavor: &Flavor) -> MachineType {
    let shape = self::flavor(flavor);
    MachineType {
        cores: shape.cores,
        corresponding_machine_type: None,
        deprecated: shape.deprecated,
        gpus: shape.gpus,
        is_trusted: shape.is_trusted,
        memory: shape.memory,
        name: shape.name,
        network_speed: shape.network_speed,
        ocp_unsupported: shape.ocp_unsupported,
        os: shape.os,
        provider: shape.provider,
        secondary_storage: shape.secondary_storage,
        secondary_storage_encrypted: shape.secondary_storage_encrypted,
        server_type: shape.server_type,
        storage: shape.storage,
    }
}

/// An item of `GET /v2/getFlavors`.
#[must_use]
pub fn flavor(flavor: &Flavor) -> V2Flavor {
    let raw: Vec<_> = flavor.raw_disks.iter().map(|d| format!("{} x {}GB {}", d.count, gigabytes(d), d.kind)).collect();
    V2Flavor {
        architecture: Some("amd64".to_owned()),
        cores: Some(flavor.cores.to_string()),
        corresponding_flavor: None,
        deprecated: Some(false),
        gpus: flavor.gpu.as_ref().map(|gpu| format!("{} x {}", gpu.count, gpu.model)),
        id: Some(flavor.name.clone()),
        is_trusted: Some(false),
        memory: Some(memory(flavor)),
        name: Some(flavor.name.clone()),
        network_speed: Some(network(flavor)),
        ocp_unsupported: Some(!flavor.runs(Offering::OpenShift)),
        operating_systems: systems(flavor).map(str::to_owned).collect(),
        os: newest_system(flavor),
        provider: Some(flavor.provider().as_str().to_owned()),
        raw_storage: (!raw.is_empty()).then(|| raw.join(", ")),
        secondary_storage: flavor.secondary_disk.as_ref().map(disk_text),
        secondary_storage_encrypted: Some(encrypted(flavor)),
        secondary_storage_options: flavor.secondary_disk_options.iter().map(|option| option.name.clone()).collect(),
        server_type: Some(server_type(flavor)),
        storage: Some(disk_text(&flavor.primary_disk)),
        supported_isolation: isolation(flavor),
    }
}

/// A flavor of a zone.
#[must_use]
pub fn zone_flavor(flavor: &Flavor) -> FlavorResponse {
    let gpu =
        |gpu: &boatyard_fleet::catalog::Gpu| GpuConfigResp { count: Some(gpu.count.into()), type_: Some(gpu.model.clone()) };
    FlavorResponse {
        additional_storage: flavor.raw_disks.iter().map(|d| disks(d.count, gigabytes(d), &d.kind)).collect(),
        cores: Some(flavor.cores.into()),
        deprecated: Some(false),
        gpus: flavor.gpu.iter().map(gpu).collect(),
        id: Some(flavor.name.clone()),
        memory: Some(memory(flavor)),
        name: Some(flavor.name.clone()),
        network_speed: Some(network(flavor)),
        ocp_unsupported: Some(!flavor.runs(Offering::OpenShift)),
        os: newest_system(flavor),
        primary_storage: Some(disks(1, flavor.primary_disk.size_gb, &flavor.primary_disk.kind)),
        provider: Some(flavor.provider().as_str().to_owned()),
        secondary_storage: flavor.secondary_disk.as_ref().map(|disk| disks(1, disk.size_gb, &disk.kind)),
        secondary_storage_encrypted: Some(encrypted(flavor)),
        server_type: Some(server_type(flavor)),
        sgx_enabled: Some(false),
        supported_isolation: isolation(flavor),
    }
}

fn memory(flavor: &Flavor) -> String {
    format!("{}GB", flavor.memory_gb)
}

fn network(flavor: &Flavor) -> String {
    format!("{}Mbps", flavor.network_mbps)
}

fn server_type(flavor: &Flavor) -> String {
    if flavor.is_virtual() { "virtual" } else { "physical" }.to_owned()
}

/// As the wire has them, where the command line says shared and dedicated.
fn isolation(flavor: &Flavor) -> Vec<String> {
    let wire = |isolation: &String| if isolation == "dedicated" { "private" } else { "public" };
    flavor.isolation.iter().map(wire).map(str::to_owned).collect()
}

/// Classic workers have their second disk encrypted unless somebody asks for something else.
fn encrypted(flavor: &Flavor) -> bool {
    flavor.provider() == Provider::Classic && flavor.secondary_disk.is_some()
}

fn systems(flavor: &Flavor) -> impl Iterator<Item = &str> {
    let of = |offering| flavor.operating_systems(offering).unwrap_or_default().iter().map(String::as_str);
    of(Offering::Kubernetes).chain(of(Offering::OpenShift))
}

/// The newest for Kubernetes, or for OpenShift where it runs nothing else.
fn newest_system(flavor: &Flavor) -> Option<String> {
    let newest = |offering| flavor.operating_systems(offering)?.last().cloned();
    newest(Offering::Kubernetes).or_else(|| newest(Offering::OpenShift))
}

fn disk_text(disk: &Disk) -> String {
    format!("{}GB {}", disk.size_gb, disk.kind)
}

fn gigabytes(disk: &RawDisk) -> u32 {
    // Given in tenths of a terabyte, which binary fractions only come near to.
    (disk.size_tb * 1000.0).round() as u32
}

fn disks(count: u32, size_gb: u32, kind: &str) -> DiskConfigResp {
    DiskConfigResp {
        count: Some(count.into()),
        device_type: Some(kind.to_owned()),
        raid_configuration: None,
        size: Some(size_gb.into()),
    }
}
