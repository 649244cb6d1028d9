//! The columns of built-in kinds, as data.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{age::since, cells, pods};
use crate::object::{number, text};

pub const NAME_DESCRIPTION: &str = "The name of the object, unique among those of its kind in its namespace.";
pub const AGE_DESCRIPTION: &str = "How long ago the object was created.";

/// A column of a table.
pub struct Column {
    pub name: &'static str,
    /// `string`, `integer`, `boolean` or `date`.
    pub kind: &'static str,
    pub format: &'static str,
    /// 1: only shown with `-o wide`.
    pub priority: i32,
    cell: Cell,
}

/// What stands in the cells of a column.
enum Cell {
    /// The text at a pointer, or something else if there is none.
    Text(&'static str, &'static str),
    /// The number at a pointer, or 0.
    Number(&'static str),
    Flag(&'static str, bool),
    /// How many members the values at pointers have together.
    Count(&'static [&'static str]),
    /// How long ago the time at a pointer was, or something else if there is none.
    Since(&'static str, &'static str),
    Of(fn(&Value, Timestamp) -> Value),
}

use Cell::{Count, Flag, Number, Of, Since, Text};

impl Column {
    pub fn cell(&self, object: &Value, now: Timestamp) -> Value {
        match &self.cell {
            Text(pointer, otherwise) => match text(object, pointer) {
                "" => json!(otherwise),
                text => json!(text),
            },
            Number(pointer) => json!(number(object, pointer).unwrap_or_default()),
            Flag(pointer, otherwise) => json!(object.pointer(pointer).and_then(Value::as_bool).unwrap_or(*otherwise)),
            Count(pointers) => json!(pointers.iter().map(|p| object.pointer(p).map_or(0, members)).sum::<usize>()),
            Since(pointer, otherwise) => match text(object, pointer) {
                "" => json!(otherwise),
                time => json!(since(time, now)),
            },
            Of(function) => function(object, now),
        }
    }

    pub fn description(&self) -> &'static str {
        match self.name {
            "Name" => NAME_DESCRIPTION,
            "Age" => AGE_DESCRIPTION,
            _ => "",
        }
    }
}

fn members(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.len(),
        Value::Object(members) => members.len(),
        _ => 0,
    }
}

const fn column(name: &'static str, cell: Cell) -> Column {
    Column { name, kind: "string", format: "", priority: 0, cell }
}

const fn integer(name: &'static str, cell: Cell) -> Column {
    Column { name, kind: "integer", format: "", priority: 0, cell }
}

const fn boolean(name: &'static str, cell: Cell) -> Column {
    Column { name, kind: "boolean", format: "", priority: 0, cell }
}

const fn wide(name: &'static str, cell: Cell) -> Column {
    Column { name, kind: "string", format: "", priority: 1, cell }
}

const fn named(cell: Cell) -> Column {
    Column { name: "Name", kind: "string", format: "name", priority: 0, cell }
}

const NAME: Column = named(Text("/metadata/name", ""));
const AGE: Column = column("Age", Since("/metadata/creationTimestamp", "<unknown>"));
const CONTAINERS: Column = wide("Containers", Of(cells::containers));
const IMAGES: Column = wide("Images", Of(cells::images));
const SELECTOR: Column = wide("Selector", Of(cells::selector));

/// The columns of a kind.
pub fn of(group: &str, kind: &str) -> &'static [Column] {
    KINDS.iter().find(|(g, k, _)| *g == group && *k == kind).map_or(OTHERS, |(_, _, columns)| columns)
}

/// What upstream has no printer for.
const OTHERS: &[Column] = &[
    NAME,
    Column { name: "Created At", kind: "date", format: "", priority: 0, cell: Text("/metadata/creationTimestamp", "") },
];

const BINDING: &[Column] = &[
    NAME,
    column("Role", Of(cells::role)),
    AGE,
    wide("Users", Of(cells::users)),
    wide("Groups", Of(cells::groups)),
    wide("ServiceAccounts", Of(cells::service_accounts)),
];

