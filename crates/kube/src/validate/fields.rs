//! Rules of single fields, by type.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::names::Syntax;
use super::{child, is_nothing};
use crate::status::Cause;

/// What a field has to be. Only [`Rule::Required`] looks at one that is not there.
#[derive(Clone, Copy)]
enum Rule {
    /// Something: a zero or an empty list is nothing.
    Required,
    AtLeast(i64),
    /// Greater than zero.
    Positive,
    Port,
    /// A number of a port, or the name of one.
    PortOrName,
    OneOf(&'static [&'static str]),
    Name(Syntax),
    /// Begins with a slash.
    Absolute,
}
use Rule::{Absolute, AtLeast, Name, OneOf, Port, PortOrName, Positive, Required};

const PROTOCOLS: Rule = OneOf(&["SCTP", "TCP", "UDP"]);
const PULLED: Rule = OneOf(&["Always", "IfNotPresent", "Never"]);
const MESSAGES: Rule = OneOf(&["FallbackToLogsOnError", "File"]);
const TRAFFIC: Rule = OneOf(&["Cluster", "Local"]);
const VOLUMES: Rule = OneOf(&["Block", "Filesystem"]);

const RULES: &[(&str, &str, Rule)] = &[
    ("core.v1.PodSpec", "restartPolicy", OneOf(&["Always", "Never", "OnFailure"])),
    ("core.v1.PodSpec", "dnsPolicy", OneOf(&["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"])),
    ("core.v1.PodSpec", "containers", Required),
    ("core.v1.PodSpec", "terminationGracePeriodSeconds", AtLeast(0)),
    ("core.v1.PodSpec", "serviceAccountName", Name(Syntax::Subdomain)),
    ("core.v1.PodSpec", "hostname", Name(Syntax::Label)),
    ("core.v1.PodSpec", "subdomain", Name(Syntax::Label)),
    ("core.v1.Container", "name", Name(Syntax::Label)),
    ("core.v1.Container", "image", Required),
    ("core.v1.Container", "imagePullPolicy", PULLED),
    ("core.v1.Container", "terminationMessagePolicy", MESSAGES),
    ("core.v1.EphemeralContainer", "name", Name(Syntax::Label)),
    ("core.v1.EphemeralContainer", "image", Required),
    ("core.v1.EphemeralContainer", "imagePullPolicy", PULLED),
    ("core.v1.ContainerPort", "containerPort", Required),
    ("core.v1.ContainerPort", "containerPort", Port),
    ("core.v1.ContainerPort", "hostPort", Port),
    ("core.v1.ContainerPort", "protocol", PROTOCOLS),
    ("core.v1.EnvVar", "name", Name(Syntax::EnvName)),
    ("core.v1.Volume", "name", Name(Syntax::Label)),
    ("core.v1.KeyToPath", "key", Name(Syntax::ConfigKey)),
    ("core.v1.Probe", "initialDelaySeconds", AtLeast(0)),
    ("core.v1.Probe", "timeoutSeconds", AtLeast(0)),
    ("core.v1.Probe", "periodSeconds", AtLeast(0)),
    ("core.v1.Probe", "successThreshold", AtLeast(0)),
    ("core.v1.Probe", "failureThreshold", AtLeast(0)),
    ("core.v1.HTTPGetAction", "port", PortOrName),
    ("core.v1.HTTPGetAction", "scheme", OneOf(&["HTTP", "HTTPS"])),
    ("core.v1.TCPSocketAction", "port", PortOrName),
    ("core.v1.GRPCAction", "port", Port),
    ("core.v1.Toleration", "effect", OneOf(&["NoSchedule", "PreferNoSchedule", "NoExecute"])),
    ("core.v1.Taint", "effect", OneOf(&["NoSchedule", "PreferNoSchedule", "NoExecute"])),
    ("core.v1.TopologySpreadConstraint", "maxSkew", Positive),
    ("core.v1.TopologySpreadConstraint", "whenUnsatisfiable", OneOf(&["DoNotSchedule", "ScheduleAnyway"])),
    ("core.v1.ServiceSpec", "type", OneOf(&["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"])),
    ("core.v1.ServiceSpec", "sessionAffinity", OneOf(&["ClientIP", "None"])),
    ("core.v1.ServiceSpec", "externalTrafficPolicy", TRAFFIC),
    ("core.v1.ServiceSpec", "internalTrafficPolicy", TRAFFIC),
    ("core.v1.ServiceSpec", "ipFamilyPolicy", OneOf(&["PreferDualStack", "RequireDualStack", "SingleStack"])),
    ("core.v1.ServicePort", "name", Name(Syntax::Label)),
    ("core.v1.ServicePort", "port", Port),
    ("core.v1.ServicePort", "protocol", PROTOCOLS),
    ("core.v1.ServicePort", "targetPort", PortOrName),
    ("core.v1.PersistentVolumeClaimSpec", "accessModes", Required),
    ("core.v1.PersistentVolumeClaimSpec", "volumeMode", VOLUMES),
    ("core.v1.PersistentVolumeSpec", "accessModes", Required),
    ("core.v1.PersistentVolumeSpec", "capacity", Required),
    ("core.v1.PersistentVolumeSpec", "persistentVolumeReclaimPolicy", OneOf(&["Delete", "Recycle", "Retain"])),
    ("core.v1.PersistentVolumeSpec", "volumeMode", VOLUMES),
    ("core.v1.LimitRangeItem", "type", Required),
    ("core.v1.ReplicationControllerSpec", "replicas", AtLeast(0)),
    ("core.v1.ReplicationControllerSpec", "template", Required),
    ("apps.v1.DeploymentSpec", "replicas", AtLeast(0)),
    ("apps.v1.DeploymentSpec", "minReadySeconds", AtLeast(0)),
    ("apps.v1.DeploymentSpec", "revisionHistoryLimit", AtLeast(0)),
    ("apps.v1.DeploymentSpec", "progressDeadlineSeconds", AtLeast(0)),
    ("apps.v1.DeploymentStrategy", "type", OneOf(&["Recreate", "RollingUpdate"])),
    ("apps.v1.ReplicaSetSpec", "replicas", AtLeast(0)),
    ("apps.v1.ReplicaSetSpec", "minReadySeconds", AtLeast(0)),
    ("apps.v1.StatefulSetSpec", "replicas", AtLeast(0)),
    ("apps.v1.StatefulSetSpec", "minReadySeconds", AtLeast(0)),
    ("apps.v1.StatefulSetSpec", "revisionHistoryLimit", AtLeast(0)),
    ("apps.v1.DaemonSetSpec", "minReadySeconds", AtLeast(0)),
    ("apps.v1.DaemonSetSpec", "revisionHistoryLimit", AtLeast(0)),
    ("apps.v1.DaemonSetUpdateStrategy", "type", OneOf(&["RollingUpdate", "OnDelete"])),
    ("batch.v1.JobSpec", "parallelism", AtLeast(0)),
    ("batch.v1.JobSpec", "completions", AtLeast(0)),
    ("batch.v1.JobSpec", "backoffLimit", AtLeast(0)),
    ("batch.v1.JobSpec", "activeDeadlineSeconds", AtLeast(0)),
    ("batch.v1.JobSpec", "ttlSecondsAfterFinished", AtLeast(0)),
    ("batch.v1.JobSpec", "completionMode", OneOf(&["NonIndexed", "Indexed"])),
    ("batch.v1.CronJobSpec", "schedule", Required),
    ("batch.v1.CronJobSpec", "concurrencyPolicy", OneOf(&["Allow", "Forbid", "Replace"])),
    ("batch.v1.CronJobSpec", "startingDeadlineSeconds", AtLeast(0)),
    ("batch.v1.CronJobSpec", "successfulJobsHistoryLimit", AtLeast(0)),
    ("batch.v1.CronJobSpec", "failedJobsHistoryLimit", AtLeast(0)),
    ("autoscaling.v1.HorizontalPodAutoscalerSpec", "minReplicas", AtLeast(1)),
    ("autoscaling.v2.HorizontalPodAutoscalerSpec", "minReplicas", AtLeast(1)),
    ("autoscaling.v1.HorizontalPodAutoscalerSpec", "maxReplicas", AtLeast(1)),
    ("autoscaling.v2.HorizontalPodAutoscalerSpec", "maxReplicas", AtLeast(1)),
    ("networking.v1.HTTPIngressPath", "path", Absolute),
    ("networking.v1.HTTPIngressPath", "pathType", OneOf(&["Exact", "ImplementationSpecific", "Prefix"])),
    ("networking.v1.IngressServiceBackend", "name", Name(Syntax::Label)),
    ("networking.v1.ServiceBackendPort", "number", Port),
    ("networking.v1.NetworkPolicyPort", "protocol", OneOf(&["TCP", "UDP", "SCTP"])),
    ("networking.v1.NetworkPolicyPort", "port", PortOrName),
    ("policy.v1.PodDisruptionBudgetSpec", "unhealthyPodEvictionPolicy", OneOf(&["AlwaysAllow", "IfHealthyBudget"])),
    ("storage.v1.StorageClass", "reclaimPolicy", OneOf(&["Delete", "Retain"])),
    ("storage.v1.StorageClass", "volumeBindingMode", OneOf(&["Immediate", "WaitForFirstConsumer"])),
    ("scheduling.v1.PriorityClass", "preemptionPolicy", OneOf(&["Never", "PreemptLowerPriority"])),
    ("coordination.v1.LeaseSpec", "leaseDurationSeconds", Positive),
    ("coordination.v1.LeaseSpec", "leaseTransitions", AtLeast(0)),
    ("rbac.v1.PolicyRule", "verbs", Required),
];

