//! Clusters that exist only as far as the API shows them.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::{
    ApiServer, ClusterRuntime, Error, Health, MasterOrder, MasterStage, MasterWork, Observation, Pace, Progress, RemoveOrder,
    RemoveStage, Timings, WorkerOrder, WorkerStage, WorkerWork,
};

/// The driver in process: every stage is a function of the time since it was asked for, so nothing is kept, and a restart or
/// a clock moved forward needs no care.
#[derive(Debug)]
pub struct VirtualRuntime {
    timings: Timings,
    immediate: bool,
}

impl VirtualRuntime {
    /// A driver whose stages last as `timings` says; at pace instant, requests wait for the end.
    #[must_use]
    pub fn new(pace: Pace, timings: Timings) -> Self {
        Self { timings, immediate: pace == Pace::Instant }
    }
}

#[async_trait]
impl ClusterRuntime for VirtualRuntime {
    async fn master(&self, order: &MasterOrder<'_>, now: Timestamp) -> Result<Progress<MasterStage>, Error> {
        let t = &self.timings;
        let stages: &[_] = match order.work {
            MasterWork::Deploy => &[(MasterStage::Requested, t.master_requested), (MasterStage::Deploying, t.master_deploying)],
            MasterWork::Update => &[(MasterStage::Updating, t.master_updating)],
            MasterWork::Refresh => &[(MasterStage::Updating, t.master_refreshing)],
        };
        Ok(timeline(stages, MasterStage::Ready, order.since, now))
    }

    async fn worker(&self, order: &WorkerOrder<'_>, now: Timestamp) -> Result<Progress<WorkerStage>, Error> {
        let t = &self.timings;
        let behind = t.worker_stagger * i32::try_from(order.index.min(10)).unwrap_or(10);
        let stages: &[_] = match order.work {
            WorkerWork::Deploy => &[
                (WorkerStage::ProvisionPending, t.worker_provision_pending + behind),
                (WorkerStage::Provisioning, t.worker_provisioning),
                (WorkerStage::Provisioned, t.worker_provisioned),
                (WorkerStage::Deploying, t.worker_deploying),
            ],
            WorkerWork::Reload => &[
                (WorkerStage::ReloadPending, t.worker_reload_pending + behind),
                (WorkerStage::Reloading, t.worker_reloading),
                (WorkerStage::Deploying, t.worker_deploying),
            ],
            WorkerWork::Reboot => &[(WorkerStage::Deploying, t.worker_rebooting)],
            WorkerWork::Remove => &[(WorkerStage::Deleting, t.worker_deleting + behind)],
        };
        Ok(timeline(stages, WorkerStage::Done, order.since, now))
    }

    async fn remove(&self, order: &RemoveOrder<'_>, now: Timestamp) -> Result<Progress<RemoveStage>, Error> {
        Ok(timeline(&[(RemoveStage::Removing, self.timings.cluster_deleting)], RemoveStage::Gone, order.since, now))
    }

    async fn observe(&self, _: &MasterOrder<'_>, _: Timestamp) -> Result<Observation, Error> {
        Ok(Observation { health: Health::Good, version: None, next: None })
    }

    fn api_server(&self, _: &str) -> ApiServer {
        ApiServer::Here
    }

    fn immediate(&self) -> bool {
        self.immediate
    }

    fn timings(&self) -> Timings {
        self.timings
    }
}

