//! What the definition of a custom resource adds to OpenAPI documents, as upstream publishes it.

use serde_json::{Map, Value, json};

use crate::object::{array, text};

/// A custom resource in one of its served versions.
#[derive(Debug)]
pub struct Kind {
    pub group: String,
    pub version: String,
    plural: String,
    kind: String,
    list_kind: String,
    namespaced: bool,
    /// As the definition has it, `null` if it has none.
    schema: Value,
    /// Whether the definition admits unknown fields everywhere.
    open: bool,
    status: bool,
    scale: bool,
}

/// The version of OpenAPI that a definition is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    V2,
    V3,
}

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
const SCALE: &str = "io.k8s.api.autoscaling.v1.Scale";
const API_VERSION: &str = "APIVersion defines the versioned schema of this representation of an object. Servers should convert \
                           recognized schemas to the latest internal value, and may reject unrecognized values. More info: \
                           https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const KIND: &str = "Kind is a string value representing the REST resource this object represents. Servers may infer this from the \
                    endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: \
                    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const DRY_RUN: &str = "When present, indicates that modifications should not be persisted. Valid values are: - All: all dry run \
                       stages will be processed";
const FIELD_VALIDATION: &str = "fieldValidation instructs the server on how to handle objects in the request (POST/PUT/PATCH) \
                                containing unknown or duplicate fields. Valid values are: Ignore, Warn, Strict.";

/// What a CustomResourceDefinition serves.
pub fn kinds(definition: &Value) -> Vec<Kind> {
    let spec = &definition["spec"];
    let served = array(spec, "/versions").iter().filter(|version| version["served"] == true);
    let kind = |version: &Value| Kind {
        group: text(spec, "/group").to_owned(),
        version: text(version, "/name").to_owned(),
        plural: text(spec, "/names/plural").to_owned(),
        kind: text(spec, "/names/kind").to_owned(),
        list_kind: match text(spec, "/names/listKind") {
            "" => format!("{}List", text(spec, "/names/kind")),
            list => list.to_owned(),
        },
        namespaced: text(spec, "/scope") == "Namespaced",
        schema: version["schema"]["openAPIV3Schema"].clone(),
        open: spec["preserveUnknownFields"] == true,
        status: version["subresources"]["status"].is_object(),
        scale: version["subresources"]["scale"].is_object(),
    };
    served.map(kind).collect()
}

impl Kind {
    /// `com.example.stable.v1.CronTab`.
    fn definition(&self, kind: &str) -> String {
        let group = self.group.rsplit('.').collect::<Vec<_>>().join(".");
        format!("{group}.{}.{kind}", self.version)
    }

