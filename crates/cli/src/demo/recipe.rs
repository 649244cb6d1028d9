//! What the demo did, as lines to copy.

use std::path::Path;

use super::steps::{CLASSIC_CLUSTER, CLASSIC_FLAVOR, Done, VPC_CLUSTER, VPC_FLAVOR};

/// The same steps for curl and for this command line. Creates come under another name, since the demo's are taken.
pub fn text(done: &Done) -> String {
    format!("\nWhat was done, to do again with curl:\n\n{}\nWith this command line:\n\n{}", curl(done), commands(done))
}

fn curl(done: &Done) -> String {
    let Done { endpoint, vpc, classic, .. } = done;
    let credentials = quoted(&done.credentials);
    let ca = done.ca_file.as_ref().map(|ca| format!(" --cacert {}", quoted(ca))).unwrap_or_default();
    let call = "api -H \"Authorization: Bearer $TOKEN\"";
    format!(
        r#"  api() {{ curl -sS --fail-with-body{ca} "$@"; }}
  KEY=$(sed -n 's/.*"apikey": *"\([^"]*\)".*/\1/p' {credentials})
  TOKEN=$(api -u bx:bx -d grant_type=urn:ibm:params:oauth:grant-type:apikey -d "apikey=$KEY" \
    {endpoint}/identity/token | sed 's/.*"access_token": *"\([^"]*\)".*/\1/')
  {call} '{endpoint}/global/v2/vpc/getVPCs?provider=vpc-gen2'
  {call} '{endpoint}/global/v2/vpc/getSubnets?provider=vpc-gen2&vpc={vpc_id}&zone={vpc_zone}'
  {call} {endpoint}/global/v1/datacenters/{dc}/vlans
  {call} {endpoint}/global/v2/vpc/createCluster \
    -d '{{"name":"{VPC_CLUSTER}-2","provider":"vpc-gen2","workerPool":{{"flavor":"{VPC_FLAVOR}","vpcID":"{vpc_id}","workerCount":2,"zones":[{{"id":"{vpc_zone}","subnetID":"{subnet}"}}]}}}}'
  {call} {endpoint}/global/v1/clusters \
    -d '{{"name":"{CLASSIC_CLUSTER}-2","dataCenter":"{dc}","machineType":"{CLASSIC_FLAVOR}","workerNum":2,"publicVlan":"{public}","privateVlan":"{private}"}}'
  {call} {endpoint}/global/v2/clusters
  {call} '{endpoint}/global/v2/getCluster?cluster={VPC_CLUSTER}'
  {call} {endpoint}/global/v2/applyRBACAndGetKubeconfig -d '{{"cluster":"{VPC_CLUSTER}","format":"yaml"}}'
"#,
        vpc_id = vpc.id,
        vpc_zone = vpc.zone,
        subnet = vpc.subnet,
        dc = classic.zone,
        public = classic.public_vlan,
        private = classic.private_vlan,
    )
}

fn commands(done: &Done) -> String {
    let Done { vpc, classic, .. } = done;
    format!(
        r#"  alias boatyard={program}
  export BOATYARD_HOME={home}
  boatyard login --data-dir {data_dir}
  boatyard vpcs --provider vpc-gen2
  boatyard subnets --provider vpc-gen2 --vpc-id {vpc_id} --zone {vpc_zone}
  boatyard vlan ls --zone {dc}
  boatyard cluster create vpc-gen2 --name {VPC_CLUSTER}-3 --zone {vpc_zone} --vpc-id {vpc_id} \
    --subnet-id {subnet} --flavor {VPC_FLAVOR} --workers 2 --wait
  boatyard cluster create classic --name {CLASSIC_CLUSTER}-3 --zone {dc} --flavor {CLASSIC_FLAVOR} --workers 2 \
    --public-vlan {public} --private-vlan {private} --wait
  boatyard cluster ls
  boatyard cluster get -c {VPC_CLUSTER}
  KUBECONFIG={kubeconfig} boatyard cluster config -c {VPC_CLUSTER}
"#,
        program = quoted(&std::env::current_exe().unwrap_or_else(|_| "boatyard".into())),
        home = quoted(&done.home),
        data_dir = quoted(done.credentials.parent().unwrap_or(Path::new("."))),
        kubeconfig = quoted(&done.kubeconfig),
        vpc_id = vpc.id,
        vpc_zone = vpc.zone,
        subnet = vpc.subnet,
        dc = classic.zone,
        public = classic.public_vlan,
        private = classic.private_vlan,
    )
}

/// A path as one word of a shell.
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+".contains(&b));
    if plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::super::steps::{Classic, Vpc};
    use super::*;

    #[test]
    fn lines_are_valid_for_a_shell() {
        let done = Done {
            endpoint: "https://127.0.0.1:7443".into(),
            ca_file: Some("/tmp/it's here/ca.pem".into()),
            credentials: "/tmp/it's here/credentials.json".into(),
            home: "/tmp/it's here/client".into(),
            kubeconfig: "/tmp/it's here/kubeconfig".into(),
            vpc: Vpc { id: "r006-1".into(), zone: "us-south-1".into(), subnet: "0717-1".into() },
            classic: Classic { zone: "dal10".into(), public_vlan: "1".into(), private_vlan: "2".into() },
        };
        for script in [curl(&done), commands(&done)] {
            let checked = std::process::Command::new("bash").args(["-n", "-c", &script]).output().expect("bash is there");
            assert!(checked.status.success(), "{}\n{script}", String::from_utf8_lossy(&checked.stderr));
        }
        let bodies = curl(&done);
        let bodies =
            bodies.lines().filter_map(|l| l.split_once("-d '{")).map(|(_, b)| format!("{{{}", b.trim_end_matches('\'')));
        let bodies: Vec<String> = bodies.collect();
        assert_eq!(bodies.len(), 3);
        for body in bodies {
            serde_json::from_str::<serde_json::Value>(&body).unwrap_or_else(|e| panic!("{e} in {body}"));
        }
    }
}
