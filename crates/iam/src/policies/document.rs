//! Policies as they are written: the form of v2, in which they are stored, and the older form of v1.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A policy as `/v2/policies` writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// `access` or `authorization`.
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Target>,
    pub control: Control,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// When the policy holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    pub attributes: Vec<Attribute>,
}

/// What a policy gives access to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    pub attributes: Vec<Attribute>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Attribute>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attribute {
    pub key: String,
    /// Such as `stringEquals`.
    pub operator: String,
    /// Text; a list of texts or a flag for some operators.
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Control {
    pub grant: Grant,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    pub roles: Vec<Role>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Role {
    /// A CRN.
    pub role_id: String,
}

/// A policy as `/v1/policies` writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct V1Document {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub subjects: Vec<V1Subject>,
    pub roles: Vec<Role>,
    pub resources: Vec<V1Resource>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct V1Subject {
    pub attributes: Vec<V1Attribute>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct V1Resource {
    pub attributes: Vec<V1Attribute>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<V1Attribute>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct V1Attribute {
    pub name: String,
    pub value: String,
    /// `stringEquals` if it is left out; attributes of a subject have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
}

/// What v1 can say of the value of an attribute.
const V1_OPERATORS: [&str; 2] = [EQUALS, "stringMatch"];
pub(super) const EQUALS: &str = "stringEquals";

impl Document {
    /// The value of an attribute of the subject that is given as one text.
    pub(super) fn subject_value(&self, key: &str) -> Option<&str> {
        equal(self.subject.as_ref().map(|subject| subject.attributes.as_slice()), key)
    }

    /// The value of an attribute of the target that is given as one text.
    pub(super) fn target_value(&self, key: &str) -> Option<&str> {
        equal(self.resource.as_ref().map(|resource| resource.attributes.as_slice()), key)
    }

    pub(super) fn target_attribute(&self, key: &str) -> Option<&Attribute> {
        self.resource.as_ref()?.attributes.iter().find(|attribute| attribute.key == key)
    }

    /// Whom an access policy is for: an IAM ID or the ID of an access group. Empty for an authorization.
    #[must_use]
    pub fn subject(&self) -> &str {
        match self.kind.as_str() {
            "access" => self.subject_value("iam_id").or_else(|| self.subject_value("access_group_id")).unwrap_or_default(),
            _ => "",
        }
    }

    /// Without what makes no difference: order, and the description.
    pub(super) fn normal(&self) -> Self {
        let mut normal = Self { description: None, ..self.clone() };
        let by_text = |attribute: &Attribute| (attribute.key.clone(), attribute.operator.clone(), attribute.value.to_string());
        if let Some(subject) = &mut normal.subject {
            subject.attributes.sort_by_key(by_text);
        }
        if let Some(resource) = &mut normal.resource {
            resource.attributes.sort_by_key(by_text);
            resource.tags.sort_by_key(by_text);
        }
        normal.control.grant.roles.sort_unstable();
        normal
    }

    /// In the form of v1; `None` if that cannot say it.
    #[must_use]
    pub fn to_v1(&self) -> Option<V1Document> {
        if self.pattern.is_some() || self.rule.is_some() {
            return None;
        }
        let subjects = match &self.subject {
            Some(subject) => {
                let attributes = subject.attributes.iter().map(|attribute| match attribute.operator.as_str() {
                    EQUALS => Some(V1Attribute { operator: None, ..attribute.to_v1()? }),
                    _ => None,
                });
                vec![V1Subject { attributes: attributes.collect::<Option<_>>()? }]
            }
            None => Vec::new(),
        };
        let in_v1 = |attributes: &[Attribute]| attributes.iter().map(Attribute::to_v1).collect::<Option<Vec<_>>>();
        let resources = match &self.resource {
            Some(target) => vec![V1Resource { attributes: in_v1(&target.attributes)?, tags: in_v1(&target.tags)? }],
            None => Vec::new(),
        };
        let roles = self.control.grant.roles.clone();
        Some(V1Document { kind: self.kind.clone(), description: self.description.clone(), subjects, roles, resources })
    }
}

/// The text that the attribute `key` must equal.
fn equal<'a>(attributes: Option<&'a [Attribute]>, key: &str) -> Option<&'a str> {
    attributes?.iter().find(|attribute| attribute.key == key && attribute.operator == EQUALS)?.value.as_str()
}

impl Attribute {
    fn to_v1(&self) -> Option<V1Attribute> {
        let value = self.value.as_str()?.to_owned();
        let operator = V1_OPERATORS.contains(&self.operator.as_str()).then(|| self.operator.clone())?;
        Some(V1Attribute { name: self.key.clone(), value, operator: Some(operator) })
    }
}

impl V1Document {
    /// In the form of v2, or what is wrong: v1 writes lists where a policy has one subject and one resource.
    pub(super) fn into_v2(self) -> Result<Document, &'static str> {
        let in_v2 = |attributes: Vec<V1Attribute>| attributes.into_iter().map(V1Attribute::into_v2).collect();
        let subject = only(self.subjects, "A policy has one subject: send one element in 'subjects'.")?;
        let target = only(self.resources, "A policy has one resource: send one element in 'resources'.")?;
        if target
            .attributes
            .iter()
            .chain(&target.tags)
            .filter_map(|a| a.operator.as_deref())
            .any(|o| !V1_OPERATORS.contains(&o))
        {
            return Err("The operators of /v1/policies are 'stringEquals' and 'stringMatch'. /v2/policies has more.");
        }
        Ok(Document {
            kind: self.kind,
            description: self.description,
            subject: Some(Subject { attributes: in_v2(subject.attributes) }),
            resource: Some(Target { attributes: in_v2(target.attributes), tags: in_v2(target.tags) }),
            control: Control { grant: Grant { roles: self.roles } },
            pattern: None,
            rule: None,
        })
    }
}

