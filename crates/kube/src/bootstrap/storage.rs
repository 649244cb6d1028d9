//! Storage classes of the provider, as its documentation lists them.

use serde_json::{Map, Value, json};

const DEFAULT_VPC: &str = "ibmc-vpc-block-10iops-tier";
const DEFAULT_CLASSIC: &str = "ibmc-file-gold";

/// What a range of sizes may have in IOPS, for classes that leave them to the claim.
const CUSTOM_IOPS: &str = "\"[20-39]Gi:[100-1000]\"\n\"[40-79]Gi:[100-2000]\"\n\"[80-99]Gi:[100-4000]\"\n\"[100-499]Gi:[100-6000]\"\n\
\"[500-999]Gi:[100-10000]\"\n\"[1000-1999]Gi:[100-20000]\"\n\"[2000-2999]Gi:[200-40000]\"\n\"[3000-3999]Gi:[200-48000]\"\n\
\"[4000-7999]Gi:[300-48000]\"\n\"[8000-9999]Gi:[500-48000]\"\n\"[10000-12000]Gi:[1000-48000]\"\n";

pub(super) fn objects(vpc: bool) -> Vec<Value> {
    if vpc {
        return vpc_block().chain(vpc_file()).chain(drivers()).collect();
    }
    classic().collect()
}

/// A class. `waits` tells that a volume is made only once a pod needs it.
struct Class<'a> {
    name: &'a str,
    provisioner: &'a str,
    label: (&'a str, &'a str),
    retains: bool,
    waits: bool,
    expands: bool,
    parameters: Map<String, Value>,
    mount_options: &'a [&'a str],
}

impl Class<'_> {
    fn object(self) -> Value {
        let mut metadata = json!({"name": self.name, "labels": {self.label.0: self.label.1}});
        if [DEFAULT_VPC, DEFAULT_CLASSIC].contains(&self.name) {
            metadata["annotations"] = json!({"storageclass.kubernetes.io/is-default-class": "true"});
        }
        let mut object = json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": metadata,
            "provisioner": self.provisioner, "parameters": self.parameters,
            "reclaimPolicy": if self.retains { "Retain" } else { "Delete" },
            "volumeBindingMode": if self.waits { "WaitForFirstConsumer" } else { "Immediate" },
            "allowVolumeExpansion": self.expands,
        });
        if !self.mount_options.is_empty() {
            object["mountOptions"] = json!(self.mount_options);
        }
        object
    }
}

fn parameters<'a>(members: impl IntoIterator<Item = (&'a str, &'a str)>) -> Map<String, Value> {
    members.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
}

/// Block storage of VPC clusters: of each first-generation profile the kinds of class, and those of the second generation.
fn vpc_block() -> impl Iterator<Item = Value> {
    // How the names of classes begin, whether they retain, whether they wait, and whether they shorten the profile.
    const KINDS: [(&str, bool, bool, bool); 6] = [
        ("ibmc-vpc-block-", false, false, false),
        ("ibmc-vpc-block-retain-", true, false, false),
        ("ibmc-vpc-block-metro-", false, true, false),
        ("ibmc-vpc-block-metro-retain-", true, true, false),
        ("ibmc-vpcblock-odf-", false, true, true),
        ("ibmc-vpcblock-odf-ret-", true, true, true),
    ];
    const PROFILES: [(&str, &str); 4] =
        [("10iops-tier", "10iops"), ("5iops-tier", "5iops"), ("custom", "custom"), ("general-purpose", "general")];
    const SECOND: [(&str, &str, &str, bool); 3] = [
        ("ibmc-vpc-block-sdp", "3000", "1000", false),
        ("ibmc-vpc-block-sdp-max-bandwidth", "64000", "8192", false),
        ("ibmc-vpc-block-sdp-max-bandwidth-sds", "64000", "8192", true),
    ];
    let first = PROFILES.into_iter().flat_map(|(profile, short)| {
        KINDS.into_iter().map(move |(begin, retains, waits, shortened)| {
            let name = format!("{begin}{}", if shortened { short } else { profile });
            let iops = (profile == "custom").then_some(("iops", "400"));
            block_class(&name, profile, retains, waits, iops)
        })
    });
    let second = SECOND.into_iter().map(|(name, iops, throughput, waits)| {
        block_class(name, "sdp", false, waits, [("iops", iops), ("throughput", throughput)])
    });
    first.chain(second)
}

fn block_class<'a>(
    name: &str,
    profile: &'a str,
    retains: bool,
    waits: bool,
    more: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Value {
    let common = [
        ("profile", profile),
        ("csi.storage.k8s.io/fstype", "ext4"),
        ("billingType", "hourly"),
        ("encrypted", "false"),
        ("encryptionKey", ""),
        ("resourceGroup", ""),
        ("zone", ""),
        ("region", ""),
        ("tags", ""),
        ("generation", "gc"),
        ("classVersion", "1"),
    ];
    Class {
        name,
        provisioner: "vpc.block.csi.ibm.io",
        label: ("app.kubernetes.io/name", "ibm-vpc-block-csi-driver"),
        retains,
        waits,
        expands: true,
        parameters: parameters(common.into_iter().chain(more)),
        mount_options: &[],
    }
    .object()
}

