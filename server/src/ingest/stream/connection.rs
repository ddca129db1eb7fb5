//! One stream: reading, taking in, acknowledging, closing.
//!
//! ```text
//! socket ─frames─► waiting ─one at a time─► taken in ─several─► durable ─acks─► writer ─► socket
//! ```
//!
//! Frames are taken in one after the other, so that the log has them in their order; how many are on
//! their way is bounded in bytes by the credit and in number by [`FRAMES_MAX`], past which nothing is
//! read. The writer is apart from the reader: a client that writes all it may before it reads does not
//! have the two wait for each other.
//!
//! Whatever ends a stream (the client's wish, the server's stop, a breach of the rules), the frames that
//! were read by then are stored and acknowledged first. Only a frame that could not be stored ends it
//! at once: nothing after it is acknowledged.

use super::wire::{self, Down, VERSION, close};
use super::{UNPACKED_FACTOR, resume};
use crate::auth::Caller;
use crate::ingest::admission::Admitted;
use crate::ingest::decode::{Bounds, Decoder, Encoding};
use crate::ingest::lines::Origin;
use crate::ingest::tally::Tally;
use crate::ingest::{UPLOAD_BYTES, bounds, upload, weight_kib};
use crate::problem::Problem;
use crate::state::App;
use axum::body::Body;
use axum::extract::ws::{Message, WebSocket, close_code};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _, OptionFuture};
use futures_util::stream::{FuturesOrdered, SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Frames of one stream that are read and not acknowledged; past it, nothing is read.
const FRAMES_MAX: usize = 64;
/// Messages that wait to be sent.
const DOWN_MAX: usize = 16;
/// How long the client may take to close, after the server did.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(2);
/// What every zstd frame starts with.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A frame that was read.
struct Frame {
    number: u64,
    bytes: Bytes,
}

/// What became of a frame: its number, its length, and its tally.
type Outcome = (u64, u64, Result<Tally, Problem>);
/// A frame that the log has, until it is durable.
type Storing = BoxFuture<'static, Outcome>;

/// The bound on a frame: more than the credit could never be sent.
pub fn frame_bytes_max(app: &App) -> u64 {
    app.config.stream_frame_bytes_max.min(app.config.stream_credit_bytes)
}

/// Serves a stream to its end.
pub async fn run(socket: WebSocket, app: App, caller: Caller, sessions: Vec<String>) {
    let (sink, stream) = socket.split();
    let (down, messages) = mpsc::channel(DOWN_MAX);
    let idle_max = app.config.idle_max;
    tokio::join!(write(sink, messages, idle_max), serve(stream, down, app, caller, sessions));
}

/// Sends what is to be sent, until there will be no more or the client takes none.
async fn write(
    mut sink: SplitSink<WebSocket, Message>,
    mut messages: mpsc::Receiver<Message>,
    idle_max: Duration,
) {
    while let Some(message) = messages.recv().await {
        match tokio::time::timeout(idle_max, sink.send(message)).await {
            Ok(Ok(())) => {}
            _ => return,
        }
    }
}

async fn serve(
    stream: SplitStream<WebSocket>,
    down: mpsc::Sender<Message>,
    app: App,
    caller: Caller,
    sessions: Vec<String>,
) {
    let greeted = greet(&app, &down, &caller, sessions).await;
    let mut connection = Connection::new(stream, down, app, caller);
    let end = match greeted {
        Ok(()) => connection.work().await,
        Err(problem) => Some(close(wire::code(&problem), problem.detail())),
    };
    let Connection { mut stream, down, .. } = connection;
    if let Some(end) = end {
        // Who is gone needs no reason.
        let _ = down.send(end).await;
    }
    drop(down);
    // Closed with bytes unread, the connection would be reset, and the reason lost with it. Reading on
    // also answers a client that closed.
    let rest = async { while let Some(Ok(_)) = stream.next().await {} };
    let _ = tokio::time::timeout(CLOSE_TIME_MAX, rest).await;
}

/// Says what holds, and where the sessions stand.
async fn greet(
    app: &App,
    down: &mpsc::Sender<Message>,
    caller: &Caller,
    sessions: Vec<String>,
) -> Result<(), Problem> {
    let (engine, sender) = (Arc::clone(&app.engine), caller.sender());
    let sessions = app
        .reads
        .run_within(app.config.read_time_max, move || {
            resume::places(&engine.snapshot(), &sessions, sender.as_deref())
        })
        .await??;
    let frame_bytes_max = frame_bytes_max(app);
    let hello = Down::Hello {
        version: VERSION,
        credit: app.config.stream_credit_bytes,
        frame_bytes_max,
        unpacked_bytes_max: frame_bytes_max.saturating_mul(UNPACKED_FACTOR),
        idle_seconds: app.config.idle_max.as_secs_f64(),
        sessions: &sessions,
    };
    // If nobody is there to hear it, reading ends at once.
    let _ = down.send(hello.message()?).await;
    Ok(())
}

struct Connection {
    stream: SplitStream<WebSocket>,
    down: mpsc::Sender<Message>,
    app: App,
    caller: Caller,
    /// Bytes that the client may still send.
    credit: u64,
    /// Frames that were read so far.
    read: u64,
    waiting: VecDeque<Frame>,
    taking: OptionFuture<BoxFuture<'static, Storing>>,
    is_taking: bool,
    storing: FuturesOrdered<Storing>,
    /// The next ack; nothing waits for it but the acks after it.
    ack: Option<Message>,
    heard: Instant,
}

/// How reading ends: with a message, or without one if the client is gone.
type End = Option<Message>;

impl Connection {
    fn new(
        stream: SplitStream<WebSocket>,
        down: mpsc::Sender<Message>,
        app: App,
        caller: Caller,
    ) -> Connection {
        Connection {
            caller,
            stream,
            down,
            credit: app.config.stream_credit_bytes,
            app,
            read: 0,
            waiting: VecDeque::new(),
            taking: None.into(),
            is_taking: false,
            storing: FuturesOrdered::new(),
            ack: None,
            heard: Instant::now(),
        }
    }

    fn in_hand(&self) -> usize {
        self.waiting.len() + usize::from(self.is_taking) + self.storing.len()
    }

    /// Reads and answers until there is no more of either.
    async fn work(&mut self) -> End {
        let mut stopping = self.app.streams.stopping();
        let down = self.down.clone();
        let idle_max = self.app.config.idle_max;
        let mut ticks = tokio::time::interval((idle_max / 3).max(Duration::from_millis(1)));
        let mut ended: Option<End> = None;
        loop {
            self.take_next();
            if let Some(end) = ended.take_if(|_| self.in_hand() == 0 && self.ack.is_none()) {
                return end;
            }
            let reading = ended.is_none();
            let room = self.in_hand() < FRAMES_MAX;
            let stop = async {
                // An error can't be: it would be a stop.
                let _ = stopping.wait_for(|stopping| *stopping).await;
            };
            tokio::select! {
                message = self.stream.next(), if reading && room => {
                    self.heard = Instant::now();
                    ended = self.hear(message);
                }
                Some(storing) = &mut self.taking, if self.is_taking => {
                    self.is_taking = false;
                    self.storing.push_back(storing);
                }
                Some(outcome) = self.storing.next(), if self.ack.is_none() => {
                    if let Some(end) = self.answer(outcome).await {
                        return Some(end);
                    }
                }
                place = down.reserve(), if self.ack.is_some() => match (place, self.ack.take()) {
                    (Ok(place), Some(ack)) => place.send(ack),
                    // A client that is gone gets no ack; what it sent is stored all the same.
                    _ => ended = Some(None),
                },
                () = stop, if reading => {
                    let why = "the server stops; connect again, and go on after what was acknowledged";
                    ended = Some(Some(close(close_code::AWAY, why)));
                }
                _ = ticks.tick(), if reading && room => ended = self.tick(idle_max),
                () = down.closed(), if reading => ended = Some(None),
            }
        }
    }

    /// Takes what was read; answers the end, if it is one.
    fn hear(&mut self, message: Option<Result<Message, axum::Error>>) -> Option<End> {
        let bytes = match message {
            Some(Ok(Message::Text(text))) => Bytes::from(text),
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return None,
            Some(Ok(Message::Close(_))) | None => return Some(None),
            Some(Err(error)) => return Some(Some(close(close_code::PROTOCOL, &error.to_string()))),
        };
        let (length, max) = (bytes.len() as u64, frame_bytes_max(&self.app));
        let number = self.read + 1;
        if length > max {
            let why = format!(
                "frame {number} has {length} bytes, over the bound of {max} (stream_frame_bytes_max)"
            );
            return Some(Some(close(close_code::SIZE, &why)));
        }
        let Some(credit) = self.credit.checked_sub(length) else {
            let why = format!(
                "frame {number} has {length} bytes, and there was credit for {}; wait for acks",
                self.credit
            );
            return Some(Some(close(close_code::POLICY, &why)));
        };
        self.credit = credit;
        self.read = number;
        self.waiting.push_back(Frame { number, bytes });
        None
    }

    fn take_next(&mut self) {
        if !self.is_taking
            && let Some(frame) = self.waiting.pop_front()
        {
            self.taking =
                Some(take(Arc::clone(&self.app), self.caller.clone(), frame).boxed()).into();
            self.is_taking = true;
        }
    }

    /// Makes the answer to a frame; the end, if the frame could not be stored.
    async fn answer(&mut self, (frame, length, outcome): Outcome) -> Option<Message> {
        let ack = outcome.and_then(|tally| {
            let ack = Down::Ack { frame, credit: length, tally: &tally }.message()?;
            Ok(ack)
        });
        match ack {
            Ok(ack) => {
                self.credit += length;
                self.ack = Some(ack);
                None
            }
            Err(problem) => {
                if let Ok(error) = (Down::Error { frame, problem: problem.document() }).message() {
                    let _ = self.down.send(error).await;
                }
                Some(close(wire::code(&problem), problem.detail()))
            }
        }
    }

    /// Asks a client that says nothing whether it is there; ends it if it does not say so.
    fn tick(&self, idle_max: Duration) -> Option<End> {
        let silent = self.heard.elapsed();
        if silent >= idle_max {
            let why = format!("nothing was heard for {} s (idle_max)", idle_max.as_secs_f64());
            return Some(Some(close(close_code::POLICY, &why)));
        }
        let caller = self.caller.0.as_ref();
        if caller.is_some_and(|token| !self.app.tokens.still_valid(token)) {
            let why = "the token was revoked, or has expired";
            return Some(Some(close(close_code::POLICY, why)));
        }
        if silent >= idle_max / 4 {
            // Where there is no room, the client does not even take what there is.
            let _ = self.down.try_send(Message::Ping(Bytes::new()));
        }
        None
    }
}

/// Lets a frame in, as an upload is; but it waits for as long as it takes: its producer's credit is with it.
async fn admitted(app: &App, caller: &Caller, kib: usize) -> Result<Admitted, Problem> {
    loop {
        match app.admission.enter(caller, kib, app.config.busy_wait).await {
            Ok(admitted) => return Ok(admitted),
            Err(problem) => match problem.retries_after() {
                Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds.into())).await,
                None => return Err(problem),
            },
        }
    }
}

