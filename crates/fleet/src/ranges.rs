//! Address ranges: the pod and service subnets of a cluster, and addresses of workers.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::{Error, Result};

const CLASSIC_PODS: &str = "172.30.0.0/16";
const SERVICES: &str = "172.21.0.0/16";

const ALLOWED: &str = "The subnet must be inside of 172.17.0.0/16, 172.21.0.0/16 to 172.31.0.0/16, 192.168.0.0 to 192.168.254.255 \
                       or 198.18.0.0 to 198.19.255.255, and be given as its first address and prefix length.";

/// The pod and service subnets of a new cluster, given or by default.
pub(crate) struct Ranges {
    pub pods: String,
    pub services: String,
}

impl Ranges {
    /// For a classic cluster: what was given, and the default for what was not.
    pub(crate) fn of_classic(pods: Option<&str>, services: Option<&str>) -> Result<Self> {
        let services = service_range(services)?;
        Self::new(pod_range(pods.unwrap_or(CLASSIC_PODS))?, services)
    }

    /// For a VPC cluster: pods get what was given, or a range that no other cluster of the VPC has. `0.0.0.0/<13..23>` asks for a
    /// range of that size.
    /// None of them meets one of the VPC's subnets.
    pub(crate) fn of_vpc(pods: Option<&str>, services: Option<&str>, taken: &[Ipv4Net], subnets: &[Ipv4Net]) -> Result<Self> {
        let ranges = Self::beside(pods, service_range(services)?, taken, subnets)?;
        let meets = |cidr: &String| cidr.parse().is_ok_and(|range| subnets.iter().any(|subnet| overlap(*subnet, range)));
        let rule = "It must not overlap with the subnets of the VPC.";
        for (what, cidr) in [("pod", &ranges.pods), ("service", &ranges.services)] {
            if meets(cidr) {
                return Err(Error::Range { what, cidr: cidr.clone(), rule });
            }
        }
        Ok(ranges)
    }

    fn beside(pods: Option<&str>, services: Ipv4Net, taken: &[Ipv4Net], subnets: &[Ipv4Net]) -> Result<Self> {
        let pods = match pods.unwrap_or_default() {
            "" => free_range(18, taken, services, subnets)?,
            given => match given.strip_prefix("0.0.0.0/") {
                None => pod_range(given)?,
                Some(size) => {
                    let size = size.parse().ok().filter(|size| (13..=23).contains(size));
                    let rule = "To have a range chosen, give 0.0.0.0/ and a size from 13 to 23.";
                    let refused = || Error::Range { what: "pod", cidr: given.to_owned(), rule };
                    free_range(size.ok_or_else(refused)?, taken, services, subnets)?
                }
            },
        };
        Self::new(pods, services)
    }

    fn new(pods: Ipv4Net, services: Ipv4Net) -> Result<Self> {
        if overlap(pods, services) {
            let rule = "The pod subnet and the service subnet must not overlap.";
            return Err(Error::Range { what: "service", cidr: services.to_string(), rule });
        }
        Ok(Self { pods: pods.to_string(), services: services.to_string() })
    }
}

fn pod_range(cidr: &str) -> Result<Ipv4Net> {
    range("pod", cidr, 23, "The pod subnet must be at least a /23.")
}

fn service_range(cidr: Option<&str>) -> Result<Ipv4Net> {
    let cidr = cidr.filter(|cidr| !cidr.is_empty()).unwrap_or(SERVICES);
    range("service", cidr, 24, "The service subnet must be at least a /24.")
}

fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b) || b.contains(&a)
}

/// The first range of that size that overlaps with none of `taken` and not with the services. Where there is none left, the first:
/// clusters whose pods never meet may share one.
fn free_range(size: u8, taken: &[Ipv4Net], services: Ipv4Net, subnets: &[Ipv4Net]) -> Result<Ipv4Net> {
    const BLOCKS: [&str; 4] = ["172.17.0.0/16", "172.22.0.0/15", "172.24.0.0/13", "198.18.0.0/15"];
    let blocks = BLOCKS.iter().filter_map(|block| block.parse::<Ipv4Net>().ok());
    let candidates = || {
        blocks
            .clone()
            .filter_map(|block| block.subnets(size).ok())
            .flatten()
            .filter(|net| !overlap(*net, services))
            .filter(|net| !subnets.iter().any(|subnet| overlap(*net, *subnet)))
    };
    let free = candidates().find(|net| taken.iter().all(|other| !overlap(*net, *other)));
    let rule = "There is no range of that size besides the service subnet.";
    let none = || Error::Range { what: "pod", cidr: format!("0.0.0.0/{size}"), rule };
    free.or_else(|| candidates().next()).ok_or_else(none)
}

