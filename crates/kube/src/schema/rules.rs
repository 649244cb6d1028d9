//! Rules in CEL, which custom resources have to keep: `x-kubernetes-validations`.
//!
//! What is evaluated is the language itself with its extensions for texts, lists and numbers. A rule that calls one of the functions that
//! Kubernetes adds (`quantity`, `url`, `ip`, `format` and their like) is taken as kept.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cel::objects::{Key, Map};
use cel::{Context, Env, ExecutionError, Program, Value as Cel, extensions};
use serde_json::{Value, json};

use super::{Known, Place, child};
use crate::status::Cause;
use crate::types::{Rule, Type};

/// A rule that goes through lists within lists may take so many steps.
const STEPS: usize = 1_000_000;

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    for extension in [extensions::strings, extensions::lists, extensions::math, extensions::encoders] {
        // What is declared twice stays as it was first.
        let _ = env.add_extension(extension);
    }
    Arc::new(env)
});

/// Whether a rule can be read.
///
/// # Errors
///
/// Why it cannot be.
pub(crate) fn compile(rule: &str) -> Result<Program, String> {
    ENV.compile(rule).map_err(|e| e.to_string())
}

/// What breaks its rules. `old` is what the value replaces.
pub(super) fn check(value: &Value, old: Option<&Value>, place: Place, path: &str, causes: &mut Vec<Cause>) {
    if place.typed {
        return;
    }
    if !place.schema.validations.is_empty() && !value.is_null() {
        let this = convert(value, place);
        let before = old.map(|old| convert(old, place));
        let longest = longest(value);
        for rule in &place.schema.validations {
            causes.extend(broken(rule, value, &this, before.as_ref(), longest, path, place.schema));
        }
    }
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if let Known::As(schema) = place.member(name) {
                    let old = old.and_then(|old| old.get(name));
                    check(value, old, place.within(schema), &child(path, name), causes);
                }
            }
        }
        Value::Array(items) => {
            let Some(of) = &place.schema.items else { return };
            for (at, item) in items.iter().enumerate() {
                let old = old.and_then(|old| same_item(item, old, place.schema));
                check(item, old, place.within(of), &format!("{path}[{at}]"), causes);
            }
        }
        _ => {}
    }
}

/// The item of a former list that an item of a map is the successor of. Items of other lists have none.
fn same_item<'a>(item: &Value, old: &'a Value, schema: &Type) -> Option<&'a Value> {
    if schema.list_type != "map" {
        return None;
    }
    old.as_array()?.iter().find(|old| schema.list_map_keys.iter().all(|key| old.get(key) == item.get(key)))
}

fn broken(
    rule: &Rule,
    value: &Value,
    this: &Cel,
    before: Option<&Cel>,
    longest: usize,
    path: &str,
    schema: &Type,
) -> Option<Cause> {
    // A rule that cannot be read was refused with its definition.
    let program = rule.program.get_or_init(|| compile(&rule.rule).ok()).as_ref()?;
    if before.is_none() && program.references().has_variable("oldSelf") {
        return None;
    }
    let kind = json!(schema.kind);
    let told = if rule.message.is_empty() { rule.rule.trim() } else { rule.message.trim() };
    if longest.max(1).checked_pow(nesting(&rule.rule)).is_none_or(|steps| steps > STEPS) {
        let why = format!("no further validation rules will be run due to call cost exceeds limit for rule: {told}");
        return Some(Cause::invalid(path, &kind, &why));
    }
    let mut context = Context::with_env(ENV.clone());
    context.add_variable_from_value("self", this.clone());
    if let Some(before) = before {
        context.add_variable_from_value("oldSelf", before.clone());
    }
    match program.execute(&context) {
        Ok(Cel::Bool(true)) => None,
        Ok(Cel::Bool(false)) => Some(refusal(rule, &message(rule, &context), path, value)),
        // What is missing is a fault of the value; what the evaluator does not know is not.
        Err(why @ (ExecutionError::NoSuchKey(_) | ExecutionError::IndexOutOfBounds(_) | ExecutionError::DivisionByZero(_))) => {
            let why = match why {
                ExecutionError::NoSuchKey(key) => format!("no such key: {key} evaluating rule: {told}"),
                other => format!("{other} evaluating rule: {told}"),
            };
            Some(Cause::invalid(path, &kind, &why))
        }
        Ok(_) | Err(_) => None,
    }
}

