//! sudo's log server protocol, on a port of its own: a fleet's sudo writes straight into daybook.
//!
//! ```text
//! sudo ──► ClientHello, Accept, records… ──► lines ──► append ──► log_id, commit_point ──► sudo
//! ```
//!
//! What has come is one batch; while it becomes durable, the socket waits. A commit point covers what is on
//! disk and nothing else; the last one, after the command's end, lets sudo exit. A client that lost its
//! connection resumes after a commit point ([`resume`]), and nothing is lost or stored twice.
//!
//! | what goes wrong | what happens |
//! |---|---|
//! | a message over 2 MiB, or one that is none | `error`, and the connection is closed |
//! | nothing comes before the first record, or within a message, for `idle_max` | the connection is closed |
//! | nothing comes in a session for `sudo_idle_max` | the connection is closed; the session can be resumed |
//! | the log is busy | sudo waits, up to `busy_wait`; then `error` |
//! | the log takes no events | `error`: sudo ends the command, or goes on, by its own `ignore_iolog_errors` |
//! | more than `sudo_connections_max` connections | one more is closed at once; logged |
//! | the server stops | what has come is stored and committed, then connections are closed |
//!
//! | module | what is there |
//! |---|---|
//! | [`messages`] | the messages |
//! | [`events`] | their lines |
//! | [`conversation`] | who says what when |
//! | [`resume`] | where a client goes on |

pub mod conversation;
pub mod events;
pub mod messages;
pub mod resume;

use crate::problem::Stored;
use crate::state::App;
use bytes::{Buf as _, BytesMut};
use conversation::Conversation;
use daybook_engine::{Batch, Error, Sender};
use events::{Nanos, timespec};
use messages::{ClientMessage, MESSAGE_BYTES_MAX, Reply, ServerHello, ServerMessage, framed};
use prost::Message as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// Messages are gathered up to this size before they are stored.
const GATHER_BYTES: usize = 256 << 10;
/// A commit point is sent this often at most, but for the last one.
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// How long a client may take to close after the end, or to take what it is told.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(5);
/// How long it takes until a busy log is tried again.
const BUSY_RETRY: Duration = Duration::from_millis(50);

