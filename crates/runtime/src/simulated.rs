//! Clusters that exist only as far as the API shows them.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::{
    ClusterRuntime, Error, MasterOrder, MasterStage, Pace, Progress, RemoveOrder, RemoveStage, Timings, WorkerOrder,
    WorkerStage,
};

/// The driver in process: every stage is a function of the time since it was asked for, so nothing is kept, and a restart or
/// a clock moved forward needs no care.
#[derive(Debug)]
pub struct VirtualRuntime {
    timings: Timings,
    immediate: bool,
}

impl VirtualRuntime {
    #[must_use]
    pub fn new(pace: Pace) -> Self {
        Self { timings: pace.timings(), immediate: pace == Pace::Instant }
    }
}

#[async_trait]
impl ClusterRuntime for VirtualRuntime {
    async fn master(&self, order: &MasterOrder<'_>, now: Timestamp) -> Result<Progress<MasterStage>, Error> {
        let t = &self.timings;
        let stages = [(MasterStage::Requested, t.master_requested), (MasterStage::Deploying, t.master_deploying)];
        Ok(timeline(&stages, MasterStage::Ready, order.since, now))
    }

    async fn worker(&self, order: &WorkerOrder<'_>, now: Timestamp) -> Result<Progress<WorkerStage>, Error> {
        let t = &self.timings;
        let behind = t.worker_stagger * i32::try_from(order.index.min(10)).unwrap_or(10);
        let stages = [
            (WorkerStage::ProvisionPending, t.worker_provision_pending + behind),
            (WorkerStage::Provisioning, t.worker_provisioning),
            (WorkerStage::Provisioned, t.worker_provisioned),
            (WorkerStage::Deploying, t.worker_deploying),
        ];
        Ok(timeline(&stages, WorkerStage::Ready, order.since, now))
    }

    async fn remove(&self, order: &RemoveOrder<'_>, now: Timestamp) -> Result<Progress<RemoveStage>, Error> {
        Ok(timeline(&[(RemoveStage::Removing, self.timings.removing)], RemoveStage::Gone, order.since, now))
    }

    fn immediate(&self) -> bool {
        self.immediate
    }
}

/// The stage at `now` of something that began at `since` and passes through `stages` to `end`.
fn timeline<S: Copy>(stages: &[(S, SignedDuration)], end: S, since: Timestamp, now: Timestamp) -> Progress<S> {
    let mut since = since;
    for (stage, lasts) in stages {
        let until = since.saturating_add(*lasts).unwrap_or(Timestamp::MAX);
        if now < until {
            return Progress { stage: *stage, since, next: Some(until) };
        }
        since = until;
    }
    Progress { stage: end, since, next: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_master_passes_through_its_stages_in_order_and_says_when_to_look() {
        let runtime = VirtualRuntime::new(Pace::Fast);
        let since = Timestamp::UNIX_EPOCH;
        let order = MasterOrder { cluster_id: "c", version: "1.36.3_1525", since };
        let at = |ms| since + SignedDuration::from_millis(ms);
        let cases = [
            (0, MasterStage::Requested, 0, Some(500)),
            (499, MasterStage::Requested, 0, Some(500)),
            (500, MasterStage::Deploying, 500, Some(1500)),
            (1500, MasterStage::Ready, 1500, None),
            (99_000, MasterStage::Ready, 1500, None),
        ];
        for (now, stage, began, next) in cases {
            let progress = runtime.master(&order, at(now)).await.unwrap();
            assert_eq!(progress, Progress { stage, since: at(began), next: next.map(at) }, "{now} ms");
        }
    }

    #[tokio::test]
    async fn at_instant_pace_everything_is_done_when_first_asked() {
        let runtime = VirtualRuntime::new(Pace::Instant);
        let since = Timestamp::UNIX_EPOCH;
        let worker = WorkerOrder { cluster_id: "c", worker_id: "w", index: 7, since };
        assert_eq!(runtime.worker(&worker, since).await.unwrap(), Progress { stage: WorkerStage::Ready, since, next: None });
        let removal = RemoveOrder { cluster_id: "c", since };
        assert_eq!(runtime.remove(&removal, since).await.unwrap(), Progress { stage: RemoveStage::Gone, since, next: None });
    }

    #[tokio::test]
    async fn workers_come_up_one_after_another() {
        let runtime = VirtualRuntime::new(Pace::Fast);
        let since = Timestamp::UNIX_EPOCH;
        let now = since + SignedDuration::from_millis(1500);
        let mut stages = Vec::new();
        for index in 0..3 {
            let worker = WorkerOrder { cluster_id: "c", worker_id: "w", index, since };
            stages.push(runtime.worker(&worker, now).await.unwrap().stage);
        }
        assert_eq!(stages, [WorkerStage::Ready, WorkerStage::Deploying, WorkerStage::Provisioned]);
    }
}
