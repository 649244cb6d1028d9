//! Requests to the provider.

use std::error::Error as _;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::Certificate;
use reqwest::redirect::Policy;

use crate::Error;

/// How long a request may take; a person waits for it.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer that is read, in bytes. Discovery documents and keys have a few thousand.
const LARGEST: usize = 1024 * 1024;

/// The workspace's HTTP client in the form that the library for OpenID Connect wants.
#[derive(Debug)]
pub(super) struct HttpClient(reqwest::Client);

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpTrouble {
    #[error(transparent)]
    Request(#[from] reqwest::Error),
    #[error("the answer is larger than {LARGEST} bytes")]
    TooLarge,
    #[error("the answer is malformed: {0}")]
    Malformed(#[from] http::Error),
}

impl HttpTrouble {
    /// The text with all causes, of which the last is the telling one.
    pub fn whole(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !text.contains(&cause_text) {
                text = format!("{text}: {cause_text}");
            }
            source = cause.source();
        }
        text
    }
}

impl HttpClient {
    /// A client that trusts the certificates in `ca_file` beside the system's. Only with `plain` it sends anything in the clear.
    ///
    /// # Errors
    /// If the file cannot be read or holds no certificate.
    pub fn new(ca_file: Option<&Path>, plain: bool) -> Result<Self, Error> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("boatyard/", env!("CARGO_PKG_VERSION")))
            // An endpoint that redirects could have this server ask others (RFC 9700, section 4.11).
            .redirect(Policy::none())
            .timeout(TIMEOUT);
        builder = match plain {
            // A proxy for the outside world cannot reach this machine's own addresses.
            true => builder.no_proxy(),
            false => builder.https_only(true),
        };
        builder = match (certificates(ca_file)?, plain) {
            // Plain HTTP must work on a machine without a single root certificate.
            (certificates, true) => builder.tls_certs_only(certificates),
            (certificates, false) => builder.tls_certs_merge(certificates),
        };
        builder.build().map(Self).map_err(|error| Error::Provider(HttpTrouble::from(error).whole()))
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpTrouble> {
        let mut answer = self.0.execute(request.try_into()?).await?;
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await? {
            body.extend_from_slice(&piece);
            if body.len() > LARGEST {
                return Err(HttpTrouble::TooLarge);
            }
        }
        let mut response = http::Response::builder().status(answer.status()).body(body)?;
        *response.headers_mut() = answer.headers().clone();
        Ok(response)
    }
}

impl<'c> AsyncHttpClient<'c> for HttpClient {
    type Error = HttpTrouble;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpTrouble>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

fn certificates(ca_file: Option<&Path>) -> Result<Vec<Certificate>, Error> {
    let Some(path) = ca_file else { return Ok(Vec::new()) };
    let failed = |source| Error::File { what: "cannot read", path: path.to_owned(), source };
    let pem = std::fs::read(path).map_err(failed)?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(Error::Provider(format!("there is no certificate in PEM form in {}", path.display()))),
    }
}