/// The stage at `now` of something that began at `since` and passes through `stages` to `end`.
fn timeline<S: Clone>(stages: &[(S, SignedDuration)], end: S, since: Timestamp, now: Timestamp) -> Progress<S> {
    let mut since = since;
    for (stage, lasts) in stages {
        let until = since.saturating_add(*lasts).unwrap_or(Timestamp::MAX);
        if now < until {
            return Progress { stage: stage.clone(), since, next: Some(until) };
        }
        since = until;
    }
    Progress { stage: end, since, next: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MachineFacts;

    fn runtime(pace: Pace) -> VirtualRuntime {
        VirtualRuntime::new(pace, Timings::read(None, pace).unwrap())
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_millis(ms)
    }

    #[tokio::test]
    async fn a_master_passes_through_its_stages_in_order_and_says_when_to_look() {
        let order = |work| MasterOrder {
            cluster_id: "c",
            name: "c",
            version: "1.36.3_1525",
            pod_subnet: "172.17.0.0/18",
            service_subnet: "172.21.0.0/16",
            work,
            since: at(0),
        };
        let cases = [
            (MasterWork::Deploy, 0, MasterStage::Requested, 0, Some(500)),
            (MasterWork::Deploy, 499, MasterStage::Requested, 0, Some(500)),
            (MasterWork::Deploy, 500, MasterStage::Deploying, 500, Some(1500)),
            (MasterWork::Deploy, 1500, MasterStage::Ready, 1500, None),
            (MasterWork::Deploy, 99_000, MasterStage::Ready, 1500, None),
            (MasterWork::Update, 999, MasterStage::Updating, 0, Some(1000)),
            (MasterWork::Update, 1000, MasterStage::Ready, 1000, None),
            (MasterWork::Refresh, 100, MasterStage::Updating, 0, Some(500)),
        ];
        for (work, now, stage, began, next) in cases {
            let progress = runtime(Pace::Fast).master(&order(work), at(now)).await.unwrap();
            assert_eq!(progress, Progress { stage, since: at(began), next: next.map(at) }, "{work:?} {now} ms");
        }
    }

    #[tokio::test]
    async fn a_worker_passes_through_the_stages_of_what_is_done_to_it() {
        use WorkerStage::{Deleting, Deploying, Done, ProvisionPending, Provisioned, Provisioning, ReloadPending, Reloading};
        let cases: [(WorkerWork, &[WorkerStage]); 4] = [
            (WorkerWork::Deploy, &[ProvisionPending, Provisioning, Provisioned, Deploying, Done]),
            (WorkerWork::Reload, &[ReloadPending, Reloading, Deploying, Done]),
            (WorkerWork::Reboot, &[Deploying, Done]),
            (WorkerWork::Remove, &[Deleting, Done]),
        ];
        for (work, expected) in cases {
            let order =
                WorkerOrder { cluster_id: "c", worker_id: "w", machine: MachineFacts::default(), work, index: 3, since: at(0) };
            let (mut seen, mut now) = (Vec::new(), Some(at(0)));
            while let Some(at) = now {
                let progress = runtime(Pace::Fast).worker(&order, at).await.unwrap();
                seen.push(progress.stage);
                now = progress.next;
            }
            assert_eq!(seen, expected, "{work:?}");
        }
    }

    #[tokio::test]
    async fn at_instant_pace_everything_is_done_when_first_asked() {
        let runtime = runtime(Pace::Instant);
        let since = Timestamp::UNIX_EPOCH;
        for work in [WorkerWork::Deploy, WorkerWork::Reload, WorkerWork::Reboot, WorkerWork::Remove] {
            let worker =
                WorkerOrder { cluster_id: "c", worker_id: "w", machine: MachineFacts::default(), work, index: 7, since };
            let done = Progress { stage: WorkerStage::Done, since, next: None };
            assert_eq!(runtime.worker(&worker, since).await.unwrap(), done, "{work:?}");
        }
        let removal = RemoveOrder { cluster_id: "c", since };
        assert_eq!(runtime.remove(&removal, since).await.unwrap(), Progress { stage: RemoveStage::Gone, since, next: None });
    }

    #[tokio::test]
    async fn workers_come_up_one_behind_another() {
        let since = Timestamp::UNIX_EPOCH;
        let mut last = None;
        for index in 0..3 {
            let order = WorkerOrder {
                cluster_id: "c",
                worker_id: "w",
                machine: MachineFacts::default(),
                work: WorkerWork::Deploy,
                index,
                since,
            };
            let first = runtime(Pace::Fast).worker(&order, since).await.unwrap().next;
            assert!(first > last, "{index}");
            last = first;
        }
    }
}
