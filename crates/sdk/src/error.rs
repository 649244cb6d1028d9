//! What can go wrong for a client, said for the person who must act next.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::PathBuf;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::Serialize;
use serde_json::Value;

/// Why a call or a login did not work. `Display` says what happened, [`Error::hint`] what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("You are not logged in.")]
    NotLoggedIn,

    /// The refresh token is of no use any more and no API key was kept.
    #[error("Your login at {endpoint} has ended: {reason}")]
    SessionEnded { endpoint: String, reason: String },

    /// Another command changed the login while this one was running.
    #[error("Another command logged out, or logged in elsewhere, while this one was running.")]
    LoginChanged,

    #[error("{0}")]
    Service(Box<Refusal>),

    #[error("No connection to {endpoint}: {reason}")]
    Unreachable { endpoint: String, reason: String },

    #[error("{endpoint} did not answer in time.")]
    Timeout { endpoint: String },

    #[error("The TLS certificate of {endpoint} is not trusted: {reason}")]
    Tls { endpoint: String, reason: String, ca_file: Option<PathBuf> },

    /// The answer is not what the contract says; most likely the endpoint is something else.
    #[error("{endpoint} gave an answer that this client does not understand: {reason}")]
    Unintelligible { endpoint: String, reason: String },

    #[error("The endpoint {given:?} is not an address: {reason}")]
    Endpoint { given: String, reason: String },

    #[error("Cannot use the CA file {}: {reason}", .path.display())]
    CaFile { path: PathBuf, reason: String },

    #[error("Cannot {doing} {}: {source}", .path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },

    #[error("{} is not a login that this version understands: {reason}", .path.display())]
    Garbled { path: PathBuf, reason: String },

    #[error("There is no home directory to keep the login in.")]
    Homeless,
}

/// The service's own answer to a request that it refused.
#[derive(Clone, Debug, Default)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Code of the service, such as `E0007` or `BXNIM0415E`.
    pub code: Option<String>,
    pub description: String,
    /// What the service itself recommends.
    pub recovery: Option<String>,
    /// ID under which the server's log knows this request.
    pub incident: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description)?;
        match &self.code {
            Some(code) => write!(f, " ({code}, HTTP {})", self.status),
            None => write!(f, " (HTTP {})", self.status),
        }
    }
}

impl Error {
    /// What the person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotLoggedIn => "Log in with `boatyard login`.".to_owned(),
            Self::SessionEnded { .. } => "Log in again with `boatyard login`.".to_owned(),
            Self::LoginChanged => "Check `boatyard target`, then run the command again.".to_owned(),
            Self::Service(refusal) => return refusal.hint(),
            Self::Unreachable { endpoint, .. } => format!(
                "Is `boatyard serve` running at {endpoint}? If the server is elsewhere, log in with `boatyard login -a URL`."
            ),
            Self::Timeout { .. } => "The server may be overloaded; look at its log, then try again.".to_owned(),
            Self::Tls { ca_file: None, .. } => "Log in with `--ca-file FILE`, where FILE is the CA certificate of the server \
                 (`ca_file` in the server's credentials.json names it)."
                .to_owned(),
            Self::Tls { ca_file: Some(path), .. } => format!(
                "The login trusts {} beside the system's roots. If the server was set up anew, its CA is another one: \
                 log in again with `--ca-file FILE`.",
                path.display()
            ),
            Self::Unintelligible { .. } => {
                "Check that the endpoint is a Boatyard server of a matching version (`boatyard target` shows it).".to_owned()
            }
            Self::Endpoint { .. } => "Give it as in `-a https://127.0.0.1:7443`.".to_owned(),
            Self::CaFile { .. } => "It must be a readable file with certificates in PEM form.".to_owned(),
            Self::File { path, .. } => format!("Check that {} belongs to you and that the disk is not full.", path.display()),
            Self::Garbled { path, .. } => format!("Remove {} and log in again.", path.display()),
            Self::Homeless => "Set BOATYARD_HOME to a directory of yours.".to_owned(),
        })
    }

    /// HTTP status, if a service refused the request.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Service(refusal) => Some(refusal.status),
            _ => None,
        }
    }

    /// Whether waiting and asking again may help: the server is not there, or fails.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Timeout { .. })
            || matches!(self.status(), Some(408 | 429 | 500 | 502 | 503 | 504))
    }
}

impl Refusal {
    fn hint(&self) -> Option<String> {
        let mut hint = match &self.recovery {
            // The service may have said so itself.
            Some(advice) if self.description.contains(advice.as_str()) => String::new(),
            Some(advice) => advice.clone(),
            None if self.status == 401 => "Log in again with `boatyard login`.".to_owned(),
            None => String::new(),
        };
        if let Some(incident) = &self.incident {
            let gap = if hint.is_empty() { "" } else { "\n" };
            hint.push_str(&format!("{gap}Incident ID: {incident}"));
        }
        (!hint.is_empty()).then_some(hint)
    }

