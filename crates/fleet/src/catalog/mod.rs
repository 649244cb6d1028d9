//! What there is to choose from: zones, flavors, versions, add-ons and quotas, read once at start from the documents in `catalog/`
//! or from a user's own.

mod addons;
mod documents;
mod flavors;
mod quotas;
mod versions;
mod zones;

use std::sync::Arc;

pub use addons::{Addons, Offer, OfferedVersion};
pub(crate) use addons::{config_map, numbers};
pub use documents::Malformed;
pub use flavors::{Disk, DiskOption, Flavor, Gpu, RawDisk};
pub use quotas::Quota;
pub use versions::{Notice, Offered, Offering, Support, Version};
pub use zones::{Location, LocationKind, Region, Zone};

/// Facts about the service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Catalog(Arc<documents::Documents>);

/// At most ten of `names` that are most like `wanted`: those with the longest common beginning, in the catalog's order.
#[must_use]
pub fn nearest<'a>(wanted: &str, names: &'a [String]) -> Vec<&'a str> {
    let common = |name: &str| name.bytes().zip(wanted.bytes()).take_while(|(a, b)| a == b).count();
    let mut sorted: Vec<_> = names.iter().map(String::as_str).collect();
    sorted.sort_by_key(|name| std::cmp::Reverse(common(name)));
    sorted.truncate(10);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_most_like_the_wanted_comes_first() {
        let names = ["cx2.2x4", "bx3d.4x20", "bx2.4x16"].map(str::to_owned);
        assert_eq!(nearest("bx2.5x", &names), ["bx2.4x16", "bx3d.4x20", "cx2.2x4"]);
        assert_eq!(nearest("", &vec!["a".to_owned(); 20]).len(), 10);
    }
}
