use serde_json::json;

use super::*;
use crate::resources;

fn built_in(group: &str, plural: &str) -> &'static Type {
    resources::find(group, "v1", plural).unwrap().schema.root()
}

fn structural(schema: Value) -> Type {
    let root = json!({"type": "object", "properties": {
        "apiVersion": {"type": "string"}, "kind": {"type": "string"},
        "metadata": {"$ref": format!("#/definitions/{OBJECT_META}")}, "spec": schema,
    }});
    serde_json::from_value(root).unwrap()
}

#[test]
fn unknown_fields_are_named_by_their_path() {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labls": {}, "labels": {"any": "thing"}},
        "spec": {"containers": [{"name": "a", "imagee": "b", "resources": {"limits": {"example.com/gpu": 1}}}], "foo": {}},
    });
    let mut found = unknown_fields(&pod, built_in("", "pods"));
    found.sort();
    assert_eq!(
        found,
        ["unknown field \"metadata.labls\"", "unknown field \"spec.containers[0].imagee\"", "unknown field \"spec.foo\"",]
    );
}

#[test]
fn what_is_open_in_a_structural_schema_is_kept() {
    let schema = structural(json!({"type": "object", "properties": {
        "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"a": {"type": "string"}}}},
        "closed": {"type": "object"},
        "resource": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {"spec": {"type": "object"}}},
        "maybe": {"type": "string", "nullable": true}, "text": {"type": "string"},
    }}));
    let mut value = json!({"apiVersion": "a/v1", "kind": "K", "metadata": {"name": "n", "nme": "m"}, "spec": {
        "open": {"x": 1}, "map": {"k": {"a": "b", "c": "d"}}, "closed": {"x": 1}, "maybe": null, "text": null,
        "resource": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "x": 1}, "y": 1, "spec": {}},
    }});
    assert_eq!(unknown_fields(&value, &schema).len(), 5);
    prune(&mut value, &schema);
    assert_eq!(
        value,
        json!({"apiVersion": "a/v1", "kind": "K", "metadata": {"name": "n"}, "spec": {
            "open": {"x": 1}, "map": {"k": {"a": "b"}}, "closed": {}, "maybe": null,
            "resource": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {}},
        }})
    );
}

#[test]
fn built_in_kinds_lose_what_says_nothing() {
    let mut pod = json!({"metadata": {"labels": {}, "annotations": {"a": null}, "creationTimestamp": null}, "spec": {
        "nodeSelector": null, "containers": [{"name": "a", "env": [], "resources": {}}], "volumes": [{"emptyDir": {}, "name": "v"}],
    }, "status": {"phase": "x", "extra": 1}});
    prune(&mut pod, built_in("", "pods"));
    assert_eq!(
        pod,
        json!({"metadata": {"annotations": {"a": ""}}, "spec": {
        "containers": [{"name": "a", "resources": {}}], "volumes": [{"emptyDir": {}, "name": "v"}],
    }, "status": {"phase": "x"}})
    );
    let mut role = json!({"metadata": {}, "rules": []});
    prune(&mut role, built_in("rbac.authorization.k8s.io", "roles"));
    assert_eq!(role, json!({"metadata": {}, "rules": []}), "a field that has to be there stays");
}

#[test]
fn values_of_another_type_are_refused_as_decoders_do() {
    let deployment = |spec: Value| {
        let value = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec});
        check_types(&value, built_in("apps", "deployments")).map_err(|status| status.message)
    };
    let container = |container: Value| deployment(json!({"template": {"spec": {"containers": [container]}}}));
    let prefix = "Deployment in version \"v1\" cannot be handled as a Deployment: ";
    let cases = [
        (
            deployment(json!({"replicas": "3"})),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            deployment(json!({"replicas": 3.5})),
            "json: cannot unmarshal number 3.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            deployment(json!({"paused": "x"})),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.paused of type bool",
        ),
        (deployment(json!([])), "json: cannot unmarshal array into Go struct field Deployment.spec of type v1.DeploymentSpec"),
        (
            container(json!({"env": [{"name": "A", "value": true}]})),
            "json: cannot unmarshal bool into Go struct field EnvVar.spec.template.spec.containers.env.value of type string",
        ),
        (
            container(json!({"ports": {}})),
            "json: cannot unmarshal object into Go struct field Container.spec.template.spec.containers.ports of type []v1.ContainerPort",
        ),
        (
            container(json!({"resources": {"limits": {"cpu": "1x"}}})),
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (container(json!({"resources": {"limits": {"cpu": "1mm"}}})), "unable to parse quantity's suffix"),
        (
            deployment(json!({"strategy": {"rollingUpdate": {"maxSurge": true}}})),
            "json: cannot unmarshal bool into Go value of type int32",
        ),
        (
            deployment(json!({"selector": {"matchLabels": {"a": 1}}})),
            "json: cannot unmarshal number into Go struct field LabelSelector.spec.selector.matchLabels of type string",
        ),
    ];
    for (result, message) in cases {
        assert_eq!(result, Err(format!("{prefix}{message}")));
    }
    assert_eq!(
        deployment(json!({"replicas": null, "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}}})),
        Ok(())
    );
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "no base64!"}});
    let refused = check_types(&secret, built_in("", "secrets")).unwrap_err();
    assert_eq!(refused.message, "Secret in version \"v1\" cannot be handled as a Secret: illegal base64 data at input byte 2");
    let definition = json!({"kind": "CustomResourceDefinition", "apiVersion": "apiextensions.k8s.io/v1", "spec": {"versions": [{"schema": {
        "openAPIV3Schema": {"type": "object", "properties": {"a": {"default": 1, "additionalProperties": true, "items": {"type": "x"}}}}}}]}});
    assert!(check_types(&definition, built_in("apiextensions.k8s.io", "customresourcedefinitions")).is_ok());
}

