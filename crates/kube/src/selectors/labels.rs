//! Label selectors: their grammar, and what labels they match.

use std::fmt;

use serde_json::{Map, Value};

use crate::object::text;
use crate::status::Status;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equals,
    DoubleEquals,
    NotEquals,
    In,
    NotIn,
    Exists,
    DoesNotExist,
    GreaterThan,
    LessThan,
}

/// One condition on the labels of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

/// Conditions on labels, all of which have to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
    /// A selector that is not there selects nothing, while an empty one selects everything.
    nothing: bool,
}

impl LabelSelector {
    /// Reads `a=b,c!=d,e in (x,y),f notin (z),g,!h,i>1`. 400 if it cannot be read.
    pub fn parse(selector: &str) -> Result<Self, Status> {
        let requirements = Parser { tokens: tokens(selector), at: 0 }.parse().map_err(Status::bad_request)?;
        Ok(Self::sorted(requirements))
    }

    /// The selector that a `LabelSelector` object (`matchLabels`, `matchExpressions`) means. `null` selects nothing. The error says what is
    /// wrong with it.
    pub fn of(value: &Value) -> Result<Self, String> {
        if value.is_null() {
            return Ok(Self { requirements: Vec::new(), nothing: true });
        }
        let mut requirements = Vec::new();
        for (key, value) in value["matchLabels"].as_object().into_iter().flatten() {
            requirements.push(requirement(key, Operator::Equals, vec![value.as_str().unwrap_or_default().to_owned()])?);
        }
        for expression in value["matchExpressions"].as_array().into_iter().flatten() {
            let operator = match text(expression, "/operator") {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => return Err(format!("{other:?} is not a valid label selector operator")),
            };
            let values = expression["values"].as_array().into_iter().flatten();
            let values = values.filter_map(Value::as_str).map(str::to_owned).collect();
            requirements.push(requirement(text(expression, "/key"), operator, values)?);
        }
        Ok(Self::sorted(requirements))
    }

    /// The selector of a Service or a ReplicationController, which is a map of labels. Values are taken as they are.
    #[must_use]
    pub fn of_labels(labels: &Map<String, Value>) -> Self {
        let one = |(key, value): (&String, &Value)| Requirement {
            key: key.clone(),
            operator: Operator::Equals,
            values: vec![value.as_str().unwrap_or_default().to_owned()],
        };
        Self::sorted(labels.iter().map(one).collect())
    }

    fn sorted(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Self { requirements, nothing: false }
    }

    /// Whether it selects everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty() && !self.nothing
    }

    #[must_use]
    pub fn matches(&self, labels: Option<&Map<String, Value>>) -> bool {
        let label = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
        !self.nothing && self.requirements.iter().all(|requirement| requirement.matches(label(&requirement.key)))
    }
}

impl Requirement {
    fn matches(&self, label: Option<&str>) -> bool {
        let listed = label.is_some_and(|label| self.values.iter().any(|value| value == label));
        let compared = || Some((label?.parse::<i64>().ok()?, self.values.first()?.parse::<i64>().ok()?));
        match self.operator {
            Operator::Equals | Operator::DoubleEquals | Operator::In => listed,
            Operator::NotEquals | Operator::NotIn => !listed,
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
            Operator::GreaterThan => compared().is_some_and(|(a, b)| a > b),
            Operator::LessThan => compared().is_some_and(|(a, b)| a < b),
        }
    }
}

/// As scales tell their selector, and as it can be parsed again.
impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Requirement { key, operator, values }) in self.requirements.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            let mut values = values.clone();
            values.sort();
            let values = values.join(",");
            match operator {
                Operator::Equals => write!(f, "{comma}{key}={values}"),
                Operator::DoubleEquals => write!(f, "{comma}{key}=={values}"),
                Operator::NotEquals => write!(f, "{comma}{key}!={values}"),
                Operator::In => write!(f, "{comma}{key} in ({values})"),
                Operator::NotIn => write!(f, "{comma}{key} notin ({values})"),
                Operator::Exists => write!(f, "{comma}{key}"),
                Operator::DoesNotExist => write!(f, "{comma}!{key}"),
                Operator::GreaterThan => write!(f, "{comma}{key}>{values}"),
                Operator::LessThan => write!(f, "{comma}{key}<{values}"),
            }?;
        }
        Ok(())
    }
}

