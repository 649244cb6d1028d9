//! `boatyard fault`: what is to go wrong.

use std::time::Duration;

use boatyard_sdk::Session;
use clap::Subcommand;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::output::{self, Common};
use crate::time;

const FAULTS: &str = "/_boatyard/faults";
const SCENARIOS: &str = "/_boatyard/scenarios";
/// Effects that take no further options than a message or a version.
const EFFECTS: [&str; 8] = [
    "session-ended",
    "refresh-token-expired",
    "expired-kubeconfig",
    "worker-provision-failed",
    "worker-critical",
    "worker-stuck",
    "master-deploy-failed",
    "version-unsupported",
];

const EXAMPLES: &str = "\
Examples:
  boatyard fault add --operation VpcCreateCluster --status 504 --after --times 1
  boatyard fault add --operation 'containers/*' --code G0002 --probability 50 --for 10m
  boatyard fault add --operation CreateToken --latency 2s
  boatyard fault add --cluster mine --drop
  boatyard fault add --effect worker-provision-failed --cluster mine --pool default --times 1
  boatyard fault add --effect version-unsupported --version 1.34";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add a fault
    Add(Box<AddArgs>),
    /// List the faults; one that ended stays listed for an hour
    #[command(visible_alias = "list")]
    Ls(Common),
    /// Remove a fault
    Rm {
        /// ID of the fault, such as f-7k2q
        id: String,
        #[command(flatten)]
        common: Common,
    },
    /// Remove all faults
    Clear(Common),
    /// Start a scenario, or list them with `ls`
    Scenario(ScenarioArgs),
}

#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES, group = clap::ArgGroup::new("what").required(true).multiple(true).args(
    ["status", "code", "latency", "drop", "effect"]
))]
pub struct AddArgs {
    /// Operation to strike: an operationId, service/operationId or 'service/*'; may be repeated
    #[arg(long = "operation", value_name = "ID")]
    operations: Vec<String>,
    /// Strike only what names this cluster, by ID or name
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: Option<String>,
    /// Strike only what names this worker pool, by ID or name
    #[arg(short = 'p', long, value_name = "POOL")]
    pool: Option<String>,
    /// Strike only this worker, by ID
    #[arg(short = 'w', long, value_name = "WORKER")]
    worker: Option<String>,
    /// Answer with this HTTP status; without a code, 502 to 504 are HTML pages
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(400..=599), conflicts_with_all = ["latency", "drop", "effect"])]
    status: Option<u16>,
    /// Answer with this error code of the service, such as G0002 or BXNIM0408E
    #[arg(long, value_name = "CODE", conflicts_with_all = ["latency", "drop", "effect"])]
    code: Option<String>,
    /// Text of the error, instead of the service's
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["latency", "drop", "effect"])]
    description: Option<String>,
    /// Tell the client to wait so long (Retry-After)
    #[arg(long, value_name = "TIME", value_parser = time::seconds, conflicts_with_all = ["latency", "drop", "effect"])]
    retry_after: Option<i64>,
    /// Answer so much later
    #[arg(long, value_name = "TIME", value_parser = time::duration, conflicts_with_all = ["drop", "effect"])]
    latency: Option<Duration>,
    /// Close the connection without an answer
    #[arg(long, conflicts_with = "effect")]
    drop: bool,
    /// Strike after the work was done, so that only the answer is lost
    #[arg(long, conflicts_with_all = ["latency", "effect"])]
    after: bool,
    /// Another effect, on tokens or on the lifecycle of clusters
    #[arg(long, value_name = "EFFECT", value_parser = EFFECTS)]
    effect: Option<String>,
    /// Status message for a failed worker or master, instead of the service's
    #[arg(long, value_name = "TEXT", requires = "effect")]
    message: Option<String>,
    /// Version for the effect version-unsupported
    #[arg(long, value_name = "VERSION", requires = "effect")]
    version: Option<String>,
    /// How often to strike; without limit if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    times: Option<i64>,
    /// Chance in percent to strike what matches
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(i64).range(1..=100))]
    probability: Option<i64>,
    /// Begin so much later
    #[arg(long, value_name = "TIME", value_parser = time::seconds)]
    delay: Option<i64>,
    /// End so long after the beginning
    #[arg(long = "for", value_name = "TIME", value_parser = time::seconds)]
    lasting: Option<i64>,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Args, Debug)]