static BY_TYPE: LazyLock<HashMap<&str, Vec<(&str, Rule)>>> = LazyLock::new(|| {
    let mut by_type: HashMap<&str, Vec<(&str, Rule)>> = HashMap::new();
    for (name, field, rule) in RULES {
        by_type.entry(name).or_default().push((field, *rule));
    }
    by_type
});

/// What is wrong with the fields of a value of a type.
pub(super) fn check(name: &str, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    for (field, rule) in BY_TYPE.get(name).into_iter().flatten() {
        let given = value.get(field);
        let path = child(path, field);
        match (given, rule) {
            (_, Required) if is_nothing(given) || given.and_then(Value::as_i64) == Some(0) => {
                causes.push(Cause::required(path, required_detail(name, field)));
            }
            (Some(given), rule) if !given.is_null() => causes.extend(refusals(given, *rule, &path)),
            _ => {}
        }
    }
}

fn required_detail(name: &str, field: &str) -> &'static str {
    match (name, field) {
        ("core.v1.PersistentVolumeClaimSpec", "accessModes") => "at least 1 access mode is required",
        ("rbac.v1.PolicyRule", "verbs") => "verbs must contain at least one value",
        _ => "",
    }
}

const PORT_TOLD: &str = "must be between 1 and 65535, inclusive";

