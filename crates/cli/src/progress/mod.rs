//! Waiting for what takes time, with something to look at meanwhile.

mod display;
mod goal;

use std::collections::BTreeSet;
use std::time::Duration;

use boatyard_sdk::{Error, Session};
use tokio::time::{Instant, sleep};

pub use display::Display;
use goal::Verdict;
pub use goal::{Goal, Scope, Seen};

use crate::commands::{cluster, worker};
use crate::failure::Failure;
use crate::time;

/// How long a server may be away (restarting, say) before waiting for it makes no sense.
const SERVER_PATIENCE: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Options of commands that start what takes time.
#[derive(clap::Args, Clone, Debug)]
pub struct Waiting {
    /// Wait until it is done, and fail if it cannot be done
    #[arg(long)]
    pub wait: bool,
    /// How long to wait at most
    #[arg(long, value_name = "TIME", default_value = "90m", value_parser = time::duration, requires = "wait")]
    pub timeout: Duration,
}

/// The cluster that is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// ID or name, for requests and for the commands that are recommended.
    pub cluster: &'a str,
    pub name: &'a str,
}

/// Waits until the goal is reached and returns what was seen then. The display ends with it, so that what is printed next stays below.
///
/// # Errors
/// When the goal cannot be reached any more, with the reason; when the time is up; when the service refuses to tell.
pub async fn wait(
    session: &Session,
    subject: Subject<'_>,
    goal: &Goal,
    timeout: Duration,
    mut display: Display,
) -> Result<Seen, Failure> {
    let mut watch = Watch::new(timeout);
    loop {
        match watch.look(session, subject, goal).await {
            Ok(seen) => {
                display.show(goal.rows(subject.name, &seen));
                match goal.verdict(&seen) {
                    Verdict::Reached => return Ok(seen),
                    Verdict::Failed { what, next } => return Err(Failure::new(what, next.replace("CLUSTER", subject.cluster))),
                    Verdict::Waiting => {}
                }
            }
            Err(error) if error.is_passing() && watch.is_patient() => {
                display.remark(subject.name, &format!("the server does not answer, trying again ({})", reason(&error)));
            }
            Err(error) => return Err(error.into()),
        }
        watch.pause(subject, goal, &display).await?;
    }
}

struct Watch {
    end: Instant,
    timeout: Duration,
    pause: Duration,
    away_since: Option<Instant>,
    /// Workers that had gone before the wait began: the service remembers them for a while.
    past: Option<BTreeSet<String>>,
}

impl Watch {
    fn new(timeout: Duration) -> Self {
        Self { end: Instant::now() + timeout, timeout, pause: FIRST_PAUSE, away_since: None, past: None }
    }

    async fn look(&mut self, session: &Session, subject: Subject<'_>, goal: &Goal) -> Result<Seen, Error> {
        let gone = |error: &Error| error.status() == Some(404);
        let cluster = match cluster::get(session, subject.cluster, false).await {
            Ok(cluster) => cluster,
            Err(error) if gone(&error) => return Ok(Seen::default()),
            Err(error) => return Err(error),
        };
        let workers = match goal {
            Goal::Gone | Goal::Master => Ok(Vec::new()),
            _ => worker::list(session, subject.cluster, None, true).await,
        };
        let mut workers = match workers {
            Ok(workers) => workers,
            Err(error) if goal.is_about_workers() && gone(&error) => return Ok(Seen::default()),
            Err(error) if goal.is_about_workers() || error.is_passing() => return Err(error),
            // A service that does not list workers costs their lines only.
            Err(_) => Vec::new(),
        };
        let past = self
            .past
            .get_or_insert_with(|| workers.iter().filter(|w| worker::is_deleted(w)).filter_map(|w| w.id.clone()).collect());
        workers.retain(|w| !w.id.as_ref().is_some_and(|id| past.contains(id)));
        self.away_since = None;
        Ok(Seen { cluster: Some(cluster), workers })
    }

    fn is_patient(&mut self) -> bool {
        self.away_since.get_or_insert_with(Instant::now).elapsed() < SERVER_PATIENCE
    }

    /// Waits a little longer each time: quick clusters are seen at once, slow ones are not asked for all the time.
    async fn pause(&mut self, subject: Subject<'_>, goal: &Goal, display: &Display) -> Result<(), Failure> {
        if Instant::now() >= self.end {
            let Subject { cluster, name } = subject;
            let (seconds, goal) = (self.timeout.as_secs(), goal.text());
            return Err(Failure::new(
                format!("The cluster {name} is not {goal} after {seconds} s{}.", display.last()),
                format!(
                    "It goes on without being waited for: look with `boatyard cluster get -c {cluster}`, or raise `--timeout`."
                ),
            ));
        }
        sleep(self.pause.min(self.end.saturating_duration_since(Instant::now()))).await;
        self.pause = (self.pause * 5 / 4).min(LONGEST_PAUSE);
        Ok(())
    }
}

fn reason(error: &Error) -> String {
    match error {
        Error::Unreachable { reason, .. } => reason.clone(),
        other => other.to_string(),
    }
}
