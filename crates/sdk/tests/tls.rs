//! A server whose certificate no system authority has signed is trusted by its CA file, and only by that.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use boatyard_core::Clock;
use boatyard_sdk::{Endpoint, Error, Home, LoginOptions, Session};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Serves tokens over TLS; answers its URL and leaves its certificate in `ca_file`.
async fn serve(ca_file: &Path) -> String {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    fs::write(ca_file, made.cert.pem()).expect("it can be written");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("there are versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("they fit");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 4096]).await;
            let body = r#"{"access_token":"at","refresh_token":"rt","token_type":"Bearer","expires_in":3600}"#;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length:";
            let _ = stream.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    format!("https://{address}")
}

async fn login(dir: &Path, url: &str, ca_file: Option<PathBuf>) -> Result<Session, Error> {
    let endpoint = Endpoint::new(url, ca_file.as_deref())?;
    let home = Home::at(dir.join("home"));
    Session::login_apikey(home, Clock::default(), endpoint, "key".to_owned().into(), LoginOptions::default()).await
}

#[tokio::test]
async fn trust_comes_from_the_ca_file_alone() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (right, wrong) = (dir.path().join("ca.pem"), dir.path().join("other.pem"));
    let url = serve(&right).await;
    serve(&wrong).await;

    let session = login(dir.path(), &url, Some(right.clone())).await.expect("the CA file vouches for it");
    assert_eq!(session.state().ca_file.as_deref(), Some(right.as_path()), "it is remembered");

    let error = login(dir.path(), &url, None).await.err().expect("nobody vouches for it");
    assert!(matches!(error, Error::Tls { ca_file: None, .. }), "{error:?}");
    assert!(error.hint().unwrap_or_default().contains("--ca-file"), "{error:?}");

    let error = login(dir.path(), &url, Some(wrong.clone())).await.err().expect("another CA does not vouch for it");
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    assert!(error.hint().unwrap_or_default().contains(&wrong.display().to_string()), "{error:?}");
}
