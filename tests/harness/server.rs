//! A server of the test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use reqwest::blocking::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::{Answer, Request, array, escape, text};
use super::violations::Violations;
use super::{APIKEY, BX, wait};

/// A running `boatyard serve` with its own data folder; both are gone when it is dropped.
#[derive(Debug)]
pub struct Server {
    process: Process,
    pub data_dir: PathBuf,
    /// `https://127.0.0.1:PORT`.
    pub endpoint: String,
    pub ca_file: PathBuf,
    pub administrator: User,
    client: Client,
    builder: Builder,
    /// What is wrong with its answers.
    pub violations: Violations,
    _folder: TempDir,
}

/// Somebody who can log in.
#[derive(Clone, Debug)]
pub struct User {
    pub account_id: String,
    pub iam_id: Option<String>,
    pub username: String,
    /// Federated users have none.
    pub password: Option<String>,
    pub apikey: String,
}

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Builder {
    listen: String,
    pace: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Builder {
    /// `instant`, `fast` or `real`.
    pub fn pace(mut self, pace: &str) -> Self {
        self.pace = pace.to_owned();
        self
    }

    /// Further arguments of `boatyard serve`.
    pub fn args<const N: usize>(mut self, arguments: [&str; N]) -> Self {
        self.arguments.extend(arguments.map(str::to_owned));
        self
    }

    /// A further variable of the server's environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn start(self) -> Server {
        let folder = tempfile::Builder::new().prefix("boatyard-e2e-").tempdir().expect("a temporary folder");
        let data_dir = folder.path().join("data");
        let (process, credentials, client) = Process::start(&self, folder.path(), &data_dir);
        let endpoint = text(&credentials, "/endpoint").to_owned();
        let ca_file = PathBuf::from(text(&credentials, "/ca_file"));
        let administrator = User::from(&credentials);
        // A restart keeps the address, as it would for a user.
        let builder = Builder { listen: host(&endpoint).to_owned(), ..self };
        let violations = Violations::in_folder(folder.path());
        Server { process, data_dir, endpoint, ca_file, administrator, client, builder, violations, _folder: folder }
    }
}

impl Server {
    pub fn builder() -> Builder {
        let listen = "127.0.0.1:0".to_owned();
        Builder { listen, pace: "instant".to_owned(), arguments: Vec::new(), environment: Vec::new() }
    }

    pub fn start() -> Server {
        Self::builder().start()
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        host(&self.endpoint)
    }

    /// The same port without TLS.
    pub fn plain_endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// `instant`, `fast` or `real`.
    pub fn pace(&self) -> &str {
        &self.builder.pace
    }

    pub fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// Everything the server has printed since it was first started.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Sends a request over HTTPS, trusting only the server's own authority.
    #[track_caller]
    pub fn send(&self, request: Request) -> Answer {
        self.try_send(&request).unwrap_or_else(|e| panic!("{request}: {e}"))
    }

    #[track_caller]
    pub fn try_send(&self, request: &Request) -> Result<Answer, reqwest::Error> {
        let answer = exchange(&self.client, &self.endpoint, request);
        self.violations.check();
        answer
    }

    /// Sends a request over plain HTTP on the same port.
    #[track_caller]
    pub fn send_plain(&self, request: Request) -> Answer {
        let answer = exchange(&self.client, &self.plain_endpoint(), &request);
        self.violations.check();
        answer.unwrap_or_else(|e| panic!("{request}: {e}"))
    }

    /// `POST /identity/token` with an `Authorization` header and these fields.
    #[track_caller]
    pub fn grant(&self, authorization: Option<&str>, fields: &[(&str, &str)]) -> Answer {
        let request = Request::post("/identity/token").header("Accept", "application/json").form(fields);
        self.send(match authorization {
            Some(value) => request.header("Authorization", value),
            None => request,
        })
    }

    /// The token answer to an API-key login as client `bx`.
    #[track_caller]
    pub fn login(&self, user: &User) -> Value {
        self.grant(Some(BX), &[("grant_type", APIKEY), ("apikey", &user.apikey)]).json(200)
    }

    /// A fresh access token for `user`.
    #[track_caller]
    pub fn token(&self, user: &User) -> String {
        text(&self.login(user), "/access_token").to_owned()
    }

