//! The API server of a cluster, asked as clients ask it, without a socket.

#![allow(clippy::unwrap_used)]

mod client;
mod custom;
mod failures;
mod objects;
mod patches;
mod protobuf;
mod rights;
mod watches;
