//! One port for HTTPS and plain HTTP: the first byte of a connection decides.
//!
//! Only HTTP/1.1 is spoken. Every client of this API speaks it, and a limit on the time that a request's head may take then covers
//! a connection from its first byte on.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use ipnet::IpNet;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::Service as _;
use tracing::{debug, warn};

use crate::call::RequestId;
use crate::faults::Dropped;
use crate::kube::{ClientAuthority, Presented};
use crate::limits::client_address;
use crate::metrics::Metrics;
use crate::operations;

/// Connections served at once; further ones wait to be accepted.
const MOST_CONNECTIONS: usize = 4096;
/// How long a client may take to say anything, to finish a TLS handshake, or to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// How long requests under way may take to finish when the server is stopped.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// First byte of a TLS handshake record.
const TLS_HANDSHAKE: u8 = 0x16;

/// What is needed to speak TLS.
pub(crate) struct Tls {
    pub config: Arc<ServerConfig>,
    /// Knows the certificates that clients may have.
    pub clients: Arc<ClientAuthority>,
}

/// Serves `router` until `stop`, then lets requests under way finish.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Tls,
    router: Router,
    proxies: Arc<[IpNet]>,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let (acceptor, clients) = (TlsAcceptor::from(tls.config), tls.clients);
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        // The semaphore is never closed, so a place is always to be had in the end.
        let place = tokio::select! {
            place = Arc::clone(&places).acquire_owned() => place,
            () = stop.cancelled() => break,
        };
        let Ok(place) = place else { break };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Too many open files, most likely: others must end before this can work again.
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = stop.cancelled() => break,
        };
        let (acceptor, router, watcher, metrics) = (acceptor.clone(), router.clone(), graceful.watcher(), metrics.clone());
        let (stop, proxies, clients) = (stop.clone(), Arc::clone(&proxies), Arc::clone(&clients));
        tokio::spawn(async move {
            let _open = (place, metrics.connection());
            let peer = Peer { ip: peer.ip(), proxies, tls: false, presented: None };
            if let Err(error) = connection((stream, peer), (&acceptor, &*clients), router, watcher, &stop).await {
                debug!(%error, "connection ended");
            }
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await;
}

/// Where a request comes from; stands in its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClientAddress(pub IpAddr);

/// Whether what a client sends is encrypted on its way; stands in the extensions of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encrypted(pub bool);

impl Encrypted {
    /// Without TLS here, it may be there up to a proxy. That is believed of anybody: browsers do not say it, and whoever does so
    /// wrongly is no better off. Proxies that are trusted and say nothing are taken to be asked as `--public-url` says.
    fn of(tls: bool, trusted: bool, headers: &HeaderMap) -> Self {
        let said = headers.get_all("x-forwarded-proto").iter().next_back().and_then(|value| value.to_str().ok());
        let proxied =
            said.map_or(trusted, |said| said.rsplit(',').next().unwrap_or_default().trim().eq_ignore_ascii_case("https"));
        Self(tls || proxied)
    }
}

/// Who connected, and which of those are proxies to be believed.
struct Peer {
    ip: IpAddr,
    proxies: Arc<[IpNet]>,
    tls: bool,
    /// A client certificate, and whether it is good.
    presented: Option<Presented>,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

async fn connection(
    (stream, mut peer): (TcpStream, Peer),
    (acceptor, clients): (&TlsAcceptor, &ClientAuthority),
    router: Router,
    watcher: Watcher,
    stop: &CancellationToken,
) -> Result<(), BoxError> {
    stream.set_nodelay(true)?;
    let mut first = [0];
    let peeked = tokio::select! {
        peeked = tokio::time::timeout(HEAD_TIMEOUT, stream.peek(&mut first)) => peeked??,
        // Nothing was asked on this connection yet.
        () = stop.cancelled() => return Ok(()),
    };
    if peeked == 0 {
        return Ok(());
    }
    if first[0] == TLS_HANDSHAKE {
        peer.tls = true;
        let stream = tokio::time::timeout(HEAD_TIMEOUT, acceptor.accept(stream)).await??;
        peer.presented = stream.get_ref().1.peer_certificates().and_then(|chain| clients.presented(chain));
        speak(stream, peer, router, watcher).await
    } else {
        speak(stream, peer, router, watcher).await
    }
}

async fn speak<S>(stream: S, peer: Peer, router: Router, watcher: Watcher) -> Result<(), BoxError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let mut router = router.clone();
        let request_id = RequestId::of(request.headers());
        let address = client_address(&peer.proxies, peer.ip, request.headers());
        let trusted = peer.proxies.iter().any(|network| network.contains(&peer.ip.to_canonical()));
        let encrypted = Encrypted::of(peer.tls, trusted, request.headers());
        let mut request = without_trailing_slash(request.map(Body::new));
        request.extensions_mut().insert(request_id.clone());
        request.extensions_mut().insert(address);
        request.extensions_mut().insert(encrypted);
        if let Some(presented) = &peer.presented {
            request.extensions_mut().insert(presented.clone());
        }
        async move {
            let Ok(mut response) = router.call(request).await.map_err(|never: Infallible| match never {});
            if let Some(dropped) = response.extensions().get::<Dropped>() {
                // An error of the service has the connection closed without an answer.
                return Err(*dropped);
            }
            operations::echo(&mut response, &request_id);
            Ok(response)
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    Ok(watcher.watch(connection).await?)
}

/// The path without its trailing slash: clients that clean their URLs take it off, so a path means the same with and without.
fn without_trailing_slash(mut request: Request<Body>) -> Request<Body> {
    let path = request.uri().path();
    if path.len() > 1 && path.ends_with('/') {
        let path = path.trim_end_matches('/');
        let path = if path.is_empty() { "/" } else { path };
        let target = match request.uri().query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        let mut parts = request.uri().clone().into_parts();
        if let Ok(target) = target.parse() {
            parts.path_and_query = Some(target);
            if let Ok(uri) = http::Uri::from_parts(parts) {
                *request.uri_mut() = uri;
            }
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_may_have_been_asked_over_https() {
        let of = |tls, trusted, said: Option<&str>| {
            let said = said.map(|said| (http::HeaderName::from_static("x-forwarded-proto"), said.parse().unwrap()));
            Encrypted::of(tls, trusted, &said.into_iter().collect()).0
        };
        assert!(
            of(true, false, None) && of(false, false, Some("https")) && of(false, true, None) && of(true, true, Some("http"))
        );
        assert!(!of(false, false, None) && !of(false, true, Some("http")) && !of(false, false, Some("https, http")));
    }

    #[test]
    fn a_trailing_slash_means_nothing() {
        let cases =
            [("/v1/serviceids/", "/v1/serviceids"), ("/a//?x=/", "/a?x=/"), ("/", "/"), ("//", "/"), ("/a?b=c/", "/a?b=c/")];
        for (given, expected) in cases {
            let request = Request::builder().uri(given).body(Body::empty()).unwrap();
            assert_eq!(without_trailing_slash(request).uri().to_string(), expected, "{given}");
        }
    }
}
