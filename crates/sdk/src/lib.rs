//! Client of the Boatyard API, generated from `contract/`, with login, token cache and refresh.
//!
//! One module per service holds the generated client ([`containers::Client`], [`iam_token::Client`], …). A [`Session`]
//! keeps the login in a file that only its owner can read and hands authorised clients to [`Session::call`].
//!
//! ```no_run
//! # async fn example() -> Result<(), boatyard_sdk::Error> {
//! use boatyard_sdk::{Session, containers};
//!
//! let session = Session::load()?;
//! let clusters = session.call(async |client: &containers::Client| client.v2_list_clusters(None, None, None).await).await?;
//! # Ok(())
//! # }
//! ```

include!(concat!(env!("OUT_DIR"), "/clients.rs"));

mod admin;
mod claims;
mod error;
mod grant;
mod home;
mod openshift;
mod session;
mod state;
mod transport;

pub use bytes::Bytes;
pub use claims::Claims;
pub use error::{Error, Refusal};
pub use grant::{Credential, passcode_page};
pub use home::{Home, write_private};
pub use openshift::{BrowserLogin, OpenShift};
pub use progenitor_client::{ByteStream, ResponseValue};
pub use session::{LoginOptions, ServiceClient, Session};
pub use state::{Account, Named, State, Tokens};
pub use transport::Endpoint;
