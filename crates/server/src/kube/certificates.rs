//! Client certificates of administrators: an authority of their own, which signs nothing else, and what a connection presented.
//!
//! As with an API server, a certificate that is not good does not end the handshake: the request is answered, with 401. Validity is
//! checked against the system's clock, as that of every certificate is.

use std::fmt;
use std::sync::Arc;

use boatyard_core::secret::{ExposeSecret as _, SecretString};
use boatyard_store::{Domain, Store, installation_secrets};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};
use tracing::debug;

use crate::{Error, tls};

/// Name of the secret that keeps the authority.
const SECRET: &str = "kubernetes-client-authority";
/// Days for which an administrator's certificate is good.
const DAYS: i64 = 90;
/// What the one name of a certificate begins with. The cluster's ID and the user's name follow, each escaped, with a colon between.
const NAME: &str = "urn:boatyard:kubernetes:";

/// Signs and recognises certificates of administrators. All replicas of an installation have the same.
pub(crate) struct ClientAuthority {
    issuer: Issuer<'static, KeyPair>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl fmt::Debug for ClientAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientAuthority")
    }
}

/// Whose certificate it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub cluster_id: String,
    /// `IAM#user@example.com`
    pub user: String,
}

/// What came with a connection; stands in the extensions of its requests. Absent if no certificate did.
#[derive(Clone, Debug)]
pub(crate) enum Presented {
    Good(Arc<Holder>),
    /// Expired, or of another authority.
    Bad,
}

/// A certificate with its key, in PEM.
pub(crate) struct Issued {
    pub certificate: String,
    pub key: SecretString,
}

impl ClientAuthority {
    /// The authority of the installation, made if there is none.
    ///
    /// # Errors
    /// When the database fails, or holds something else.
    pub async fn open(store: &Store) -> Result<Self, Error> {
        let failed = |error: rcgen::Error| Error::Certificate(error.to_string());
        let mut tx = store.write(Domain::Sessions).await?;
        let kept = installation_secrets::ensure(&mut tx, store.sealer(), SECRET, &new().map_err(failed)?).await?;
        tx.commit().await?;
        let broken = |what: String| Error::Certificate(format!("the authority for client certificates: {what}"));
        let pem = kept.expose_secret();
        let key = KeyPair::from_pem(pem).map_err(failed)?;
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| broken(error.to_string()))?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate).map_err(|error| broken(error.to_string()))?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), tls::provider()).build();
        let verifier = verifier.map_err(|error| broken(error.to_string()))?;
        Ok(Self { issuer: Issuer::new(params(), key), verifier })
    }

    /// A certificate with which `user` is an administrator of a cluster.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn issue(&self, cluster_id: &str, user: &str) -> Result<Issued, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        params.distinguished_name.push(DnType::OrganizationName, ADMINISTRATORS);
        params.distinguished_name.push(DnType::OrganizationalUnitName, cluster_id);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(name(cluster_id, user))?)];
        tls::validity(&mut params, DAYS);
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Issued { certificate, key: SecretString::from(key.serialize_pem()) })
    }

    /// Asks clients for a certificate and takes any; [`ClientAuthority::presented`] says what it is worth.
    pub fn asking(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::new(Asking(Arc::clone(&self.verifier)))
    }

    /// What the certificates of a connection are worth.
    pub fn presented(&self, chain: &[CertificateDer<'_>]) -> Option<Presented> {
        let (first, rest) = chain.split_first()?;
        let verified = self.verifier.verify_client_cert(first, rest, UnixTime::now());
        let holder = verified.map_err(|error| error.to_string()).and_then(|_| {
            let certificate = webpki::EndEntityCert::try_from(first).map_err(|error| error.to_string())?;
            certificate.valid_uri_names().find_map(holder).ok_or_else(|| "it names no cluster".to_owned())
        });
        Some(match holder {
            Ok(holder) => Presented::Good(Arc::new(holder)),
            Err(error) => {
                debug!(error, "a client certificate is not good");
                Presented::Bad
            }
        })
    }
}

/// The group of administrators, in their certificates and in the cluster.
pub(crate) const ADMINISTRATORS: &str = "system:masters";

/// Key and certificate of a new authority.
fn new() -> Result<SecretString, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = params();
    tls::validity(&mut params, 10 * 365);
    let certificate = params.self_signed(&key)?.pem();
    Ok(SecretString::from(key.serialize_pem() + &certificate))
}

fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Boatyard administrators of clusters");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn name(cluster_id: &str, user: &str) -> String {
    let escaped = |text: &str| serde_urlencoded::to_string([(text, "")]).unwrap_or_default().trim_end_matches('=').to_owned();
    format!("{NAME}{}:{}", escaped(cluster_id), escaped(user))
}

fn holder(name: &str) -> Option<Holder> {
    let (cluster, user) = name.strip_prefix(NAME)?.split_once(':')?;
    let plain = |text: &str| {
        let mut all: Vec<(String, String)> = serde_urlencoded::from_str(text).ok()?;
        all.pop().map(|(text, _)| text).filter(|text| !text.is_empty())
    };
    Some(Holder { cluster_id: plain(cluster)?, user: plain(user)? })
}

/// Leaves the judgement of a certificate to later; that its key is there is still to be proved.
#[derive(Debug)]
struct Asking(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Asking {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// Browsers show no choice of certificates to people who have none of this authority.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_certificate_names_its_cluster_and_user_and_only_ours_are_good() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Store::sqlite(dir.path()).await.unwrap();
        let authority = ClientAuthority::open(&store).await.unwrap();
        let chain = |issued: &Issued| vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()];
        let issued = authority.issue("c1", "IAM#ada+x@example.com").unwrap();
        let Some(Presented::Good(holder)) = authority.presented(&chain(&issued)) else { panic!("it is ours") };
        assert_eq!(*holder, Holder { cluster_id: "c1".to_owned(), user: "IAM#ada+x@example.com".to_owned() });
        assert!(authority.presented(&[]).is_none());
        let again = ClientAuthority::open(&store).await.unwrap();
        assert!(matches!(again.presented(&chain(&issued)), Some(Presented::Good(_))), "the authority is kept");
        let other = ClientAuthority::open(&Store::sqlite(elsewhere.path()).await.unwrap()).await.unwrap();
        assert!(matches!(other.presented(&chain(&issued)), Some(Presented::Bad)));
    }

    #[test]
    fn names_that_are_not_ours_name_nobody() {
        for foreign in
            ["", "urn:other", "urn:boatyard:kubernetes:c1", "urn:boatyard:kubernetes::", "urn:boatyard:kubernetes:c:"]
        {
            assert_eq!(holder(foreign), None, "{foreign}");
        }
        assert_eq!(holder(&name("c", "a:b c")), Some(Holder { cluster_id: "c".to_owned(), user: "a:b c".to_owned() }));
    }
}
