//! What every handler can reach.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use boatyard_core::Clock;
use boatyard_fleet::Fleet;
use boatyard_iam::Iam;
use boatyard_store::Store;

/// The parts of a running server.
#[derive(Debug)]
pub struct App {
    pub store: Store,
    pub clock: Clock,
    pub iam: Iam,
    pub fleet: Fleet,
    /// Scheme, host and port that clients use, without a trailing slash, such as `https://127.0.0.1:7443`.
    pub public_url: String,
    /// PEM of the local certificate authority, which signs this server's certificate.
    pub ca_pem: Arc<str>,
    pub data_dir: PathBuf,
    pub metrics: crate::metrics::Metrics,
    /// API servers of the virtual clusters, and what they know of the fleet and of IAM.
    pub(crate) clusters: boatyard_kube::Clusters,
    pub(crate) worlds: Arc<crate::kube::StoreWorlds>,
    /// Signs certificates of the clusters' administrators.
    pub(crate) client_authority: Arc<crate::kube::ClientAuthority>,
    pub audit: crate::audit::Trail,
    pub limits: crate::limits::Limits,
    /// What was declared at start, to come back to.
    pub fixture: Option<crate::fixture::Fixture>,
    /// Where users log in who have no password here.
    pub(crate) provider: Option<crate::federation::Provider>,
    pub(crate) stopping: AtomicBool,
    /// Ends what would go on for as long as its client wants.
    pub(crate) stop: tokio_util::sync::CancellationToken,
    /// What is past its time is removed now and not only at its next turn: the clock was moved.
    pub(crate) sweep: tokio::sync::Notify,
}

impl App {
    /// Whether the server is being shut down, so that no new work should be sent to it.
    #[must_use]
    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}
