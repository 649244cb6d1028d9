//! Wire types and the operation table of Boatyard, generated from `contract/` at build time.
//!
//! Nothing here is written by hand but the tables' own types and [`Shape::conform`], the rule by which a request body is
//! read as real clients write it.

mod shape;

pub use http::Method;
pub use shape::{Mismatch, Shape};

include!(concat!(env!("OUT_DIR"), "/types.rs"));

/// One operation of the contract.
#[derive(Debug)]
pub struct Operation {
    /// Name of the document it stands in, such as `containers`.
    pub service: &'static str,
    /// Its `operationId`, unique within the service.
    pub id: &'static str,
    pub method: Method,
    /// Path template with `{name}` parameters, as in the document.
    pub path: &'static str,
    /// Status of the successful answer.
    pub success: u16,
    /// Whether it is served without a token (`security: []`).
    pub public: bool,
    /// Shape of its JSON request body, if it has one.
    pub body: Option<&'static Shape>,
    /// What its caller needs.
    pub access: Access,
}

/// What the caller of an operation needs (`x-iam-action` and `x-iam-scope` of the contract).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing but a token, or not even that.
    Open,
    /// An action in the whole account.
    Account(&'static str),
    /// An action on the thing that the request is about, which the rule behind the operation checks; on something, to begin with.
    Resource(&'static str),
    /// An action, but not for what is the caller's own: the rule behind the operation decides.
    Own(&'static str),
}

impl Access {
    /// The action; empty if none is needed.
    #[must_use]
    pub fn action(self) -> &'static str {
        match self {
            Access::Open => "",
            Access::Account(action) | Access::Resource(action) | Access::Own(action) => action,
        }
    }
}

/// One document of the contract.
#[derive(Debug)]
pub struct Service {
    /// File name without `.json`.
    pub name: &'static str,
    pub title: &'static str,
    /// The OpenAPI document as it stands in the repository.
    pub document: &'static [u8],
    pub operations: &'static [&'static Operation],
}

/// The operations by service, and the documents.
pub mod ops {
    use super::{Access, Method, Operation, Service, Shape};
    include!(concat!(env!("OUT_DIR"), "/operations.rs"));
}
