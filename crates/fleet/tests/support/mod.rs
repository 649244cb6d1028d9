//! A fleet on a store of its own, with a clock that only the test moves.

// Each test binary uses a part of this.
#![allow(dead_code)]

use std::sync::Arc;

use boatyard_core::Clock;
use boatyard_fleet::{Catalog, Error, Fleet, Group, VpcClusterRequest, VpcPoolRequest};
use boatyard_iam::access::Rights;
use boatyard_iam::{Caller, Identity};
use boatyard_runtime::{ClusterRuntime, Pace, Timings, VirtualRuntime};
use boatyard_store::{Domain, Store, accounts, resource_groups, users};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

/// One yard: a fleet, and two accounts with networks.
pub struct Yard {
    pub fleet: Fleet,
    pub store: Store,
    pub clock: Clock,
    pub dir: TempDir,
}

pub const GROUP: &str = "a31b9bf9fada4cf8aec68fd0d52c19ce";

pub fn group(of: &str) -> Group {
    Group { id: format!("{of}{}", &GROUP[1..]), name: "Default".to_owned() }
}

pub fn caller(account: &str) -> Caller {
    of(identity(account))
}

/// A caller who may do everything.
pub fn of(identity: Identity) -> Caller {
    Caller::new(Arc::new(identity), Arc::new(Rights::owner()), Timestamp::UNIX_EPOCH)
}

pub fn identity(account: &str) -> Identity {
    Identity {
        iam_id: format!("IBMid-{account}"),
        email: format!("{account}@example.com"),
        name: account.to_owned(),
        account_id: Some(account.to_owned()),
        client_id: "bx".to_owned(),
        session_id: None,
        apikey_id: None,
        expires_at: Timestamp::MAX,
        claims: Arc::default(),
    }
}

pub async fn account(store: &Store, id: &str) {
    let mut tx = store.write(Domain::Identity).await.unwrap();
    let user = users::User {
        iam_id: format!("IBMid-{id}"),
        username: format!("{id}@example.com"),
        email: format!("{id}@example.com"),
        given_name: String::new(),
        family_name: String::new(),
        password_hash: None,
        created_at: 0,
    };
    users::insert(&mut tx, &user).await.unwrap();
    let account = accounts::Account {
        id: id.to_owned(),
        name: id.to_owned(),
        kind: "PAYG".to_owned(),
        state: "ACTIVE".to_owned(),
        owner_iam_id: user.iam_id,
        created_at: 0,
        updated_at: 0,
    };
    accounts::insert(&mut tx, &account).await.unwrap();
    let row = resource_groups::ResourceGroup {
        id: group(id).id,
        account_id: id.to_owned(),
        name: "Default".to_owned(),
        is_default: true,
        created_at: 0,
        updated_at: 0,
    };
    resource_groups::insert(&mut tx, &row).await.unwrap();
    tx.commit().await.unwrap();
}

/// The driver of virtual clusters at a pace.
pub fn runtime(pace: Pace) -> Arc<dyn ClusterRuntime> {
    Arc::new(VirtualRuntime::new(pace, Timings::read(None, pace).unwrap()))
}

pub async fn yard(pace: Pace) -> Yard {
    yard_on(runtime(pace)).await
}

pub async fn yard_on(runtime: Arc<dyn ClusterRuntime>) -> Yard {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::default();
    let store = Store::sqlite(dir.path()).await.unwrap();
    let fleet = open(&store, &clock, runtime).await;
    Yard { fleet, store, clock, dir }
}

/// A fleet as a server opens it: all that it knows stands in the store.
pub async fn open(store: &Store, clock: &Clock, runtime: Arc<dyn ClusterRuntime>) -> Fleet {
    let fleet = Fleet::new(store.clone(), clock.clone(), runtime, Catalog::built_in());
    if accounts::count(&mut store.read().await.unwrap(), "IBMid-a").await.unwrap() == 0
        && fleet.vpcs(&caller("a")).await.unwrap().is_empty()
    {
        for id in ["a", "b"] {
            account(store, id).await;
            fleet.networks_ensure(id, &group(id).id).await.unwrap();
        }
    }
    fleet
}

impl Yard {
    pub async fn vpc_request(&self, name: &str) -> VpcClusterRequest {
        let vpc = self.fleet.vpcs(&caller("a")).await.unwrap().remove(0);
        let subnet = self.fleet.subnets(&caller("a"), Some(&vpc.id), Some("us-south-1")).await.unwrap().remove(0);
        VpcClusterRequest {
            name: name.to_owned(),
            pool: VpcPoolRequest {
                flavor: "bx2.4x16".to_owned(),
                vpc_id: vpc.id,
                size_per_zone: Some(2),
                zones: vec![("us-south-1".to_owned(), subnet.subnet.id)],
                ..VpcPoolRequest::default()
            },
            ..VpcClusterRequest::default()
        }
    }

    pub async fn create(&self, name: &str) -> String {
        let request = self.vpc_request(name).await;
        self.fleet.vpc_cluster_create(&caller("a"), &group("a"), &request).await.unwrap()
    }

    pub async fn state(&self, cluster: &str) -> Option<String> {
        match self.fleet.cluster(&caller("a"), cluster, None).await {
            Ok(cluster) => Some(cluster.state),
            Err(Error::ClusterNotFound) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Moves the clock and lets the reconciler do all that is due by then.
    pub async fn after(&self, ms: i64) {
        self.clock.advance(SignedDuration::from_millis(ms));
        // A step may leave the next one due at once; far fewer are needed than are allowed.
        for _ in 0..50 {
            if !self.fleet.pass().await.unwrap() {
                return;
            }
        }
        panic!("the reconciler does not come to rest");
    }
}
