//! What some producers of events came to, and how it is printed: the same for daybook and its peers.

use crate::mb;
use anyhow::Result;
use hdrhistogram::Histogram;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What one producer came to.
pub(crate) struct Sent {
    /// The time to each acknowledgement, in microseconds.
    pub acks: Histogram<u64>,
    pub events: u64,
    pub bytes: u64,
}

impl Sent {
    pub(crate) fn new() -> Result<Sent> {
        Ok(Sent { acks: Histogram::new(3)?, events: 0, bytes: 0 })
    }

    /// Notes a batch that was sent then and is acknowledged now.
    pub(crate) fn acknowledged(&mut self, sent: Instant, events: u64, bytes: u64) -> Result<()> {
        self.acks.record(sent.elapsed().as_micros() as u64)?;
        self.events += events;
        self.bytes += bytes;
        Ok(())
    }
}

/// What all producers of a run came to.
pub(crate) struct Outcome {
    pub events: u64,
    pub bytes: u64,
    pub took: Duration,
    /// CPU seconds of the server.
    pub cpu: f64,
    /// At the 50th, 99th and 99.9th percentile, in milliseconds.
    pub acks_ms: [f64; 3],
}

impl Outcome {
    /// Waits for all producers.
    pub(crate) async fn of(
        mut producers: JoinSet<Result<Sent>>,
        began: Instant,
    ) -> Result<Outcome> {
        let mut all = Sent::new()?;
        while let Some(done) = producers.join_next().await {
            let sent = done??;
            all.acks.add(sent.acks)?;
            all.events += sent.events;
            all.bytes += sent.bytes;
        }
        let took = began.elapsed();
        let acks_ms = [0.5, 0.99, 0.999].map(|q| all.acks.value_at_quantile(q) as f64 / 1e3);
        Ok(Outcome { events: all.events, bytes: all.bytes, took, cpu: 0.0, acks_ms })
    }

    /// The head of the table that [`Outcome::print`] fills.
    pub(crate) fn print_head(who: &str) {
        println!("{who:<9}  batch   events/s     MB/s  MB/CPU s  ack p50 ms      p99    p99.9");
    }

    pub(crate) fn print(&self, producers: usize, batch: usize) {
        let seconds = self.took.as_secs_f64();
        let [p50, p99, p999] = self.acks_ms;
        println!(
            "{producers:>9}  {batch:>5}  {:>9.0}  {:>7.1}  {:>8.1}  {p50:>10.2}  {p99:>7.2}  {p999:>7.2}",
            self.events as f64 / seconds,
            mb(self.bytes) / seconds,
            mb(self.bytes) / self.cpu.max(1e-9),
        );
    }
}
