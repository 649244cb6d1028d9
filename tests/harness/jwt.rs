//! Tokens taken apart, verified, and forged.

use std::sync::OnceLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::{hmac, signature};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// The header and the claims of a token that must have three segments of unpadded base64url.
#[track_caller]
pub fn decode(token: &str) -> (Value, Value) {
    let segments: Vec<_> = token.split('.').collect();
    assert_eq!(segments.len(), 3, "not three segments: {token}");
    let part = |index: usize| {
        let bytes = URL_SAFE_NO_PAD.decode(segments[index]).unwrap_or_else(|e| panic!("segment {index}: {e}: {token}"));
        serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("segment {index}: {e}: {token}"))
    };
    (part(0), part(1))
}

#[track_caller]
pub fn claims(token: &str) -> Value {
    decode(token).1
}

/// Whether a token's RS256 signature verifies with the key of the set that its `kid` names.
pub fn verify(token: &str, key_set: &Value) -> Result<(), String> {
    let (header, _) = decode(token);
    let (message, signature) = token.rsplit_once('.').ok_or("no signature")?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|e| e.to_string())?;
    let keys = key_set["keys"].as_array().ok_or("no keys")?;
    let key = keys.iter().find(|k| k["kid"] == header["kid"]).ok_or_else(|| format!("no key {}", header["kid"]))?;
    let number = |name: &str| {
        let text = key[name].as_str().ok_or_else(|| format!("no {name}"))?;
        URL_SAFE_NO_PAD.decode(text).map_err(|e| format!("{name}: {e}"))
    };
    let key = PublicKeyComponents { n: number("n")?, e: number("e")? };
    let algorithm = &signature::RSA_PKCS1_2048_8192_SHA256;
    key.verify(algorithm, message.as_bytes(), &signature).map_err(|_| "the signature does not verify".to_owned())
}

/// The token with its payload changed and its signature left as it was.
pub fn tampered(token: &str, change: impl FnOnce(&mut Value)) -> String {
    let (header, mut claims) = decode(token);
    change(&mut claims);
    let signature = token.rsplit('.').next().unwrap_or_default();
    format!("{}.{}.{signature}", segment(&header), segment(&claims))
}

/// The same header and claims, signed by a key that is not the server's.
pub fn signed_by_a_stranger(token: &str) -> String {
    static KEY: OnceLock<KeyPair> = OnceLock::new();
    let key = KEY.get_or_init(|| KeyPair::generate(KeySize::Rsa2048).expect("a key can be made"));
    let message = token.rsplit_once('.').map_or(token, |(message, _)| message);
    let mut signature = vec![0; key.public_modulus_len()];
    let random = SystemRandom::new();
    key.sign(&signature::RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).expect("it signs");
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The same claims with `alg` `none` and no signature.
pub fn unsigned(token: &str) -> String {
    let (mut header, claims) = decode(token);
    header["alg"] = "none".into();
    format!("{}.{}.", segment(&header), segment(&claims))
}

/// The same claims, signed with HMAC by the text of the server's public key: the classic confusion of algorithms.
pub fn hmac_by_public_key(token: &str, key_set: &Value) -> String {
    let (mut header, claims) = decode(token);
    header["alg"] = "HS256".into();
    let message = format!("{}.{}", segment(&header), segment(&claims));
    let secret = key_set["keys"][0]["n"].as_str().unwrap_or_default();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

fn segment(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
