//! What every other crate needs and nothing more: time as a value, secrets, digests and identifiers.

pub mod clock;
pub mod id;
pub mod secret;

pub use clock::Clock;
pub use secret::{Digest, SecretString};