#[test]
fn custom_resources_are_validated_by_their_schema() {
    let spec = |schema: Value, value: Value| {
        let causes = validate(&json!({"spec": value}), &structural(schema));
        causes.into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect::<Vec<_>>()
    };
    let with = |schema: Value, value: Value| spec(json!({"type": "object", "properties": {"x": schema}}), json!({"x": value}));
    let cases = [
        (
            json!({"type": "integer"}),
            json!("a"),
            "spec.x: Invalid value: \"string\": spec.x in body must be of type integer: \"string\"",
        ),
        (
            json!({"type": "string"}),
            json!(null),
            "spec.x: Invalid value: \"null\": spec.x in body must be of type string: \"null\"",
        ),
        (
            json!({"x-kubernetes-int-or-string": true}),
            json!(true),
            "spec.x: Invalid value: \"boolean\": spec.x in body must be of type integer,string: \"boolean\"",
        ),
        (
            json!({"type": "string", "enum": ["a", "b"]}),
            json!("c"),
            "spec.x: Unsupported value: \"c\": supported values: \"a\", \"b\"",
        ),
        (
            json!({"type": "string", "pattern": "^a+$"}),
            json!("b"),
            "spec.x: Invalid value: \"b\": spec.x in body should match '^a+$'",
        ),
        (
            json!({"type": "string", "minLength": 1}),
            json!(""),
            "spec.x: Invalid value: \"\": spec.x in body should be at least 1 chars long",
        ),
        (json!({"type": "string", "maxLength": 2}), json!("abc"), "spec.x: Too long: may not be more than 2 bytes"),
        (
            json!({"type": "integer", "minimum": 1}),
            json!(0),
            "spec.x: Invalid value: 0: spec.x in body should be greater than or equal to 1",
        ),
        (
            json!({"type": "integer", "maximum": 5, "exclusiveMaximum": true}),
            json!(5),
            "spec.x: Invalid value: 5: spec.x in body should be less than 5",
        ),
        (
            json!({"type": "integer", "multipleOf": 3}),
            json!(4),
            "spec.x: Invalid value: 4: spec.x in body should be a multiple of 3",
        ),
        (
            json!({"type": "array", "items": {"type": "string"}, "maxItems": 1}),
            json!(["a", "b"]),
            "spec.x: Too many: 2: must have at most 1 item",
        ),
        (
            json!({"type": "array", "items": {"type": "string"}}),
            json!([1]),
            "spec.x[0]: Invalid value: \"integer\": spec.x[0] in body must be of type string: \"integer\"",
        ),
        (
            json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"}),
            json!(["a", "a"]),
            "spec.x[1]: Duplicate value: \"a\"",
        ),
        (
            json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"], "items": {"type": "object", "properties": {"n": {"type": "string"}}}}),
            json!([{"n": "a"}, {"n": "a"}]),
            "spec.x[1]: Duplicate value: {\"n\":\"a\"}",
        ),
        (json!({"type": "object", "required": ["y"]}), json!({}), "spec.x.y: Required value"),
        (
            json!({"type": "string", "format": "date-time"}),
            json!("no"),
            "spec.x: Invalid value: \"no\": spec.x in body must be of type date-time: \"no\"",
        ),
        (
            json!({"type": "integer", "format": "int32"}),
            json!(3_000_000_000_i64),
            "spec.x: Invalid value: 3000000000: Checked value must be of type integer with format int32 in spec.x",
        ),
        (
            json!({"type": "string", "not": {"enum": ["a"]}}),
            json!("a"),
            "spec.x: Invalid value: \"\": \"spec.x\" must not validate the schema (not)",
        ),
    ];
    for (schema, value, told) in cases {
        assert_eq!(with(schema.clone(), value), [told], "{schema}");
    }
    let one_of = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]});
    assert_eq!(with(one_of.clone(), json!({})).len(), 2);
    assert_eq!(
        with(one_of.clone(), json!({"a": "x", "b": "y"})),
        ["spec.x: Invalid value: \"\": \"spec.x\" must validate one and only one schema (oneOf). Found 2 valid alternatives",]
    );
    assert!(with(one_of, json!({"a": "x"})).is_empty());
    assert!(with(json!({"type": "number"}), json!(3)).is_empty());
    assert!(with(json!({"type": "integer"}), json!(3.0)).is_empty());
    assert!(with(json!({"type": "string", "nullable": true}), json!(null)).is_empty());
}

