//! `get` and `list`.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Ask;
use super::answer;
use crate::api::Response;
use crate::cluster::Snapshot;
use crate::object::Object;
use crate::selectors::{FieldSelector, LabelSelector};
use crate::status::Status;
use crate::tables;

/// One object.
pub fn get(at: &Snapshot, ask: &Ask) -> Result<Response, Status> {
    let object = at.state.get(&ask.key()).ok_or_else(|| ask.not_found())?;
    let shaped = answer::shaped(ask, answer::served(&ask.resource, object), true, ask.now)?;
    answer::value(ask, 200, &shaped)
}

/// Which objects of a resource are meant.
#[derive(Debug)]
pub struct Selection {
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selection {
    /// # Errors
    /// 400 if a selector is not readable, or names a field that cannot be selected by.
    pub fn of(ask: &Ask) -> Result<Self, Status> {
        let labels = LabelSelector::parse(ask.query.get("labelSelector"))?;
        let fields = FieldSelector::parse(ask.query.get("fieldSelector"), &ask.resource)?;
        Ok(Self { labels, fields })
    }

    pub fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub fn matches(&self, object: &Object) -> bool {
        self.labels.matches(object.labels()) && (self.fields.is_empty() || self.fields.matches(object.content()))
    }

    /// The one name that is meant, if only one is.
    pub fn name(&self) -> Option<&str> {
        self.fields.exact("metadata.name")
    }
}

/// The objects that a request means, in order, after `after` if that is given.
pub fn selected<'a>(
    at: &'a Snapshot,
    ask: &Ask,
    selection: &'a Selection,
    after: Option<(&str, &str)>,
) -> Box<dyn Iterator<Item = &'a Arc<Object>> + 'a> {
    if let (Some(name), Some(namespace)) = (selection.name(), ask.one_namespace()) {
        let found = if after.is_some() { None } else { at.state.find(&ask.resource.stored, namespace, name) };
        return Box::new(found.into_iter().filter(|object| selection.matches(object)));
    }
    let namespace = ask.target.namespace.as_deref();
    Box::new(at.state.list(&ask.resource.stored, namespace, after).filter(|object| selection.matches(object)))
}

/// Where the next page of a list begins. Pages are of the present objects; the revision stays that of the first page, so that a watch from
/// there misses nothing.
#[derive(Serialize, Deserialize)]
struct Continue {
    revision: u64,
    namespace: String,
    name: String,
}

/// The objects of a resource.
pub fn list(at: &Snapshot, ask: &Ask) -> Result<Response, Status> {
    let selection = Selection::of(ask)?;
    let limit =
        ask.query.number("limit")?.filter(|limit| *limit > 0).map_or(usize::MAX, |l| usize::try_from(l).unwrap_or(usize::MAX));
    let from = match ask.query.get("continue") {
        "" => None,
        token => Some(continued(token)?),
    };
    exact_revision(at, ask, from.is_some())?;
    let revision = from.as_ref().map_or(at.state.revision(), |from| from.revision);
    let after = from.as_ref().map(|from| (from.namespace.as_str(), from.name.as_str()));
    let mut found = selected(at, ask, &selection, after);
    let mut objects = Vec::new();
    objects.extend(found.by_ref().take(limit));
    let mut meta = Map::from_iter([("resourceVersion".to_owned(), json!(revision.to_string()))]);
    if let (Some(last), Some(_)) = (objects.last(), found.next()) {
        let next = Continue { revision, namespace: last.key.namespace.to_string(), name: last.key.name.to_string() };
        // A struct of a number and texts is always JSON.
        let token = serde_json::to_vec(&next).map_err(|_| Status::internal())?;
        meta.insert("continue".to_owned(), json!(URL_SAFE_NO_PAD.encode(token)));
        if selection.is_everything() {
            meta.insert("remainingItemCount".to_owned(), json!(found.count() + 1));
        }
    }
    listed(ask, &objects, Value::Object(meta))
}

/// A list of objects in the form that was asked for.
pub fn listed(ask: &Ask, objects: &[&Arc<Object>], meta: Value) -> Result<Response, Status> {
    let resource = &ask.resource;
    let served: Vec<Cow<'_, Value>> = objects.iter().map(|object| answer::served(resource, object)).collect();
    let values = served.iter().map(AsRef::as_ref);
    match &ask.form.shape {
        tables::Form::Table(version) => {
            let options = answer::options(ask, version, true, ask.now)?;
            answer::value(ask, 200, &tables::table(resource, values, meta, &options))
        }
        tables::Form::Partial(version) => answer::value(ask, 200, &tables::partial_list(values, meta, version)),
        tables::Form::Whole => whole(ask, &served, &meta),
    }
}

fn whole(ask: &Ask, served: &[Cow<'_, Value>], meta: &Value) -> Result<Response, Status> {
    let (kind, api_version) = (&ask.resource.list_kind, ask.resource.api_version());
    if ask.form.pretty || ask.form.yaml {
        let items: Vec<_> = served.iter().map(AsRef::as_ref).collect();
        return answer::value(ask, 200, &json!({ "kind": kind, "apiVersion": api_version, "metadata": meta, "items": items }));
    }
    // Lists are large, so they are written as they are and not copied first.
    let mut text = format!("{{\"kind\":{},\"apiVersion\":{},\"metadata\":{meta},\"items\":[", json!(kind), json!(api_version))
        .into_bytes();
    for (index, value) in served.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        // Memory takes whatever is written to it, and keys are texts.
        serde_json::to_writer(&mut text, value.as_ref()).map_err(|_| Status::internal())?;
    }
    text.extend_from_slice(b"]}\n");
    Ok(Response::new(200, crate::accept::JSON, text))
}

fn continued(token: &str) -> Result<Continue, Status> {
    let bad = || Status::bad_request("continue key is not valid: the token was not given out by this server");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad())?;
    serde_json::from_slice(&bytes).map_err(|_| bad())
}

/// Refuses to list an exact revision that is not the present one, and one that is not reached yet.
fn exact_revision(at: &Snapshot, ask: &Ask, continued: bool) -> Result<(), Status> {
    let wanted = match ask.query.get("resourceVersion") {
        "" | "0" => return Ok(()),
        text => text.parse::<u64>().map_err(|_| {
            let cause = crate::Cause::invalid("resourceVersion", &json!(text), "must be a number");
            Status::invalid("meta.k8s.io", "ListOptions", "", vec![cause])
        })?,
    };
    if continued {
        return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
    }
    let now = at.state.revision();
    if wanted > now {
        return Err(Status::too_large_revision(wanted, now));
    }
    if ask.query.get("resourceVersionMatch") == "Exact" && wanted != now {
        return Err(Status::expired("The provided resource version is too old to be listed exactly."));
    }
    Ok(())
}
