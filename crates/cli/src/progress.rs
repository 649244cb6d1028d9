//! Waiting for a cluster, with something to look at meanwhile.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use boatyard_sdk::containers::types::GetClusterResponse;
use boatyard_sdk::{Error, Session};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{Instant, sleep};

use crate::commands::cluster;
use crate::failure::Failure;
use crate::terminal;

/// States on the way to `normal`, in order. What is not among them is an end or a detour.
const WAY: [&str; 5] = ["requested", "deploying", "pending", "warning", "normal"];
/// A cluster in one of these does not get to `normal` by waiting.
const DEAD_ENDS: [&str; 7] =
    ["aborted", "deleting", "deleted", "deploy_failed", "create_failed", "delete_failed", "unsupported"];
/// How long a server may be away (restarting, say) before waiting for it makes no sense.
const SERVER_PATIENCE: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A line of progress: a live bar on a terminal, otherwise one plain line for each change.
pub struct Line {
    bar: Option<ProgressBar>,
    name: String,
    chatty: bool,
    last: String,
}

impl Line {
    pub fn new(name: &str, chatty: bool, group: Option<&MultiProgress>) -> Self {
        let bar = (chatty && io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(Some(steps(WAY.len())), ProgressDrawTarget::stderr());
            let bar = group.map_or(bar.clone(), |g| g.add(bar));
            // The template is a constant; should it ever be wrong, the default style will do.
            if let Ok(style) = ProgressStyle::with_template("{prefix:24!} [{bar:24}] {elapsed:>4} {wide_msg}") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        Self { bar, name: name.to_owned(), chatty, last: String::new() }
    }

    fn show(&mut self, step: Option<usize>, text: &str) {
        if let Some(bar) = &self.bar {
            step.into_iter().for_each(|s| bar.set_position(steps(s + 1)));
            bar.set_message(text.to_owned());
        } else if self.chatty && text != self.last {
            terminal::note(&format!("{}: {text}", self.name));
        }
        text.clone_into(&mut self.last);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}

/// Waits until the cluster is `normal`.
pub async fn until_normal(
    session: &Session,
    id: &str,
    name: &str,
    timeout: Duration,
    chatty: bool,
) -> Result<GetClusterResponse, Failure> {
    normal(session, id, timeout, &mut Line::new(name, chatty, None)).await
}

/// As [`until_normal`], on a line that may be one of several.
pub async fn normal(session: &Session, id: &str, timeout: Duration, line: &mut Line) -> Result<GetClusterResponse, Failure> {
    let mut watch = Watch::new(timeout);
    loop {
        if let Some(cluster) = watch.look(session, id, line).await? {
            let state = cluster.state.clone().unwrap_or_default();
            line.show(WAY.iter().position(|s| *s == state), &describe(&cluster));
            if state == "normal" {
                return Ok(cluster);
            }
            if DEAD_ENDS.contains(&state.as_str()) {
                return Err(Failure::new(
                    format!("The cluster {} will not become normal: {}", line.name, describe(&cluster)),
                    format!("Look at it with `boatyard cluster get -c {id}`; delete it with `boatyard cluster rm -c {id}`."),
                ));
            }
        }
        watch.pause(id, line, "normal").await?;
    }
}

/// Waits until the cluster is no longer known.
pub async fn until_gone(session: &Session, id: &str, name: &str, timeout: Duration, chatty: bool) -> Result<(), Failure> {
    let line = &mut Line::new(name, chatty, None);
    let mut watch = Watch::new(timeout);
    loop {
        match watch.look(session, id, line).await {
            Err(Gone::Cluster) => {
                line.show(Some(WAY.len() - 1), "deleted");
                return Ok(());
            }
            Err(other) => return Err(other.into()),
            Ok(Some(cluster)) if cluster.state.as_deref() == Some("delete_failed") => {
                return Err(Failure::new(
                    format!("The cluster {name} could not be deleted: {}", describe(&cluster)),
                    format!("Try again with `boatyard cluster rm -c {id}`."),
                ));
            }
            Ok(Some(cluster)) => line.show(None, &describe(&cluster)),
            Ok(None) => {}
        }
        watch.pause(id, line, "deleted").await?;
    }
}

/// Why there is nothing to look at.
enum Gone {
    Cluster,
    Other(Failure),
}

impl From<Gone> for Failure {
    fn from(gone: Gone) -> Self {
        match gone {
            Gone::Cluster => {
                Self::new("The cluster was deleted while it was waited for.", "See what there is with `boatyard cluster ls`.")
            }
            Gone::Other(failure) => failure,
        }
    }
}

struct Watch {
    end: Instant,
    timeout: Duration,
    pause: Duration,
    away_since: Option<Instant>,
}

impl Watch {
    fn new(timeout: Duration) -> Self {
        Self { end: Instant::now() + timeout, timeout, pause: FIRST_PAUSE, away_since: None }
    }

    /// The cluster, or nothing while the server is away for a moment.
    async fn look(&mut self, session: &Session, id: &str, line: &mut Line) -> Result<Option<GetClusterResponse>, Gone> {
        match cluster::get(session, id, false).await {
            Ok(cluster) => {
                self.away_since = None;
                Ok(Some(cluster))
            }
            Err(error) if error.status() == Some(404) => Err(Gone::Cluster),
            Err(error) if error.is_passing() && self.is_patient() => {
                line.show(None, &format!("the server does not answer, trying again ({})", reason(&error)));
                Ok(None)
            }
            Err(error) => Err(Gone::Other(error.into())),
        }
    }

    fn is_patient(&mut self) -> bool {
        self.away_since.get_or_insert_with(Instant::now).elapsed() < SERVER_PATIENCE
    }

    /// Waits a little longer each time: quick clusters are seen at once, slow ones are not asked for all the time.
    async fn pause(&mut self, id: &str, line: &Line, goal: &str) -> Result<(), Failure> {
        if Instant::now() >= self.end {
            return Err(Failure::new(
                format!("The cluster {} is not {goal} after {} s; it is {}.", line.name, self.timeout.as_secs(), line.last),
                format!("It goes on without being waited for: look with `boatyard cluster get -c {id}`, or raise `--timeout`."),
            ));
        }
        sleep(self.pause.min(self.end.saturating_duration_since(Instant::now()))).await;
        self.pause = (self.pause * 5 / 4).min(LONGEST_PAUSE);
        Ok(())
    }
}

fn describe(cluster: &GetClusterResponse) -> String {
    let lifecycle = cluster.lifecycle.as_ref();
    let master = lifecycle.and_then(|l| l.master_status.as_deref()).or(cluster.master_status.as_deref());
    let parts = [cluster.state.as_deref(), master.map(str::trim), cluster.status.as_deref()];
    let mut shown: Vec<String> = Vec::new();
    for (part, label) in parts.into_iter().zip(["", "master: ", ""]) {
        let text = part.filter(|p| !p.is_empty()).map(|p| format!("{label}{p}"));
        shown.extend(text.filter(|t| !shown.contains(t)));
    }
    shown.join(", ")
}

fn reason(error: &Error) -> String {
    match error {
        Error::Unreachable { reason, .. } => reason.clone(),
        other => other.to_string(),
    }
}

fn steps(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn says_in_one_line_how_far_a_cluster_is() {
        let cases = [
            (json!({"state": "requested"}), "requested"),
            (
                json!({"state": "deploying", "lifecycle": {"masterStatus": "Deploy in progress"}}),
                "deploying, master: Deploy in progress",
            ),
            (json!({"state": "normal", "masterStatus": "Ready", "status": "normal"}), "normal, master: Ready"),
            (json!({"state": "warning", "status": "1 worker is not ready"}), "warning, 1 worker is not ready"),
        ];
        for (cluster, expected) in cases {
            assert_eq!(describe(&serde_json::from_value(cluster).expect("it is a cluster")), expected);
        }
    }
}