#[test]
fn defaults_fill_objects_that_are_there() {
    let schema = structural(json!({"type": "object", "default": {}, "properties": {
        "a": {"type": "integer", "default": 1},
        "list": {"type": "array", "items": {"type": "object", "properties": {"b": {"type": "string", "default": "x"}}}},
        "deep": {"type": "object", "default": {}, "properties": {"c": {"type": "boolean", "default": true}}},
        "left": {"type": "object", "properties": {"d": {"type": "integer", "default": 2}}},
    }}));
    let mut value = json!({"spec": {"a": null, "list": [{}]}});
    default_by_schema(&mut value, &schema);
    assert_eq!(value, json!({"spec": {"a": 1, "list": [{"b": "x"}], "deep": {"c": true}}}));
    let mut value = json!({});
    default_by_schema(&mut value, &schema);
    assert_eq!(value, json!({"spec": {"a": 1, "deep": {"c": true}}}));
}

#[test]
fn rules_in_cel_are_kept() {
    let with = |rules: Value, value: Value, old: Option<Value>| {
        let schema = structural(json!({"type": "object", "x-kubernetes-validations": rules, "properties": {
            "min": {"type": "integer"}, "max": {"type": "integer"}, "name": {"type": "string"}, "ratio": {"type": "number"},
            "list": {"type": "array", "items": {"type": "string"}}, "a-b": {"type": "string"}, "until": {"type": "string", "format": "date-time"},
        }}));
        let old = old.map(|old| json!({"spec": old}));
        let causes = validate_update(&json!({"spec": value}), old.as_ref(), &schema);
        causes.into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect::<Vec<_>>()
    };
    let kept = [
        ("self.min <= self.max", json!({"min": 1, "max": 2})),
        ("self.min + 1 == self.max", json!({"min": 1, "max": 2})),
        ("self.list.all(x, x.startsWith('a')) && size(self.list) == 2", json!({"list": ["a", "ab"]})),
        ("!has(self.name) || self.name.matches('^a+$')", json!({})),
        ("self.ratio > 0.5", json!({"ratio": 1})),
        ("self.a__dash__b == 'x'", json!({"a-b": "x"})),
        ("self.until > timestamp('2026-01-01T00:00:00Z')", json!({"until": "2026-01-02T00:00:00Z"})),
        ("self.name.lowerAscii() == 'a'", json!({"name": "A"})),
        ("self.name in ['a', 'b']", json!({"name": "a"})),
        ("self.list.exists_one(x, x == 'a')", json!({"list": ["a", "b"]})),
        ("self.name == oldSelf.name", json!({"name": "new"})),
        ("isURL(self.name)", json!({"name": "no url"})),
    ];
    for (rule, value) in kept {
        assert_eq!(with(json!([{"rule": rule}]), value, None), [""; 0], "{rule}");
    }
    let value = json!({"min": 3, "max": 2});
    assert_eq!(
        with(json!([{"rule": "self.min <= self.max"}]), value.clone(), None),
        ["spec: Invalid value: failed rule: self.min <= self.max"]
    );
    let told = json!([{"rule": "self.min <= self.max", "message": "min must not exceed max", "fieldPath": ".min", "reason": "FieldValueForbidden"}]);
    assert_eq!(with(told, value.clone(), None), ["spec.min: Forbidden: min must not exceed max"]);
    let computed = json!([{"rule": "self.min <= self.max", "messageExpression": "'min is ' + string(self.min)"}]);
    assert_eq!(with(computed, value, None), ["spec: Invalid value: min is 3"]);
    let fixed = json!([{"rule": "self.name == oldSelf.name", "message": "name is immutable"}]);
    assert_eq!(with(fixed, json!({"name": "new"}), Some(json!({"name": "old"}))), ["spec: Invalid value: name is immutable"]);
    assert_eq!(
        with(json!([{"rule": "self.name == 'a'"}]), json!({}), None),
        ["spec: Invalid value: \"object\": no such key: name evaluating rule: self.name == 'a'"]
    );
    let long = json!({"list": vec!["a"; 200]});
    let deep = json!([{"rule": "self.list.all(a, self.list.all(b, self.list.all(c, a == b || b == c)))", "message": "deep"}]);
    assert_eq!(
        with(deep, long, None),
        [
            "spec: Invalid value: \"object\": no further validation rules will be run due to call cost exceeds limit for rule: deep"
        ]
    );
}

#[test]
fn of_custom_resources_only_metadata_is_decoded() {
    let schema = structural(json!({"type": "object", "properties": {"size": {"type": "integer"}}}));
    let widget = |metadata: Value| json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": metadata, "spec": {"size": "x"}});
    assert!(check_types(&widget(json!({"name": "w"})), &schema).is_ok());
    let refused = check_types(&widget(json!({"labels": {"a": 1}})), &schema).unwrap_err();
    assert_eq!(
        refused.message,
        "Widget in version \"v1\" cannot be handled as a Widget: json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"
    );
    assert!(
        check_types(&widget(json!("w")), &schema)
            .unwrap_err()
            .message
            .ends_with("Go struct field Widget.metadata of type v1.ObjectMeta")
    );
}
