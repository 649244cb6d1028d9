//! The API reference: the OpenAPI documents of the contract, and pages to browse them.

use std::io::{Cursor, Read as _};
use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use boatyard_api::ops;
use http::{HeaderValue, StatusCode, header};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

use crate::app::App;
use crate::respond;

const CONTAINERS: &str = "/global/swagger-global-api";
const IDENTITY: &str = "/identity/swagger-ui";

/// Assets load from this server only; the viewer sets styles inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Routes of the reference.
pub(crate) fn router() -> Router<Arc<App>> {
    let page = |base: &'static str| {
        let title = if base == CONTAINERS { "Boatyard containers API" } else { "Boatyard IAM API" };
        get(move || async move { html(index(base, title)) })
    };
    Router::new()
        .route(CONTAINERS, page(CONTAINERS))
        .route("/global/swagger-global-api/swagger.json", get(|| async { document("containers") }))
        .route("/global/swagger-global-api/{file}", get(asset_containers))
        .route(IDENTITY, page(IDENTITY))
        .route("/identity/swagger-ui/{file}", get(asset_identity))
        .route("/_boatyard/openapi/{file}", get(openapi))
        .route("/", get(|| async { Redirect::temporary("/global/swagger-global-api/") }))
}

async fn openapi(Path(file): Path<String>) -> Response {
    document(file.trim_end_matches(".json"))
}

/// The OpenAPI document of a service, as it stands in the repository.
fn document(service: &str) -> Response {
    match ops::SERVICES.iter().find(|s| s.name == service) {
        Some(service) => respond::with_type(StatusCode::OK, "application/json; charset=utf-8", service.document),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn asset_containers(Path(file): Path<String>) -> Response {
    asset(CONTAINERS, &file)
}

async fn asset_identity(Path(file): Path<String>) -> Response {
    asset(IDENTITY, &file)
}

fn asset(base: &str, file: &str) -> Response {
    let media_type = match file.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("png") => "image/png",
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    if file == "initializer.js" {
        return respond::with_type(StatusCode::OK, media_type, initializer(base));
    }
    let Some(content) = packed(file) else { return StatusCode::NOT_FOUND.into_response() };
    let mut response = respond::with_type(StatusCode::OK, media_type, content);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=86400"));
    response
}

/// A file of the viewer, out of the archive inside of the program.
fn packed(file: &str) -> Option<Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED)).ok()?;
    let wanted = format!("/dist/{file}");
    let name = archive.file_names().filter_map(Result::ok).find(|name| name.ends_with(&wanted))?.into_owned();
    let mut content = Vec::new();
    archive.by_name(&name).ok()?.read_to_end(&mut content).ok()?;
    Some(content)
}

fn html(page: String) -> Response {
    let mut response = respond::with_type(StatusCode::OK, "text/html; charset=utf-8", page);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn index(base: &str, title: &str) -> String {
    format!(
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="{base}/swagger-ui.css">
<style>body {{ margin: 0 }}</style>
<link rel="icon" type="image/png" href="{base}/favicon-32x32.png">
</head>
<body>
<noscript>This page needs JavaScript. The documents behind it are <a href="/global/swagger-global-api/swagger.json">OpenAPI</a>.</noscript>
<div id="reference"></div>
<script src="{base}/swagger-ui-bundle.js"></script>
<script src="{base}/swagger-ui-standalone-preset.js"></script>
<script src="{base}/initializer.js"></script>
</body>
</html>
"#
    )
}

/// Starts the viewer with all documents to choose from; the page's own comes first.
fn initializer(base: &str) -> String {
    let first = if base == CONTAINERS { "containers" } else { "iam-token" };
    let mut services: Vec<_> = ops::SERVICES.iter().collect();
    services.sort_by_key(|service| (service.name != first, service.name));
    let urls: Vec<_> = services
        .iter()
        .map(|service| serde_json::json!({ "name": service.title, "url": format!("/_boatyard/openapi/{}.json", service.name) }))
        .collect();
    let urls = serde_json::Value::from(urls);
    format!(
        "window.ui = SwaggerUIBundle({{\n  urls: {urls},\n  dom_id: '#reference',\n  deepLinking: true,\n  docExpansion: 'none',\n  \
         filter: true,\n  persistAuthorization: true,\n  validatorUrl: null,\n  \
         presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],\n  layout: 'StandaloneLayout'\n}});\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_viewer_is_inside_of_the_program() {
        for file in ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js", "favicon-32x32.png"] {
            assert!(packed(file).is_some_and(|content| content.len() > 500), "{file}");
        }
        assert!(packed("../Cargo.toml").is_none());
    }
}
