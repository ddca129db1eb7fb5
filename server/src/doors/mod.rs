//! The doors for producers that speak another protocol than daybook's own.
//!
//! ```text
//! POST /_bulk ───► documents ─┐
//!                             ├─► mapping ─► events ─► known ids ─► the same append as POST /v1/events
//! POST /v1/logs ─► documents ─┘                  ▲
//! sudo's port ───► messages ─────────────────────┘  (numbered: needs no ids)
//! ```
//!
//! | module | what is there |
//! |---|---|
//! | [`bulk`] | Elasticsearch's bulk interface, and what its shippers ask first |
//! | [`otlp`] | OpenTelemetry logs over HTTP |
//! | [`sudo`] | sudo's log server protocol, on a port of its own |
//! | [`mapping`] | which field of a document is which field of an event |
//! | [`compose`] | a document to the line of an event |
//! | [`known`] | which ids have been stored: exactly once, for events without numbers |
//! | [`store`] | the way into the log, for all of them |
//!
//! What is overloaded says so before anything of a request is stored: a request is one batch, which is
//! stored whole or not at all, but for the events that are refused one by one.

pub mod bulk;
pub mod compose;
pub mod known;
pub mod mapping;
pub mod otlp;
pub mod store;
pub mod sudo;

use crate::auth::Caller;
use crate::ingest::admission::Admitted;
use crate::ingest::decode::{Bounds, Decoder, Encoding};
use crate::ingest::{self, upload};
use crate::problem::Problem;
use crate::state::App;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};

/// What a body of unknown length is taken for, in bytes.
const LENGTH_UNKNOWN: u64 = 1 << 20;

/// Reads a whole body, once there is memory for it; that is given back with what is answered beside it.
async fn body(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Vec<u8>, Admitted), Problem> {
    let encoding = ingest::encoding(headers)?;
    let length = ingest::content_length(headers);
    let bytes_max = app.config.request_bytes_max;
    if encoding == Encoding::Identity && length.is_some_and(|length| length > bytes_max) {
        return Err(Problem::new(
            "too-large",
            StatusCode::PAYLOAD_TOO_LARGE,
            "Request too large",
            format!(
                "the request is over the limit of {bytes_max} bytes (request_bytes_max); send fewer at once"
            ),
        ));
    }
    // The body, its documents and their events; no more than all uploads together may take.
    let most = bytes_max.saturating_mul(3).min(app.config.uploads_bytes_max.max(8 << 20));
    let admitted =
        ingest::admit(app, caller, encoding, length.or(Some(LENGTH_UNKNOWN)), most).await?;
    let bounds =
        Bounds { bytes_max, ratio_max: app.config.upload_ratio_max, line_bytes_max: usize::MAX };
    let decoder = Decoder::whole(encoding, bounds).map_err(Problem::internal)?;
    let bytes = upload::read_whole(&app.parsers, decoder, body, app.config.idle_max).await?;
    app.admission.spend(caller, bytes.len() as u64);
    Ok((bytes, admitted))
}