    /// A one-time passcode for somebody who has a refresh token of client `bx`.
    #[track_caller]
    pub fn passcode(&self, refresh_token: &str) -> String {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token), ("response_type", "cloud_iam")];
        let answer = self.send(Request::post("/identity/passcode").header("Authorization", BX).form(&fields));
        text(&answer.json(200), "/passcode").to_owned()
    }

    /// A new account with an owner who can log in by password and by API key.
    #[track_caller]
    pub fn account(&self, name: &str) -> User {
        self.new_account(&json!({
            "name": name, "username": format!("{name}@example.com"), "given_name": "Test", "family_name": "User",
        }))
    }

    /// A new account whose owner logs in through an identity provider elsewhere.
    #[track_caller]
    pub fn federated_account(&self, name: &str) -> User {
        self.new_account(&json!({
            "name": name, "username": format!("{name}@example.com"), "given_name": "Test", "family_name": "User", "federated": true,
        }))
    }

    #[track_caller]
    fn new_account(&self, body: &Value) -> User {
        let answer = self.administrate(Request::post("/_boatyard/accounts").json(body));
        assert!(matches!(answer.status, 200 | 201), "{}: {}", answer.of, answer.text());
        let mut user = answer.try_json().expect("JSON");
        user["username"] = user.get("username").cloned().unwrap_or_else(|| body["username"].clone());
        User::from(&user)
    }

    /// Sends a request as the administrator, with a token that is surely fresh.
    #[track_caller]
    pub fn administrate(&self, request: Request) -> Answer {
        let token = self.token(&self.administrator);
        self.send(request.bearer(&token))
    }

    /// Moves the server's clock forward.
    #[track_caller]
    pub fn advance_clock(&self, seconds: u64) -> Value {
        self.administrate(Request::post("/_boatyard/clock").json(&json!({ "advance_seconds": seconds }))).json(200)
    }

    /// How often an operation of the contract was answered, whatever the status, by the server's own metrics.
    #[track_caller]
    pub fn answered(&self, operation: &str) -> u64 {
        self.metric("boatyard_requests_total", &[("operation", operation)])
    }

    /// The sum over all series of a metric that carry these labels.
    #[track_caller]
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let answer = self.send(Request::get("/_boatyard/metrics"));
        let page = answer.expect(200).text();
        let series = page.lines().filter(|l| l.starts_with(&format!("{name}{{")));
        let wanted = series.filter(|l| labels.iter().all(|(n, v)| l.contains(&format!("{n}=\"{v}\""))));
        wanted.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
    }

    /// The body of a request for a VPC cluster with one worker in the account's default network.
    #[track_caller]
    pub fn vpc_order(&self, token: &str, name: &str) -> Value {
        let (vpc, zone, subnet) = self.vpc_place(token);
        json!({
            "name": name, "provider": "vpc-gen2", "kubeVersion": "",
            "workerPool": {
                "name": "default", "flavor": "bx2.4x16", "workerCount": 1, "vpcID": vpc,
                "zones": [{ "id": zone, "subnetID": subnet }],
            },
        })
    }

    /// VPC, zone and subnet that every account is given.
    #[track_caller]
    pub fn vpc_place(&self, token: &str) -> (String, String, String) {
        let (vpc, zones) = self.vpc_zones(token);
        (vpc, text(&zones[0], "/id").to_owned(), text(&zones[0], "/subnetID").to_owned())
    }

    /// The VPC that every account is given, and its zones with a subnet each, as a worker pool names them.
    #[track_caller]
    pub fn vpc_zones(&self, token: &str) -> (String, Vec<Value>) {
        let vpcs = self.send(Request::get("/global/v2/vpc/getVPCs?provider=vpc-gen2").bearer(token)).json(200);
        let vpc = text(&vpcs, "/0/id").to_owned();
        let zones = array(&vpcs[0]["zones"]).iter().map(|zone| {
            let zone = zone.as_str().expect("a zone's ID");
            let path = format!("/global/v2/vpc/getSubnets?provider=vpc-gen2&vpc={}&zone={}", escape(&vpc), escape(zone));
            let subnets = self.send(Request::get(path).bearer(token)).json(200);
            json!({ "id": zone, "subnetID": text(&subnets, "/0/id") })
        });
        let zones = zones.collect();
        (vpc, zones)
    }

    /// The body of a request for a classic cluster with one worker on the account's VLANs.
    #[track_caller]
    pub fn classic_order(&self, token: &str, name: &str) -> Value {
        let (public, private) = self.vlans(token);
        json!({
            "name": name, "dataCenter": DATA_CENTER, "machineType": "b3c.4x16", "isolation": "public", "workerNum": 1,
            "publicVlan": public, "privateVlan": private, "masterVersion": "", "diskEncryption": true,
        })
    }

    /// The public and the private VLAN of [`DATA_CENTER`].
    #[track_caller]
    pub fn vlans(&self, token: &str) -> (String, String) {
        let path = format!("/global/v1/datacenters/{DATA_CENTER}/vlans");
        let vlans = self.send(Request::get(path).bearer(token)).json(200);
        let of = |kind: &str| {
            let vlan = array(&vlans).iter().find(|v| v["type"] == kind);
            vlan.unwrap_or_else(|| panic!("no {kind} VLAN in {vlans:#}"))["id"].as_str().expect("an ID").to_owned()
        };
        (of("public"), of("private"))
    }

    /// Creates a VPC cluster and returns its ID.
    #[track_caller]
    pub fn create_vpc(&self, token: &str, name: &str) -> String {
        let order = self.vpc_order(token, name);
        let answer = self.send(Request::post("/global/v2/vpc/createCluster").bearer(token).json(&order));
        text(&answer.json(201), "/clusterID").to_owned()
    }

    /// Creates a classic cluster and returns its ID.
    #[track_caller]
    pub fn create_classic(&self, token: &str, name: &str) -> String {
        let order = self.classic_order(token, name);
        let answer = self.send(Request::post("/global/v1/clusters").bearer(token).json(&order));
        text(&answer.json(201), "/id").to_owned()
    }

    /// The provider-neutral details of a cluster.
    #[track_caller]
    pub fn cluster(&self, token: &str, id_or_name: &str) -> Value {
        let path = format!("/global/v2/getCluster?cluster={}", escape(id_or_name));
        self.send(Request::get(path).bearer(token)).json(200)
    }

    /// Waits until a cluster is `normal` and returns its details.
    #[track_caller]
    pub fn normal(&self, token: &str, id_or_name: &str) -> Value {
        wait::until(&format!("cluster {id_or_name} to be normal"), wait::PATIENCE, || {
            let cluster = self.cluster(token, id_or_name);
            match cluster["state"] == "normal" {
                true => Ok(cluster),
                false => Err(format!("state {}", cluster["state"])),
            }
        })
    }

    /// Waits until a cluster answers 404.
    #[track_caller]
    pub fn gone(&self, token: &str, id: &str) {
        wait::until(&format!("cluster {id} to be gone"), wait::PATIENCE, || {
            let answer = self.send(Request::get(format!("/global/v2/getCluster?cluster={id}")).bearer(token));
            match answer.status {
                404 => Ok(()),
                status => Err(format!("status {status}: {}", answer.text())),
            }
        });
    }

    /// Ends the process at once, as a power failure would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts the killed server again, on the same data and the same address.
    pub fn start_again(&mut self) {
        let folder = self.data_dir.parent().expect("the data folder has a parent").to_owned();
        let (process, _, client) = Process::start(&self.builder, &folder, &self.data_dir);
        self.process = process;
        self.client = client;
    }

    /// Sends SIGTERM, as a service manager does.
    pub fn terminate(&self) {
        let status = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.pid())]).status().expect("sh runs");
        assert!(status.success(), "SIGTERM could not be sent");
    }

    /// Closes the server's standard input, as the end of the process that started it would.
    pub fn orphan(&mut self) {
        drop(self.process.child.stdin.take());
    }

    /// Waits for the process to end by itself.
    #[track_caller]
    pub fn exit_status(&mut self) -> ExitStatus {
        let child = &mut self.process.child;
        wait::until("the server to end", wait::PATIENCE, || {
            child.try_wait().expect("the process can be asked").ok_or_else(|| "still running".to_owned())
        })
    }
}

