//! The heartbeat of a run: it renews the lease, and knows when what runs has to be ended.

use super::offer::{Desk, Offer};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How a run stands with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is held.
    Held,
    /// It was called off.
    Cancelled,
    /// Somebody else may have it.
    Gone,
}

/// Beats until it is dropped.
#[derive(Debug)]
pub struct Heartbeat {
    standing: watch::Receiver<Standing>,
    beats: JoinHandle<()>,
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.beats.abort();
    }
}

impl Heartbeat {
    pub fn start(desk: Desk, offer: Offer) -> Heartbeat {
        let (says, standing) = watch::channel(Standing::Held);
        Heartbeat { standing, beats: tokio::spawn(beat(desk, offer, says)) }
    }

    pub fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    /// Waits until what runs has to be ended, and says why.
    pub async fn ends(&self) -> String {
        let mut standing = self.standing.clone();
        let why = match standing.wait_for(|standing| *standing != Standing::Held).await {
            Ok(standing) if *standing == Standing::Cancelled => "it was called off",
            Ok(_) => "its lease ended",
            // It beats no more because it is dropped.
            Err(_) => return std::future::pending().await,
        };
        why.to_owned()
    }
}

async fn beat(desk: Desk, offer: Offer, says: watch::Sender<Standing>) {
    let length = Duration::from_millis(offer.lease_ms.max(1));
    let every = length / 3;
    let mut renewed = Instant::now();
    loop {
        tokio::time::sleep(every).await;
        let asked = Instant::now();
        match desk.renew(&offer, every).await {
            Ok(cancelled) => {
                renewed = asked;
                let standing = if cancelled { Standing::Cancelled } else { Standing::Held };
                says.send_if_modified(|was| std::mem::replace(was, standing) != standing);
            }
            Err(refused) if refused.passes => {
                // Nobody else is given what may not be repeated, so it goes on while the server is away. What may be, ends
                // before the next one begins with it.
                if offer.repeat && renewed.elapsed() + every >= length {
                    says.send_replace(Standing::Gone);
                    return;
                }
            }
            // The server says that it is over. What it lost sight of is still this one's, if nobody else may have it.
            Err(_) if !offer.repeat => {}
            Err(_) => {
                says.send_replace(Standing::Gone);
                return;
            }
        }
    }
}
