//! The Kubernetes API of virtual clusters.
//!
//! One generic machine serves every resource; what differs between kinds is data: the published OpenAPI definitions, discovery documents
//! and roles in `data/`. Nothing here opens a socket or a database: requests come as values, and a [`journal::Journal`] keeps what was
//! written.

pub mod accept;
pub mod accounts;
pub mod admission;
mod amounts;
pub mod api;
pub mod bootstrap;
pub mod cluster;
pub mod clusters;
pub mod controllers;
pub mod convert;
pub mod crd;
pub mod defaults;
pub mod discovery;
pub mod grants;
pub mod journal;
pub mod lifecycle;
pub mod managed;
pub mod nodes;
pub mod object;
pub mod openapi;
pub mod openshift;
pub mod patch;
pub mod protobuf;
pub mod quantity;
pub mod rbac;
pub mod registry;
pub mod request;
pub mod resources;
pub mod reviews;
pub mod schema;
pub mod selectors;
pub mod serve;
pub mod state;
pub mod status;
pub mod tables;
pub mod types;
pub mod validate;
pub mod version;
pub mod world;

pub use api::{Body, Request, Response, User};
pub use clusters::Clusters;
pub use object::{Key, Object};
pub use state::{Change, Event, State, Txn};
pub use status::{Cause, Status};
pub use world::World;