    /// Reads any of the error forms of the services: containers (`description`), IAM tokens (`errorMessage`), the
    /// management APIs (`errors[]`).
    pub(crate) fn read(status: StatusCode, headers: &HeaderMap, body: &Value) -> Self {
        let first = &body["errors"][0];
        let text = |candidates: &[&Value]| {
            candidates.iter().filter_map(|v| v.as_str()).map(str::trim).find(|s| !s.is_empty()).map(str::to_owned)
        };
        let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let mut description = text(&[
            &body["description"],
            &body["errorMessage"],
            &first["message"],
            &body["message"],
            &body["error_description"],
            &body["error"],
        ])
        .unwrap_or_else(|| status.canonical_reason().unwrap_or("The request was refused").to_owned());
        if let Some(details) = text(&[&body["errorDetails"]]).filter(|d| !repeats(d, &description)) {
            let stop = if description.ends_with(['.', '!', '?', ':']) { "" } else { "." };
            description = format!("{description}{stop} {details}");
        }
        Self {
            status: status.as_u16(),
            code: text(&[&body["code"], &body["errorCode"], &first["code"]]),
            description,
            recovery: text(&[&body["recoveryCLI"]]),
            incident: text(&[&body["incidentID"], &body["context"]["requestId"], &body["trace"]])
                .or_else(|| header("x-request-id"))
                .or_else(|| header("transaction-id")),
        }
    }
}

/// Whether `details` says nothing that `message` does not say: "The credentials you entered are incorrect." after "The
/// credentials you entered for the user 'ada' are incorrect".
fn repeats(details: &str, message: &str) -> bool {
    let words = |text: &str| -> BTreeSet<String> {
        text.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_owned).collect()
    };
    words(details).is_subset(&words(message))
}

/// Turns the error of a generated client into ours.
pub(crate) async fn of_call<E: Serialize>(
    error: progenitor_client::Error<E>,
    endpoint: &str,
    ca_file: Option<&PathBuf>,
) -> Error {
    use progenitor_client::Error as Call;
    let unintelligible = |reason: String| Error::Unintelligible { endpoint: endpoint.to_owned(), reason };
    match error {
        Call::ErrorResponse(refused) => {
            let body = serde_json::to_value(refused.as_ref()).unwrap_or_default();
            Error::Service(Box::new(Refusal::read(refused.status(), refused.headers(), &body)))
        }
        Call::UnexpectedResponse(response) if response.status().is_success() => {
            unintelligible(format!("status {}", response.status()))
        }
        Call::UnexpectedResponse(response) => {
            let (status, headers) = (response.status(), response.headers().clone());
            let body = response.bytes().await.ok().and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default();
            Error::Service(Box::new(Refusal::read(status, &headers, &body)))
        }
        Call::CommunicationError(e) | Call::InvalidUpgrade(e) | Call::ResponseBodyError(e) => {
            of_transport(&e, endpoint, ca_file)
        }
        Call::InvalidResponsePayload(body, e) => {
            let text = String::from_utf8_lossy(&body);
            let start: String = text.chars().take(80).collect();
            unintelligible(format!("{e} in {start:?}"))
        }
        Call::InvalidRequest(reason) | Call::Custom(reason) => unintelligible(reason),
    }
}

/// Sorts connection problems by what the person must do about them.
pub(crate) fn of_transport(error: &reqwest::Error, endpoint: &str, ca_file: Option<&PathBuf>) -> Error {
    let endpoint = endpoint.to_owned();
    let mut innermost: &dyn std::error::Error = error;
    let mut certificate = None;
    while let Some(next) = innermost.source() {
        innermost = next;
        if let Some(tls) = as_tls(innermost) {
            certificate = Some(tls);
        }
    }
    let reason = innermost.to_string();
    match certificate {
        Some(reason) => Error::Tls { endpoint, reason, ca_file: ca_file.cloned() },
        None if error.is_timeout() => Error::Timeout { endpoint },
        None => Error::Unreachable { endpoint, reason },
    }
}

/// The TLS error, if this is one; an `io::Error` holds it without naming it as its source.
fn as_tls(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let text = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => inner.to_string(),
        None => error.to_string(),
    };
    (text.contains("invalid peer certificate") || text.contains("InvalidCertificate")).then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn message_and_details_are_sentences_and_nothing_is_said_twice() {
        let cases = [
            ("Provided key could not be found", None, "Provided key could not be found"),
            ("Provided key could not be found", Some("Make one."), "Provided key could not be found. Make one."),
            ("Property missing.", Some("Property 'apikey' is missing."), "Property missing. Property 'apikey' is missing."),
            ("The password of 'ada' is wrong", Some("The password is wrong."), "The password of 'ada' is wrong"),
        ];
        for (message, details, expected) in cases {
            let body = json!({"errorMessage": message, "errorDetails": details});
            assert_eq!(Refusal::read(StatusCode::BAD_REQUEST, &HeaderMap::new(), &body).description, expected);
        }
    }
}
