//! One upload from its first byte to its last ack.
//!
//! ```text
//! socket --frames--> gather --pieces--> decode and parse --chunks--> append --acks--> tally
//!          (event loop)   256 KiB        (parse pool)      1 MiB     (at most 2)
//! ```
//!
//! The three stages overlap: while a piece is parsed, the next is read from the socket and the last
//! chunks become durable. Each has a bound, so an upload takes a few MiB whatever its length, and a
//! slow disk slows down the socket.

use super::admission::Room;
use super::decode::{Decoder, Step, Stop, Whole};
use super::lines::Chunk;
use super::tally::Tally;
use super::{UNKNOWN_BYTES, UPLOAD_KIB};
use crate::pool::Pool;
use crate::problem::Problem;
use crate::state::App;
use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use daybook_engine::{Ack, Error, Rejection};
use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::FuturesOrdered;
use http_body_util::BodyExt as _;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// Pieces of the body are gathered up to this size before they are parsed.
const PIECE_BYTES: usize = 256 << 10;
/// An upload of at most this many bytes, sent plain, is parsed where it was read: that takes less time than
/// handing it to another thread and back.
const SMALL_BYTES: usize = 16 << 10;
/// Chunks of one upload that may wait for durability at once.
const APPENDS_MAX: usize = 2;
/// After an upload was refused, this much of its rest is read, so that the client gets to see why.
const DRAIN_BYTES: usize = 16 << 20;
/// For at most this long.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// A piece of the body.
struct Piece {
    bytes: VecDeque<Bytes>,
    last: bool,
}

/// The body, read in pieces.
struct Frames {
    body: Body,
    idle_max: Duration,
    /// What may be held, where that is not certain from the start; and what has come so far, in bytes.
    room: Option<Room>,
    seen: usize,
}

impl Frames {
    async fn gather(&mut self) -> Result<Piece, Problem> {
        let (mut bytes, mut len) = (VecDeque::new(), 0);
        while len < PIECE_BYTES {
            match tokio::time::timeout(self.idle_max, self.body.frame()).await {
                Ok(None) => return Ok(Piece { bytes, last: true }),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        let data_len = data.len();
                        len += data_len;
                        bytes.push_back(data);
                        self.seen += data_len;
                        if self.seen > UNKNOWN_BYTES {
                            self.grow().await?;
                        }
                    }
                }
                Ok(Some(Err(error))) => {
                    return Err(Problem::new(
                        "cut-short",
                        StatusCode::BAD_REQUEST,
                        "Cut short",
                        format!("the body ended before its end: {error}"),
                    ));
                }
                Err(_) => {
                    return Err(Problem::new(
                        "idle",
                        StatusCode::REQUEST_TIMEOUT,
                        "Too slow",
                        format!(
                            "nothing came for {} s; send what there is, then start a new upload",
                            self.idle_max.as_secs()
                        ),
                    ));
                }
            }
        }
        Ok(Piece { bytes, last: false })
    }

    /// Asks for all that an upload may take, before more is read or anything is unpacked.
    async fn grow(&mut self) -> Result<(), Problem> {
        match &mut self.room {
            Some(room) => room.reserve(UPLOAD_KIB).await,
            None => Ok(()),
        }
    }

    async fn drain(&mut self) {
        let rest = async {
            let mut len = 0;
            while let Some(Ok(frame)) = self.body.frame().await {
                len += frame.data_ref().map_or(0, Bytes::len);
                if len > DRAIN_BYTES {
                    break;
                }
            }
        };
        // Whether it got to the end makes no difference: the answer is the same.
        let _ = tokio::time::timeout(DRAIN_TIME, rest).await;
    }
}

/// What a chunk came to, with what was known of it before.
type Appended = (u64, Vec<Rejection>, Result<Ack, Error>);

/// The chunks that wait for durability, and what the others came to.
struct Appends {
    app: App,
    /// Does each chunk wait for its turn? Otherwise the upload as a whole has room in the queue.
    in_turn: bool,
    waiting: FuturesOrdered<BoxFuture<'static, Appended>>,
    tally: Tally,
    failed: Option<Error>,
}

impl Appends {
    fn push(&mut self, chunk: Chunk) {
        let (app, in_turn) = (Arc::clone(&self.app), self.in_turn);
        let Chunk { batch, rejected, through, .. } = chunk;
        let append = async move {
            if batch.is_empty() {
                return Ok(Ack::default());
            }
            let bytes = batch.bytes() as u64;
            let _place = match in_turn {
                true => Some(app.queue.enter_within(bytes, app.config.busy_wait).await?),
                false => None,
            };
            app.engine.append(batch).await
        };
        self.waiting.push_back(async move { (through, rejected, append.await) }.boxed());
    }

