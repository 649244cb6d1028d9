//! Every input that a fuzzer found worth keeping, once more.

#![allow(clippy::unwrap_used)] // a test ends where something unexpected happens

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/inputs.rs"]
mod inputs;

/// Runs `target` on all inputs kept for it, and returns how many there were.
fn replay(name: &str, target: fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    for file in &files {
        println!("{}", file.display());
        target(&fs::read(file).unwrap());
    }
    files.len()
}

#[test]
fn token_requests_that_were_kept_hold_what_they_must() {
    assert!(replay("token_request", inputs::token_request) >= 10);
}

#[test]
fn access_tokens_that_were_kept_hold_what_they_must() {
    assert!(replay("access_token", inputs::access_token) >= 10);
}
