//! Label selectors and field selectors: which objects a request, a Service or a Deployment means.
//!
//! Grammar, order of checks and texts are those of `k8s.io/apimachinery`, since clients show them.

mod fields;
mod labels;

pub use fields::FieldSelector;
pub use labels::LabelSelector;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::resources::find;

    proptest! {
        #[test]
        fn no_text_upsets_a_selector(text in "[a-z!=<>(), .\\\\\"é/-]{0,24}") {
            let labels = json!({"a": "b"});
            if let Ok(selector) = LabelSelector::parse(&text) {
                let _ = selector.matches(labels.as_object());
                prop_assert_eq!(LabelSelector::parse(&selector.to_string()).unwrap(), selector);
            }
            if let Ok(selector) = FieldSelector::parse(&format!("metadata.name={text}"), find("", "v1", "pods").unwrap()) {
                let _ = selector.matches(&labels);
            }
            let _ = crate::tables::find_by_jsonpath(&text, &labels);
            let _ = crate::tables::form(&text);
        }
    }
}