    fn served_as(&self, kind: &str) -> Value {
        json!({"group": self.group, "version": self.version, "kind": kind})
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/definitions/{name}")})
}

fn described(mut schema: Value, description: &str) -> Value {
    schema["description"] = json!(description);
    schema
}

fn type_meta() -> [(String, Value); 2] {
    let property = |description| json!({"type": "string", "description": description});
    [("apiVersion".to_owned(), property(API_VERSION)), ("kind".to_owned(), property(KIND))]
}

/// The definitions of the kind and of its list, with references as version 2 has them.
pub fn definitions(kind: &Kind, form: Form) -> [(String, Value); 2] {
    let open = kind.open || kind.schema["x-kubernetes-preserve-unknown-fields"] == true;
    let mut object = if !kind.schema.is_object() || (form == Form::V2 && open) {
        // With properties, kubectl would take all others for errors.
        json!({"type": "object"})
    } else {
        let mut schema = published(&kind.schema, form);
        let meta = described(
            reference(OBJECT_META),
            "Standard object's metadata. More info: \
             https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata",
        );
        let properties = crate::object::member(&mut schema, "/properties");
        properties.extend(type_meta());
        properties.insert("metadata".to_owned(), meta);
        schema
    };
    object["x-kubernetes-group-version-kind"] = json!([kind.served_as(&kind.kind)]);
    let doc = format!(
        "List of {}. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md",
        kind.plural
    );
    let items = json!({"type": "array", "description": doc, "items": reference(&kind.definition(&kind.kind))});
    let meta = described(
        reference(LIST_META),
        "Standard list metadata. More info: \
         https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds",
    );
    let properties: Map<_, _> =
        type_meta().into_iter().chain([("items".to_owned(), items), ("metadata".to_owned(), meta)]).collect();
    let list = json!({
        "type": "object", "description": format!("{} is a list of {}", kind.list_kind, kind.kind), "required": ["items"],
        "properties": properties, "x-kubernetes-group-version-kind": [kind.served_as(&kind.list_kind)],
    });
    [(kind.definition(&kind.kind), object), (kind.definition(&kind.list_kind), list)]
}

/// A schema as it is published. Version 2 does without what it does not know, and without what kubectl would misread.
fn published(schema: &Value, form: Form) -> Value {
    let Some(schema) = schema.as_object() else { return schema.clone() };
    let nested = |value: &Value| published(value, form);
    let mut out: Map<String, Value> = Map::new();
    for (name, value) in schema {
        let value = match (name.as_str(), value) {
            ("properties", Value::Object(members)) => {
                members.iter().map(|(name, member)| (name.clone(), nested(member))).collect()
            }
            ("items" | "additionalProperties", value) => nested(value),
            ("allOf" | "anyOf" | "oneOf" | "not" | "nullable", _) if form == Form::V2 => continue,
            (_, value) => value.clone(),
        };
        out.insert(name.clone(), value);
    }
    let is = |name: &str| schema.get(name) == Some(&Value::Bool(true));
    let open = is("x-kubernetes-preserve-unknown-fields");
    if form == Form::V2 {
        narrow(schema, &mut out, open, is("nullable"));
    }
    if is("x-kubernetes-embedded-resource") && !(open && form == Form::V2) {
        let mut embedded = Value::Object(out);
        let properties = crate::object::member(&mut embedded, "/properties");
        properties.extend(type_meta());
        properties.insert("metadata".to_owned(), reference(OBJECT_META));
        return embedded;
    }
    Value::Object(out)
}

fn narrow(schema: &Map<String, Value>, out: &mut Map<String, Value>, open: bool, nullable: bool) {
    if open || nullable {
        out.remove("items");
        out.remove("properties");
    }
    let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default();
    if nullable || (kind == "array" && !out.contains_key("items")) || (kind == "object" && open) {
        out.remove("type");
    }
    let members = schema.get("properties").and_then(Value::as_object);
    let may_be_null =
        |name: &Value| name.as_str().and_then(|name| members?.get(name)).is_some_and(|member| member["nullable"] == true);
    if let Some(required) = out.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| !may_be_null(name));
        if required.is_empty() {
            out.remove("required");
        }
    }
}

/// `stable.example.com` as names of operations have it: `StableExampleCom`.
fn camel(text: &str) -> String {
    let words = text.split(['.', '-']).filter(|word| !word.is_empty());
    words.map(capital).collect()
}

fn capital(word: &str) -> String {
    let mut characters = word.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

/// What can be done at a path: method, action, verb in names, status codes.
type Method = (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)]);

const OK: (&str, &str) = ("200", "OK");
const CREATED: (&str, &str) = ("201", "Created");
const ACCEPTED: (&str, &str) = ("202", "Accepted");
const LIST: &[Method] = &[("get", "list", "list", &[OK])];
const COLLECTION: &[Method] =
    &[LIST[0], ("post", "post", "create", &[OK, CREATED, ACCEPTED]), ("delete", "deletecollection", "delete", &[OK])];
const OBJECT: &[Method] = &[PART[0], PART[1], PART[2], ("delete", "delete", "delete", &[OK, ACCEPTED])];
const PART: &[Method] =
    &[("get", "get", "read", &[OK]), ("put", "put", "replace", &[OK, CREATED]), ("patch", "patch", "patch", &[OK])];

/// The paths of a kind, with what can be done there, as version 2 has them.
pub fn paths(kind: &Kind) -> Vec<(String, Value)> {
    let root = format!("/apis/{}/{}", kind.group, kind.version);
    let everywhere = format!("{root}/{}", kind.plural);
    let collection =
        if kind.namespaced { format!("{root}/namespaces/{{namespace}}/{}", kind.plural) } else { everywhere.clone() };
    let object = format!("{collection}/{{name}}");
    let mut paths = Vec::new();
    if kind.namespaced {
        paths.push((everywhere, item(kind, LIST, "", "ForAllNamespaces")));
    }
    paths.push((collection, item(kind, COLLECTION, "", "")));
    for (there, sub) in [(kind.status, "status"), (kind.scale, "scale")] {
        if there {
            paths.push((format!("{object}/{sub}"), item(kind, PART, sub, "")));
        }
    }
    paths.push((object, item(kind, OBJECT, "", "")));
    paths
}

