//! What follows from objects: the controllers, the scheduler and the kubelets of a cluster.
//!
//! [`run`] is called at the end of every transaction and when something is due. It brings everything that follows from what was touched
//! to rest within the transaction. A controller looks at one object, at everything it depends on, and at the time; what takes time waits
//! in the state ([`Txn::wait`]), and when it is due follows from the objects alone, so that nothing is lost when a process ends.

pub(crate) mod common;
pub(crate) mod events;

mod affinity;
mod budgets;
mod claims;
mod containers;
mod cronjobs;
mod daemonsets;
mod deployments;
mod jobs;
mod kubelet;
mod namespaces;
mod nodes;
mod pods;
mod reaction;
mod replicasets;
mod revisions;
mod rollout;
mod schedule;
mod scheduler;
mod services;
mod statefulsets;
mod usage;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::SignedDuration;

use crate::lifecycle;
use crate::object::{Key, Object};
use crate::state::Txn;
use crate::world::World;
use usage::Usage;

/// So many steps are taken at most, besides some for each object of the cluster; what is left goes on after a while.
const STEPS: usize = 100_000;

/// What is done with an object, in this order: what others build on comes first, so that these see it at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    /// The garbage collector: whether the owners of an object are there.
    Collect,
    /// The garbage collector: what an object owns that waits for it.
    Release,
    Node,
    Volume,
    Claim,
    /// Pods that fit nowhere so far.
    Reschedule,
    Schedule,
    Pod,
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    Job,
    Deployment,
    CronJob,
    Service,
    Ingress,
    Budget,
    Quota,
    Autoscaler,
    /// After everything else, since a namespace that ends is looked at whenever something in it has.
    Namespace,
    Events,
}

/// The task of the objects of a resource.
fn task(resource: &str) -> Option<Task> {
    Some(match resource {
        "namespaces" => Task::Namespace,
        "nodes" => Task::Node,
        "persistentvolumes" => Task::Volume,
        "persistentvolumeclaims" => Task::Claim,
        "pods" => Task::Pod,
        "replicasets.apps" | "replicationcontrollers" => Task::ReplicaSet,
        "statefulsets.apps" => Task::StatefulSet,
        "daemonsets.apps" => Task::DaemonSet,
        "jobs.batch" => Task::Job,
        "deployments.apps" => Task::Deployment,
        "cronjobs.batch" => Task::CronJob,
        "services" => Task::Service,
        "ingresses.networking.k8s.io" => Task::Ingress,
        "poddisruptionbudgets.policy" => Task::Budget,
        "resourcequotas" => Task::Quota,
        "horizontalpodautoscalers.autoscaling" => Task::Autoscaler,
        "events" => Task::Events,
        _ => return None,
    })
}

/// Brings what follows from the touched objects, and from the time, to rest.
pub fn run(txn: &mut Txn, world: &World) {
    let mut run = Run { txn, world, queue: BTreeSet::new(), seen: 0, usage: None };
    if !run.txn.state().is_settled() {
        run.txn.set_settled(true);
        run.look_at_everything();
    }
    for key in run.txn.state().due(run.txn.now()) {
        run.enqueue(&key);
    }
    run.absorb();
    let most = STEPS + 50 * run.txn.state().size();
    for _ in 0..most {
        let Some((task, key)) = run.queue.pop_first() else { return };
        run.perform(task, &key);
        run.absorb();
    }
    tracing::warn!(cluster = world.id, steps = most, "controllers found no rest; they go on in a minute");
    let again = run.txn.now() + SignedDuration::from_mins(1);
    run.txn.set_settled(false);
    run.txn.wake_at(again);
}

/// Has controllers look at every object in the next [`run`], because something of the world changed that objects depend on.
pub fn look_again(txn: &mut Txn) {
    txn.set_settled(false);
}

/// One run.
struct Run<'a> {
    txn: &'a mut Txn,
    world: &'a World,
    queue: BTreeSet<(Task, Key)>,
    /// So many of the events of the transaction were seen.
    seen: usize,
    /// What the Pods take of the nodes, once somebody asked.
    usage: Option<Usage>,
}

impl Run<'_> {
    fn add(&mut self, task: Task, key: Key) {
        self.queue.insert((task, key));
    }

    /// Has the controller of an object look at it.
    fn enqueue(&mut self, key: &Key) {
        match task(&key.resource) {
            Some(Task::Events) => self.add(Task::Events, events::sweep_key()),
            Some(task) => self.add(task, key.clone()),
            None => {}
        }
    }

    fn enqueue_all(&mut self, resource: &str, namespace: Option<&str>) {
        let keys: Vec<Key> = self.txn.state().list(resource, namespace, None).map(|o| o.key.clone()).collect();
        for key in keys {
            self.enqueue(&key);
        }
    }

    fn look_at_everything(&mut self) {
        let objects: Vec<Arc<Object>> =
            self.txn.state().all().filter(|o| !o.is_shared() || task(&o.key.resource).is_some()).cloned().collect();
        for object in objects {
            self.enqueue(&object.key);
            if !object.owners().is_empty() {
                self.add(Task::Collect, object.key.clone());
            }
            if lifecycle::holds_dependents(&object) {
                self.add(Task::Release, object.key.clone());
            }
        }
    }

    /// Reacts to what happened since the last time.
    fn absorb(&mut self) {
        while let Some(event) = self.txn.events().get(self.seen).cloned() {
            self.seen += 1;
            if let Some(usage) = &mut self.usage {
                usage.see(&event);
            }
            self.react(&event);
        }
    }

    fn perform(&mut self, task: Task, key: &Key) {
        match task {
            Task::Collect => return lifecycle::collect(self.txn, key),
            Task::Events => return events::sweep(self.txn),
            Task::Reschedule => return scheduler::retry(self),
            _ => {}
        }
        let Some(object) = self.txn.get(key) else { return self.txn.unwait(key) };
        match task {
            Task::Collect | Task::Events | Task::Reschedule => {}
            Task::Release => lifecycle::release_dependents(self.txn, &object),
            Task::Namespace => namespaces::sync(self, &object),
            Task::Node => nodes::sync(self, &object),
            Task::Volume => claims::sync_volume(self, &object),
            Task::Claim => claims::sync(self, &object),
            Task::Schedule => scheduler::schedule(self, &object),
            Task::Pod => kubelet::sync(self, &object),
            Task::ReplicaSet => replicasets::sync(self, &object),
            Task::StatefulSet => statefulsets::sync(self, &object),
            Task::DaemonSet => daemonsets::sync(self, &object),
            Task::Job => jobs::sync(self, &object),
            Task::Deployment => deployments::sync(self, &object),
            Task::CronJob => cronjobs::sync(self, &object),
            Task::Service => services::sync(self, &object),
            Task::Ingress => services::sync_ingress(self, &object),
            Task::Budget => budgets::sync(self, &object),
            Task::Quota => budgets::sync_quota(self, &object),
            Task::Autoscaler => budgets::sync_autoscaler(self, &object),
        }
    }

    fn usage(&mut self) -> &mut Usage {
        let (txn, world) = (&*self.txn, self.world);
        self.usage.get_or_insert_with(|| Usage::of(txn.state(), &world.pod_subnet))
    }
}
