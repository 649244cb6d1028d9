//! Who holds which role inside of a cluster, because of policies.

use std::sync::Arc;

use boatyard_store::access;

use crate::access::Resource;
use crate::access::kubernetes::{Bound, ClusterPolicy, owners};
use crate::authenticate::kube_user_name;
use crate::membership::is_of_clusters;
use crate::{Error, Iam, Result};

/// Who is given something in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClusterSubject {
    /// `IAM#user@example.com`; of machines, with their ID.
    User(String),
    /// The name of an access group.
    Group(String),
}

/// A role in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClusterGrant {
    pub subject: ClusterSubject,
    /// `cluster-admin`, `admin`, `edit`, `view`.
    pub cluster_role: &'static str,
    /// What the binding in the cluster is called: `ibm-edit`.
    pub binding: &'static str,
    /// The namespace that it is limited to, in which `*` stands for any text; `None` for all.
    pub namespace: Option<String>,
}

/// All roles that policies give in a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterGrants {
    /// In order, each once.
    pub grants: Vec<ClusterGrant>,
    /// Whether some hold at certain times only, so that they change without anything being written.
    pub timed: bool,
}

/// What the policies of an account give in clusters.
#[derive(Debug)]
pub(crate) struct ClusterPolicies {
    owner: Option<ClusterSubject>,
    policies: Vec<(ClusterSubject, ClusterPolicy)>,
}

/// Whom a cluster is to know a holder as. `None` for a group with a name that clusters keep for their own: a binding would give it to
/// all of those.
fn subject(holder: access::Holder) -> Option<ClusterSubject> {
    match holder {
        access::Holder::Identity(sub) => Some(ClusterSubject::User(kube_user_name(&sub))),
        access::Holder::Group(name) => (!is_of_clusters(&name)).then_some(ClusterSubject::Group(name)),
    }
}

impl Iam {
    /// The roles that users, service IDs, trusted profiles and access groups of an account hold in one of its clusters. Members of
    /// groups are not looked at: who authenticates to the cluster brings their groups.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cluster_grants(
        &self,
        account_id: &str,
        region: &str,
        group_id: &str,
        cluster_id: &str,
    ) -> Result<ClusterGrants> {
        let load = async || {
            let mut conn = self.inner.store.read().await?;
            let found = access::cluster_policies(&mut conn, account_id).await?;
            let understood = |(holder, document): (access::Holder, String)| {
                Some((subject(holder)?, ClusterPolicy::compile(&document, &found.custom_roles)?))
            };
            let owner = found.owner.map(|sub| ClusterSubject::User(kube_user_name(&sub)));
            Ok::<_, Error>(ClusterPolicies { owner, policies: found.policies.into_iter().filter_map(understood).collect() })
        };
        let all: Arc<ClusterPolicies> = self.inner.cluster_policies.get(&self.inner.store, account_id, load).await?;
        let (now, cluster) = (self.inner.clock.now(), Resource::clusters(account_id, region, group_id).instance(cluster_id));
        let grant = |subject: &ClusterSubject, bound: Bound| {
            let Bound { cluster_role, binding, namespace } = bound;
            ClusterGrant { subject: subject.clone(), cluster_role, binding, namespace }
        };
        let mut grants: Vec<_> = all.owner.iter().map(|owner| grant(owner, owners())).collect();
        for (subject, policy) in &all.policies {
            grants.extend(policy.bound(&cluster, now).map(|bound| grant(subject, bound)));
        }
        grants.sort();
        grants.dedup();
        Ok(ClusterGrants { grants, timed: all.policies.iter().any(|(_, policy)| policy.is_timed()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_the_account_gives_nothing_to_a_group_of_the_cluster() {
        let group = |name: &str| subject(access::Holder::Group(name.to_owned()));
        assert_eq!(group("Team"), Some(ClusterSubject::Group("Team".to_owned())));
        assert_eq!(group("system:authenticated"), None);
        let user = subject(access::Holder::Identity("Ada@example.com".to_owned()));
        assert_eq!(user, Some(ClusterSubject::User("IAM#ada@example.com".to_owned())));
    }
}
