//! Names and identifiers of clusters, pools and workers, in the forms that clients take apart.

use boatyard_core::id;

pub(crate) const CLUSTER_NAME_RULE: &str = "The name must start with a letter, can contain letters, numbers, periods (.), and hyphens (-), and must be 35 characters or \
     fewer.";
pub(crate) const POOL_NAME_RULE: &str = "The name must start with a letter, can contain letters, numbers, periods (.), and hyphens (-), and must be 31 characters or \
     fewer.";

fn is_name(name: &str, longest: usize) -> bool {
    name.len() <= longest
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
}

pub(crate) fn is_cluster_name(name: &str) -> bool {
    is_name(name, 35)
}

pub(crate) fn is_pool_name(name: &str) -> bool {
    is_name(name, 31)
}

/// `<clusterID>-<7 hex>`
pub(crate) fn pool_id(cluster_id: &str) -> String {
    format!("{cluster_id}-{}", &id::hex(&id::random::<4>())[..7])
}

/// `kube-<clusterID>-<cluster name>-<pool name>-<8 hex counter>`; clients find the cluster between the first two hyphens.
pub(crate) fn worker_id(cluster_id: &str, cluster: &str, pool: &str, counter: u64) -> String {
    let short = |name: &str, longest| -> String {
        let letters = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase());
        letters.take(longest).collect()
    };
    format!("kube-{cluster_id}-{}-{}-{counter:08x}", short(cluster, 11), short(pool, 7))
}

/// Label of the Ingress subdomain, which is also the name of its secret: `<name part>-<32 hex account hash>-0000`. Names of 26
/// characters or more give their first 24. Where another cluster of the account has that label, six random characters keep them
/// apart, behind 17 of a long name.
pub(crate) fn ingress_label(cluster: &str, account_id: &str, clash: bool) -> String {
    let name: String = cluster.to_ascii_lowercase().replace('.', "-");
    let cut = |longest: usize| name[..name.len().min(longest)].trim_end_matches('-').to_owned();
    let part = match (name.len() < 26, clash) {
        (true, false) => cut(26),
        (false, false) => cut(24),
        (short, true) => format!("{}-{}", cut(if short { 26 } else { 17 }), &id::hex(&id::random::<3>())),
    };
    let hash = &boatyard_core::Digest::of(account_id).hex()[..32];
    format!("{part}-{hash}-0000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cluster_names_follow_the_documented_rule() {
        for name in ["a", "my-cluster", "My.Cluster-2", &"a".repeat(35)] {
            assert!(is_cluster_name(name), "{name}");
        }
        for name in ["", "1a", "-a", "a_b", "a b", "ä", "a/b", &"a".repeat(36)] {
            assert!(!is_cluster_name(name), "{name}");
        }
    }

    #[test]
    fn the_cluster_is_the_second_part_of_a_worker_id() {
        let id = worker_id("c8ofi5pw077drsbovf90", "roks-4.7-classic", "default", 0x187);
        assert_eq!(id, "kube-c8ofi5pw077drsbovf90-roks47class-default-00000187");
        assert_eq!(id.split('-').nth(1), Some("c8ofi5pw077drsbovf90"));
    }

    #[test]
    fn ingress_labels_keep_short_names_whole_and_cut_long_ones() {
        let label = |name: &str| ingress_label(name, "a".repeat(32).as_str(), false);
        assert!(label("mycluster").starts_with("mycluster-"));
        assert!(label("a23456789012345678901234567890").starts_with("a23456789012345678901234-"));
        assert!(label("mycluster").ends_with("-0000"));
        assert_eq!(label("mycluster").len(), "mycluster".len() + 1 + 32 + 5);
        let clashing = ingress_label("a23456789012345678901234567890", "a", true);
        assert!(clashing.starts_with("a2345678901234567-"), "{clashing}");
        assert_eq!(clashing.len(), 17 + 1 + 6 + 1 + 32 + 5);
    }
}
