use super::*;
use crate::status::Cause;

fn widgets() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": {"size": {"type": "integer", "default": 1}}},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                }}},
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}},
                "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
            }],
        },
    })
}

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

#[test]
fn a_definition_becomes_resources() {
    let mut definition = widgets();
    defaulted(&mut definition);
    assert_eq!(validate_definition(&definition), []);
    accept(&mut definition, &|_, _, _| false, now());
    assert_eq!(
        definition["status"],
        json!({
            "acceptedNames": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList", "shortNames": ["wd"]},
            "storedVersions": ["v1"],
            "conditions": [
                {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts", "message": "no conflicts found", "lastTransitionTime": "2026-01-01T00:00:00Z"},
                {"type": "Established", "status": "True", "reason": "InitialNamesAccepted", "message": "the initial names have been accepted", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            ],
        })
    );
    let resources = resources(&definition);
    let [widgets] = resources.as_slice() else { panic!("one version, one resource") };
    assert_eq!(
        (widgets.api_version().as_str(), &*widgets.stored, widgets.singular.as_str()),
        ("example.com/v1", "widgets.example.com", "widget")
    );
    assert_eq!(widgets.subresources.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["status", "scale"]);
    let custom = widgets.custom.as_ref().unwrap();
    assert_eq!(custom.columns[0].json_path, ".spec.size");
    assert_eq!(custom.scale.as_ref().unwrap()[0], ".spec.size");
    let mut widget = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"x": 1}});
    crate::defaults::apply(&mut widget, widgets);
    crate::schema::prune(&mut widget, widgets.schema.root());
    assert_eq!(
        widget,
        json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}})
    );
}

#[test]
fn definitions_that_cannot_be_served_are_refused() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str, &str); 9] = [
        (
            |d| d["metadata"]["name"] = json!("x"),
            "metadata.name",
            "Invalid value: \"x\": must be spec.names.plural+\".\"+spec.group",
        ),
        (
            |d| d["spec"]["scope"] = json!("Global"),
            "spec.scope",
            "Unsupported value: \"Global\": supported values: \"Cluster\", \"Namespaced\"",
        ),
        (|d| d["spec"]["versions"][0]["schema"] = json!({}), "spec.versions[0].schema.openAPIV3Schema", "Required value"),
        (
            |d| d["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["type"] = json!("string"),
            "spec.versions[0].schema.openAPIV3Schema.type",
            "Invalid value: \"string\": must be object at the root",
        ),
        (
            |d| d["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = json!({}),
            "spec.versions[0].schema.openAPIV3Schema.properties[spec].type",
            "Required value: must not be empty for specified object fields",
        ),
        (
            |d| d["spec"]["versions"][0]["additionalPrinterColumns"][0]["type"] = json!("text"),
            "spec.versions[0].additionalPrinterColumns[0].type",
            "Invalid value: \"text\": must be one of boolean,date,integer,number,string",
        ),
        (
            |d| d["spec"]["versions"][0]["subresources"]["scale"]["specReplicasPath"] = json!(".size"),
            "spec.versions[0].subresources.scale.specReplicasPath",
            "Invalid value: \".size\": should be a json path under .spec",
        ),
        (
            |d| d["spec"]["names"]["listKind"] = json!("Widget"),
            "spec.names.listKind",
            "Invalid value: \"Widget\": kind and listKind may not be the same",
        ),
        (
            |d| d["status"] = json!({"storedVersions": ["v0"]}),
            "status.storedVersions[0]",
            "Invalid value: \"v0\": missing from spec.versions; v0 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v0 and removes v0 from status.storedVersions",
        ),
    ];
    for (change, field, message) in cases {
        let mut definition = widgets();
        defaulted(&mut definition);
        change(&mut definition);
        let causes = validate_definition(&definition);
        assert_eq!(causes.iter().map(|c| (c.field.as_str(), c.message.as_str())).collect::<Vec<_>>(), [(field, message)]);
    }
    let mut definition = widgets();
    defaulted(&mut definition);
    definition["spec"]["versions"][0]["storage"] = json!(false);
    assert!(validate_definition(&definition)[0].message.ends_with("must have exactly one version marked as storage version"));
}

#[test]
fn names_that_are_in_use_are_not_accepted() {
    let mut definition = widgets();
    defaulted(&mut definition);
    accept(&mut definition, &|group, what, name| (group, what, name) == ("example.com", "kind", "Widget"), now());
    assert_eq!(definition["status"]["conditions"][0]["reason"], "KindConflict");
    assert_eq!(definition["status"]["conditions"][0]["message"], "\"Widget\" is already in use");
    assert_eq!(definition["status"]["conditions"][1]["reason"], "NotAccepted");
    accept(&mut definition, &|_, _, _| false, now());
    assert!(condition(&definition, "Established"));
    let old = definition.clone();
    definition["spec"]["scope"] = json!("Cluster");
    assert_eq!(validate_update(&old, &definition), [Cause::invalid("spec.scope", &json!("Cluster"), "field is immutable")]);
}