fn is_port(number: i64) -> bool {
    (1..=65_535).contains(&number)
}

fn refusals(given: &Value, rule: Rule, path: &str) -> Vec<Cause> {
    let invalid = |why: &str| vec![Cause::invalid(path, given, why)];
    let number = given.as_i64();
    match (rule, number, given.as_str()) {
        (AtLeast(least), Some(number), _) if number < least => invalid(&format!("must be greater than or equal to {least}")),
        (Positive, Some(number), _) if number <= 0 => invalid("must be greater than 0"),
        // A port of zero is told of as missing, or was never given.
        (Port, Some(0), _) if path.ends_with("containerPort") || path.ends_with("hostPort") => Vec::new(),
        (Port | PortOrName, Some(number), _) if !is_port(number) => invalid(PORT_TOLD),
        (PortOrName, None, Some(name)) => {
            port_name_faults(name).iter().map(|fault| Cause::invalid(path, given, fault)).collect()
        }
        (OneOf(accepted), _, Some(text)) if !text.is_empty() && !accepted.contains(&text) => {
            vec![Cause::unsupported(path, given, accepted)]
        }
        (Name(syntax), _, Some(text)) if !text.is_empty() => {
            syntax.faults(text, false).iter().map(|fault| Cause::invalid(path, given, fault)).collect()
        }
        (Absolute, _, Some(text)) if !text.is_empty() && !text.starts_with('/') => invalid("must be an absolute path"),
        _ => Vec::new(),
    }
}

/// What is wrong with the name of a port: RFC 6335, section 5.1.
pub(super) fn port_name_faults(name: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if name.len() > 15 {
        faults.push("must be no more than 15 characters");
    }
    if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        faults.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    }
    if !name.bytes().any(|b| b.is_ascii_lowercase()) {
        faults.push("must contain at least one letter (a-z)");
    }
    if name.contains("--") {
        faults.push("must not contain consecutive hyphens");
    }
    if name.starts_with('-') || name.ends_with('-') {
        faults.push("must not begin or end with a hyphen");
    }
    faults.into_iter().map(str::to_owned).collect()
}

/// What is wrong with a port of which zero is no value either.
pub(super) fn port_fault(port: &Value, path: String) -> Option<Cause> {
    let number = port.as_i64().unwrap_or_default();
    (!is_port(number)).then(|| Cause::invalid(path, &json!(number), PORT_TOLD))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types;

    #[test]
    fn every_rule_is_about_a_type_and_its_field() {
        for (name, field, _) in RULES {
            let definition = types::definitions().named(&format!("io.k8s.api.{name}"));
            assert!(definition.is_some_and(|d| d.properties.contains_key(*field)), "{name}.{field}");
        }
    }
}
