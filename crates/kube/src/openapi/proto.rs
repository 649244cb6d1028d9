//! The message `openapi.v2.Document` of gnostic, as far as Kubernetes' documents use it. Numbers of fields are those of its
//! `OpenAPIv2.proto`.

use prost::{Message, Oneof};
use serde_json::{Map, Value};

use crate::object::{array, text};

#[derive(Clone, PartialEq, Message)]
pub struct Document {
    #[prost(string, tag = "1")]
    swagger: String,
    #[prost(message, optional, tag = "2")]
    info: Option<Info>,
    #[prost(message, optional, tag = "8")]
    paths: Option<Paths>,
    #[prost(message, optional, tag = "9")]
    definitions: Option<Schemas>,
    #[prost(message, optional, tag = "10")]
    parameters: Option<Parameters>,
    #[prost(message, repeated, tag = "12")]
    security: Vec<SecurityRequirement>,
    #[prost(message, optional, tag = "13")]
    security_definitions: Option<SecurityDefinitions>,
}

#[derive(Clone, PartialEq, Message)]
struct Info {
    #[prost(string, tag = "1")]
    title: String,
    #[prost(string, tag = "2")]
    version: String,
}

/// `Any`: its first field, a typed message, is not used.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "2")]
    yaml: String,
}

#[derive(Clone, PartialEq, Message)]
struct NamedAny {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Paths {
    #[prost(message, repeated, tag = "2")]
    path: Vec<NamedPathItem>,
}

#[derive(Clone, PartialEq, Message)]
struct NamedPathItem {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    value: Option<PathItem>,
}

#[derive(Clone, PartialEq, Message)]
struct PathItem {
    #[prost(message, optional, tag = "2")]
    get: Option<Operation>,
    #[prost(message, optional, tag = "3")]
    put: Option<Operation>,
    #[prost(message, optional, tag = "4")]
    post: Option<Operation>,
    #[prost(message, optional, tag = "5")]
    delete: Option<Operation>,
    #[prost(message, optional, tag = "6")]
    options: Option<Operation>,
    #[prost(message, optional, tag = "7")]
    head: Option<Operation>,
    #[prost(message, optional, tag = "8")]
    patch: Option<Operation>,
    #[prost(message, repeated, tag = "9")]
    parameters: Vec<ParametersItem>,
}

#[derive(Clone, PartialEq, Message)]
struct Operation {
    #[prost(string, repeated, tag = "1")]
    tags: Vec<String>,
    #[prost(string, tag = "3")]
    description: String,
    #[prost(string, tag = "5")]
    operation_id: String,
    #[prost(string, repeated, tag = "6")]
    produces: Vec<String>,
    #[prost(string, repeated, tag = "7")]
    consumes: Vec<String>,
    #[prost(message, repeated, tag = "8")]
    parameters: Vec<ParametersItem>,
    #[prost(message, optional, tag = "9")]
    responses: Option<Responses>,
    #[prost(string, repeated, tag = "10")]
    schemes: Vec<String>,
    #[prost(message, repeated, tag = "13")]
    vendor_extension: Vec<NamedAny>,
}

#[derive(Clone, PartialEq, Message)]
struct ParametersItem {
    #[prost(message, optional, tag = "1")]
    parameter: Option<Parameter>,
    #[prost(message, optional, tag = "2")]
    json_reference: Option<JsonReference>,
}

#[derive(Clone, PartialEq, Message)]
struct JsonReference {
    #[prost(string, tag = "1")]
    reference: String,
}

#[derive(Clone, PartialEq, Message)]
struct Parameter {
    #[prost(message, optional, tag = "1")]
    body: Option<BodyParameter>,
    #[prost(message, optional, tag = "2")]
    non_body: Option<NonBodyParameter>,
}

#[derive(Clone, PartialEq, Message)]
struct BodyParameter {
    #[prost(string, tag = "1")]
    description: String,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    place: String,
    #[prost(bool, tag = "4")]
    required: bool,
    #[prost(message, optional, tag = "5")]
    schema: Option<Schema>,
}

#[derive(Clone, PartialEq, Message)]
struct NonBodyParameter {
    #[prost(message, optional, tag = "3")]
    query: Option<QueryParameter>,
    #[prost(message, optional, tag = "4")]
    path: Option<PathParameter>,
}

#[derive(Clone, PartialEq, Message)]
struct QueryParameter {
    #[prost(bool, tag = "1")]
    required: bool,
    #[prost(string, tag = "2")]
    place: String,
    #[prost(string, tag = "3")]
    description: String,
    #[prost(string, tag = "4")]
    name: String,
    #[prost(string, tag = "6")]
    kind: String,
    #[prost(bool, tag = "20")]
    unique_items: bool,
}

#[derive(Clone, PartialEq, Message)]
struct PathParameter {
    #[prost(bool, tag = "1")]
    required: bool,
    #[prost(string, tag = "2")]
    place: String,
    #[prost(string, tag = "3")]
    description: String,
    #[prost(string, tag = "4")]
    name: String,
    #[prost(string, tag = "5")]
    kind: String,
    #[prost(bool, tag = "19")]
    unique_items: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Parameters {
    #[prost(message, repeated, tag = "1")]
    named: Vec<NamedParameter>,
}

#[derive(Clone, PartialEq, Message)]
struct NamedParameter {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Parameter>,
}

#[derive(Clone, PartialEq, Message)]
struct Responses {
    #[prost(message, repeated, tag = "1")]
    response_code: Vec<NamedResponse>,
}

#[derive(Clone, PartialEq, Message)]
struct NamedResponse {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    value: Option<ResponseValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ResponseValue {
    #[prost(message, optional, tag = "1")]
    response: Option<Response>,
}

#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(string, tag = "1")]
    description: String,
    #[prost(message, optional, tag = "2")]
    schema: Option<SchemaItem>,
}

#[derive(Clone, PartialEq, Message)]
struct SchemaItem {
    #[prost(message, optional, tag = "1")]
    schema: Option<Schema>,
}

#[derive(Clone, PartialEq, Message)]
struct Schemas {
    #[prost(message, repeated, tag = "1")]
    named: Vec<NamedSchema>,
}

#[derive(Clone, PartialEq, Message)]
struct NamedSchema {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Schema>,
}

#[derive(Clone, PartialEq, Message)]
struct Schema {
    #[prost(string, tag = "1")]
    reference: String,
    #[prost(string, tag = "2")]
    format: String,
    #[prost(string, tag = "3")]
    title: String,
    #[prost(string, tag = "4")]
    description: String,
    #[prost(message, optional, tag = "5")]
    default: Option<Any>,
    #[prost(double, tag = "6")]
    multiple_of: f64,
    #[prost(double, tag = "7")]
    maximum: f64,
    #[prost(bool, tag = "8")]
    exclusive_maximum: bool,
    #[prost(double, tag = "9")]
    minimum: f64,
    #[prost(bool, tag = "10")]
    exclusive_minimum: bool,
    #[prost(int64, tag = "11")]
    max_length: i64,
    #[prost(int64, tag = "12")]
    min_length: i64,
    #[prost(string, tag = "13")]
    pattern: String,
    #[prost(int64, tag = "14")]
    max_items: i64,
    #[prost(int64, tag = "15")]
    min_items: i64,
    #[prost(bool, tag = "16")]
    unique_items: bool,
    #[prost(int64, tag = "17")]
    max_properties: i64,
    #[prost(int64, tag = "18")]
    min_properties: i64,
    #[prost(string, repeated, tag = "19")]
    required: Vec<String>,
    #[prost(message, repeated, tag = "20")]
    accepted: Vec<Any>,
    #[prost(message, optional, boxed, tag = "21")]
    additional_properties: Option<Box<AdditionalProperties>>,
    #[prost(message, optional, tag = "22")]
    kind: Option<Strings>,
    #[prost(message, optional, tag = "23")]
    items: Option<Items>,
    #[prost(message, optional, tag = "25")]
    properties: Option<Schemas>,
    #[prost(message, repeated, tag = "31")]
    vendor_extension: Vec<NamedAny>,
}

#[derive(Clone, PartialEq, Message)]
struct AdditionalProperties {
    #[prost(oneof = "Additional", tags = "1, 2")]
    value: Option<Additional>,
}

/// A choice, since `false` has to be written too.
#[derive(Clone, PartialEq, Oneof)]
enum Additional {
    #[prost(message, tag = "1")]
    Schema(Box<Schema>),
    #[prost(bool, tag = "2")]
    Allowed(bool),
}

#[derive(Clone, PartialEq, Message)]
struct Items {
    #[prost(message, repeated, tag = "1")]
    schema: Vec<Schema>,
}

#[derive(Clone, PartialEq, Message)]
struct Strings {
    #[prost(string, repeated, tag = "1")]
    value: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct SecurityRequirement {
    #[prost(message, repeated, tag = "1")]
    named: Vec<NamedStrings>,
}

#[derive(Clone, PartialEq, Message)]
struct NamedStrings {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Strings>,
}

#[derive(Clone, PartialEq, Message)]
struct SecurityDefinitions {
    #[prost(message, repeated, tag = "1")]
    named: Vec<NamedSecurityDefinition>,
}

#[derive(Clone, PartialEq, Message)]
struct NamedSecurityDefinition {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    value: Option<SecurityDefinition>,
}

#[derive(Clone, PartialEq, Message)]
struct SecurityDefinition {
    #[prost(message, optional, tag = "2")]
    api_key: Option<ApiKey>,
}

#[derive(Clone, PartialEq, Message)]
struct ApiKey {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    place: String,
    #[prost(string, tag = "4")]
    description: String,
}

fn string(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn strings(value: &Value, name: &str) -> Vec<String> {
    value[name].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn flag(value: &Value, name: &str) -> bool {
    value[name] == true
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

/// JSON is YAML as well.
fn any(value: &Value) -> Any {
    Any { yaml: value.to_string() }
}

fn extensions(value: &Value) -> Vec<NamedAny> {
    let extensions = entries(value).filter(|(name, _)| name.starts_with("x-"));
    extensions.map(|(name, value)| NamedAny { name: name.clone(), value: Some(any(value)) }).collect()
}

impl Document {
    /// The message for a document, which may be a part of one.
    pub fn of(document: &Value) -> Self {
        let some = |name: &str| Some(&document[name]).filter(|value| !value.is_null());
        let info = |info: &Value| Info { title: string(info, "title"), version: string(info, "version") };
        let path = |(name, item): (&String, &Value)| NamedPathItem { name: name.clone(), value: Some(PathItem::of(item)) };
        let named = |(name, value): (&String, &Value)| NamedParameter { name: name.clone(), value: Some(Parameter::of(value)) };
        let requirement = |requirement: &Value| SecurityRequirement {
            named: entries(requirement)
                .map(|(name, _)| NamedStrings {
                    name: name.clone(),
                    value: Some(Strings { value: strings(requirement, name) }),
                })
                .collect(),
        };
        let security = |(name, value): (&String, &Value)| NamedSecurityDefinition {
            name: name.clone(),
            value: Some(SecurityDefinition {
                api_key: Some(ApiKey {
                    kind: string(value, "type"),
                    name: string(value, "name"),
                    place: string(value, "in"),
                    description: string(value, "description"),
                }),
            }),
        };
        Self {
            swagger: string(document, "swagger"),
            info: some("info").map(info),
            paths: some("paths").map(|paths| Paths { path: entries(paths).map(path).collect() }),
            definitions: some("definitions").map(Schemas::of),
            parameters: some("parameters").map(|p| Parameters { named: entries(p).map(named).collect() }),
            security: array(document, "/security").iter().map(requirement).collect(),
            security_definitions: some("securityDefinitions")
                .map(|s| SecurityDefinitions { named: entries(s).map(security).collect() }),
        }
    }
}

#[cfg(test)]
impl Document {
    /// Puts definitions and paths in order, since what was merged has those of custom resources last.
    pub fn sort(&mut self) {
        if let Some(definitions) = &mut self.definitions {
            definitions.named.sort_by(|a, b| a.name.cmp(&b.name));
        }
        if let Some(paths) = &mut self.paths {
            paths.path.sort_by(|a, b| a.name.cmp(&b.name));
        }
    }
}

impl PathItem {
    fn of(item: &Value) -> Self {
        let operation = |name: &str| item.get(name).map(Operation::of);
        Self {
            get: operation("get"),
            put: operation("put"),
            post: operation("post"),
            delete: operation("delete"),
            options: operation("options"),
            head: operation("head"),
            patch: operation("patch"),
            parameters: array(item, "/parameters").iter().map(ParametersItem::of).collect(),
        }
    }
}

impl Operation {
    fn of(operation: &Value) -> Self {
        let response = |(code, response): (&String, &Value)| NamedResponse {
            name: code.clone(),
            value: Some(ResponseValue {
                response: Some(Response {
                    description: string(response, "description"),
                    schema: response.get("schema").map(|s| SchemaItem { schema: Some(Schema::of(s)) }),
                }),
            }),
        };
        Self {
            tags: strings(operation, "tags"),
            description: string(operation, "description"),
            operation_id: string(operation, "operationId"),
            produces: strings(operation, "produces"),
            consumes: strings(operation, "consumes"),
            parameters: array(operation, "/parameters").iter().map(ParametersItem::of).collect(),
            responses: Some(Responses { response_code: entries(&operation["responses"]).map(response).collect() }),
            schemes: strings(operation, "schemes"),
            vendor_extension: extensions(operation),
        }
    }
}

impl ParametersItem {
    fn of(parameter: &Value) -> Self {
        match text(parameter, "/$ref") {
            "" => Self { parameter: Some(Parameter::of(parameter)), json_reference: None },
            reference => Self { parameter: None, json_reference: Some(JsonReference { reference: reference.to_owned() }) },
        }
    }
}

impl Parameter {
    fn of(parameter: &Value) -> Self {
        let place = string(parameter, "in");
        let (name, description) = (string(parameter, "name"), string(parameter, "description"));
        let (required, unique_items) = (flag(parameter, "required"), flag(parameter, "uniqueItems"));
        let kind = string(parameter, "type");
        let (mut body, mut query, mut path) = (None, None, None);
        match place.as_str() {
            "body" => {
                let schema = parameter.get("schema").map(Schema::of);
                body = Some(BodyParameter { description, name, place, required, schema });
            }
            "path" => path = Some(PathParameter { required, place, description, name, kind, unique_items }),
            _ => query = Some(QueryParameter { required, place, description, name, kind, unique_items }),
        }
        let non_body = body.is_none().then_some(NonBodyParameter { query, path });
        Self { body, non_body }
    }
}

impl Schemas {
    fn of(schemas: &Value) -> Self {
        let named = |(name, schema): (&String, &Value)| NamedSchema { name: name.clone(), value: Some(Schema::of(schema)) };
        Self { named: entries(schemas).map(named).collect() }
    }
}

impl Schema {
    fn of(schema: &Value) -> Self {
        let decimal = |name: &str| schema[name].as_f64().unwrap_or_default();
        let whole = |name: &str| schema[name].as_i64().unwrap_or_default();
        let kind = schema["type"].as_str().map(|kind| Strings { value: vec![kind.to_owned()] });
        let additional = schema.get("additionalProperties").map(|additional| AdditionalProperties {
            value: Some(match additional.as_bool() {
                Some(allowed) => Additional::Allowed(allowed),
                None => Additional::Schema(Box::new(Schema::of(additional))),
            }),
        });
        Self {
            reference: string(schema, "$ref"),
            format: string(schema, "format"),
            title: string(schema, "title"),
            description: string(schema, "description"),
            default: schema.get("default").map(any),
            multiple_of: decimal("multipleOf"),
            maximum: decimal("maximum"),
            exclusive_maximum: flag(schema, "exclusiveMaximum"),
            minimum: decimal("minimum"),
            exclusive_minimum: flag(schema, "exclusiveMinimum"),
            max_length: whole("maxLength"),
            min_length: whole("minLength"),
            pattern: string(schema, "pattern"),
            max_items: whole("maxItems"),
            min_items: whole("minItems"),
            unique_items: flag(schema, "uniqueItems"),
            max_properties: whole("maxProperties"),
            min_properties: whole("minProperties"),
            required: strings(schema, "required"),
            accepted: array(schema, "/enum").iter().map(any).collect(),
            additional_properties: additional.map(Box::new),
            kind,
            items: schema.get("items").map(|items| Items { schema: vec![Schema::of(items)] }),
            properties: schema.get("properties").map(Schemas::of),
            vendor_extension: extensions(schema),
        }
    }
}
