//! JSONPath, as far as columns, scales and selectable fields of custom resources use it: members, indices, wildcards and filters.

use serde_json::Value;

#[derive(Debug, PartialEq)]
enum Step {
    Member(String),
    Index(i64),
    Every,
    /// `[?(@.type=="Ready")]`: path, operator and what it is compared with; without an operator, whether there is something.
    Filter(Vec<Step>, &'static str, Value),
}

/// The values that a path such as `.status.conditions[?(@.type=="Ready")].status` finds; none if it cannot be read.
#[must_use]
pub fn find<'a>(path: &str, value: &'a Value) -> Vec<&'a Value> {
    let path = path.trim().trim_start_matches('{').trim_end_matches('}');
    parse(path).map_or_else(Vec::new, |steps| follow(&steps, value))
}

fn follow<'a>(steps: &[Step], value: &'a Value) -> Vec<&'a Value> {
    let mut found = vec![value];
    for step in steps {
        found = found.into_iter().flat_map(|value| next(step, value)).collect();
    }
    found
}

fn next<'a>(step: &Step, value: &'a Value) -> Vec<&'a Value> {
    let all = |value: &'a Value| -> Vec<&'a Value> {
        match value {
            Value::Array(items) => items.iter().collect(),
            Value::Object(members) => members.values().collect(),
            _ => Vec::new(),
        }
    };
    match step {
        Step::Member(name) => value.get(name).into_iter().collect(),
        Step::Every => all(value),
        Step::Index(index) => {
            let items = value.as_array().map_or(&[][..], Vec::as_slice);
            let from_end = usize::try_from(index.unsigned_abs()).ok().and_then(|i| items.len().checked_sub(i));
            let at = if *index < 0 { from_end } else { usize::try_from(*index).ok() };
            at.and_then(|at| items.get(at)).into_iter().collect()
        }
        Step::Filter(path, operator, with) => all(value)
            .into_iter()
            .filter(|item| match follow(path, item).first() {
                None => false,
                Some(found) => holds(found, operator, with),
            })
            .collect(),
    }
}

fn holds(found: &Value, operator: &str, with: &Value) -> bool {
    use std::cmp::Ordering;
    let order = match (found, with) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (a, b) => (a == b).then_some(Ordering::Equal),
    };
    match operator {
        "==" => order == Some(Ordering::Equal),
        "!=" => order != Some(Ordering::Equal),
        "<" => order == Some(Ordering::Less),
        ">" => order == Some(Ordering::Greater),
        "<=" => order.is_some_and(Ordering::is_le),
        ">=" => order.is_some_and(Ordering::is_ge),
        _ => true,
    }
}

/// `None` if it is no path, or one that descends to any depth (`..`), which columns may not.
fn parse(path: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = path.trim().trim_start_matches('$');
    while !rest.is_empty() {
        if rest.starts_with("..") {
            return None;
        }
        if let Some(inside) = rest.strip_prefix('[') {
            let end = closing(inside)?;
            steps.push(bracket(inside.get(..end)?.trim())?);
            rest = inside.get(end + 1..)?;
        } else {
            let (name, after) = member(rest.strip_prefix('.').unwrap_or(rest));
            match name.as_str() {
                // `.[0]`, and the `.` that means the object itself.
                "" if after.len() < rest.len() => {}
                "" => return None,
                "*" => steps.push(Step::Every),
                _ => steps.push(Step::Member(name)),
            }
            rest = after;
        }
    }
    Some(steps)
}

/// A name up to the next dot or bracket that is not escaped, and what follows.
fn member(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => name.extend(characters.next().map(|(_, c)| c)),
            '.' | '[' => return (name, text.get(at..).unwrap_or_default()),
            c => name.push(c),
        }
    }
    (name, "")
}

/// Where the bracket ends, seen past quotes and brackets inside.
fn closing(text: &str) -> Option<usize> {
    let (mut quote, mut depth) = (None, 0_usize);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(at),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

fn unquoted(text: &str) -> Option<&str> {
    ['\'', '"'].into_iter().find_map(|q| text.strip_prefix(q)?.strip_suffix(q))
}

fn bracket(inside: &str) -> Option<Step> {
    if inside == "*" {
        return Some(Step::Every);
    }
    if let Some(name) = unquoted(inside) {
        return Some(Step::Member(name.replace("\\.", ".")));
    }
    let Some(filter) = inside.strip_prefix("?(").and_then(|f| f.strip_suffix(')')) else {
        return inside.parse().ok().map(Step::Index);
    };
    let operators = ["==", "!=", "<=", ">=", "<", ">"];
    let at =
        operators.iter().filter_map(|o| Some((filter.find(o)?, *o))).min_by_key(|(at, o)| (*at, std::cmp::Reverse(o.len())));
    let (path, operator, with) = match at {
        None => (filter, "", Value::Null),
        Some((at, operator)) => {
            let with = filter.get(at + operator.len()..)?.trim();
            let with = match unquoted(with) {
                Some(text) => Value::String(text.to_owned()),
                None => serde_json::from_str(with).ok()?,
            };
            (filter.get(..at)?, operator, with)
        }
    };
    Some(Step::Filter(parse(path.trim().strip_prefix('@')?)?, operator, with))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_find_what_they_name() {
        let value = json!({
            "metadata": {"labels": {"app.kubernetes.io/name": "web"}},
            "spec": {"ports": [{"port": 80}, {"port": 443}], "replicas": 2},
            "status": {"conditions": [{"type": "Synced", "status": "False"}, {"type": "Ready", "status": "True"}]},
        });
        for (path, found) in [
            (".spec.replicas", vec![json!(2)]),
            ("{.spec.replicas}", vec![json!(2)]),
            ("$.spec.replicas", vec![json!(2)]),
            ("spec.replicas", vec![json!(2)]),
            (".spec.ports[0].port", vec![json!(80)]),
            (".spec.ports[-1].port", vec![json!(443)]),
            (".spec.ports[*].port", vec![json!(80), json!(443)]),
            (".spec.ports[?(@.port>100)].port", vec![json!(443)]),
            (".spec['replicas']", vec![json!(2)]),
            (".metadata.labels.app\\.kubernetes\\.io/name", vec![json!("web")]),
            (".metadata.labels['app.kubernetes.io/name']", vec![json!("web")]),
            (".status.conditions[?(@.type==\"Ready\")].status", vec![json!("True")]),
            (".status.conditions[?(@.type == 'Ready')].status", vec![json!("True")]),
            (".status.conditions[?(@.type!='Ready')].type", vec![json!("Synced")]),
            (".status.conditions[?(@.missing)].type", vec![]),
            (".status.missing.deep", vec![]),
            (".spec.ports[9]", vec![]),
            (".spec.ports[-9]", vec![]),
        ] {
            assert_eq!(find(path, &value), found.iter().collect::<Vec<_>>(), "{path}");
        }
        for path in ["[", ".a[", ".a[?(@.b==c)]", ".a]]", "..", ".é[?(", "[?()]", ".a[99999999999999999999]"] {
            assert!(find(path, &value).is_empty(), "{path}");
        }
    }
}
