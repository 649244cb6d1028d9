//! Calls that are not of the contract: `/_boatyard/`, by path, with the login's token.

use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde_json::Value;

use crate::error::{self, Error, Refusal};
use crate::session::Session;

impl Session {
    /// Calls a path of this server, with a JSON body if one is given, and reads the JSON answer; `null` if that is empty.
    ///
    /// # Errors
    /// As [`Session::call`].
    pub async fn call_path(&self, method: Method, path: &str, body: Option<&(impl Serialize + Sync)>) -> Result<Value, Error> {
        let build = async |request: RequestBuilder| {
            Ok(match body {
                Some(body) => request.json(body),
                None => request,
            })
        };
        let response = self.send_path(method, path, build).await?;
        let bytes = response.bytes().await.map_err(|e| self.of_transport(&e))?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|e| Error::Unintelligible {
            endpoint: self.endpoint().url().to_owned(),
            reason: format!("{e} in the answer to {path}"),
        })
    }

    /// Sends a request to a path of this server and hands out the answer, whose body may be read bit by bit. `build` completes the
    /// request; it is called again if the access token is refused once.
    ///
    /// # Errors
    /// As [`Session::call`], and those of `build`.
    pub async fn send_path(
        &self,
        method: Method,
        path: &str,
        build: impl AsyncFn(RequestBuilder) -> Result<RequestBuilder, Error>,
    ) -> Result<Response, Error> {
        let url = format!("{}{path}", self.endpoint().url());
        let (http, token) = self.authorised().await?;
        let send = async |http: reqwest::Client| {
            let request = build(http.request(method.clone(), &url)).await?;
            request.send().await.map_err(|e| self.of_transport(&e))
        };
        let mut response = send(http).await?;
        if response.status() == reqwest::StatusCode::UNAUTHORIZED {
            self.renew(&token).await?;
            response = send(self.http()?.0).await?;
        }
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.ok().and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default();
        Err(Error::Service(Box::new(Refusal::read(status, &headers, &body))))
    }

    /// A failure of the connection, in words for the person who must act.
    pub fn of_transport(&self, error: &reqwest::Error) -> Error {
        error::of_transport(error, self.endpoint().url(), self.endpoint().ca_path())
    }
}