/// A classic data center in which every account has a pair of VLANs.
pub const DATA_CENTER: &str = "dal10";

/// The server that tests share which only need one: each works in an account of its own. It lives as long as anybody uses it.
pub fn shared() -> Arc<Server> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    shared.upgrade().unwrap_or_else(|| {
        let server = Arc::new(Server::start());
        *shared = Arc::downgrade(&server);
        server
    })
}

impl From<&Value> for User {
    #[track_caller]
    fn from(value: &Value) -> Self {
        let optional = |pointer| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        Self {
            account_id: text(value, "/account_id").to_owned(),
            iam_id: optional("/iam_id"),
            username: text(value, "/username").to_owned(),
            password: optional("/password").filter(|p| !p.is_empty()),
            apikey: text(value, "/apikey").to_owned(),
        }
    }
}

/// The process, with its output in a file.
#[derive(Debug)]
struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    fn start(builder: &Builder, folder: &Path, data_dir: &Path) -> (Self, Value, Client) {
        let log = folder.join("server.log");
        let output = fs::OpenOptions::new().create(true).append(true).open(&log).expect("the log can be opened");
        let mut command = Command::new(super::boatyard::PATH);
        super::boatyard::clean(&mut command, folder);
        Violations::in_folder(folder).listed_by(&mut command);
        command
            .args(["serve", "--listen", &builder.listen, "--data-dir"])
            .arg(data_dir)
            .args(["--pace", &builder.pace, "--log-format", "json", "--die-with-stdin"])
            .args(&builder.arguments)
            .envs(builder.environment.iter().map(|(n, v)| (n, v)))
            .stdin(Stdio::piped())
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output);
        let child = command.spawn().expect("boatyard can be started");
        let mut process = Self { child, log };
        let (credentials, client) = process.ready(data_dir);
        (process, credentials, client)
    }

    /// Waits until the server answers with the certificate its own credentials file names.
    fn ready(&mut self, data_dir: &Path) -> (Value, Client) {
        wait::until("the server to answer", wait::PATIENCE, || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("boatyard serve ended with {status}:\n{}", self.log());
            }
            let file = fs::read_to_string(data_dir.join("credentials.json")).map_err(|e| format!("credentials.json: {e}"))?;
            let credentials: Value = serde_json::from_str(&file).map_err(|e| format!("credentials.json: {e}: {file}"))?;
            let (Some(endpoint), Some(ca_file)) = (credentials["endpoint"].as_str(), credentials["ca_file"].as_str()) else {
                panic!("credentials.json lacks endpoint or ca_file");
            };
            let client = client(Path::new(ca_file))?;
            let health = exchange(&client, endpoint, &Request::get("/_boatyard/health")).map_err(|e| e.to_string())?;
            match health.status {
                200 => Ok((credentials, client)),
                status => Err(format!("health answers {status}: {}", health.text())),
            }
        })
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(40)..];
            eprintln!("--- last lines of the server's log ---\n{}\n---", last.join("\n"));
        }
    }
}

/// A client that trusts only this authority and follows no redirect.
fn client(ca_file: &Path) -> Result<Client, String> {
    let pem = fs::read(ca_file).map_err(|e| format!("{}: {e}", ca_file.display()))?;
    let authority = reqwest::Certificate::from_pem(&pem).map_err(|e| format!("{}: {e}", ca_file.display()))?;
    let client = Client::builder()
        .tls_certs_only([authority])
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(Duration::from_secs(60));
    client.build().map_err(|e| e.to_string())
}

fn exchange(client: &Client, endpoint: &str, request: &Request) -> Result<Answer, reqwest::Error> {
    let mut outgoing = client.request(request.method.clone(), format!("{endpoint}{}", request.path));
    for (name, value) in &request.headers {
        outgoing = outgoing.header(name, value);
    }
    if let Some(body) = &request.body {
        outgoing = outgoing.body(body.clone());
    }
    let response = outgoing.send()?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer { status, headers, body: response.bytes()?.to_vec(), of: request.to_string() })
}

fn host(endpoint: &str) -> &str {
    endpoint.split_once("://").map_or(endpoint, |(_, host)| host).trim_end_matches('/')
}