fn range(what: &'static str, cidr: &str, smallest: u8, too_small: &'static str) -> Result<Ipv4Net> {
    let refused = |rule| Error::Range { what, cidr: cidr.to_owned(), rule };
    let net: Ipv4Net = cidr.parse().map_err(|_| refused("The subnet must be in CIDR notation, such as 172.30.0.0/16."))?;
    if net.prefix_len() > smallest {
        return Err(refused(too_small));
    }
    if net.trunc() != net || !is_allowed(net) {
        return Err(refused(ALLOWED));
    }
    Ok(net)
}

fn is_allowed(net: Ipv4Net) -> bool {
    let (first, last) = (net.network(), net.broadcast());
    let within = |from: [u8; 4], to: [u8; 4]| first >= Ipv4Addr::from(from) && last <= Ipv4Addr::from(to);
    within([172, 17, 0, 0], [172, 17, 255, 255])
        || within([172, 21, 0, 0], [172, 31, 255, 255])
        || within([192, 168, 0, 0], [192, 168, 254, 255])
        || within([198, 18, 0, 0], [198, 19, 255, 255])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_the_documented_rules() {
        let refused = [
            (Some("nonsense"), None),
            (Some("172.30.0.0/24"), None),
            (Some("172.16.0.0/16"), None),
            (Some("172.18.0.0/16"), None),
            (Some("10.0.0.0/16"), None),
            (Some("172.30.1.0/16"), None),
            (Some("192.168.0.0/16"), None),
            (None, Some("172.21.0.0/25")),
            (Some("172.21.0.0/16"), Some("172.21.4.0/24")),
        ];
        for (pods, services) in refused {
            assert!(Ranges::of_classic(pods, services).is_err(), "{pods:?} {services:?}");
        }
        let chosen = Ranges::of_classic(None, None).unwrap();
        assert_eq!((chosen.pods.as_str(), chosen.services.as_str()), ("172.30.0.0/16", "172.21.0.0/16"));
        assert!(Ranges::of_classic(Some("198.18.0.0/23"), Some("192.168.0.0/24")).is_ok());
    }

    #[test]
    fn clusters_of_one_vpc_get_pod_subnets_that_do_not_meet() {
        let mut taken = Vec::new();
        for expected in ["172.17.0.0/18", "172.17.64.0/18", "172.17.128.0/18", "172.17.192.0/18", "172.22.0.0/18"] {
            assert_eq!(Ranges::of_vpc(None, None, &taken, &[]).unwrap().pods, expected);
            taken.push(expected.parse().unwrap());
        }
        let whole: Ipv4Net = "172.17.0.0/16".parse().unwrap();
        assert_eq!(Ranges::of_vpc(None, None, &[whole], &[]).unwrap().pods, "172.22.0.0/18", "also beside a larger one");
        assert_eq!(Ranges::of_vpc(None, Some("172.17.0.0/18"), &[], &[]).unwrap().pods, "172.17.64.0/18", "nor the services");
    }

    #[test]
    fn no_range_meets_the_subnets_of_the_vpc() {
        let subnets: Vec<Ipv4Net> = ["172.17.0.0/20", "172.22.4.0/24"].iter().map(|net| net.parse().unwrap()).collect();
        assert_eq!(Ranges::of_vpc(None, None, &[], &subnets).unwrap().pods, "172.17.64.0/18");
        for (pods, services) in [(Some("172.17.0.0/18"), None), (None, Some("172.22.0.0/16"))] {
            assert!(matches!(Ranges::of_vpc(pods, services, &[], &subnets), Err(Error::Range { .. })), "{pods:?} {services:?}");
        }
    }

    #[test]
    fn a_pod_subnet_of_a_given_size_is_chosen_on_request() {
        for (asked, chosen) in
            [("0.0.0.0/23", "172.17.0.0/23"), ("0.0.0.0/16", "172.17.0.0/16"), ("0.0.0.0/13", "172.24.0.0/13")]
        {
            assert_eq!(Ranges::of_vpc(Some(asked), None, &[], &[]).unwrap().pods, chosen, "{asked}");
        }
        for asked in ["0.0.0.0/24", "0.0.0.0/12", "0.0.0.0/99", "0.0.0.0/x", "0.0.0.0/"] {
            assert!(Ranges::of_vpc(Some(asked), None, &[], &[]).is_err(), "{asked}");
        }
    }
}
