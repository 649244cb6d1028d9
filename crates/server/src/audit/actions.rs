//! What operations are called in events: `service.object.verb`.

use std::collections::HashMap;
use std::sync::LazyLock;

use boatyard_api::{Method, Operation, ops};
use serde_json::Value;

/// Facts about the operations of the container service, with the events that each writes.
const ROLES: &str = include_str!("../../../../catalog/roles.json");
/// Operations that change nothing but answer what opens a door.
const CREDENTIALS: [&str; 8] = [
    "GetClusterConfig",
    "GetClusterAdminConfig",
    "GetKubeconfig",
    "GetSecret",
    "GetSecrets",
    "ViewClusterALBSecrets",
    "GetAPIKeysDetails",
    "GetAPIKey",
];
/// Operations that only read, whatever their method.
const READS: [&str; 4] = ["IntrospectToken", "BulkListAccountEntityConsumption", "CreateReport", "CreateMfaReport"];

/// Whether a request of `operation` may change something.
pub(super) fn mutates(operation: &Operation) -> bool {
    operation.method != Method::GET && operation.method != Method::HEAD && !READS.contains(&operation.id)
}

/// Whether a successful answer of `operation` hands out credentials.
pub(super) fn hands_out_credentials(operation: &Operation) -> bool {
    CREDENTIALS.contains(&operation.id)
}

/// Whether `operation` is the one that takes credentials and answers tokens.
pub(super) fn is_login(operation: &Operation) -> bool {
    operation.service == "iam-token" && operation.id == "CreateToken"
}

/// The action of events of `operation`.
pub(super) fn of(operation: &'static Operation) -> &'static str {
    static ACTIONS: LazyLock<HashMap<(&str, &str), String>> = LazyLock::new(|| {
        let documented = documented();
        let operations = ops::SERVICES.iter().flat_map(|service| service.operations);
        operations.map(|o| ((o.service, o.id), documented.get(&key(o)).cloned().unwrap_or_else(|| derived(o)))).collect()
    });
    ACTIONS.get(&(operation.service, operation.id)).map_or("", String::as_str)
}

/// The action of a login by a grant type.
pub(super) fn login(grant: &str, iam_id: &str) -> &'static str {
    match grant.rsplit(':').next().unwrap_or_default() {
        "apikey" if iam_id.starts_with("iam-ServiceId-") => "iam-identity.serviceid-apikey.login",
        "apikey" => "iam-identity.user-apikey.login",
        "passcode" => "iam-identity.user-passcode.login",
        "password" => "iam-identity.user-password.login",
        "assume" | "cr-token" => "iam-identity.trustedprofile-apikey.login",
        "refresh_token" | "delegated-refresh-token" => "iam-identity.user-refreshtoken.login",
        _ => "iam-identity.user.login",
    }
}

/// Method and path, whatever the names of its parameters.
fn key(operation: &Operation) -> (String, String) {
    let path = operation.path.strip_prefix("/global").unwrap_or(operation.path);
    (operation.method.to_string(), nameless(path))
}

fn nameless(path: &str) -> String {
    let segments = path.trim_end_matches('/').split('/').map(|s| if s.starts_with('{') { "{}" } else { s });
    segments.collect::<Vec<_>>().join("/")
}

/// The events of the container service's documentation, by method and path.
fn documented() -> HashMap<(String, String), String> {
    let roles: Value = serde_json::from_str(ROLES).unwrap_or_default();
    let operations = roles["api_operations"].as_array().map(Vec::as_slice).unwrap_or_default();
    let named = operations.iter().filter_map(|operation| {
        let text = |name: &str| operation[name].as_str();
        let event = operation["events"][0].as_str()?;
        // Some are documented without the service.
        let event = if event.matches('.').count() < 2 { format!("containers-kubernetes.{event}") } else { event.to_owned() };
        Some(((text("method")?.to_owned(), nameless(text("path")?)), event))
    });
    named.collect()
}

/// From the action that the caller needs, in the words of events.
fn derived(operation: &Operation) -> String {
    const WORDS: [(&str, &str); 8] = [
        ("iam-identity.apikey.", "iam-identity.user-apikey."),
        ("iam-identity.serviceid.", "iam-identity.account-serviceid."),
        ("iam-identity.profile.", "iam-identity.account-profile."),
        ("iam.policy.", "iam-am.policy."),
        ("iam.role.", "iam-am.role."),
        ("iam-groups.groups.", "iam-groups.group."),
        ("iam-groups.members.", "iam-groups.member."),
        ("iam-groups.rules.", "iam-groups.rule."),
    ];
    let action = operation.access.action();
    match (operation.service, operation.id) {
        ("iam-token", "CreateToken") => return login("", "").to_owned(),
        ("iam-token", "RevokeToken") => return "iam-identity.user.logout".to_owned(),
        ("iam-token", "CreatePasscode") => return "iam-identity.user-passcode.create".to_owned(),
        ("user-management", "Accept") => return "user-management.invitation.accept".to_owned(),
        _ if action.is_empty() => return format!("{}.{}.{}", operation.service, operation.id, verb(operation)),
        _ => {}
    }
    let renamed = WORDS.iter().find_map(|(from, to)| Some(format!("{to}{}", action.strip_prefix(from)?)));
    renamed.unwrap_or_else(|| action.to_owned())
}

fn verb(operation: &Operation) -> &'static str {
    match operation.method.as_str() {
        "GET" | "HEAD" => "read",
        "DELETE" => "delete",
        "PUT" | "PATCH" => "update",
        _ => "create",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_those_of_the_documentation_where_it_has_them() {
        let cases = [
            (&ops::containers::VpcCreateCluster, "containers-kubernetes.cluster.create"),
            (&ops::containers::RemoveCluster, "containers-kubernetes.cluster.delete"),
            (&ops::containers::GetClusterConfig, "containers-kubernetes.cluster.config"),
            (&ops::iam_identity::CreateAPIKey, "iam-identity.user-apikey.create"),
            (&ops::iam_identity::DeleteServiceID, "iam-identity.account-serviceid.delete"),
            (&ops::iam_access_groups::AddMembersToAccessGroup, "iam-groups.member.add"),
            (&ops::iam_policy_management::CreateV2Policy, "iam-am.policy.create"),
            (&ops::iam_token::RevokeToken, "iam-identity.user.logout"),
        ];
        for (operation, expected) in cases {
            assert_eq!(of(operation), expected, "{}", operation.id);
        }
    }

    #[test]
    fn what_changes_nothing_is_told_from_what_may() {
        assert!(!mutates(&ops::iam_token::IntrospectToken));
        assert!(mutates(&ops::containers::GraphQL), "it can reload workers");
        assert!(hands_out_credentials(&ops::iam_identity::GetAPIKey), "its value, if that was kept");
    }

    #[test]
    fn every_operation_has_an_action_of_three_words() {
        for operation in ops::SERVICES.iter().flat_map(|service| service.operations) {
            assert!(
                of(operation).split('.').filter(|word| !word.is_empty()).count() >= 3,
                "{}: {}",
                operation.id,
                of(operation)
            );
        }
    }

    #[test]
    fn the_lists_name_operations_of_the_contract() {
        for id in CREDENTIALS.iter().chain(&READS) {
            let mut operations = ops::SERVICES.iter().flat_map(|service| service.operations);
            assert!(operations.any(|operation| operation.id == *id), "{id}");
        }
    }
}