pub struct ScenarioArgs {
    /// Name of the scenario; `ls` lists them
    #[arg(value_name = "NAME")]
    name: String,
    /// Strike only what names this cluster, by ID or name
    #[arg(short = 'c', long, value_name = "CLUSTER")]
    cluster: Option<String>,
    /// Strike only this worker pool, by ID or name
    #[arg(short = 'p', long, value_name = "POOL")]
    pool: Option<String>,
    /// Strike only this worker, by ID
    #[arg(short = 'w', long, value_name = "WORKER")]
    worker: Option<String>,
    /// How often to strike, instead of the scenario's number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    times: Option<i64>,
    /// Begin so much later, instead of when the scenario does; 0s begins at once
    #[arg(long, value_name = "TIME", value_parser = time::duration)]
    delay: Option<Duration>,
    /// End so long after the beginning
    #[arg(long = "for", value_name = "TIME", value_parser = time::seconds)]
    lasting: Option<i64>,
    #[command(flatten)]
    common: Common,
}

pub async fn run(command: Command) -> Result<(), Failure> {
    let session = Session::load()?;
    match command {
        Command::Add(args) => {
            let fault = session.call_path(Method::POST, FAULTS, Some(&order(&args)?)).await?;
            added(&[fault], &args.common, false)
        }
        Command::Ls(common) => list(&session, &common).await,
        Command::Rm { id, common } => {
            session.call_path(Method::DELETE, &format!("{FAULTS}/{}", escaped(&id)), None::<&Value>).await?;
            common.ok()?;
            if common.is_json() { output::json(&json!({ "id": id, "removed": 1 })) } else { Ok(()) }
        }
        Command::Clear(common) => {
            let answer = session.call_path(Method::DELETE, FAULTS, None::<&Value>).await?;
            common.ok()?;
            if common.is_json() {
                return output::json(&answer);
            }
            common.remark(&match answer["removed"].as_i64().unwrap_or(0) {
                0 => "There were no faults.".to_owned(),
                1 => "One fault was removed.".to_owned(),
                removed => format!("{removed} faults were removed."),
            })
        }
        Command::Scenario(args) if args.name == "ls" || args.name == "list" => scenarios(&session, &args.common).await,
        Command::Scenario(args) => {
            let faults = session.call_path(Method::POST, SCENARIOS, Some(&scenario_order(&args))).await?;
            added(faults.as_array().map(Vec::as_slice).unwrap_or_default(), &args.common, true)
        }
    }
}

