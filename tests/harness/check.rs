//! Whether an answer is a refusal in the form of its service. Every check says what is wrong instead of panicking, so that a
//! table can report all its rows at once.

use serde_json::Value;

use super::Answer;

/// The services, by the form of their errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// `/identity/…` and `/coe/…`.
    Iam,
    /// `/global/…`.
    Containers,
}

/// Checks a refusal: its status, its code (a prefix; empty for any) and the body form of `service`.
pub fn refusal(answer: &Answer, service: Service, status: u16, code: &str) -> Result<(), String> {
    let found = match service {
        Service::Iam => iam_form(answer),
        Service::Containers => containers_form(answer),
    };
    if answer.status != status {
        return Err(format!("status {}, expected {status}: {}", answer.status, answer.text()));
    }
    let found = found?;
    match found.starts_with(code) {
        true => Ok(()),
        false => Err(format!("code {found}, expected {code}: {}", answer.text())),
    }
}

/// The error form of the token service; answers its code. What clients rely on: `errorCode` a non-empty string (without it
/// Terraform takes the refusal for a success), `errorDetails` text or absent, `context` all text, a JSON media type, no
/// empty `errors` (the Go SDK indexes its first element).
pub fn iam_form(answer: &Answer) -> Result<String, String> {
    let body = json_object(answer)?;
    let code = string(&body, "errorCode")?;
    let digits = code.strip_prefix("BXNIM").and_then(|c| c.strip_suffix('E')).unwrap_or_default();
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("errorCode {code} is not BXNIM, four digits, E"));
    }
    if string(&body, "errorMessage")?.is_empty() {
        return Err("errorMessage is empty".to_owned());
    }
    if body.get("errorDetails").is_some_and(|d| !d.is_string()) {
        return Err(format!("errorDetails is not text: {}", body["errorDetails"]));
    }
    let context = body.get("context").and_then(Value::as_object).ok_or("context is no object")?;
    if let Some((name, value)) = context.iter().find(|(_, v)| !v.is_string()) {
        return Err(format!("context.{name} is not text: {value}"));
    }
    if context.get("requestId").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err("context.requestId is missing".to_owned());
    }
    Ok(code)
}

/// The error form of the container service; answers its code.
pub fn containers_form(answer: &Answer) -> Result<String, String> {
    let body = json_object(answer)?;
    if string(&body, "incidentID")?.is_empty() {
        return Err("incidentID is empty".to_owned());
    }
    let code = string(&body, "code")?;
    let (letter, rest) = code.split_at_checked(1).unwrap_or_default();
    if !"AEG".contains(letter) || !(4..=5).contains(&rest.len()) || !rest.bytes().all(|b| b"0123456789abcdef".contains(&b)) {
        return Err(format!("code {code} is not A, E or G and four or five hexadecimal digits"));
    }
    if string(&body, "description")?.is_empty() {
        return Err("description is empty".to_owned());
    }
    for member in ["type", "recoveryCLI", "terseDescription"] {
        match body.get(member) {
            None if member == "type" => return Err("type is missing".to_owned()),
            None => {}
            Some(Value::String(text)) if !text.is_empty() => {}
            Some(other) => return Err(format!("{member} is {other}; empty members are left out")),
        }
    }
    Ok(code)
}

fn json_object(answer: &Answer) -> Result<Value, String> {
    if answer.status >= 500 && answer.status != 501 {
        return Err(format!("a client's mistake became status {}: {}", answer.status, answer.text()));
    }
    if !answer.content_type().starts_with("application/json") {
        return Err(format!("content type {:?}: {}", answer.content_type(), answer.text()));
    }
    let body = answer.try_json()?;
    if !body.is_object() {
        return Err(format!("the body is no object: {body}"));
    }
    if body.get("errors").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        return Err("an empty 'errors' array makes the Go SDK panic".to_owned());
    }
    Ok(body)
}

fn string(body: &Value, member: &str) -> Result<String, String> {
    let found = body.get(member).and_then(Value::as_str).map(str::to_owned);
    found.ok_or_else(|| format!("{member} is missing or not text: {body}"))
}

/// Runs every row of a table and reports all that fail.
#[track_caller]
pub fn table<R>(rows: impl IntoIterator<Item = (&'static str, R)>, mut check: impl FnMut(R) -> Result<(), String>) {
    let failures: Vec<_> =
        rows.into_iter().filter_map(|(name, row)| Some(format!("  {name}: {}", check(row).err()?))).collect();
    assert!(failures.is_empty(), "{} rows fail:\n{}", failures.len(), failures.join("\n"));
}
