//! What every other crate needs and nothing more: time as a value, secrets, digests, seals and identifiers.

pub mod clock;
pub mod id;
pub mod seal;
pub mod secret;

pub use clock::Clock;
pub use seal::Sealer;
pub use secret::{Digest, SecretString};
