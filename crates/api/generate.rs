// Shared by the build scripts of `boatyard-api` and `boatyard-sdk`: one generator, one set of settings.

use std::fs;
use std::path::{Path, PathBuf};

use openapiv3::OpenAPI;
use progenitor::{GenerationSettings, Generator, InterfaceStyle, TagStyle};
use serde_json::Value;

/// The documents of the contract by service name, in a fixed order.
pub fn documents(contract: &Path) -> Vec<(String, PathBuf)> {
    let mut found: Vec<_> = fs::read_dir(contract)
        .unwrap_or_else(|e| panic!("{}: {e}", contract.display()))
        .map(|entry| entry.expect("the folder can be listed").path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .map(|path| (path.file_stem().expect("it has an extension").to_string_lossy().into_owned(), path))
        .collect();
    found.sort();
    found
}

/// The generated module of one document: `pub mod types` and the client.
pub fn tokens(document: &str, path: &Path) -> syn::File {
    let mut document: Value = serde_json::from_str(document).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    keep_dates_as_text(&mut document);
    keep_shared_refusals_raw(&mut document);
    let spec: OpenAPI = serde_json::from_value(document).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut settings = GenerationSettings::new();
    settings.with_interface(InterfaceStyle::Positional).with_tag(TagStyle::Merged);
    let mut generator = Generator::new(&settings);
    let tokens = generator.generate_tokens(&spec).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    syn::parse2(tokens).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The contents of `pub mod types`, as source text.
#[allow(dead_code)]
pub fn types(file: &syn::File) -> String {
    file.items
        .iter()
        .find_map(|item| match item {
            syn::Item::Mod(module) if module.ident == "types" => module.content.as_ref(),
            _ => None,
        })
        .map(|(_, items)| quote::quote!(#(#items)*).to_string())
        .expect("the generator writes a module of types")
}

/// Dates stay the strings they are on the wire: the services write them in forms (`+0000` without a colon) that a date type
/// would refuse or rewrite.
fn keep_dates_as_text(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if members.get("format").is_some_and(|f| f == "date-time") {
                members.remove("format");
            }
            members.values_mut().for_each(keep_dates_as_text);
        }
        Value::Array(items) => items.iter_mut().for_each(keep_dates_as_text),
        _ => {}
    }
}

/// Responses that a document keeps in its components are refusals, which services of this kind word in different ways. Without them
/// the generator hands out a refusal as it came, so that its status and whatever it says can be read from any of them.
fn keep_shared_refusals_raw(document: &mut Value) {
    let items = document["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    let operations = items.filter_map(Value::as_object_mut).flat_map(|item| item.values_mut());
    for responses in operations.filter_map(|operation| operation.get_mut("responses")?.as_object_mut()) {
        responses.retain(|_, response| response.get("$ref").is_none());
    }
}