/// What the server takes: members without a value are left out.
fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let given = members.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(given.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

fn order(args: &AddArgs) -> Result<Value, Failure> {
    let when = args.after.then_some("after");
    let effect = if let Some(effect) = &args.effect {
        if (effect == "version-unsupported") != args.version.is_some() {
            let next = "Give both `--effect version-unsupported` and `--version VERSION`, or neither.";
            return Err(Failure::usage("A version goes with the effect version-unsupported.", next));
        }
        object([("kind", json!(effect)), ("message", json!(args.message)), ("version", json!(args.version))])
    } else if let Some(latency) = args.latency {
        json!({ "kind": "latency", "ms": u64::try_from(latency.as_millis()).unwrap_or(u64::MAX) })
    } else if args.drop {
        object([("kind", json!("drop")), ("when", json!(when))])
    } else {
        object([
            ("kind", json!("http-error")),
            ("status", json!(args.status)),
            ("code", json!(args.code)),
            ("description", json!(args.description)),
            ("retry_after", json!(args.retry_after)),
            ("when", json!(when)),
        ])
    };
    let target = object([
        ("operations", json!(args.operations)),
        ("cluster", json!(args.cluster)),
        ("pool", json!(args.pool)),
        ("worker", json!(args.worker)),
    ]);
    Ok(object([
        ("target", target),
        ("effect", effect),
        ("times", json!(args.times)),
        ("probability", json!(args.probability)),
        ("delay_seconds", json!(args.delay)),
        ("for_seconds", json!(args.lasting)),
    ]))
}

fn scenario_order(args: &ScenarioArgs) -> Value {
    object([
        ("name", json!(args.name)),
        ("cluster", json!(args.cluster)),
        ("pool", json!(args.pool)),
        ("worker", json!(args.worker)),
        ("times", json!(args.times)),
        ("delay_seconds", json!(args.delay.map(|delay| delay.as_secs()))),
        ("for_seconds", json!(args.lasting)),
    ])
}

/// An ID as it may stand in a path; a real one has nothing that must not.
fn escaped(id: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~');
    id.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn added(faults: &[Value], common: &Common, many: bool) -> Result<(), Failure> {
    if common.is_json() {
        return if many { output::json(&faults) } else { output::json(&faults.first()) };
    }
    common.ok()?;
    output::print(&table(faults))?;
    common.remark("To end it, run 'boatyard fault rm ID' or 'boatyard fault clear'.")
}

async fn list(session: &Session, common: &Common) -> Result<(), Failure> {
    let faults = session.call_path(Method::GET, FAULTS, None::<&Value>).await?;
    if common.is_json() {
        return output::json(&faults);
    }
    common.ok()?;
    output::print(&table(faults.as_array().map(Vec::as_slice).unwrap_or_default()))
}

fn table(faults: &[Value]) -> String {
    let header = ["ID", "State", "Effect", "Target", "Hits", "Chance", "Starts", "Ends", "Scenario"];
    output::table(header, faults.iter().map(row).collect())
}

fn row(fault: &Value) -> [String; 9] {
    let text = |pointer: &str| fault.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let hits = match &fault["times"] {
        Value::Null => fault["hits"].to_string(),
        times => format!("{}/{times}", fault["hits"]),
    };
    [
        text("/id"),
        text("/state"),
        effect(&fault["effect"]),
        target(&fault["target"]),
        hits,
        format!("{}%", fault["probability"]),
        text("/starts_at"),
        text("/expires_at"),
        text("/scenario"),
    ]
}

/// `504 after the work`, `409 E0007`, `latency 2000 ms`, `worker-stuck`.
fn effect(effect: &Value) -> String {
    let text = |name: &str| effect[name].as_str().unwrap_or_default();
    let after = if text("when") == "after" { " after the work" } else { "" };
    match text("kind") {
        "http-error" => {
            let code = text("code");
            format!("{}{}{code}{after}", effect["status"], if code.is_empty() { "" } else { " " })
        }
        "latency" => format!("latency {} ms", effect["ms"]),
        "version-unsupported" => format!("version-unsupported {}", text("version")),
        kind => format!("{kind}{after}"),
    }
}

fn target(target: &Value) -> String {
    let operations = target["operations"].as_array().map(Vec::as_slice).unwrap_or_default();
    let operations: Vec<_> = operations.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let named = ["cluster", "pool", "worker"];
    let named = named.iter().filter_map(|what| Some(format!("{what} {}", target[*what].as_str()?)));
    let parts: Vec<_> = operations.into_iter().chain(named).collect();
    if parts.is_empty() { "all".to_owned() } else { parts.join(", ") }
}

async fn scenarios(session: &Session, common: &Common) -> Result<(), Failure> {
    let scenarios = session.call_path(Method::GET, SCENARIOS, None::<&Value>).await?;
    if common.is_json() {
        return output::json(&scenarios);
    }
    common.ok()?;
    let text = |scenario: &Value, name: &str| scenario[name].as_str().unwrap_or_default().to_owned();
    let rows = scenarios.as_array().into_iter().flatten().map(|s| [text(s, "name"), text(s, "summary")]);
    output::print(&output::table(["Name", "What happens"], rows.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_strikes_and_where() {
        let fault = json!({
            "id": "f-7k2q", "state": "active", "hits": 1, "times": 3, "probability": 50, "starts_at": "2026-01-01T00:00:00.000Z",
            "target": { "operations": ["containers/GetClusters"], "cluster": "mine" },
            "effect": { "kind": "http-error", "status": 500, "code": "G0002", "when": "after" },
        });
        let expected = [
            "f-7k2q",
            "active",
            "500 G0002 after the work",
            "containers/GetClusters, cluster mine",
            "1/3",
            "50%",
            "2026-01-01T00:00:00.000Z",
            "",
            "",
        ];
        assert_eq!(row(&fault), expected.map(str::to_owned));
    }

    #[test]
    fn effects_are_short() {
        let cases = [
            (json!({ "kind": "http-error", "status": 504, "when": "before" }), "504"),
            (json!({ "kind": "latency", "ms": 2000 }), "latency 2000 ms"),
            (json!({ "kind": "drop", "when": "after" }), "drop after the work"),
            (json!({ "kind": "version-unsupported", "version": "1.34" }), "version-unsupported 1.34"),
            (json!({ "kind": "worker-stuck" }), "worker-stuck"),
        ];
        for (given, expected) in cases {
            assert_eq!(effect(&given), expected);
        }
    }
}
