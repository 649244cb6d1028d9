//! Prometheus metrics, by operation.

use std::time::Duration;

use boatyard_api::Operation;
use http::StatusCode;
use metrics::{Label, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

const REQUESTS: &str = "boatyard_requests_total";
const SECONDS: &str = "boatyard_request_duration_seconds";
const CONNECTIONS: &str = "boatyard_connections";

/// The metrics of one server. Not global, so that several servers can run in one process.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    recorder: std::sync::Arc<PrometheusRecorder>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// # Panics
    /// Never: the bucket list is not empty.
    #[must_use]
    pub fn new() -> Self {
        let buckets = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(SECONDS.to_owned()), &buckets)
            .expect("the list of buckets is not empty")
            .build_recorder();
        let metrics = Self { handle: recorder.handle(), recorder: std::sync::Arc::new(recorder) };
        metrics::with_local_recorder(&*metrics.recorder, || {
            describe_counter!(REQUESTS, "Requests answered, by operation of the contract and status.");
            describe_histogram!(SECONDS, "Time from the request's last byte to the answer's first, by operation.");
            describe_gauge!(CONNECTIONS, "Connections open now.");
            gauge!(CONNECTIONS).set(0.0);
        });
        metrics
    }

    /// Counts one answer. `operation` is `None` for pages and paths outside of the contract.
    pub fn answered(&self, operation: Option<&'static Operation>, status: StatusCode, took: Duration) {
        self.count(operation.map_or("-", |o| o.id), status, took);
    }

    /// Counts one answer of an API server of a cluster.
    pub fn kube_answered(&self, status: StatusCode, took: Duration) {
        self.count("kubernetes", status, took);
    }

    fn count(&self, operation: &'static str, status: StatusCode, took: Duration) {
        let status = Label::from_static_parts("status", static_status(status));
        metrics::with_local_recorder(&*self.recorder, || {
            counter!(REQUESTS, vec![Label::from_static_parts("operation", operation), status]).increment(1);
            histogram!(SECONDS, vec![Label::from_static_parts("operation", operation)]).record(took.as_secs_f64());
        });
    }

    /// Counts a connection for as long as the returned value lives.
    #[must_use]
    pub fn connection(&self) -> OpenConnection {
        metrics::with_local_recorder(&*self.recorder, || gauge!(CONNECTIONS).increment(1.0));
        OpenConnection(self.clone())
    }

    /// The exposition in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds recorded durations into their buckets; to be called every few seconds, or memory grows.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

/// An open connection.
#[derive(Debug)]
pub struct OpenConnection(Metrics);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        metrics::with_local_recorder(&*self.0.recorder, || gauge!(CONNECTIONS).decrement(1.0));
    }
}

/// The status as text without an allocation for each request.
fn static_status(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200 => "200",
        201 => "201",
        202 => "202",
        204 => "204",
        302 => "302",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        405 => "405",
        406 => "406",
        408 => "408",
        409 => "409",
        410 => "410",
        413 => "413",
        415 => "415",
        422 => "422",
        429 => "429",
        500 => "500",
        501 => "501",
        503 => "503",
        _ => "other",
    }
}
