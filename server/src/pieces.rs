//! Bodies that are written on a thread of their own into a short queue, from which the socket takes.
//!
//! A client that reads slowly slows down the writing, and one that goes away ends it. An answer's status waits for the
//! first bytes, so what fails at once is a problem document; what fails later cuts the connection, and the client sees
//! that the answer is not whole.

use crate::problem::Problem;
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use std::io::{self, Write};
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// Bytes are handed on in pieces of this size.
const PIECE_BYTES: usize = 64 << 10;
/// Pieces that may wait for the socket.
const PIECES_MAX: usize = 4;

/// What goes through the queue.
enum Piece {
    Bytes(Bytes),
    End,
    Failed(Problem),
}

/// Where the writer writes to.
pub struct Pieces {
    sender: mpsc::Sender<Piece>,
    buffer: Vec<u8>,
    runtime: Handle,
    stall_max: Duration,
}

/// Where the socket takes from.
pub struct Taken(mpsc::Receiver<Piece>);

/// Both ends of a queue. A piece that nobody takes for so long ends the writing.
pub fn pieces(stall_max: Duration) -> (Pieces, Taken) {
    let (sender, receiver) = mpsc::channel(PIECES_MAX);
    let buffer = Vec::with_capacity(PIECE_BYTES);
    (Pieces { sender, buffer, runtime: Handle::current(), stall_max }, Taken(receiver))
}

impl Pieces {
    /// Ends the body: whole, or cut off.
    pub fn end(mut self, outcome: Result<(), Problem>) {
        let outcome = outcome.and_then(|()| self.flush().map_err(Problem::internal));
        let piece = outcome.map_or_else(Piece::Failed, |()| Piece::End);
        // Where nobody takes it, the client is gone or sees a cut connection.
        let _ = self.runtime.block_on(self.sender.send_timeout(piece, self.stall_max));
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE_BYTES));
        let send = self.sender.send_timeout(Piece::Bytes(piece.into()), self.stall_max);
        self.runtime.block_on(send).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Taken {
    /// The body, once its first bytes are there.
    ///
    /// # Errors
    /// What failed before.
    pub async fn body(self) -> Result<Body, Problem> {
        let Taken(mut pieces) = self;
        let mut first = match pieces.recv().await {
            Some(Piece::Failed(problem)) => return Err(problem),
            other => other,
        };
        Ok(Body::from_stream(stream::poll_fn(move |context| {
            let piece = match first.take() {
                Some(piece) => Some(piece),
                None => ready!(pieces.poll_recv(context)),
            };
            Poll::Ready(match piece {
                Some(Piece::Bytes(bytes)) => Some(Ok(bytes)),
                Some(Piece::End) => None,
                // The queue ended without an end: what was sent is not whole.
                Some(Piece::Failed(_)) | None => {
                    Some(Err(io::Error::other("the answer broke off")))
                }
            })
        })))
    }
}
