use proptest::prelude::*;

use super::*;

/// Bodies as upstream's Go types encode them, each with what the same types are in JSON.
const FIXTURES: &str = include_str!("fixtures.json");

fn fixtures() -> Vec<(Vec<u8>, Value)> {
    let fixtures: Vec<(String, Value)> = serde_json::from_str(FIXTURES).unwrap();
    fixtures.into_iter().map(|(bytes, value)| (STANDARD.decode(bytes).unwrap(), value)).collect()
}

/// A field that is bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(content);
    bytes
}

fn body(api_version: &str, kind: &str, raw: &[u8], content_type: &str) -> Vec<u8> {
    let meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
    [MAGIC, &field(1, &meta), &field(2, raw), &field(3, b""), &field(4, content_type.as_bytes())].concat()
}

#[test]
fn what_go_clients_send_is_what_they_mean() {
    for (bytes, value) in fixtures() {
        assert_eq!(decode(&bytes).unwrap(), value);
    }
}

#[test]
fn what_other_writers_may_do_is_understood() {
    let name = |name: &str| field(1, &field(1, name.as_bytes()));
    let labels = |entry: &[u8]| field(1, &field(11, entry));
    let config_map = |raw: &[u8]| decode(&body("v1", "ConfigMap", raw, "")).unwrap();
    let cases = [
        ("nothing", vec![], json!({})),
        ("a field that came later", field(15, b"x"), json!({})),
        (
            "one message in two parts",
            [name("a"), labels(&field(1, b"k"))].concat(),
            json!({"metadata": {"name": "a", "labels": {"k": ""}}}),
        ),
        ("the last one counts", [name("a"), name("b")].concat(), json!({"metadata": {"name": "b"}})),
        ("text that is none", name("\u{fffd}"), json!({"metadata": {"name": "\u{fffd}"}})),
        ("a time of no bytes", field(1, &field(8, b"")), json!({"metadata": {}})),
        (
            "a time before 1970",
            field(1, &field(8, &[8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1])),
            json!({"metadata": {"creationTimestamp": "1969-12-31T23:59:59Z"}}),
        ),
    ];
    for (what, raw, mut expected) in cases {
        expected["apiVersion"] = json!("v1");
        expected["kind"] = json!("ConfigMap");
        assert_eq!(config_map(&raw), expected, "{what}");
    }
    // Lists of numbers, packed and not: values of `onExitCodes` in a Job.
    for values in [vec![0x1a, 2, 1, 2], vec![0x18, 1, 0x18, 2]] {
        let job = field(2, &field(11, &field(1, &field(2, &values))));
        let job = decode(&body("batch/v1", "Job", &job, "")).unwrap();
        assert_eq!(job["spec"]["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"], json!([1, 2]), "{values:?}");
    }
    let wrapped = decode(&body("v1", "ConfigMap", br#"{"data":{"a":"b"}}"#, "application/json")).unwrap();
    assert_eq!(wrapped, json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}}));
}

#[test]
fn what_is_no_object_is_refused() {
    let deep = |levels: usize| {
        // `JSONSchemaProps.not` in itself, in the schema of the first version.
        let mut schema = Vec::new();
        for _ in 0..levels {
            schema = [vec![0xe2, 1], field(0, &schema).split_off(1)].concat();
        }
        let version = field(4, &field(1, &schema));
        body("apiextensions.k8s.io/v1", "CustomResourceDefinition", &field(2, &field(7, &version)), "")
    };
    assert!(decode(&deep(80)).is_ok());
    let nested_json = format!("{}{}", "[".repeat(110), "]".repeat(110));
    let cases = [
        (b"k8s".to_vec(), 400, "expected prefix [107 56 115 0]"),
        (b"{}".to_vec(), 400, "does not appear to be a protobuf message"),
        (b"k8s\0".to_vec(), 400, "Object 'Kind' is missing"),
        (b"k8s\0\x0a".to_vec(), 400, "unexpected EOF"),
        (b"k8s\0\x08\x01".to_vec(), 400, "proto: wrong wireType = 0 for field Unknown"),
        ([MAGIC, &field(3, b"gzip")].concat(), 400, "content encoding"),
        (body("v1", "Pod", &[0x0a, 9], ""), 400, "Pod in version \"v1\" cannot be handled as a Pod: unexpected EOF"),
        (body("apps/v1", "Deployment", &[8, 1], ""), 400, "proto: wrong wireType = 0 for field metadata"),
        (body("v1", "Nothing", b"", ""), 400, "no kind \"Nothing\" is registered for version \"v1\""),
        (body("example.com/v1", "Thing", b"", ""), 415, "accepted media types include: application/json, application/yaml"),
        (body("v1", "ConfigMap", b"{", "application/json"), 400, "invalid JSON"),
        (body("apps/v1", "ControllerRevision", &field(2, &field(1, b"{")), ""), 400, "invalid JSON in field raw"),
        (body("v1", "ConfigMap", nested_json.as_bytes(), "application/json"), 400, "deeper than 100 levels"),
        (body("v1", "ConfigMap", &field(1, &field(8, &[8, 255, 255, 255, 255, 255, 255, 255, 127])), ""), 400, "out of range"),
        (deep(95), 400, "deeper than 100 levels"),
        (deep(5000), 400, "deeper than 100 levels"),
    ];
    for (bytes, code, why) in cases {
        let status = decode(&bytes).unwrap_err();
        assert_eq!(status.code, code, "{status:?}");
        assert!(status.message.contains(why), "{status:?} for {why}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_object_or_an_error(raw in prop::collection::vec(any::<u8>(), 0..200), which in any::<prop::sample::Index>()) {
        let kinds = [("v1", "Pod"), ("apps/v1", "Deployment"), ("apiextensions.k8s.io/v1", "CustomResourceDefinition")];
        let (version, kind) = which.get(&kinds);
        let _ = decode(&[MAGIC, &raw].concat());
        let _ = decode(&body(version, kind, &raw, ""));
    }

    /// What is almost right gets further than what is not.
    #[test]
    fn bodies_with_an_accident_are_an_object_or_an_error(
        which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let fixtures = fixtures();
        let mut bytes = which.get(&fixtures).0.clone();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }
        if let Ok(value) = decode(&bytes) {
            prop_assert!(serde_json::from_str::<Value>(&value.to_string()).is_ok());
        }
    }
}