    /// Starts what was pushed, takes what is done, and waits until at most `left` wait.
    async fn until(&mut self, left: usize) {
        std::future::poll_fn(|context| {
            while let Poll::Ready(Some(appended)) = self.waiting.poll_next_unpin(context) {
                match appended {
                    (through, rejected, Ok(ack)) if self.failed.is_none() => {
                        self.tally.add(through, rejected, ack);
                    }
                    // Later than the failure: counted, but the lines before it are not answered for.
                    (_, rejected, Ok(ack)) => {
                        let through = self.tally.through;
                        self.tally.add(through, rejected, ack);
                    }
                    (_, _, Err(error)) => self.failed = self.failed.take().or(Some(error)),
                }
            }
            if self.waiting.len() <= left { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// An upload that was read to its end, or to its failure, and that the log has.
pub struct TakenIn {
    frames: Frames,
    appends: Appends,
    outcome: Result<u64, Problem>,
}

/// Reads what has room in the log's queue already, and hands it to the log. It is not durable yet, but what
/// is handed over after this comes behind it.
pub async fn take_in(app: &App, decoder: Decoder, body: Body) -> TakenIn {
    take(app, decoder, body, None, false).await
}

async fn take(
    app: &App,
    decoder: Decoder,
    body: Body,
    room: Option<Room>,
    in_turn: bool,
) -> TakenIn {
    let mut frames = Frames { body, idle_max: app.config.idle_max, room, seen: 0 };
    let mut appends = Appends {
        app: Arc::clone(app),
        in_turn,
        waiting: FuturesOrdered::new(),
        tally: Tally::default(),
        failed: None,
    };
    let outcome = pump(&app.parsers, decoder, &mut frames, &mut appends).await;
    appends.until(usize::MAX).await;
    TakenIn { frames, appends, outcome }
}

impl TakenIn {
    /// Waits until it is durable; answers what it came to and its bytes after decompression.
    ///
    /// # Errors
    /// Why it was not taken to its end, with what was stored before.
    pub async fn durable(self) -> Result<(Tally, u64), Problem> {
        let TakenIn { mut frames, mut appends, outcome } = self;
        appends.until(0).await;
        let outcome = match appends.failed.take() {
            Some(error) => Err(Problem::from(error)),
            None => outcome,
        };
        match outcome {
            Ok(seen) => Ok((appends.tally, seen)),
            Err(problem) => {
                if problem.status() != StatusCode::REQUEST_TIMEOUT {
                    frames.drain().await;
                }
                Err(problem.stored(appends.tally.stored()))
            }
        }
    }
}

/// Stores what an upload holds; answers what it came to and its bytes after decompression.
///
/// # Errors
/// Why it was not taken to its end, with what was stored before.
pub async fn receive(
    app: &App,
    decoder: Decoder,
    body: Body,
    room: Option<Room>,
) -> Result<(Tally, u64), Problem> {
    take(app, decoder, body, room, true).await.durable().await
}

/// Reads a body that is needed whole.
///
/// # Errors
/// Why it could not be taken to its end; nothing is stored.
pub async fn read_whole(
    parsers: &Pool,
    mut decoder: Decoder<Whole>,
    body: Body,
    idle_max: Duration,
) -> Result<Vec<u8>, Problem> {
    let mut frames = Frames { body, idle_max, room: None, seen: 0 };
    loop {
        let Piece { mut bytes, last } = frames.gather().await?;
        let decoding = parsers.run(move || {
            let step = decoder.step(&mut bytes, last);
            (decoder, step)
        });
        let (returned, step) = decoding.await?;
        decoder = returned;
        match step {
            Ok(Step::Done) => return Ok(decoder.take_bytes()),
            Ok(Step::Hungry | Step::Full) => {}
            Err(stop) => {
                frames.drain().await;
                return Err(stopped(stop));
            }
        }
    }
}

/// Takes the body to its end, or to the first failure.
async fn pump(
    parsers: &Pool,
    mut decoder: Decoder,
    frames: &mut Frames,
    appends: &mut Appends,
) -> Result<u64, Problem> {
    let mut piece = frames.gather().await?;
    if decoder.unpacks() {
        // A little may become much.
        frames.grow().await?;
    }
    let small = piece.last && !decoder.unpacks() && frames.seen <= SMALL_BYTES;
    let mut ahead: Option<Result<Piece, Problem>> = None;
    loop {
        let Piece { mut bytes, last } = piece;
        let parse = move || {
            let step = decoder.step(&mut bytes, last);
            let chunk = matches!(step, Ok(Step::Full | Step::Done)).then(|| decoder.take());
            (decoder, bytes, step, chunk)
        };
        let parse = async { if small { Ok(parse()) } else { parsers.run(parse).await } };
        let read = async {
            if ahead.is_none() && !last {
                ahead = Some(frames.gather().await);
            }
        };
        let (parsed, (), ()) = tokio::join!(parse, read, appends.until(APPENDS_MAX - 1));
        let (returned, rest, step, chunk) = parsed?;
        decoder = returned;
        if appends.failed.is_some() {
            return Ok(decoder.seen());
        }
        if let Some(chunk) = chunk {
            appends.push(chunk);
        }
        piece = match step.map_err(stopped)? {
            Step::Done => return Ok(decoder.seen()),
            Step::Hungry => match ahead.take() {
                Some(next) => next?,
                None => frames.gather().await?,
            },
            Step::Full => Piece { bytes: rest, last },
        };
    }
}

fn stopped(stop: Stop) -> Problem {
    let too_large = |detail| {
        Problem::new("too-large", StatusCode::PAYLOAD_TOO_LARGE, "Upload too large", detail)
    };
    match stop {
        Stop::TooLarge(max) => too_large(format!(
            "the upload is over the limit of {max} bytes after decompression; send it in parts"
        )),
        Stop::Ratio(max) => too_large(format!(
            "the upload decompresses to more than {max} times its size; send it less compressed, or in parts"
        )),
        Stop::Damaged(what) => Problem::new(
            "encoding",
            StatusCode::BAD_REQUEST,
            "Bad compression",
            format!("the body can't be decompressed: {what}"),
        ),
    }
}