fn only<T>(all: Vec<T>, wrong: &'static str) -> Result<T, &'static str> {
    let mut all = all.into_iter();
    match (all.next(), all.next()) {
        (Some(one), None) => Ok(one),
        _ => Err(wrong),
    }
}

impl V1Attribute {
    fn into_v2(self) -> Attribute {
        let operator = self.operator.unwrap_or_else(|| EQUALS.to_owned());
        Attribute { key: self.name, operator, value: Value::String(self.value) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn v1_attribute(operators: impl Strategy<Value = Option<String>>) -> impl Strategy<Value = V1Attribute> {
        ("[a-zA-Z_]{1,12}", ".{1,20}", operators).prop_map(|(name, value, operator)| V1Attribute { name, value, operator })
    }

    fn v1_policy() -> impl Strategy<Value = V1Document> {
        let explicit = || prop::sample::select(V1_OPERATORS.to_vec()).prop_map(|operator| Some(operator.to_owned()));
        let of_subject = prop::collection::vec(v1_attribute(Just(None)), 1..4);
        let of_target = prop::collection::vec(v1_attribute(explicit()), 1..5);
        let tags = prop::collection::vec(v1_attribute(explicit()), 0..3);
        let roles = prop::collection::vec("[a-z:]{1,20}".prop_map(|role_id| Role { role_id }), 1..4);
        (prop::sample::select(vec!["access", "authorization"]), prop::option::of(".{0,30}"), of_subject, of_target, tags, roles)
            .prop_map(|(kind, description, subject, attributes, tags, roles)| V1Document {
                kind: kind.to_owned(),
                description,
                subjects: vec![V1Subject { attributes: subject }],
                roles,
                resources: vec![V1Resource { attributes, tags }],
            })
    }

    proptest! {
        #[test]
        fn a_policy_of_v1_comes_back_as_it_was_sent(sent in v1_policy()) {
            let stored = sent.clone().into_v2().expect("it has one subject and one resource");
            let text = serde_json::to_string(&stored).expect("it is JSON");
            let read: Document = serde_json::from_str(&text).expect("it was written so");
            prop_assert_eq!(read.to_v1(), Some(sent));
        }
    }

    #[test]
    fn v1_shows_what_it_can_say() {
        let document = |subject: Value, attribute: Value| {
            json!({
                "type": "access",
                "subject": {"attributes": [subject]},
                "resource": {"attributes": [attribute]},
                "control": {"grant": {"roles": [{"role_id": "r"}]}},
            })
        };
        let user = json!({"key": "iam_id", "operator": "stringEquals", "value": "IBMid-1"});
        let service = json!({"key": "serviceName", "operator": "stringEquals", "value": "s"});
        let mut timed = document(user.clone(), service.clone());
        timed["pattern"] = json!("time-based-conditions:weekly:all-day");
        let with = |operator: &str, value: Value| {
            document(user.clone(), json!({"key": "region", "operator": operator, "value": value}))
        };
        let cases = [
            ("equality", with("stringEquals", json!("us-south")), true),
            ("a wildcard", with("stringMatch", json!("us-*")), true),
            ("existence", with("stringExists", json!(true)), false),
            ("a list", with("stringEqualsAnyOf", json!(["a", "b"])), false),
            ("a list of wildcards", with("stringMatchAnyOf", json!(["a*"])), false),
            ("hours", timed, false),
            (
                "a subject that must exist",
                document(json!({"key": "iam_id", "operator": "stringExists", "value": true}), service),
                false,
            ),
        ];
        for (what, document, expected) in cases {
            let document: Document = serde_json::from_value(document).unwrap();
            assert_eq!(document.to_v1().is_some(), expected, "{what}");
        }
    }

    #[test]
    fn v1_takes_one_subject_and_one_resource_and_its_own_operators() {
        let subject = || V1Subject { attributes: Vec::new() };
        let resource = |operator: Option<&str>| V1Resource {
            attributes: vec![V1Attribute {
                name: "region".to_owned(),
                value: "*".to_owned(),
                operator: operator.map(str::to_owned),
            }],
            tags: Vec::new(),
        };
        let cases = [
            ("no subject", vec![], vec![resource(None)], false),
            ("two subjects", vec![subject(), subject()], vec![resource(None)], false),
            ("no resource", vec![subject()], vec![], false),
            ("two resources", vec![subject()], vec![resource(None), resource(None)], false),
            ("an operator of v2", vec![subject()], vec![resource(Some("stringExists"))], false),
            ("its own operator", vec![subject()], vec![resource(Some("stringMatch"))], true),
            ("no operator", vec![subject()], vec![resource(None)], true),
        ];
        for (what, subjects, resources, expected) in cases {
            let document = V1Document { kind: "access".to_owned(), description: None, subjects, roles: Vec::new(), resources };
            assert_eq!(document.into_v2().is_ok(), expected, "{what}");
        }
    }
}
