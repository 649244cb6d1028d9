//! What a client accepts: media types with their parameters, encodings, and answers it has already.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue};

use crate::api::{Body, Request, Response};
use crate::status::Status;

pub const JSON: &str = "application/json";
/// Bodies below this are not worth compressing. In bytes, as upstream has it.
const GZIP_MINIMUM: usize = 128 * 1024;

/// What a client asked for, and will get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media<'a> {
    /// One of the types that were offered.
    pub media_type: &'a str,
    /// Into what the answer has to be converted.
    pub convert: Option<Convert>,
    /// Whether the client wants JSON with line breaks.
    pub pretty: bool,
}

/// A conversion of an answer: the parameters `as`, `g` and `v`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Convert {
    pub kind: String,
    pub group: String,
    pub version: String,
}

impl Convert {
    #[must_use]
    pub fn is(&self, group: &str, versions: &[&str], kinds: &[&str]) -> bool {
        self.group == group && versions.contains(&self.version.as_str()) && kinds.contains(&self.kind.as_str())
    }

    /// The media type of an answer that was converted, as discovery declares it.
    #[must_use]
    pub fn declared(&self, media_type: &str) -> String {
        format!("{media_type};g={};v={};as={}", self.group, self.version, self.kind)
    }
}

/// One of the alternatives in an `Accept` header.
struct Clause<'a> {
    kind: &'a str,
    subtype: &'a str,
    quality: f32,
    parameters: Vec<(&'a str, &'a str)>,
}

fn clauses(header: &str) -> Vec<Clause<'_>> {
    let mut clauses: Vec<_> = header
        .split(',')
        .filter_map(|clause| {
            let mut parts = clause.split(';').map(str::trim);
            let (kind, subtype) = match parts.next()? {
                "*" => ("*", "*"),
                range => range.split_once('/')?,
            };
            let mut parameters: Vec<_> = parts.filter_map(|p| p.split_once('=')).map(|(k, v)| (k.trim(), v.trim())).collect();
            let quality = parameters.iter().find(|(name, _)| *name == "q").map_or(1.0, |(_, q)| q.parse().unwrap_or(1.0));
            parameters.retain(|(name, _)| *name != "q");
            Some(Clause { kind: kind.trim(), subtype: subtype.trim(), quality, parameters })
        })
        .collect();
    // The better ones first, then those that say more; otherwise in the order of the client.
    clauses.sort_by(|a, b| {
        let wildcards = |c: &Clause<'_>| (c.kind == "*", c.subtype == "*");
        b.quality.total_cmp(&a.quality).then_with(|| wildcards(a).cmp(&wildcards(b)))
    });
    clauses
}

/// Chooses one of `offered` (the first is what a client gets that does not mind) by an `Accept` header. `allows` says which conversions
/// there are; alternatives that ask for others are passed over. 406 if nothing suits.
pub fn negotiate<'a>(
    header: &str,
    offered: &[&'a str],
    allows: impl Fn(Option<&Convert>) -> bool,
) -> Result<Media<'a>, Status> {
    if let (true, Some(media_type)) = (header.is_empty(), offered.first()) {
        return Ok(Media { media_type, convert: None, pretty: false });
    }
    for clause in clauses(header) {
        for media_type in offered {
            let (kind, subtype) = media_type.split_once('/').unwrap_or((media_type, ""));
            let fits = (clause.kind == "*" && clause.subtype == "*")
                || (clause.kind == kind && (clause.subtype == "*" || clause.subtype == subtype));
            let media = fits.then(|| accepted(&clause, media_type)).flatten();
            if let Some(media) = media.filter(|media| allows(media.convert.as_ref())) {
                return Ok(media);
            }
        }
    }
    Err(Status::not_acceptable(&offered.join(", ")))
}

fn accepted<'a>(clause: &Clause<'_>, media_type: &'a str) -> Option<Media<'a>> {
    let mut media = Media { media_type, convert: None, pretty: false };
    for (name, value) in &clause.parameters {
        let value = value.trim_matches('"');
        let convert = &mut media.convert;
        match *name {
            "as" => value.clone_into(&mut convert.get_or_insert_default().kind),
            "g" => value.clone_into(&mut convert.get_or_insert_default().group),
            "v" => value.clone_into(&mut convert.get_or_insert_default().version),
            "stream" if !matches!(value, "" | "watch") => return None,
            "sv" if !value.is_empty() => return None,
            "pretty" => media.pretty = value == "1",
            _ => {}
        }
    }
    Some(media)
}