/// Takes connections until it is told to stop; then what has come is stored, and they are closed.
pub async fn listen(listener: TcpListener, app: App, mut stop: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(app.config.sudo_connections_max.max(1)));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        while connections.try_join_next().is_some() {}
        match (accepted, Arc::clone(&room).try_acquire_owned()) {
            (Ok((stream, _)), Ok(permit)) => {
                let (app, stop) = (Arc::clone(&app), stop.clone());
                connections.spawn(async move {
                    let _permit = permit;
                    serve(stream, app, stop).await;
                });
            }
            (Ok(_), Err(_)) => {
                tracing::warn!(
                    sudo_connections_max = app.config.sudo_connections_max,
                    "too many connections of sudo: one was closed"
                );
            }
            // No more files, or the client has gone.
            (Err(error), _) => {
                tracing::warn!(%error, "a connection of sudo could not be accepted");
                sleep(BUSY_RETRY).await;
            }
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn serve(stream: TcpStream, app: App, stop: watch::Receiver<bool>) {
    let peer = stream.peer_addr().map_or_else(|_| "?".to_owned(), |peer| peer.to_string());
    let mut connection = Connection {
        stream,
        app,
        stop,
        buffer: BytesMut::new(),
        conversation: Conversation::default(),
        committed: 0,
        committed_at: Instant::now(),
    };
    if let Err(what) = connection.run().await {
        tracing::warn!(peer, what, "a connection of sudo was ended");
        let told = connection.say(Reply::Error(what));
        // It may have gone.
        if told.await.is_ok() {
            connection.finish().await;
        }
    }
}

/// A connection.
struct Connection {
    stream: TcpStream,
    app: App,
    stop: watch::Receiver<bool>,
    buffer: BytesMut,
    conversation: Conversation,
    /// The last commit point that was sent.
    committed: Nanos,
    committed_at: Instant,
}

/// What reading came to.
enum Read {
    Message(ClientMessage, Vec<u8>),
    /// Nothing more is here at the moment.
    Nothing,
    Closed,
    Stopped,
}

impl Connection {
    async fn run(&mut self) -> Result<(), String> {
        let server_id = format!("daybook {}", env!("CARGO_PKG_VERSION"));
        let hello = ServerHello { server_id, subcommands: true, ..ServerHello::default() };
        self.say(Reply::Hello(hello)).await?;
        loop {
            let (mut lines, mut bytes, mut named) = (Vec::new(), 0, false);
            let mut read = self.wait().await?;
            // What has come already goes along.
            let (mut gone, mut stopped) = (false, false);
            loop {
                match read {
                    Read::Message(message, own) => {
                        let taken = self.conversation.take(message, &own)?;
                        if let Some((id, place)) = taken.restart {
                            self.resume(id, place).await?;
                        }
                        bytes += own.len();
                        named |= taken.named;
                        lines.extend(taken.lines);
                    }
                    Read::Nothing => break,
                    Read::Closed => {
                        lines.extend(self.conversation.close()?.lines);
                        gone = true;
                        break;
                    }
                    Read::Stopped => {
                        stopped = true;
                        break;
                    }
                }
                if bytes >= GATHER_BYTES || self.conversation.ended() {
                    break;
                }
                read = self.ready()?;
            }
            self.store(lines).await?;
            if gone {
                return Ok(());
            }
            if named && let Some(running) = self.conversation.running() {
                self.say(Reply::LogId(running.lines.session.clone())).await?;
            }
            let last = stopped || self.conversation.ended();
            self.commit(last).await?;
            if last {
                self.finish().await;
                return Ok(());
            }
        }
    }

    /// Waits for a message; sends a commit point that is due.
    async fn wait(&mut self) -> Result<Read, String> {
        let mut heard = Instant::now();
        loop {
            if let found @ Read::Message(..) = self.ready()? {
                return Ok(found);
            }
            let (limits, running) = (&self.app.config, self.conversation.running());
            // A message that has begun has to come to its end.
            let between = running.is_some() && self.buffer.is_empty();
            let deadline = heard + if between { limits.sudo_idle_max } else { limits.idle_max };
            let uncommitted = running.is_some_and(|running| running.elapsed > self.committed);
            let until = match uncommitted {
                true => deadline.min(self.committed_at + COMMIT_EVERY),
                false => deadline,
            };
            let read = tokio::select! {
                read = timeout_at(until, self.stream.read_buf(&mut self.buffer)) => read,
                _ = self.stop.wait_for(|stop| *stop) => return Ok(Read::Stopped),
            };
            match read {
                Ok(Ok(0)) => return Ok(Read::Closed),
                Ok(Ok(_)) => heard = Instant::now(),
                Ok(Err(error)) => {
                    tracing::info!(%error, "a connection of sudo broke");
                    return Ok(Read::Closed);
                }
                Err(_) if Instant::now() >= deadline => {
                    return Err("nothing came for too long".to_owned());
                }
                Err(_) => self.commit(false).await?,
            }
        }
    }

    /// A message that has come whole.
    fn ready(&mut self) -> Result<Read, String> {
        let Some(head) = self.buffer.first_chunk::<4>() else { return Ok(Read::Nothing) };
        let len = usize::try_from(u32::from_be_bytes(*head)).unwrap_or(usize::MAX);
        if len > MESSAGE_BYTES_MAX {
            return Err(format!(
                "a message of {len} bytes is over the limit of {MESSAGE_BYTES_MAX}"
            ));
        }
        if self.buffer.len() < 4 + len {
            return Ok(Read::Nothing);
        }
        self.buffer.advance(4);
        let bytes = self.buffer.split_to(len).to_vec();
        let message = ClientMessage::decode(&*bytes)
            .map_err(|error| format!("not a ClientMessage: {error}"))?;
        Ok(Read::Message(message, bytes))
    }

    async fn resume(&mut self, id: String, place: Nanos) -> Result<(), String> {
        let engine = Arc::clone(&self.app.engine);
        let find = self.app.reads.run(move || resume::find(&engine.snapshot(), &id, place));
        let found = find.await.map_err(|problem| problem.detail().to_owned())?;
        let running = found.map_err(|error| error.to_string())??;
        self.committed = running.elapsed;
        self.conversation.resume(running);
        Ok(())
    }

    /// Makes lines durable. A log that is busy is waited for.
    async fn store(&mut self, lines: Vec<Vec<u8>>) -> Result<(), String> {
        if lines.is_empty() {
            return Ok(());
        }
        let give_up = Instant::now() + self.app.config.busy_wait;
        loop {
            // Who asks has only a loopback address: the door itself is the producer.
            let sender = Sender { producer: "sudo".into(), any_session: true, ..Sender::default() };
            let mut batch = Batch::of(Some(Arc::new(sender)));
            for (number, line) in (1..).zip(&lines) {
                batch.push(number, line)?;
            }
            match self.app.engine.append(batch).await {
                Ok(ack) => {
                    let stored = Stored {
                        accepted: ack.accepted,
                        duplicates: ack.duplicates,
                        rejected_count: ack.rejected.len() as u64,
                        lines: lines.len() as u64,
                    };
                    let bytes = lines.iter().map(Vec::len).sum::<usize>() as u64;
                    self.app.metrics.ingested(&stored, bytes);
                    return match ack.rejected.into_iter().next() {
                        Some(rejection) => Err(rejection.error),
                        None => Ok(()),
                    };
                }
                Err(Error::Busy { .. }) if Instant::now() < give_up => sleep(BUSY_RETRY).await,
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Says how far everything is on disk: all that was taken is, whenever this is called.
    async fn commit(&mut self, last: bool) -> Result<(), String> {
        let Some(running) = self.conversation.running().filter(|running| running.records) else {
            return Ok(());
        };
        let elapsed = running.elapsed;
        let due = elapsed > self.committed && self.committed_at.elapsed() >= COMMIT_EVERY;
        if due || last {
            self.say(Reply::CommitPoint(timespec(elapsed))).await?;
            (self.committed, self.committed_at) = (elapsed, Instant::now());
        }
        Ok(())
    }

    /// Tells the client something. One that hears nothing any more may have said something before, which
    /// is still taken.
    async fn say(&mut self, said: Reply) -> Result<(), String> {
        let frame = framed(&ServerMessage { said: Some(said) });
        match timeout(CLOSE_TIME_MAX, self.stream.write_all(&frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a client of sudo's door has gone");
                Ok(())
            }
            Err(_) => Err("the client takes nothing that it is told".to_owned()),
        }
    }

    /// Lets the client close: closed with bytes unread, the connection would be reset, and what it was told
    /// last could be lost with it.
    async fn finish(&mut self) {
        let closing = async {
            let mut rest = [0; 4096];
            let _ = self.stream.shutdown().await;
            while self.stream.read(&mut rest).await.is_ok_and(|len| len > 0) {}
        };
        let _ = timeout(CLOSE_TIME_MAX, closing).await;
    }
}
