//! What waits for the writer, bounded in bytes.

use crate::batch::{Ack, Batch};
use crate::error::Error;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// A group is closed at this size, before compression.
pub(super) const GROUP_BYTES: u64 = 4 << 20;

/// What waits to be written, bounded in bytes.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<QueueState>,
    wake: Condvar,
    limit_bytes: u64,
}

#[derive(Debug, Default)]
struct QueueState {
    batches: VecDeque<Pending>,
    bytes: u64,
    closed: bool,
    rotate: bool,
    /// Sessions of which events were erased.
    erased: Vec<Arc<str>>,
}

#[derive(Debug)]
pub(super) struct Pending {
    pub(super) batch: Batch,
    pub(super) reply: oneshot::Sender<Result<Ack, Error>>,
}

/// What the writer has to do next.
pub(super) enum Work {
    Batches(Vec<Pending>),
    /// Events of these sessions were erased.
    Relearn(Vec<Arc<str>>),
    Rotate,
    Idle,
    Close,
}

impl Queue {
    pub(crate) fn new(limit_bytes: u64) -> Queue {
        Queue { state: Mutex::default(), wake: Condvar::new(), limit_bytes }
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> u64 {
        self.state.lock().bytes
    }

    /// Puts a batch in line.
    pub(crate) fn push(
        &self,
        batch: Batch,
    ) -> Result<oneshot::Receiver<Result<Ack, Error>>, Error> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Error::Closed);
        }
        let bytes = batch.bytes() as u64;
        // A batch that is larger than the bound gets through when nothing else waits.
        if state.bytes > 0 && state.bytes + bytes > self.limit_bytes {
            let (waiting_bytes, limit_bytes) = (state.bytes, self.limit_bytes);
            return Err(Error::Busy { what: "written", waiting_bytes, limit_bytes });
        }
        let (reply, answer) = oneshot::channel();
        state.bytes += bytes;
        state.batches.push_back(Pending { batch, reply });
        self.wake.notify_one();
        Ok(answer)
    }

    /// Asks for the journal to be closed and a new one to be opened.
    pub(crate) fn rotate(&self) {
        self.state.lock().rotate = true;
        self.wake.notify_one();
    }

    /// Tells the writer of sessions of which events were erased, before it takes more events.
    pub(crate) fn erased(&self, sessions: Vec<Arc<str>>) {
        self.state.lock().erased.extend(sessions);
        self.wake.notify_one();
    }

    /// Takes no more batches; what waits is still written.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_one();
    }

    pub(super) fn take(&self, timeout: Duration) -> Work {
        let mut state = self.state.lock();
        if state.batches.is_empty() && state.erased.is_empty() && !state.rotate && !state.closed {
            self.wake.wait_for(&mut state, timeout);
        }
        if !state.erased.is_empty() {
            return Work::Relearn(std::mem::take(&mut state.erased));
        }
        if state.batches.is_empty() {
            return match (std::mem::take(&mut state.rotate), state.closed) {
                (true, _) => Work::Rotate,
                (false, true) => Work::Close,
                (false, false) => Work::Idle,
            };
        }
        let mut taken = Vec::new();
        let mut bytes = 0;
        while let Some(next) = state.batches.front() {
            let size = next.batch.bytes() as u64;
            if bytes > 0 && bytes + size > GROUP_BYTES {
                break;
            }
            bytes += size;
            taken.extend(state.batches.pop_front());
        }
        state.bytes -= bytes;
        Work::Batches(taken)
    }
}