fn message(rule: &Rule, context: &Context) -> String {
    if !rule.message_expression.is_empty()
        && let Ok(program) = compile(&rule.message_expression)
        && let Ok(Cel::String(text)) = program.execute(context)
        && !text.trim().is_empty()
        && !text.contains('\n')
    {
        return text.trim().to_owned();
    }
    if rule.message.is_empty() { format!("failed rule: {}", rule.rule.trim()) } else { rule.message.trim().to_owned() }
}

/// Lists and objects are not shown.
fn refusal(rule: &Rule, message: &str, path: &str, value: &Value) -> Cause {
    let is_scalar = !value.is_object() && !value.is_array();
    let field = match rule.field_path.as_str() {
        "" => path.to_owned(),
        below if path.is_empty() => below.trim_start_matches('.').to_owned(),
        below => format!("{path}{below}"),
    };
    match rule.reason.as_str() {
        "FieldValueForbidden" => Cause::forbidden(field, message),
        "FieldValueRequired" => Cause::required(field, message),
        "FieldValueDuplicate" if is_scalar => Cause::duplicate(field, value),
        "FieldValueDuplicate" => Cause::new("FieldValueDuplicate", field, "Duplicate value"),
        _ if is_scalar => Cause::invalid(field, value, message),
        _ => Cause::new("FieldValueInvalid", field, format!("Invalid value: {message}")),
    }
}

/// How many lists within lists a rule goes through at most.
fn nesting(rule: &str) -> u32 {
    const MACROS: [&str; 8] = [".all", ".exists", ".exists_one", ".existsOne", ".map", ".filter", ".flatten", ".sortBy"];
    let (mut open, mut now, mut most) = (Vec::new(), 0, 0);
    for (at, c) in rule.char_indices() {
        match c {
            '(' => {
                let before = rule.get(..at).unwrap_or_default().trim_end();
                let goes_through = MACROS.iter().any(|name| before.ends_with(name));
                open.push(goes_through);
                now += u32::from(goes_through);
                most = most.max(now);
            }
            ')' => now -= u32::from(open.pop().unwrap_or(false)),
            _ => {}
        }
    }
    most
}

/// The length of the longest list or map in a value.
fn longest(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(longest).max().unwrap_or(0).max(items.len()),
        Value::Object(members) => members.values().map(longest).max().unwrap_or(0).max(members.len()),
        _ => 0,
    }
}

/// The place of what no schema tells of.
fn anything() -> Place<'static> {
    static ANYTHING: LazyLock<Type> = LazyLock::new(Type::default);
    Place { schema: &ANYTHING, typed: true }
}

/// A value as rules see it: of the types that its schema says.
fn convert(value: &Value, place: Place) -> Cel {
    let schema = place.schema;
    match value {
        Value::Null => Cel::Null,
        Value::Bool(flag) => Cel::Bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) if schema.kind != "number" => Cel::Int(whole),
            _ => Cel::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => convert_text(text, &schema.format),
        Value::Array(items) => {
            let within = match &schema.items {
                Some(of) => place.within(of),
                None => anything(),
            };
            let item = |item| convert(item, within);
            Cel::List(Arc::new(items.iter().map(item).collect()))
        }
        Value::Object(members) => {
            let convert_member = |(name, value): (&String, &Value)| {
                let within = match place.member(name) {
                    Known::As(of) => place.within(of),
                    Known::Anything | Known::No => anything(),
                };
                let declared = schema.properties.contains_key(name);
                let key = if declared { escaped(name) } else { name.clone() };
                (Key::from(key), convert(value, within))
            };
            let map: HashMap<Key, Cel> = members.iter().map(convert_member).collect();
            Cel::Map(Map { map: Arc::new(map) })
        }
    }
}

fn convert_text(text: &str, format: &str) -> Cel {
    match format {
        "date-time" => match chrono::DateTime::parse_from_rfc3339(text) {
            Ok(time) => Cel::Timestamp(time),
            Err(_) => Cel::from(text),
        },
        "duration" => match text.parse::<jiff::SignedDuration>() {
            Ok(span) => {
                Cel::Duration(chrono::Duration::milliseconds(i64::try_from(span.as_millis()).unwrap_or(i64::MAX / 1_000)))
            }
            Err(_) => Cel::from(text),
        },
        _ => Cel::from(text),
    }
}

/// Names of fields that are none of identifiers, as rules write them.
fn escaped(name: &str) -> String {
    const RESERVED: [&str; 21] = [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ];
    if RESERVED.contains(&name) {
        return format!("__{name}__");
    }
    name.replace("__", "__underscores__").replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__")
}
