//! `/_boatyard/reset` and `/_boatyard/snapshot`: the whole state of the server at once.

use std::io::SeekFrom;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use boatyard_core::clock::rfc3339_ms;
use boatyard_iam::Administrator;
use boatyard_store::settings;
use boatyard_store::snapshot::{self, SnapshotError};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::json;
use tokio::fs::File;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::{CLOCK_OFFSET, administer, answer, authorise, refuse};
use crate::app::App;
use crate::operations::{self, BODY_TIMEOUT};
use crate::problem::{Form, Problem};
use crate::{respond, start};

/// The largest snapshot that is loaded, in bytes.
const SNAPSHOT_LIMIT: usize = 1024 * 1024 * 1024;
/// The first line says what a file is; it ends within so many bytes.
const HEADER_LIMIT: usize = 4096;
/// Pieces of a snapshot that wait to be sent.
const PIECES: usize = 4;

pub(super) fn router() -> Router<Arc<App>> {
    Router::new().route("/_boatyard/reset", post(reset)).route("/_boatyard/snapshot", get(snapshot_save).post(snapshot_load))
}

/// Back to what the server was after its first start; the administrator and the signing keys stay.
async fn reset(State(app): State<Arc<App>>, request: Request) -> Response {
    administer(app, request, async |app, _| {
        let administrator = app.iam.administrator().await?;
        let mut tx = app.store.write_all().await.map_err(internal)?;
        snapshot::reset(&mut tx, &administrator.account_id).await.map_err(internal)?;
        tx.commit().await.map_err(internal)?;
        app.clock.set(0);
        app.limits.clear();
        start::known_state(app).await.map_err(internal)?;
        app.clusters.forget_all();
        app.fleet.wake();
        info!("reset to the known state");
        Ok(respond::json(StatusCode::OK, &json!({ "status": "reset" })))
    })
    .await
}

/// Everything but the signing keys, as lines of JSON, as it is at one instant.
async fn snapshot_save(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    if let Err(problem) = authorise(&app, &parts).await {
        return answer(&app, &parts.extensions, problem);
    }
    let (sender, receiver) = mpsc::channel(PIECES);
    let save = tokio::spawn(async move {
        let saved_at = rfc3339_ms(app.clock.now());
        snapshot::save(&app.store, env!("CARGO_PKG_VERSION"), &saved_at, sender).await
    });
    // After the last piece comes how it ended: a failure breaks the answer off, so that nobody takes a part for the whole.
    let body = futures::stream::unfold(Some((receiver, save)), async |state| {
        let (mut receiver, save) = state?;
        if let Some(piece) = receiver.recv().await {
            return Some((Ok(Bytes::from(piece)), Some((receiver, save))));
        }
        let failure = match save.await {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        warn!(error = failure, "the snapshot could not be saved");
        Some((Err(std::io::Error::other(failure)), None))
    });
    respond::with_type(StatusCode::OK, "application/x-ndjson", Body::from_stream(body))
}

/// Replaces everything but the signing keys. Whoever could log in as the administrator before can do so afterwards.
async fn snapshot_load(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let loaded = async {
        authorise(&app, &parts).await?;
        // On disk first: the database is not kept from others while a client sends, and a file that is damaged is refused unopened.
        let mut file = spool(&app, &parts.headers, body).await?;
        snapshot::check(rewound(&mut file).await?).await?;
        load(&app, rewound(&mut file).await?).await
    };
    loaded.await.unwrap_or_else(|problem| answer(&app, &parts.extensions, problem))
}

async fn load(app: &App, file: BufReader<&mut File>) -> Result<Response, Problem> {
    let mut tx = app.store.write_all().await.map_err(internal)?;
    let login = app.iam.administrator_login(&mut tx).await?;
    snapshot::replace(&mut tx, file).await?;
    let administrator = app.iam.administrator_login_restore(&mut tx, login).await;
    let Administrator { account_id, .. } = administrator.map_err(|error| match error {
        boatyard_iam::Error::AccountNotFound => SnapshotError::Corrupt("it has no administrator".to_owned()).into(),
        error => Problem::from(error),
    })?;
    let offset = settings::get(&mut tx, CLOCK_OFFSET).await.map_err(internal)?;
    tx.commit().await.map_err(internal)?;
    app.clock.set(offset.and_then(|offset| offset.parse().ok()).unwrap_or(0));
    app.limits.clear();
    start::credentials_account_set(&app.data_dir, &account_id).map_err(internal)?;
    app.clusters.forget_all();
    app.fleet.wake();
    info!("snapshot loaded");
    Ok(respond::json(StatusCode::OK, &json!({ "status": "loaded", "account_id": account_id })))
}

/// The body in a file without a name, which is gone when it is closed. What is no snapshot of ours is refused at its first line.
async fn spool(app: &App, headers: &HeaderMap, body: Body) -> Result<File, Problem> {
    let mut file = File::from_std(tempfile::tempfile_in(&app.data_dir).map_err(internal)?);
    let mut body = Limited::new(body, SNAPSHOT_LIMIT);
    let mut head = Some(Vec::new());
    let refusal = loop {
        let frame = match tokio::time::timeout(BODY_TIMEOUT, body.frame()).await {
            Ok(None) => break head.map(|head| snapshot::check_header(&head)),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) if error.is::<LengthLimitError>() => {
                let text = format!("The snapshot is larger than {SNAPSHOT_LIMIT} bytes.");
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "E0011", "BadRequest", text));
            }
            Ok(Some(Err(_))) => return Err(refuse("The snapshot ended early. Send it again.".to_owned())),
            Err(_) => {
                let text = format!("Nothing of the snapshot came for {} seconds. Send it again.", BODY_TIMEOUT.as_secs());
                return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "E0011", "BadRequest", text));
            }
        };
        let Ok(data) = frame.into_data() else { continue };
        if let Some(line) = &mut head {
            line.extend_from_slice(&data[..data.len().min(HEADER_LIMIT)]);
            let end = line.iter().position(|byte| *byte == b'\n');
            if end.is_some() || line.len() >= HEADER_LIMIT {
                if let Err(refused) = snapshot::check_header(&line[..end.unwrap_or(line.len())]) {
                    break Some(Err(refused));
                }
                head = None;
            }
        }
        file.write_all(&data).await.map_err(internal)?;
    };
    if let Some(Err(refused)) = refusal {
        if !headers.contains_key(header::EXPECT) {
            // The client may be sending still, and would not read an answer on a closed connection.
            tokio::spawn(tokio::time::timeout(operations::DRAIN_TIMEOUT, operations::drain(Body::new(body))));
        }
        return Err(refused.into());
    }
    file.flush().await.map_err(internal)?;
    Ok(file)
}

/// A reader from the beginning of the file.
async fn rewound(file: &mut File) -> Result<BufReader<&mut File>, Problem> {
    file.seek(SeekFrom::Start(0)).await.map_err(internal)?;
    Ok(BufReader::with_capacity(256 * 1024, file))
}

fn internal(cause: impl std::fmt::Display) -> Problem {
    Problem::internal(Form::Containers, cause)
}

impl From<SnapshotError> for Problem {
    fn from(error: SnapshotError) -> Self {
        match error {
            SnapshotError::Io(_) | SnapshotError::Store(_) => internal(error),
            SnapshotError::Foreign | SnapshotError::Newer { .. } | SnapshotError::Older { .. } | SnapshotError::Corrupt(_) => {
                refuse(format!("{error} Nothing was changed."))
            }
        }
    }
}