/// File storage of VPC clusters: name, IOPS, whether it retains, whether it waits, and whether it is encrypted on its way.
const VPC_FILE: [(&str, &str, bool, bool, bool); 14] = [
    ("ibmc-vpc-file-500-iops", "500", false, false, false),
    ("ibmc-vpc-file-1000-iops", "1000", false, false, false),
    ("ibmc-vpc-file-3000-iops", "3000", false, false, false),
    ("ibmc-vpc-file-eit", "1000", false, false, true),
    ("ibmc-vpc-file-metro-500-iops", "500", false, true, false),
    ("ibmc-vpc-file-metro-1000-iops", "1000", false, true, false),
    ("ibmc-vpc-file-metro-3000-iops", "3000", false, true, false),
    ("ibmc-vpc-file-metro-retain-500-iops", "500", true, true, false),
    ("ibmc-vpc-file-metro-retain-1000-iops", "1000", true, true, false),
    ("ibmc-vpc-file-metro-retain-3000-iops", "3000", true, true, false),
    ("ibmc-vpc-file-min-iops", "", false, false, false),
    ("ibmc-vpc-file-retain-500-iops", "500", true, false, false),
    ("ibmc-vpc-file-retain-1000-iops", "1000", true, false, false),
    ("ibmc-vpc-file-retain-3000-iops", "3000", true, false, false),
];

fn vpc_file() -> impl Iterator<Item = Value> {
    VPC_FILE.into_iter().map(|(name, iops, retains, waits, encrypted)| {
        let common = [
            ("profile", "dp2"),
            ("billingType", "hourly"),
            ("encrypted", "false"),
            ("encryptionKey", ""),
            ("resourceGroup", ""),
            ("isENIEnabled", "true"),
            ("securityGroupIDs", ""),
            ("subnetID", ""),
            ("region", ""),
            ("zone", ""),
            ("primaryIPID", ""),
            ("primaryIPAddress", ""),
            ("tags", ""),
            ("uid", "0"),
            ("gid", "0"),
            ("classVersion", "1"),
        ];
        let more = [("iops", iops)].into_iter().filter(|(_, iops)| !iops.is_empty());
        let on_its_way = encrypted.then_some(("isEITEnabled", "true"));
        Class {
            name,
            provisioner: "vpc.file.csi.ibm.io",
            label: ("app.kubernetes.io/name", "ibm-vpc-file-csi-driver"),
            retains,
            waits,
            expands: true,
            parameters: parameters(common.into_iter().chain(more).chain(on_its_way)),
            mount_options: &["hard", "nfsvers=4.1", "sec=sys"],
        }
        .object()
    })
}

fn drivers() -> impl Iterator<Item = Value> {
    [("vpc.block.csi.ibm.io", true), ("vpc.file.csi.ibm.io", false)].into_iter().map(|(name, attached)| {
        json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": name},
            "spec": {
                "attachRequired": attached, "podInfoOnMount": true, "volumeLifecycleModes": ["Persistent"],
                "fsGroupPolicy": "ReadWriteOnceWithFSType", "requiresRepublish": false, "storageCapacity": false,
                "seLinuxMount": false,
            },
        })
    })
}

/// File and block storage of classic clusters.
fn classic() -> impl Iterator<Item = Value> {
    const TIERS: [(&str, &str, &str); 4] =
        [("bronze", "2", "[20-12000]Gi"), ("silver", "4", "[20-12000]Gi"), ("gold", "10", "[20-4000]Gi"), ("custom", "", "")];
    ["file", "block"].into_iter().flat_map(|medium| {
        TIERS.into_iter().flat_map(move |tier| {
            let gid = (medium == "file" && tier.0 != "custom").then_some("gid");
            ["", "retain"].into_iter().chain(gid).map(move |kind| classic_class(medium, tier, kind))
        })
    })
}

/// `kind` is nothing, `retain`, or `gid` for volumes that a group may write.
fn classic_class(medium: &str, (tier, iops, sizes): (&str, &str, &str), kind: &str) -> Value {
    let name = match kind {
        "" => format!("ibmc-{medium}-{tier}"),
        "retain" => format!("ibmc-{medium}-retain-{tier}"),
        kind => format!("ibmc-{medium}-{tier}-{kind}"),
    };
    let performance: &[(&str, &str)] = match tier {
        "custom" => &[("type", "Performance"), ("sizeIOPSRange", CUSTOM_IOPS)],
        _ => &[("type", "Endurance"), ("iopsPerGB", iops), ("sizeRange", sizes)],
    };
    let common = [("billingType", "hourly"), ("classVersion", "2")];
    let file_system = (medium == "block").then_some(("fsType", "ext4"));
    let group = (kind == "gid").then_some(("gidAllocate", "true"));
    Class {
        name: &name,
        provisioner: &format!("ibm.io/ibmc-{medium}"),
        label: ("kubernetes.io/cluster-service", "true"),
        retains: kind == "retain",
        waits: false,
        expands: medium == "block",
        parameters: parameters(common.into_iter().chain(performance.iter().copied()).chain(file_system).chain(group)),
        mount_options: &[],
    }
    .object()
}
