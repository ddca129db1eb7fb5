//! A part of the log's queue: who finds no room in it waits, and all in the order in which they came.
//!
//! What waits here is in memory already, and is bounded where it was let in ([`admission`](super::admission)).
//! Turned away for the queue, it would be sent all over again.

use daybook_engine::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A part of the log's queue.
#[derive(Debug)]
pub struct QueuePart {
    room: Arc<Semaphore>,
    kib: usize,
}

/// Room in it, until it is dropped.
pub type Place = OwnedSemaphorePermit;

impl QueuePart {
    /// A half of a queue of so many bytes.
    #[must_use]
    pub fn half(queue_bytes: u64) -> QueuePart {
        let kib = usize::try_from(queue_bytes >> 11).unwrap_or(usize::MAX);
        let kib = kib.clamp(1, (u32::MAX >> 1) as usize);
        QueuePart { room: Arc::new(Semaphore::new(kib)), kib }
    }

    /// Waits for room for so many bytes; for more than there is, until it is all free.
    ///
    /// # Errors
    /// [`Error::Closed`], which can't be: nobody closes it.
    pub async fn enter(&self, bytes: u64) -> Result<Place, Error> {
        let kib = usize::try_from(bytes.div_ceil(1 << 10)).unwrap_or(usize::MAX).min(self.kib);
        let kib = u32::try_from(kib).unwrap_or(u32::MAX);
        Arc::clone(&self.room).acquire_many_owned(kib).await.map_err(|_| Error::Closed)
    }

    /// As [`QueuePart::enter`], but not for longer than that.
    ///
    /// # Errors
    /// [`Error::Busy`].
    pub async fn enter_within(&self, bytes: u64, limit: Duration) -> Result<Place, Error> {
        match tokio::time::timeout(limit, self.enter(bytes)).await {
            Ok(place) => place,
            Err(_) => Err(Error::Busy {
                what: "written",
                waiting_bytes: ((self.kib - self.room.available_permits().min(self.kib)) as u64)
                    << 10,
                limit_bytes: (self.kib as u64) << 10,
            }),
        }
    }
}
