//! The programs that may ask for tokens: the three that every OpenShift cluster knows.

use http::Uri;

/// Answers challenges: `oc login -u`, IBM's libraries, curl.
pub(crate) const CHALLENGING_CLIENT: &str = "openshift-challenging-client";
/// The page that shows a token.
pub(crate) const BROWSER_CLIENT: &str = "openshift-browser-client";
/// Waits on this machine for the browser: `oc login --web`.
pub(crate) const CLI_CLIENT: &str = "openshift-cli-client";

/// Where a client is answered: at what it asks for if that is its own, or else at what it is known by. `None` if it asks for an address
/// that is not its own, or is not known.
pub(super) fn redirect_uri(client: &str, asked: Option<&str>, issuer: &str) -> Option<String> {
    let own = match client {
        CHALLENGING_CLIENT => format!("{issuer}/oauth/token/implicit"),
        BROWSER_CLIENT => format!("{issuer}/oauth/token/display"),
        // It waits at a port of its choice, so it has to say at which.
        CLI_CLIENT => return asked.filter(|asked| is_own_machine(asked)).map(str::to_owned),
        _ => return None,
    };
    asked.is_none_or(|asked| asked == own).then_some(own)
}

/// Whether an address is the one that command lines wait at, at any port: `http://127.0.0.1:<port>/callback` (RFC 8252, 7.3).
fn is_own_machine(uri: &str) -> bool {
    let Ok(uri) = uri.parse::<Uri>() else { return false };
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    uri.scheme_str() == Some("http")
        && matches!(uri.host(), Some("127.0.0.1" | "[::1]"))
        && !authority.contains('@')
        && uri.path() == "/callback"
        && uri.query().is_none()
}

pub(super) fn is_known(client: &str) -> bool {
    [CHALLENGING_CLIENT, BROWSER_CLIENT, CLI_CLIENT].contains(&client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_answered_at_its_own_address_only() {
        let issuer = "https://boat/kube/c1";
        let implicit = "https://boat/kube/c1/oauth/token/implicit";
        let cases = [
            (CHALLENGING_CLIENT, None, Some(implicit)),
            (CHALLENGING_CLIENT, Some(implicit), Some(implicit)),
            (CHALLENGING_CLIENT, Some("https://boat/kube/c2/oauth/token/implicit"), None),
            (CHALLENGING_CLIENT, Some("https://evil.example"), None),
            (BROWSER_CLIENT, None, Some("https://boat/kube/c1/oauth/token/display")),
            (CLI_CLIENT, None, None),
            (CLI_CLIENT, Some("http://127.0.0.1:45678/callback"), Some("http://127.0.0.1:45678/callback")),
            (CLI_CLIENT, Some("http://[::1]:45678/callback"), Some("http://[::1]:45678/callback")),
            (CLI_CLIENT, Some("https://127.0.0.1:1/callback"), None),
            (CLI_CLIENT, Some("http://127.0.0.1:1/callback?x=y"), None),
            (CLI_CLIENT, Some("http://127.0.0.1:1/other"), None),
            (CLI_CLIENT, Some("http://127.0.0.1@evil.example/callback"), None),
            (CLI_CLIENT, Some("http://evil.example/callback"), None),
            (CLI_CLIENT, Some("http://localhost:1/callback"), None),
            ("console", None, None),
        ];
        for (client, asked, expected) in cases {
            assert_eq!(redirect_uri(client, asked, issuer).as_deref(), expected, "{client} {asked:?}");
        }
    }
}
