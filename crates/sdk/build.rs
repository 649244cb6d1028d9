//! Generates one client module for each document of `contract/`, on top of the types of `boatyard-api`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

#[path = "../api/generate.rs"]
mod generate;

fn main() {
    let contract = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../../contract");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    println!("cargo:rerun-if-changed={}", contract.display());
    println!("cargo:rerun-if-changed=../api/generate.rs");

    let mut modules = String::new();
    for (service, path) in generate::documents(&contract) {
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let module = service.replace('-', "_");
        let mut file = generate::tokens(&text, &path);
        file.items.retain(|item| !matches!(item, syn::Item::Mod(m) if m.ident == "types"));
        let client = quote::quote!(#file).to_string();
        let target = out.join(format!("client_{module}.rs"));
        fs::write(&target, client).expect("OUT_DIR is writable");
        writeln!(
            modules,
            "/// Client of the `{service}` document.\n#[allow(clippy::all, clippy::unwrap_used, missing_docs, rustdoc::all, unused_imports)]\npub mod {module} {{ pub use boatyard_api::{module} as types; include!({:?}); }}",
            target.display().to_string()
        )
        .expect("writing to a string");
    }
    fs::write(out.join("clients.rs"), modules).expect("OUT_DIR is writable");
}
