//! The local certificate authority, and the certificate of this server.
//!
//! The authority is made on first start and kept, so that clients trust it once. The server's own certificate is made at every
//! start for the names under which it can be reached now.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::danger::ClientCertVerifier;

use crate::{Error, files};

const CA_FILE: &str = "ca.pem";
const CA_KEY_FILE: &str = "ca-key.pem";

/// What a server needs to answer over TLS.
pub(crate) struct Identity {
    pub config: Arc<ServerConfig>,
    /// PEM of the authority's certificate.
    pub ca_pem: Arc<str>,
}

/// What does the cryptography of TLS.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The authority in `dir`, made if there is none, and a certificate for `names` (DNS names and IP addresses). `clients` judges the
/// certificates of clients that have one.
///
/// # Errors
/// When the files cannot be read or written, or do not hold what they should.
pub(crate) fn identity(dir: &Path, names: &[String], clients: Arc<dyn ClientCertVerifier>) -> Result<Identity, Error> {
    let failed = |error: rcgen::Error| Error::Certificate(error.to_string());
    let (ca_pem, ca_key) = authority(dir)?;
    let issuer = Issuer::new(authority_params(), ca_key);

    let key = KeyPair::generate().map_err(failed)?;
    let mut params = CertificateParams::new(names.to_vec()).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, "Boatyard");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    validity(&mut params, 397);
    let certificate = params.signed_by(&key, &issuer).map_err(failed)?;

    let chain = vec![certificate.der().clone()];
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_client_cert_verifier(clients).with_single_cert(chain, key))
        .map_err(|error| Error::Certificate(error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Identity { config: Arc::new(config), ca_pem: ca_pem.into() })
}

fn authority(dir: &Path) -> Result<(String, KeyPair), Error> {
    let failed = |error: rcgen::Error| Error::Certificate(error.to_string());
    let (certificate, key) = (dir.join(CA_FILE), dir.join(CA_KEY_FILE));
    if let (Some(pem), Some(key)) = (files::read(&certificate)?, files::read(&key)?) {
        return Ok((pem, KeyPair::from_pem(&key).map_err(failed)?));
    }
    let pair = KeyPair::generate().map_err(failed)?;
    let mut params = authority_params();
    validity(&mut params, 10 * 365);
    let pem = params.self_signed(&pair).map_err(failed)?.pem();
    files::write(&key, pair.serialize_pem().as_bytes())?;
    files::write(&certificate, pem.as_bytes())?;
    Ok((pem, pair))
}

/// What the authority's certificate says of it; all that signing needs besides the key.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Boatyard local authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// From yesterday, for clients whose clock is behind, for `days`. Certificates are checked against the clients' clocks, so this
/// is the one place that asks the system's.
pub(crate) fn validity(params: &mut CertificateParams, days: i64) {
    let now = rcgen::date_time_ymd(1970, 1, 1)
        + std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let day = std::time::Duration::from_secs(24 * 60 * 60);
    params.not_before = now - day;
    params.not_after = now + day * u32::try_from(days).unwrap_or(1);
}

/// Names that a server listening on `address` can be reached by, and the host of its public URL.
pub(crate) fn names(address: IpAddr, public_host: &str) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let host = public_host.trim_matches(['[', ']']).to_owned();
    for name in [address.to_string(), host] {
        if !names.contains(&name) && name != "0.0.0.0" && name != "::" {
            names.push(name);
        }
    }
    names
}