fn requirement(key: &str, operator: Operator, values: Vec<String>) -> Result<Requirement, String> {
    let mut errors = Vec::new();
    if let Some(wrong) = wrong_key(key) {
        errors.push(format!("key: Invalid value: {key:?}: {wrong}"));
    }
    match operator {
        Operator::In | Operator::NotIn if values.is_empty() => {
            errors.push("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty".to_owned());
        }
        Operator::Exists | Operator::DoesNotExist if !values.is_empty() => {
            errors.push(format!("values: Invalid value: {values:?}: values set must be empty for exists and does not exist"));
        }
        Operator::GreaterThan | Operator::LessThan => {
            for (i, value) in values.iter().enumerate().filter(|(_, value)| value.parse::<i64>().is_err()) {
                errors.push(format!(
                    "values[{i}]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value must be an integer"
                ));
            }
        }
        _ => {}
    }
    for (i, value) in values.iter().enumerate() {
        if let Some(wrong) = wrong_value(value) {
            errors.push(format!("values[{i}][{key}]: Invalid value: {value:?}: {wrong}"));
        }
    }
    match errors.as_slice() {
        [] => Ok(Requirement { key: key.to_owned(), operator, values }),
        [one] => Err(one.clone()),
        several => Err(format!("[{}]", several.join(", "))),
    }
}

const NAME: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const CHARACTERS: &str =
    "consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

fn is_name(name: &str) -> bool {
    let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let inner = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let bytes = name.as_bytes();
    ends(bytes.first()) && ends(bytes.last()) && bytes.iter().all(inner)
}

fn is_subdomain(name: &str) -> bool {
    let ends = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let label = |label: &str| {
        let bytes = label.as_bytes();
        let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
        ends(bytes.first()) && ends(bytes.last()) && bytes.iter().all(inner)
    };
    name.split('.').all(label)
}

