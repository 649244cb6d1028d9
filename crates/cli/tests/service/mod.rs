//! A small service that answers what each test needs, and the binary in a home of its own.

// Each test binary uses a part of this.
#![allow(dead_code)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

const BOATYARD: &str = env!("CARGO_BIN_EXE_boatyard");
pub const ACCOUNT: &str = "0123456789abcdef0123456789abcdef";

type Answers = dyn Fn(&str, usize) -> (u16, Vec<u8>) + Send + Sync;

/// Answers `POST /identity/token` and the account list by itself; everything else is for the test.
pub struct Service {
    pub address: SocketAddr,
    /// Request lines in the order of their arrival.
    pub seen: Arc<Mutex<Vec<String>>>,
    pub home: TempDir,
}

impl Service {
    /// `answers` gets the request line and how many equal ones came before it.
    pub fn start(answers: impl Fn(&str, usize) -> (u16, Value) + Send + Sync + 'static) -> Self {
        Self::start_raw(move |line, n| {
            let (status, body) = answers(line, n);
            (status, body.to_string().into_bytes())
        })
    }

    pub fn start_raw(answers: impl Fn(&str, usize) -> (u16, Vec<u8>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answers): (_, Arc<Answers>) = (seen.clone(), Arc::new(answers));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answers) = (log.clone(), answers.clone());
                thread::spawn(move || serve(stream, &log, answers.as_ref()));
            }
        });
        Self { address, seen, home: tempfile::tempdir().expect("a temporary directory") }
    }

    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(BOATYARD);
        command.args(line.split_whitespace()).stdin(Stdio::null());
        command.env_clear().env("BOATYARD_HOME", self.home.path()).env("HOME", self.home.path());
        command.env("KUBECONFIG", self.home.path().join("kubeconfig"));
        command
    }

    pub fn run(&self, line: &str) -> (i32, String, String) {
        read(self.command(line).output().expect("it runs"))
    }

    pub fn login(&self) {
        let (code, out, err) = self.run(&format!("login -a http://{} --apikey key", self.address));
        assert_eq!(code, 0, "{out}{err}");
    }

    pub fn count(&self, line: &str) -> usize {
        self.seen.lock().expect("no panic").iter().filter(|l| *l == line).count()
    }
}

pub fn read(output: Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<String>>, answers: &Answers) {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    let whole = |text: &str| {
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
        let length = head.lines().filter_map(|l| l.split_once(": ")).find(|(n, _)| n.eq_ignore_ascii_case("content-length"));
        body.len() >= length.and_then(|(_, v)| v.parse().ok()).unwrap_or(0)
    };
    while !whole(&text) {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(n) => text.push_str(&String::from_utf8_lossy(&buffer[..n])),
        }
    }
    let line = text.split(" HTTP/").next().unwrap_or_default().to_owned();
    let before = {
        let mut log = log.lock().expect("no panic");
        log.push(line.clone());
        log.iter().filter(|l| **l == line).count() - 1
    };
    let (status, body) = match line.as_str() {
        "POST /identity/token" => (200, token(before + 1)),
        "POST /identity/revoke" => (200, Vec::new()),
        "GET /coe/v2/accounts" => (200, accounts()),
        _ => answers(&line, before),
    };
    let head = format!("HTTP/1.1 {status} Answer\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    let _ = stream.write_all(format!("{head}content-type: application/json\r\n\r\n").as_bytes());
    let _ = stream.write_all(&body);
}

fn token(n: usize) -> Vec<u8> {
    use base64::Engine as _;
    let claims = json!({"email": "ada@example.com", "account": {"bss": ACCOUNT}, "jti": n}).to_string();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims);
    let body = json!({"access_token": format!("e30.{claims}.sig"), "refresh_token": format!("rt-{n}"), "expires_in": 3600,
                      "delegated_refresh_token": "delegated", "token_type": "Bearer"});
    body.to_string().into_bytes()
}

fn accounts() -> Vec<u8> {
    let account = json!({"metadata": {"guid": ACCOUNT, "url": format!("/coe/v2/accounts/{ACCOUNT}")},
                         "entity": {"name": "Ada's Account", "state": "ACTIVE", "organizations_region": [], "members": [],
                                    "linkages": [], "bluemix_subscriptions": [], "promotions": [], "tags": [],
                                    "terms_and_conditions": {}}});
    json!({"next_url": null, "total_results": 1, "resources": [account]}).to_string().into_bytes()
}

pub fn cluster(state: &str) -> Value {
    json!({"id": "c1", "name": "mine", "state": state, "status": "", "lifecycle": {"masterStatus": "Deploy in progress"}})
}
