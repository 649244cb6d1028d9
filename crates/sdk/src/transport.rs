//! HTTP clients that trust what the login trusts.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Certificate, Url};
use secrecy::{ExposeSecret as _, SecretString};

use crate::error::Error;

/// Long enough for a server that is busy hashing, short enough that a person does not think it hangs.
const TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A server and the CA it is checked against.
#[derive(Clone, Debug)]
pub struct Endpoint {
    url: String,
    ca_file: Option<PathBuf>,
}

impl Endpoint {
    /// Accepts what people write: a missing scheme means `https`, slashes at the end are dropped.
    ///
    /// # Errors
    /// [`Error::Endpoint`] when it is not an `http` or `https` URL without a path.
    pub fn new(given: &str, ca_file: Option<&Path>) -> Result<Self, Error> {
        let invalid = |reason: &str| Error::Endpoint { given: given.to_owned(), reason: reason.to_owned() };
        let given_url = given.trim().trim_end_matches('/');
        let with_scheme = if given_url.contains("://") { given_url.to_owned() } else { format!("https://{given_url}") };
        let url = Url::parse(&with_scheme).map_err(|e| invalid(&e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid("it must begin with https:// or http://"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("it must end after the host and port"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("it must not carry a user name or password"));
        }
        let ca_file = ca_file.map(|p| std::path::absolute(p).unwrap_or_else(|_| p.to_owned()));
        Ok(Self { url: url.as_str().trim_end_matches('/').to_owned(), ca_file })
    }

    /// Scheme, host and port, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    pub(crate) fn ca_path(&self) -> Option<&PathBuf> {
        self.ca_file.as_ref()
    }

    /// An HTTP client for this server; with a token every request carries it.
    pub(crate) fn client(&self, token: Option<&SecretString>) -> Result<reqwest::Client, Error> {
        let builder = reqwest::Client::builder();
        self.build(match token {
            Some(token) => builder.default_headers(authorization(token)?),
            None => builder,
        })
    }

    /// An HTTP client that does not go where it is redirected.
    pub(crate) fn client_without_redirects(&self) -> Result<reqwest::Client, Error> {
        self.build(reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()))
    }

    fn build(&self, builder: reqwest::ClientBuilder) -> Result<reqwest::Client, Error> {
        let mut builder = builder
            .user_agent(concat!("boatyard/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT);
        if self.is_loopback() {
            // A proxy set for the outside world cannot reach this machine's own loopback.
            builder = builder.no_proxy();
        }
        builder = match self.certificates()? {
            // Plain HTTP must work on a machine without a single root certificate.
            certificates if self.url.starts_with("http://") => builder.tls_certs_only(certificates),
            certificates => builder.tls_certs_merge(certificates),
        };
        builder.build().map_err(|e| crate::error::of_transport(&e, &self.url, self.ca_path()))
    }

    fn certificates(&self) -> Result<Vec<Certificate>, Error> {
        let Some(path) = &self.ca_file else { return Ok(Vec::new()) };
        let unusable = |reason: String| Error::CaFile { path: path.clone(), reason };
        let pem = fs::read(path).map_err(|e| unusable(e.to_string()))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|e| unusable(e.to_string()))?;
        if certificates.is_empty() {
            return Err(unusable("there is no certificate in it".to_owned()));
        }
        Ok(certificates)
    }

    /// Whether what is sent there stays on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let url = Url::parse(&self.url).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default().trim_matches(['[', ']']);
        host == "localhost" || host.ends_with(".localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

fn authorization(token: &SecretString) -> Result<HeaderMap, Error> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret())).map_err(|_| Error::NotLoggedIn)?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_addresses_as_people_write_them() {
        let cases = [
            ("127.0.0.1:7443", Ok("https://127.0.0.1:7443")),
            ("https://boat.example.com/", Ok("https://boat.example.com")),
            ("http://[::1]:80/", Ok("http://[::1]")),
            ("localhost:7443", Ok("https://localhost:7443")),
            ("ftp://boat.example.com", Err(())),
            ("https://boat.example.com/global", Err(())),
            ("https://ada:secret@boat.example.com", Err(())),
            ("", Err(())),
        ];
        for (given, expected) in cases {
            let url = Endpoint::new(given, None).map(|e| e.url().to_owned());
            assert_eq!(url.as_deref().map_err(|_| ()), expected, "{given}");
        }
    }

    #[test]
    fn knows_this_machine() {
        for (url, expected) in [("127.1.2.3:1", true), ("localhost", true), ("[::1]:2", true), ("10.0.0.1", false)] {
            assert_eq!(Endpoint::new(url, None).expect("it is an address").is_loopback(), expected, "{url}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_ca_file() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let empty = dir.path().join("ca.pem");
        fs::write(&empty, "not a certificate").expect("it can be written");
        for path in [empty, dir.path().join("missing.pem")] {
            let error = Endpoint::new("localhost", Some(&path)).and_then(|e| e.client(None)).expect_err("no certificate");
            assert!(matches!(error, Error::CaFile { .. }), "{error:?}");
        }
    }
}
