//! Rules of what makes pods.

use serde_json::{Value, json};

use super::{is_nothing, selects, unchanged};
use crate::object::{array, number, text};
use crate::status::Cause;

/// Selectors of workloads: there, not empty, of the template's labels, and as they were.
pub(super) fn check_selecting(kind: &str, old: Option<&Value>, new: &Value, causes: &mut Vec<Cause>) {
    let selector = &new["spec"]["selector"];
    let labels = &new["spec"]["template"]["metadata"]["labels"];
    if new["spec"].is_null() {
        causes.push(Cause::required("spec.selector", ""));
    } else if selector.is_object() && is_nothing(selector.get("matchLabels")) && is_nothing(selector.get("matchExpressions")) {
        causes.push(Cause::invalid("spec.selector", selector, &format!("empty selector is invalid for {kind}")));
    } else if selector.is_object() && !selects(selector, labels) {
        let labels = if labels.is_null() { &json!({}) } else { labels };
        causes.push(Cause::invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"));
    }
    always_restarted(new, causes);
    if let Some(old) = old {
        unchanged(old, new, &["/spec/selector"], causes);
    }
}

fn always_restarted(new: &Value, causes: &mut Vec<Cause>) {
    let template = &new["spec"]["template"]["spec"];
    let policy = text(template, "/restartPolicy");
    if !matches!(policy, "" | "Always") {
        causes.push(Cause::unsupported("spec.template.spec.restartPolicy", &json!(policy), &["Always"]));
    }
    if template["activeDeadlineSeconds"].is_number() {
        let why = "activeDeadlineSeconds in ReplicaSet is not Supported";
        causes.push(Cause::forbidden("spec.template.spec.activeDeadlineSeconds", why));
    }
}

/// A number, or a percentage of `of`, as far as it is one.
fn is_zero(value: &Value) -> bool {
    value.as_i64() == Some(0) || value.as_str() == Some("0%")
}

fn check_share(value: &Value, path: &str, causes: &mut Vec<Cause>) {
    if let Some(number) = value.as_i64().filter(|n| *n < 0) {
        causes.push(Cause::invalid(path, &json!(number), "must be greater than or equal to 0"));
    }
    if let Some(share) = value.as_str()
        && !share.strip_suffix('%').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    {
        let why = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
        causes.push(Cause::invalid(path, value, why));
    }
}

pub(super) fn check_deployment(new: &Value, causes: &mut Vec<Cause>) {
    let strategy = &new["spec"]["strategy"];
    let rolling = &strategy["rollingUpdate"];
    if text(strategy, "/type") == "Recreate" && rolling.is_object() {
        let why = "may not be specified when strategy `type` is 'Recreate'";
        causes.push(Cause::forbidden("spec.strategy.rollingUpdate", why));
    }
    for field in ["maxUnavailable", "maxSurge"] {
        check_share(&rolling[field], &format!("spec.strategy.rollingUpdate.{field}"), causes);
    }
    if is_zero(&rolling["maxUnavailable"]) && is_zero(&rolling["maxSurge"]) {
        let why = "may not be 0 when `maxSurge` is 0";
        causes.push(Cause::invalid("spec.strategy.rollingUpdate.maxUnavailable", &rolling["maxUnavailable"], why));
    }
    let (deadline, ready) = (number(new, "/spec/progressDeadlineSeconds"), number(new, "/spec/minReadySeconds").unwrap_or(0));
    if let Some(deadline) = deadline.filter(|deadline| (0..=ready).contains(deadline)) {
        let why = "must be greater than minReadySeconds";
        causes.push(Cause::invalid("spec.progressDeadlineSeconds", &json!(deadline), why));
    }
}

pub(super) fn check_daemon_set(new: &Value, causes: &mut Vec<Cause>) {
    let rolling = &new["spec"]["updateStrategy"]["rollingUpdate"];
    for field in ["maxUnavailable", "maxSurge"] {
        check_share(&rolling[field], &format!("spec.updateStrategy.rollingUpdate.{field}"), causes);
    }
    if rolling.is_object() && is_zero(&rolling["maxUnavailable"]) && is_zero(&rolling["maxSurge"]) {
        let why = "cannot be 0 when maxSurge is 0";
        causes.push(Cause::invalid("spec.updateStrategy.rollingUpdate.maxUnavailable", &rolling["maxUnavailable"], why));
    }
}

/// What can be changed of a StatefulSet.
const MUTABLE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

pub(super) fn check_stateful_set(old: Option<&Value>, new: &Value, causes: &mut Vec<Cause>) {
    let policy = &new["spec"]["podManagementPolicy"];
    if !matches!(policy.as_str(), None | Some("OrderedReady" | "Parallel")) {
        causes.push(Cause::invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'"));
    }
    let kind = &new["spec"]["updateStrategy"]["type"];
    if !matches!(kind.as_str(), None | Some("RollingUpdate" | "OnDelete")) {
        causes.push(Cause::invalid(
            "spec.updateStrategy",
            &new["spec"]["updateStrategy"],
            "must be 'RollingUpdate' or 'OnDelete'",
        ));
    }
    // Containers mount what the claims of the set become as well.
    let claims: Vec<String> = array(new, "/spec/volumeClaimTemplates")
        .iter()
        .map(|claim| format!("Not found: {}", claim["metadata"]["name"]))
        .collect();
    causes.retain(|cause| cause.reason != "FieldValueNotFound" || !claims.contains(&cause.message));
    let Some(old) = old else { return };
    let fixed = |value: &Value| {
        let mut spec = value["spec"].clone();
        if let Value::Object(members) = &mut spec {
            MUTABLE.iter().for_each(|field| drop(members.remove(*field)));
        }
        spec
    };
    if fixed(old) != fixed(new) {
        let (last, others) = MUTABLE.split_last().unwrap_or((&"", &[]));
        let others = others.iter().map(|field| format!("'{field}'")).collect::<Vec<_>>().join(", ");
        let why = format!("updates to statefulset spec for fields other than {others} and '{last}' are forbidden");
        causes.push(Cause::forbidden("spec", &why));
    }
}

pub(super) fn check_job(old: Option<&Value>, new: &Value, causes: &mut Vec<Cause>) {
    check_job_spec(&new["spec"], "spec", causes);
    let Some(old) = old else { return };
    let resumes = old["spec"]["suspend"] == true;
    unchanged(
        old,
        new,
        &["/spec/selector", "/spec/completionMode", "/spec/podFailurePolicy", "/spec/backoffLimitPerIndex"],
        causes,
    );
    if text(new, "/spec/completionMode") != "Indexed" {
        unchanged(old, new, &["/spec/completions"], causes);
    }
    // A job that has not begun may be scheduled elsewhere.
    let relaxed = |value: &Value| {
        let mut template = value["spec"]["template"].clone();
        if resumes && let Some(Value::Object(spec)) = template.get_mut("spec") {
            ["nodeSelector", "tolerations", "affinity", "schedulingGates"].iter().for_each(|field| drop(spec.remove(*field)));
        }
        if resumes && let Some(Value::Object(metadata)) = template.get_mut("metadata") {
            ["labels", "annotations"].iter().for_each(|field| drop(metadata.remove(*field)));
        }
        template
    };
    if relaxed(old) != relaxed(new) {
        causes.push(Cause::invalid("spec.template", &new["spec"]["template"], "field is immutable"));
    }
}

fn check_job_spec(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    let policy = text(spec, "/template/spec/restartPolicy");
    let field = format!("{path}.template.spec.restartPolicy");
    match policy {
        "OnFailure" | "Never" => {}
        "" => causes.push(Cause::required(field, "valid values: \"OnFailure\", \"Never\"")),
        _ => causes.push(Cause::unsupported(field, &json!(policy), &["OnFailure", "Never"])),
    }
    if text(spec, "/completionMode") == "Indexed" && spec["completions"].is_null() {
        causes.push(Cause::required(format!("{path}.completions"), "when completion mode is Indexed"));
    }
    let (selector, labels) = (&spec["selector"], &spec["template"]["metadata"]["labels"]);
    if selector.is_object() && !selects(selector, labels) {
        let path = format!("{path}.template.metadata.labels");
        causes.push(Cause::invalid(path, labels, "`selector` does not match template `labels`"));
    }
}

pub(super) fn check_cron_job(new: &Value, causes: &mut Vec<Cause>) {
    check_job_spec(&new["spec"]["jobTemplate"]["spec"], "spec.jobTemplate.spec", causes);
    let schedule = text(new, "/spec/schedule");
    if schedule.contains("TZ=") {
        let why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        causes.push(Cause::invalid("spec.schedule", &json!(schedule), why));
    } else if !schedule.is_empty()
        && let Err(why) = check_schedule(schedule)
    {
        causes.push(Cause::invalid("spec.schedule", &json!(schedule), &why));
    }
    if let Some(zone) = new["spec"]["timeZone"].as_str() {
        if zone.is_empty() {
            causes.push(Cause::invalid("spec.timeZone", &json!(""), "timeZone must be nil or non-empty string"));
        } else if zone.eq_ignore_ascii_case("local") {
            causes.push(Cause::invalid(
                "spec.timeZone",
                &json!(zone),
                "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
            ));
        } else if jiff::tz::TimeZone::get(zone).is_err() {
            causes.push(Cause::invalid("spec.timeZone", &json!(zone), &format!("unknown time zone {zone}")));
        }
    }
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Five fields, or one of the words for common ones.
fn check_schedule(schedule: &str) -> Result<(), String> {
    if let Some(word) = schedule.strip_prefix('@') {
        let known = ["yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly"].contains(&word);
        let every = word.strip_prefix("every ").is_some_and(|every| every.parse::<jiff::SignedDuration>().is_ok());
        return if known || every { Ok(()) } else { Err(format!("unrecognized descriptor: {schedule}")) };
    }
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    if fields.len() != 5 {
        let told = fields.join(" ");
        return Err(format!("expected exactly 5 fields, found {}: [{told}]", fields.len()));
    }
    let bounds: [(u32, u32, &[&str]); 5] = [(0, 59, &[]), (0, 23, &[]), (1, 31, &[]), (1, 12, &MONTHS), (0, 6, &DAYS)];
    fields.iter().zip(bounds).try_for_each(|(field, (least, most, names))| {
        field.split(',').try_for_each(|range| check_range(range, least, most, names))
    })
}

fn check_range(range: &str, least: u32, most: u32, names: &[&str]) -> Result<(), String> {
    let (span, step) = range.split_once('/').map_or((range, None), |(span, step)| (span, Some(step)));
    let number = |text: &str| {
        let name = text.to_lowercase();
        if let Some(at) = names.iter().position(|known| *known == name) {
            return Ok(u32::try_from(at).unwrap_or_default() + least);
        }
        text.parse::<u32>()
            .map_err(|_| format!("failed to parse int from {text}: strconv.Atoi: parsing \"{text}\": invalid syntax"))
    };
    if let Some(step) = step
        && number(step)? == 0
    {
        return Err(format!("step of range should be a positive number: {range}"));
    }
    if matches!(span, "*" | "?") {
        return Ok(());
    }
    let (from, to) = match span.split_once('-') {
        Some((from, to)) => (number(from)?, number(to)?),
        None => (number(span)?, number(span)?),
    };
    if from < least {
        return Err(format!("beginning of range ({from}) below minimum ({least}): {range}"));
    }
    if to > most {
        return Err(format!("end of range ({to}) above maximum ({most}): {range}"));
    }
    if from > to {
        return Err(format!("beginning of range ({from}) beyond end of range ({to}): {range}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_five_fields_or_a_word() {
        for schedule in ["* * * * *", "*/5 0-23 1,15 jan-mar MON", "@daily", "@every 1h", "0 0 1 1 0", "? * * * 1-5/2"] {
            assert_eq!(check_schedule(schedule), Ok(()), "{schedule}");
        }
        for (schedule, why) in [
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("a * * * *", "failed to parse int from a: strconv.Atoi: parsing \"a\": invalid syntax"),
            ("@never", "unrecognized descriptor: @never"),
        ] {
            assert_eq!(check_schedule(schedule), Err(why.to_owned()));
        }
    }
}