/// What is wrong with the key of a label.
fn wrong_key(key: &str) -> Option<String> {
    let pattern =
        format!("must {CHARACTERS} (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{NAME}')");
    let mut errors = Vec::new();
    let name = match key.split('/').collect::<Vec<_>>().as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                errors.push("prefix part must be non-empty".to_owned());
            } else if prefix.len() > 253 {
                errors.push("prefix part must be no more than 253 bytes".to_owned());
            } else if !is_subdomain(prefix) {
                errors.push(
                    "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
                     start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
                     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
                        .to_owned(),
                );
            }
            *name
        }
        _ => {
            return Some(format!(
                "a valid label key {pattern} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ));
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        errors.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is_name(name) {
        errors.push(format!("name part {pattern}"));
    }
    (!errors.is_empty()).then(|| errors.join("; "))
}

/// What is wrong with the value of a label.
fn wrong_value(value: &str) -> Option<String> {
    let mut errors = Vec::new();
    if value.len() > 63 {
        errors.push("must be no more than 63 bytes".to_owned());
    }
    if !value.is_empty() && !is_name(value) {
        errors.push(format!(
            "a valid label must be an empty string or {CHARACTERS} (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
             validation is '({NAME})?')"
        ));
    }
    (!errors.is_empty()).then(|| errors.join("; "))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    /// Everything that is no symbol, `in` and `notin` included.
    Word(&'a str),
    Symbol(&'static str),
}

impl<'a> Token<'a> {
    fn literal(self) -> &'a str {
        match self {
            Token::Word(literal) | Token::Symbol(literal) => literal,
        }
    }
}

const SYMBOLS: [&str; 9] = ["==", "!=", "=", "!", "(", ")", ",", "<", ">"];

fn ends_word(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '=' | '!' | '(' | ')' | ',' | '<' | '>')
}

fn tokens(mut rest: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        if rest.is_empty() {
            return tokens;
        }
        let symbol = SYMBOLS.iter().find_map(|symbol| Some((Token::Symbol(symbol), rest.strip_prefix(symbol)?)));
        let (token, after) = symbol.unwrap_or_else(|| {
            let (word, after) = rest.split_at(rest.find(ends_word).unwrap_or(rest.len()));
            (Token::Word(word), after)
        });
        tokens.push(token);
        rest = after;
    }
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.at).copied()
    }

    fn next(&mut self) -> Option<Token<'a>> {
        self.at += 1;
        self.tokens.get(self.at - 1).copied()
    }

    fn parse(mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        loop {
            match self.peek() {
                None => return Ok(requirements),
                Some(Token::Word(_) | Token::Symbol("!")) => {}
                Some(other) => {
                    return Err(format!("found '{}', expected: !, identifier, or 'end of string'", other.literal()));
                }
            }
            requirements.push(self.requirement().map_err(|e| format!("unable to parse requirement: {e}"))?);
            match (self.next(), self.peek()) {
                (None, _) => return Ok(requirements),
                (Some(Token::Symbol(",")), Some(Token::Word(_) | Token::Symbol("!"))) => {}
                (Some(Token::Symbol(",")), other) => {
                    return Err(format!("found '{}', expected: identifier after ','", literal(other)));
                }
                (other, _) => return Err(format!("found '{}', expected: ',' or 'end of string'", literal(other))),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let negated = self.peek() == Some(Token::Symbol("!"));
        if negated {
            self.next();
        }
        let key = match self.next() {
            Some(Token::Word(key)) => key,
            other => return Err(format!("found '{}', expected: identifier", literal(other))),
        };
        if let Some(wrong) = wrong_key(key) {
            return Err(format!("<nil>: Invalid value: {key:?}: {wrong}"));
        }
        if negated {
            return requirement(key, Operator::DoesNotExist, Vec::new());
        }
        if matches!(self.peek(), None | Some(Token::Symbol(","))) {
            return requirement(key, Operator::Exists, Vec::new());
        }
        let operator = match self.next() {
            Some(Token::Word("in")) => Operator::In,
            Some(Token::Word("notin")) => Operator::NotIn,
            Some(Token::Symbol("=")) => Operator::Equals,
            Some(Token::Symbol("==")) => Operator::DoubleEquals,
            Some(Token::Symbol("!=")) => Operator::NotEquals,
            Some(Token::Symbol(">")) => Operator::GreaterThan,
            Some(Token::Symbol("<")) => Operator::LessThan,
            other => return Err(format!("found '{}', expected: in, notin, =, ==, !=, gt, lt", literal(other))),
        };
        let values = match operator {
            Operator::In | Operator::NotIn => self.values()?,
            _ => vec![self.value()?],
        };
        requirement(key, operator, values)
    }

    fn value(&mut self) -> Result<String, String> {
        if matches!(self.peek(), None | Some(Token::Symbol(","))) {
            return Ok(String::new());
        }
        match self.next() {
            Some(Token::Word(value)) => Ok(value.to_owned()),
            other => Err(format!("found '{}', expected: identifier", literal(other))),
        }
    }

    /// `(x,y)`, in which values may be empty.
    fn values(&mut self) -> Result<Vec<String>, String> {
        match self.next() {
            Some(Token::Symbol("(")) => {}
            other => return Err(format!("found '{}' expected: '('", literal(other))),
        }
        let mut values = vec![String::new()];
        loop {
            match (self.next(), values.last_mut()) {
                (Some(Token::Word(value)), Some(last)) if last.is_empty() => value.clone_into(last),
                (Some(Token::Symbol(",")), _) => values.push(String::new()),
                (Some(Token::Symbol(")")), _) => break,
                (other, Some(last)) if last.is_empty() => {
                    return Err(format!("found '{}', expected: ',', ')' or identifier", literal(other)));
                }
                (other, _) => return Err(format!("found '{}', expected: ',' or ')'", literal(other))),
            }
        }
        values.sort();
        values.dedup();
        Ok(values)
    }
}

fn literal(token: Option<Token<'_>>) -> &str {
    token.map_or("", Token::literal)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_are_selected_as_the_grammar_says() {
        let labels = json!({"app": "web", "tier": "front", "empty": "", "rank": "5"});
        for (selector, matches) in [
            ("", true),
            ("app=web", true),
            ("app==web,tier=front", true),
            ("app = web , tier != back", true),
            ("app!=web", false),
            ("missing!=x", true),
            ("app in (web,db)", true),
            ("app in (db)", false),
            ("app notin (db, cache)", true),
            ("missing notin (db)", true),
            ("missing in (db)", false),
            ("app", true),
            ("!app", false),
            ("!missing", true),
            ("empty=", true),
            ("empty in ()", true),
            ("empty in (,x)", true),
            ("rank>4", true),
            ("rank>5", false),
            ("rank<6,app", true),
            ("app>1", false),
            ("app in (in, notin, web)", true),
        ] {
            let parsed = LabelSelector::parse(selector).unwrap();
            assert_eq!(parsed.matches(labels.as_object()), matches, "{selector}");
            assert_eq!(LabelSelector::parse(&parsed.to_string()).unwrap(), parsed, "{selector}");
        }
        assert!(!LabelSelector::parse("app=web").unwrap().matches(None));
    }

    #[test]
    fn what_cannot_be_read_is_told_as_clients_know_it() {
        for (selector, message) in [
            ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
            ("a,", "found '', expected: identifier after ','"),
            (",a", "found ',', expected: !, identifier, or 'end of string'"),
            ("a=b c", "found 'c', expected: ',' or 'end of string'"),
            ("a in b", "unable to parse requirement: found 'b' expected: '('"),
            ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
            ("!", "unable to parse requirement: found '', expected: identifier"),
            (
                "a>b",
                "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must be an integer",
            ),
        ] {
            let error = LabelSelector::parse(selector).unwrap_err();
            assert_eq!((error.code, error.message.as_str()), (400, message), "{selector}");
        }
        let error = LabelSelector::parse("-a=b").unwrap_err().message;
        assert!(
            error.starts_with("unable to parse requirement: <nil>: Invalid value: \"-a\": name part must consist of"),
            "{error}"
        );
        for selector in ["a=-", "/a=b", "a/b/c", "é=1", "=", "((", "a=((", "a!b"] {
            assert!(LabelSelector::parse(selector).is_err(), "{selector}");
        }
    }

    #[test]
    fn label_selector_objects_mean_what_they_say() {
        let selector = json!({
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["front", "edge"]},
                {"key": "old", "operator": "DoesNotExist"},
            ],
        });
        let selector = LabelSelector::of(&selector).unwrap();
        assert_eq!(selector.to_string(), "app=web,!old,tier in (edge,front)");
        assert!(selector.matches(json!({"app": "web", "tier": "front"}).as_object()));
        assert!(!selector.matches(json!({"app": "web", "tier": "front", "old": ""}).as_object()));
        assert!(LabelSelector::of(&json!({})).unwrap().is_empty());
        assert!(!LabelSelector::of(&Value::Null).unwrap().matches(None));
        for wrong in [
            json!({"matchExpressions": [{"key": "a", "operator": "Like"}]}),
            json!({"matchExpressions": [{"key": "a", "operator": "In"}]}),
        ] {
            assert!(LabelSelector::of(&wrong).is_err(), "{wrong}");
        }
    }
}