/// Whether a client takes compressed answers.
#[must_use]
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    let header = headers.get(ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or_default();
    header.split(',').any(|encoding| {
        let (name, parameters) = encoding.split_once(';').unwrap_or((encoding, ""));
        let refused = parameters.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()) == Some(0.0);
        name.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

#[must_use]
pub fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Memory takes whatever is written to it.
    let compressed = encoder.write_all(body).and_then(|()| encoder.finish());
    compressed.expect("a buffer in memory can be written").into()
}

/// Something that clients keep: its bytes, compressed on demand, and the tag they are known by.
#[derive(Clone, Debug)]
pub struct Document {
    pub plain: Bytes,
    /// Upper-case hexadecimal, without quotes.
    pub tag: String,
    compressed: std::sync::Arc<std::sync::OnceLock<Bytes>>,
}

impl Document {
    #[must_use]
    pub fn new(plain: impl Into<Bytes>) -> Self {
        let plain = plain.into();
        let mut hasher = DefaultHasher::new();
        plain.hash(&mut hasher);
        Self { tag: format!("{:016X}{:08X}", hasher.finish(), plain.len()), plain, compressed: std::sync::Arc::default() }
    }

    /// Its bytes as a client takes them. `true`: they are compressed.
    #[must_use]
    pub fn encoded(&self, headers: &HeaderMap) -> (Bytes, bool) {
        if self.plain.len() < GZIP_MINIMUM || !takes_gzip(headers) {
            return (self.plain.clone(), false);
        }
        (self.compressed.get_or_init(|| gzip(&self.plain)).clone(), true)
    }

    /// The answer to a request for it, which is 304 without a body if the client has it already.
    #[must_use]
    pub fn answer(&self, request: &Request, content_type: &str) -> Response {
        let quoted = format!("\"{}\"", self.tag);
        let known = request.headers.get_all(IF_NONE_MATCH).iter().filter_map(|v| v.to_str().ok());
        let known = known.flat_map(|v| v.split(',')).any(|tag| tag.trim().trim_start_matches("W/") == quoted);
        let (body, compressed) = if known { (Bytes::new(), false) } else { self.encoded(&request.headers) };
        let mut headers = HeaderMap::new();
        let mut set = |name, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        set(CONTENT_TYPE, content_type);
        set(ETAG, &quoted);
        set(VARY, "Accept, Accept-Encoding");
        set(CACHE_CONTROL, "public");
        if compressed {
            set(CONTENT_ENCODING, "gzip");
        }
        Response { status: if known { 304 } else { 200 }, headers, body: Body::Full(body) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(header: &str) -> Result<(String, String), u16> {
        let tables = |c: Option<&Convert>| c.is_none_or(|c| c.is("meta.k8s.io", &["v1", "v1beta1"], &["Table"]));
        negotiate(header, &[JSON, "application/yaml"], tables)
            .map(|m| (m.media_type.to_owned(), m.convert.map(|c| format!("{} {}", c.kind, c.version)).unwrap_or_default()))
            .map_err(|s| s.code)
    }

    #[test]
    fn the_first_alternative_that_suits_is_chosen() {
        let kubectl =
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        for (header, media_type, convert) in [
            ("", JSON, ""),
            ("*/*", JSON, ""),
            ("*", JSON, ""),
            ("application/*", JSON, ""),
            (kubectl, JSON, "Table v1"),
            ("application/json;as=Other;v=v1;g=meta.k8s.io, application/json", JSON, ""),
            ("application/vnd.kubernetes.protobuf,application/json", JSON, ""),
            ("application/json;q=0.5, application/yaml", "application/yaml", ""),
            ("*/*, application/yaml", "application/yaml", ""),
            ("application/json;stream=watch", JSON, ""),
            ("text/html;q=0.9,*/*;q=0.1", JSON, ""),
        ] {
            assert_eq!(chosen(header), Ok((media_type.to_owned(), convert.to_owned())), "{header}");
        }
        for header in ["application/vnd.kubernetes.protobuf", "text/html", ";;,=/", "application/json;stream=other"] {
            assert_eq!(chosen(header), Err(406), "{header}");
        }
    }

    #[test]
    fn what_a_client_has_is_not_sent_again() {
        let document = Document::new(vec![b'a'; 200_000]);
        let mut request = Request {
            user: crate::User::anonymous(),
            method: http::Method::GET,
            path: String::new(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        assert_eq!(document.answer(&request, JSON).status, 200);
        for (encodings, compressed) in [("gzip", true), ("deflate, gzip;q=1", true), ("gzip;q=0", false), ("identity", false)] {
            request.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(encodings));
            assert_eq!(document.answer(&request, JSON).headers.contains_key(CONTENT_ENCODING), compressed, "{encodings}");
        }
        request.headers.insert(IF_NONE_MATCH, HeaderValue::from_str(&format!("\"{}\"", document.tag)).unwrap());
        assert_eq!(document.answer(&request, JSON).status, 304);
    }
}
