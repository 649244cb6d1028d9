//! `boatyard cluster ls`.

use std::collections::BTreeSet;

use boatyard_core::Clock;
use boatyard_sdk::containers::Client;
use boatyard_sdk::containers::types::GetClustersResponse;
use boatyard_sdk::{Error, Session};
use jiff::Timestamp;

use crate::failure::Failure;
use crate::output::{self, Common};
use crate::{terminal, time};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// Clusters of this infrastructure only
    #[arg(long, value_name = "PROVIDER", value_parser = ["classic", "vpc-classic", "vpc-gen2", "satellite"])]
    provider: Option<String>,
    /// Clusters in this place only: geography, country, metro or zone (may be repeated)
    #[arg(short = 'l', long = "location", value_name = "LOCATION")]
    locations: Vec<String>,
    #[command(flatten)]
    common: Common,
}

pub async fn run(args: Args) -> Result<(), Failure> {
    let session = Session::load()?;
    let found = list(&session, args.provider.as_deref(), &args.locations).await?;
    if args.common.is_json() {
        return output::json(&found);
    }
    args.common.ok()?;
    let is_empty = found.is_empty();
    output::print(&table(rows(found, Clock::default().now())))?;
    if is_empty && args.common.is_chatty() {
        let narrowed = args.provider.is_some() || !args.locations.is_empty() || session.resource_group().is_some();
        // On standard error: whoever reads the table's lines is not to take these for clusters.
        terminal::note(nothing(narrowed));
    }
    Ok(())
}

/// What to do about an empty list; `narrowed` if clusters may have been left out of it.
fn nothing(narrowed: bool) -> &'static str {
    if narrowed {
        "There are no such clusters. `boatyard cluster ls` without options lists those of the resource group that \
         `boatyard target` shows."
    } else {
        "There are no clusters yet. To create one, see `boatyard vpcs` and `boatyard subnets`, then\n  \
         boatyard cluster create vpc-gen2 --name NAME --zone ZONE --vpc-id ID --subnet-id ID --flavor bx2.4x16 --wait\n\
         or, on classic infrastructure,\n  \
         boatyard cluster create classic --name NAME --zone dal10 --flavor b3c.4x16 --wait"
    }
}

/// Clusters of all providers, those in several places once.
pub async fn list(session: &Session, provider: Option<&str>, locations: &[String]) -> Result<Vec<GetClustersResponse>, Error> {
    let group = session.resource_group();
    let places = if locations.is_empty() { vec![None] } else { locations.iter().map(|l| Some(l.as_str())).collect() };
    let (mut seen, mut all) = (BTreeSet::new(), Vec::new());
    for place in places {
        let found = session.call(async |c: &Client| c.v2_list_clusters(place, provider, group.as_deref()).await).await?;
        all.extend(found.into_iter().filter(|c| seen.insert(c.id.clone())));
    }
    Ok(all)
}

pub type Row = [String; 9];

pub fn rows(clusters: Vec<GetClustersResponse>, now: Timestamp) -> Vec<Row> {
    let row = |c: GetClustersResponse| {
        let created = c.created_date.map(|d| time::age(&d, now));
        let workers = c.worker_count.map(|n| n.to_string());
        let place = c.location.filter(|l| !l.is_empty()).or(c.datacenter);
        [c.name, c.id, c.state, created, workers, place, c.master_kube_version, c.resource_group_name, c.provider]
            .map(Option::unwrap_or_default)
    };
    clusters.into_iter().map(row).collect()
}

/// The columns of `ibmcloud ks cluster ls`.
pub fn table(rows: Vec<Row>) -> String {
    let header = ["Name", "ID", "State", "Created", "Workers", "Location", "Version", "Resource Group Name", "Provider"];
    output::table(header, rows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shows_what_ibmcloud_shows() {
        let clusters = json!([
            {"name": "mine", "id": "c1", "state": "normal", "createdDate": "2026-01-01T00:00:00+0000", "workerCount": 3,
             "location": "Dallas", "masterKubeVersion": "1.35.1_1500", "resourceGroupName": "default", "provider": "vpc-gen2"},
            {"name": "older", "id": "c2", "state": "deploying", "datacenter": "dal10", "provider": "classic"},
        ]);
        let clusters: Vec<GetClustersResponse> = serde_json::from_value(clusters).expect("they are clusters");
        let now = "2026-01-01T02:00:00Z".parse().expect("a date");
        assert_eq!(
            table(rows(clusters, now)),
            "Name    ID   State       Created       Workers   Location   Version       Resource Group Name   Provider\n\
             mine    c1   normal      2 hours ago   3         Dallas     1.35.1_1500   default               vpc-gen2\n\
             older   c2   deploying   -             -         dal10      -             -                     classic\n"
        );
    }
}