const EVENT: &[Column] = &[
    column("Last Seen", Of(cells::event_last_seen)),
    column("Type", Text("/type", "")),
    column("Reason", Text("/reason", "")),
    column("Object", Of(cells::event_object)),
    wide("Subobject", Of(cells::event_subobject)),
    wide("Source", Of(cells::event_source)),
    column("Message", Of(cells::event_message)),
    wide("First Seen", Of(cells::event_first_seen)),
    wide("Count", Of(cells::event_count)),
    Column { name: "Name", kind: "string", format: "name", priority: 1, cell: Text("/metadata/name", "") },
];

const REPLICAS: &[Column] = &[
    NAME,
    integer("Desired", Number("/spec/replicas")),
    integer("Current", Number("/status/replicas")),
    integer("Ready", Number("/status/readyReplicas")),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

const WEBHOOKS: &[Column] = &[NAME, integer("Webhooks", Count(&["/webhooks"])), AGE];

const POLICY_BINDING: &[Column] =
    &[NAME, column("PolicyName", Text("/spec/policyName", "")), column("ParamRef", Of(cells::parameter)), AGE];

#[rustfmt::skip]
const KINDS: &[(&str, &str, &[Column])] = &[
    ("", "Pod", &[
        NAME,
        column("Ready", Of(pods::ready)),
        column("Status", Of(pods::status)),
        column("Restarts", Of(pods::restarts)),
        AGE,
        wide("IP", Text("/status/podIPs/0/ip", "<none>")),
        wide("Node", Text("/spec/nodeName", "<none>")),
        wide("Nominated Node", Text("/status/nominatedNodeName", "<none>")),
        wide("Readiness Gates", Of(pods::readiness_gates)),
    ]),
    ("", "PodTemplate", &[
        NAME,
        column("Containers", Of(cells::containers)),
        column("Images", Of(cells::images)),
        column("Pod Labels", Of(cells::pod_labels)),
    ]),
    ("", "ReplicationController", REPLICAS),
    ("apps", "ReplicaSet", REPLICAS),
    ("apps", "Deployment", &[
        NAME,
        column("Ready", Of(cells::replicas)),
        column("Up-to-date", Number("/status/updatedReplicas")),
        column("Available", Number("/status/availableReplicas")),
        AGE, CONTAINERS, IMAGES, SELECTOR,
    ]),
    ("apps", "StatefulSet", &[NAME, column("Ready", Of(cells::replicas)), AGE, CONTAINERS, IMAGES]),
    ("apps", "DaemonSet", &[
        NAME,
        integer("Desired", Number("/status/desiredNumberScheduled")),
        integer("Current", Number("/status/currentNumberScheduled")),
        integer("Ready", Number("/status/numberReady")),
        integer("Up-to-date", Number("/status/updatedNumberScheduled")),
        integer("Available", Number("/status/numberAvailable")),
        column("Node Selector", Of(cells::node_selector)),
        AGE, CONTAINERS, IMAGES, SELECTOR,
    ]),
    ("apps", "ControllerRevision", &[
        NAME, column("Controller", Of(cells::controller)), column("Revision", Number("/revision")), AGE,
    ]),
    ("batch", "Job", &[
        NAME,
        column("Status", Of(cells::job_status)),
        column("Completions", Of(cells::job_completions)),
        column("Duration", Of(cells::job_duration)),
        AGE, CONTAINERS, IMAGES, SELECTOR,
    ]),
    ("batch", "CronJob", &[
        NAME,
        column("Schedule", Text("/spec/schedule", "")),
        column("Timezone", Text("/spec/timeZone", "<none>")),
        boolean("Suspend", Of(cells::suspended)),
        integer("Active", Count(&["/status/active"])),
        column("Last Schedule", Since("/status/lastScheduleTime", "<none>")),
        AGE, CONTAINERS, IMAGES, SELECTOR,
    ]),
    ("autoscaling", "HorizontalPodAutoscaler", &[
        NAME,
        column("Reference", Of(cells::scale_target)),
        column("Targets", Of(cells::scale_metrics)),
        column("MinPods", Of(cells::scale_minimum)),
        column("MaxPods", Number("/spec/maxReplicas")),
        column("Replicas", Number("/status/currentReplicas")),
        AGE,
    ]),
    ("autoscaling", "Scale", &[
        NAME, integer("Desired", Number("/spec/replicas")), integer("Available", Number("/status/replicas")), AGE,
    ]),
    ("policy", "PodDisruptionBudget", &[
        NAME,
        column("Min Available", Of(cells::minimum_available)),
        column("Max Unavailable", Of(cells::maximum_unavailable)),
        integer("Allowed Disruptions", Number("/status/disruptionsAllowed")),
        AGE,
    ]),
    ("", "Service", &[
        NAME,
        column("Type", Text("/spec/type", "")),
        column("Cluster-IP", Of(cells::cluster_ip)),
        column("External-IP", Of(cells::external_ip)),
        column("Port(s)", Of(cells::service_ports)),
        AGE, SELECTOR,
    ]),
    ("", "Endpoints", &[NAME, column("Endpoints", Of(cells::endpoints)), AGE]),
    ("discovery.k8s.io", "EndpointSlice", &[
        NAME,
        column("AddressType", Text("/addressType", "")),
        column("Ports", Of(cells::slice_ports)),
        column("Endpoints", Of(cells::slice_endpoints)),
        AGE,
    ]),
    ("networking.k8s.io", "Ingress", &[
        NAME,
        column("Class", Text("/spec/ingressClassName", "<none>")),
        column("Hosts", Of(cells::ingress_hosts)),
        column("Address", Of(cells::load_balancer)),
        column("Ports", Of(cells::ingress_ports)),
        AGE,
    ]),
    ("networking.k8s.io", "IngressClass", &[
        named(Of(cells::name_of_default)),
        column("Controller", Text("/spec/controller", "")),
        column("Parameters", Of(cells::ingress_parameters)),
        AGE,
    ]),
    ("networking.k8s.io", "NetworkPolicy", &[NAME, column("Pod-Selector", Of(cells::pod_selector)), AGE]),
    ("networking.k8s.io", "ServiceCIDR", &[NAME, column("CIDRs", Of(cells::cidrs)), AGE]),
    ("networking.k8s.io", "IPAddress", &[NAME, column("ParentRef", Of(cells::parent)), AGE]),
    ("", "Node", &[
        NAME,
        column("Status", Of(cells::node_status)),
        column("Roles", Of(cells::node_roles)),
        AGE,
        column("Version", Text("/status/nodeInfo/kubeletVersion", "")),
        wide("Internal-IP", Of(cells::internal_address)),
        wide("External-IP", Of(cells::external_address)),
        wide("OS-Image", Text("/status/nodeInfo/osImage", "<unknown>")),
        wide("Kernel-Version", Of(cells::kernel)),
        wide("Container-Runtime", Text("/status/nodeInfo/containerRuntimeVersion", "<unknown>")),
    ]),
    ("", "Namespace", &[NAME, column("Status", Text("/status/phase", "")), AGE]),
    ("", "ConfigMap", &[NAME, column("Data", Count(&["/data", "/binaryData"])), AGE]),
    ("", "Secret", &[NAME, column("Type", Text("/type", "")), column("Data", Count(&["/data"])), AGE]),
    ("", "ServiceAccount", &[NAME, AGE]),
    ("", "ResourceQuota", &[
        NAME, column("Request", Of(cells::quota_requests)), column("Limit", Of(cells::quota_limits)), AGE,
    ]),
    ("", "Event", EVENT),
    ("events.k8s.io", "Event", EVENT),
    ("", "ComponentStatus", &[
        NAME,
        column("Status", Of(cells::component_status)),
        column("Message", Text("/conditions/0/message", "")),
        column("Error", Text("/conditions/0/error", "")),
    ]),
    ("", "PersistentVolume", &[
        NAME,
        column("Capacity", Text("/spec/capacity/storage", "0")),
        column("Access Modes", Of(cells::volume_modes)),
        column("Reclaim Policy", Text("/spec/persistentVolumeReclaimPolicy", "")),
        column("Status", Of(cells::phase)),
        column("Claim", Of(cells::claim)),
        column("StorageClass", Of(cells::storage_class)),
        column("VolumeAttributesClass", Text("/spec/volumeAttributesClassName", "<unset>")),
        column("Reason", Text("/status/reason", "")),
        AGE,
        wide("VolumeMode", Text("/spec/volumeMode", "<unset>")),
    ]),
    ("", "PersistentVolumeClaim", &[
        NAME,
        column("Status", Of(cells::phase)),
        column("Volume", Text("/spec/volumeName", "")),
        column("Capacity", Of(cells::claim_capacity)),
        column("Access Modes", Of(cells::claim_modes)),
        column("StorageClass", Of(cells::storage_class)),
        column("VolumeAttributesClass", Text("/spec/volumeAttributesClassName", "<unset>")),
        AGE,
        wide("VolumeMode", Text("/spec/volumeMode", "<unset>")),
    ]),
    ("storage.k8s.io", "StorageClass", &[
        named(Of(cells::name_of_default)),
        column("Provisioner", Text("/provisioner", "")),
        column("ReclaimPolicy", Text("/reclaimPolicy", "Delete")),
        column("VolumeBindingMode", Text("/volumeBindingMode", "Immediate")),
        column("AllowVolumeExpansion", Flag("/allowVolumeExpansion", false)),
        AGE,
    ]),
    ("storage.k8s.io", "VolumeAttributesClass", &[NAME, column("DriverName", Text("/driverName", "")), AGE]),
    ("storage.k8s.io", "VolumeAttachment", &[
        NAME,
        Column { name: "Attacher", kind: "string", format: "name", priority: 0, cell: Text("/spec/attacher", "") },
        column("PV", Text("/spec/source/persistentVolumeName", "")),
        column("Node", Text("/spec/nodeName", "")),
        boolean("Attached", Flag("/status/attached", false)),
        AGE,
    ]),
    ("storage.k8s.io", "CSINode", &[NAME, integer("Drivers", Count(&["/spec/drivers"])), AGE]),
    ("storage.k8s.io", "CSIDriver", &[
        NAME,
        boolean("AttachRequired", Flag("/spec/attachRequired", true)),
        boolean("PodInfoOnMount", Flag("/spec/podInfoOnMount", false)),
        boolean("StorageCapacity", Flag("/spec/storageCapacity", false)),
        column("TokenRequests", Of(cells::token_requests)),
        boolean("RequiresRepublish", Flag("/spec/requiresRepublish", false)),
        column("Modes", Of(cells::lifecycle_modes)),
        AGE,
    ]),
    ("storage.k8s.io", "CSIStorageCapacity", &[
        NAME, column("StorageClassName", Text("/storageClassName", "")), column("Capacity", Text("/capacity", "<unset>")),
    ]),
    ("rbac.authorization.k8s.io", "RoleBinding", BINDING),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding", BINDING),
    ("coordination.k8s.io", "Lease", &[NAME, column("Holder", Text("/spec/holderIdentity", "")), AGE]),
    ("scheduling.k8s.io", "PriorityClass", &[
        NAME,
        integer("Value", Number("/value")),
        boolean("Global-Default", Flag("/globalDefault", false)),
        AGE,
        column("PreemptionPolicy", Text("/preemptionPolicy", "")),
    ]),
    ("node.k8s.io", "RuntimeClass", &[NAME, column("Handler", Text("/handler", "")), AGE]),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration", WEBHOOKS),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", WEBHOOKS),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy", &[
        NAME, integer("Validations", Count(&["/spec/validations"])), column("ParamKind", Of(cells::parameter_kind)), AGE,
    ]),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy", &[
        NAME, integer("Mutations", Count(&["/spec/mutations"])), column("ParamKind", Of(cells::parameter_kind)), AGE,
    ]),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding", POLICY_BINDING),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding", POLICY_BINDING),
    ("apiregistration.k8s.io", "APIService", &[
        NAME, column("Service", Of(cells::api_service)), column("Available", Of(cells::api_available)), AGE,
    ]),
];