/// Hands a frame to the log, once there is room for it.
async fn take(app: App, caller: Caller, frame: Frame) -> Storing {
    let Frame { number, bytes } = frame;
    let length = bytes.len() as u64;
    let taken = async {
        let encoding =
            if bytes.starts_with(&ZSTD_MAGIC) { Encoding::Zstd } else { Encoding::Identity };
        let kib = weight_kib(encoding, Some(length), UPLOAD_BYTES);
        let admitted = admitted(&app, &caller, kib).await?;
        let queue = app.streams.queue.enter((kib as u64) << 10).await?;
        let bytes_max = frame_bytes_max(&app).saturating_mul(UNPACKED_FACTOR);
        let bounds = Bounds { bytes_max, ..bounds(&app) };
        let origin = Origin { sender: caller.sender(), key: None };
        let decoder = Decoder::new(encoding, bounds, origin).map_err(Problem::internal)?;
        let taken = upload::take_in(&app, decoder, Body::from(bytes)).await;
        Ok::<_, Problem>((taken, admitted, queue))
    };
    let taken = taken.await;
    // A task of its own: what it holds of the memory and the queue must not wait for this client.
    let durable = tokio::spawn(async move {
        let (taken, _admitted, _queue) = taken?;
        let (tally, unpacked) = taken.durable().await?;
        app.admission.spend(&caller, unpacked);
        app.metrics.ingested(&tally.stored(), unpacked);
        Ok(tally)
    });
    async move { (number, length, durable.await.unwrap_or_else(|e| Err(Problem::internal(e)))) }
        .boxed()
}