fn item(kind: &Kind, methods: &[Method], sub: &str, scope: &str) -> Value {
    let mut item = Map::new();
    let parameter = |name: &str, description: &str, of: &str| {
        json!({"name": name, "in": of, "type": "string", "uniqueItems": true, "description": description,
            "required": of == "path"})
    };
    let mut parameters = vec![parameter("pretty", "If 'true', then the output is pretty printed.", "query")];
    if kind.namespaced && scope.is_empty() {
        parameters.push(parameter("namespace", "object name and auth scope, such as for teams and projects", "path"));
    }
    if methods.iter().any(|(_, action, ..)| *action == "get") {
        parameters.push(parameter("name", &format!("name of the {}", kind.kind), "path"));
    }
    item.insert("parameters".to_owned(), parameters.into());
    for method in methods {
        item.insert(method.0.to_owned(), operation(kind, method, sub, scope));
    }
    item.into()
}

/// What can be given with an action, in the query or in the body. `own` is the definition of what is read and written.
fn parameters(action: &str, own: &str) -> Vec<Value> {
    let query = |name: &str, kind: &str, description: &str| json!({"name": name, "in": "query", "type": kind, "uniqueItems": true, "description": description});
    let body =
        |name: &str, required: bool| json!({"name": "body", "in": "body", "required": required, "schema": reference(name)});
    let dry_run = query("dryRun", "string", DRY_RUN);
    let manager = "fieldManager is a name associated with the actor or entity that is making these changes.";
    let manager = query("fieldManager", "string", manager);
    let validation = query("fieldValidation", "string", FIELD_VALIDATION);
    match action {
        "list" | "deletecollection" => {
            ["labelSelector", "fieldSelector", "continue", "resourceVersion", "resourceVersionMatch"]
                .map(|name| query(name, "string", ""))
                .into_iter()
                .chain(["limit", "timeoutSeconds"].map(|name| query(name, "integer", "")))
                .chain(["watch", "allowWatchBookmarks", "sendInitialEvents"].map(|name| query(name, "boolean", "")))
                .collect()
        }
        "get" => vec![query("resourceVersion", "string", "")],
        "delete" => vec![
            body(DELETE_OPTIONS, false),
            dry_run,
            query("gracePeriodSeconds", "integer", ""),
            query("orphanDependents", "boolean", ""),
            query("propagationPolicy", "string", ""),
        ],
        "patch" => {
            let force = query("force", "boolean", "Force is going to \"force\" Apply requests.");
            vec![body(PATCH, true), dry_run, manager, validation, force]
        }
        _ => vec![body(own, true), dry_run, manager, validation],
    }
}

fn operation(kind: &Kind, (_, action, verb, codes): &Method, sub: &str, scope: &str) -> Value {
    let own = if sub == "scale" { SCALE.to_owned() } else { kind.definition(&kind.kind) };
    let parameters = parameters(action, &own);
    let answer = match *action {
        "list" => kind.definition(&kind.list_kind),
        "delete" | "deletecollection" => STATUS.to_owned(),
        _ => own,
    };
    let consumes = match *action {
        "patch" => json!(["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"]),
        _ => json!(["application/json", "application/yaml"]),
    };
    let mut responses: Map<String, Value> = codes
        .iter()
        .map(|(code, text)| ((*code).to_owned(), json!({"description": text, "schema": reference(&answer)})))
        .collect();
    responses.insert("401".to_owned(), json!({"description": "Unauthorized"}));
    let (group, version) = (camel(&kind.group), capital(&kind.version));
    let collection = if *action == "deletecollection" { "Collection" } else { "" };
    let namespaced = if kind.namespaced && scope.is_empty() { "Namespaced" } else { "" };
    let of = if sub.is_empty() { String::new() } else { format!("{sub} of ") };
    let mut characters = group.chars();
    let first = characters.next().map(char::to_lowercase).into_iter().flatten();
    let tag: String = first.chain(characters).collect();
    json!({
        "description": match *action {
            "list" => format!("list objects of kind {}", kind.kind),
            "patch" => format!("partially update {of}the specified {}", kind.kind),
            "get" | "put" => format!("{verb} {of}the specified {}", kind.kind),
            "deletecollection" => format!("delete collection of {}", kind.kind),
            _ => format!("{verb} {} {}", if kind.kind.starts_with(['A', 'E', 'I', 'O', 'U']) { "an" } else { "a" }, kind.kind),
        },
        "operationId": format!("{verb}{group}{version}{collection}{namespaced}{}{}{scope}", kind.kind, capital(sub)),
        "tags": [format!("{tag}_{}", kind.version)],
        "schemes": ["https"], "consumes": consumes, "produces": ["application/json", "application/yaml"],
        "parameters": parameters, "responses": responses,
        "x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind.served_as(&kind.kind),
    })
}
