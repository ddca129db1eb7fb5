//! Shell commands: `sh -c`, in a process group of its own, without input, for a bounded time.

use super::recording::Recording;
use super::{Ended, Limits, MIND_WITHIN};
use crate::producer::NotTaken;
use crate::record::Utf8;
use rustix::process::{Pid, Signal, kill_process_group};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// What is read at once.
const READ: usize = 32 << 10;
/// What came is sent as one event after this, and after more of them less often: an output has some hundreds of
/// events at most.
const EVERY: Duration = Duration::from_millis(200);
/// How long after the command's end what it left behind may go on writing.
const LINGER: Duration = Duration::from_millis(200);

/// The secrets of the runner's own that a command need not know.
const SECRETS: [&str; 3] = ["DAYBOOK_TOKEN", "DAYBOOK_DSN", "DAYBOOK_ENCRYPTION_KEY"];

/// One of the two streams of a command.
struct Stream<R> {
    name: &'static str,
    from: Option<R>,
    came: Vec<u8>,
    utf8: Utf8,
}

impl<R: AsyncRead + Unpin> Stream<R> {
    fn new(name: &'static str, from: Option<R>) -> Stream<R> {
        Stream { name, from, came: Vec::new(), utf8: Utf8::default() }
    }

    /// Reads on; never answers after its end.
    async fn read(&mut self) -> usize {
        let Some(from) = &mut self.from else { return std::future::pending().await };
        let mut buffer = vec![0; READ];
        match from.read(&mut buffer).await {
            Ok(read) if read > 0 => {
                self.came.extend_from_slice(buffer.get(..read).unwrap_or_default());
                read
            }
            // Closed, or broken, which is no different here.
            _ => {
                self.from = None;
                0
            }
        }
    }

    async fn flush(&mut self, recording: &mut Recording) -> Result<(), NotTaken> {
        if self.came.is_empty() {
            return Ok(());
        }
        let came = std::mem::take(&mut self.came);
        recording.bytes(self.name, &mut self.utf8, &came).await
    }
}

/// Runs a command until it ends, takes too long, or `stop` says why it has to.
pub async fn run(
    input: &str,
    limits: &Limits,
    recording: &mut Recording,
    stop: impl Future<Output = String>,
) -> Ended {
    let mut command = Command::new("sh");
    command.arg("-c").arg(input).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    for secret in SECRETS {
        command.env_remove(secret);
    }
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            // As a shell has it for a command that it can't run.
            let error = Some(format!("`sh` can't be started: {error}"));
            return Ended { exit_code: Some(127), error, ..Ended::default() };
        }
    };
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let mut out = Stream::new("stdout", child.stdout.take());
    let mut err = Stream::new("stderr", child.stderr.take());
    let watched = watch(&mut child, group, limits, recording, (&mut out, &mut err), stop).await;
    // What it left behind in its group ends with it.
    kill(group, Signal::KILL);
    let (status, mut ended_for) = watched;
    for sent in [
        out.flush(recording).await,
        recording.rest("stdout", &mut out.utf8).await,
        err.flush(recording).await,
        recording.rest("stderr", &mut err.utf8).await,
    ] {
        if let Err(error) = sent {
            ended_for.get_or_insert(error.to_string());
        }
    }
    Ended {
        // As a shell has it for a command that a signal ended.
        exit_code: status.and_then(|status| {
            status.code().or(status.signal().map(|signal| 128 + signal)).map(i64::from)
        }),
        ended_for,
        ..Ended::default()
    }
}

async fn watch<A: AsyncRead + Unpin, B: AsyncRead + Unpin>(
    child: &mut Child,
    group: Option<Pid>,
    limits: &Limits,
    recording: &mut Recording,
    (out, err): (&mut Stream<A>, &mut Stream<B>),
    stop: impl Future<Output = String>,
) -> (Option<ExitStatus>, Option<String>) {
    tokio::pin!(stop);
    let deadline = tokio::time::sleep(limits.time);
    tokio::pin!(deadline);
    let (mut status, mut ended_for): (Option<ExitStatus>, Option<String>) = (None, None);
    let (mut kill_at, mut close_at): (Option<Instant>, Option<Instant>) = (None, None);
    let (mut flush_at, mut flushes) = (Instant::now() + EVERY, 0_u32);
    loop {
        let mut end_for = None;
        tokio::select! {
            _ = out.read() => {}
            _ = err.read() => {}
            ended = child.wait(), if status.is_none() => {
                status = ended.ok();
                close_at = Some(Instant::now() + LINGER);
                if status.is_none() {
                    return (None, Some("the system does not say how it ended".to_owned()));
                }
            }
            () = &mut deadline, if ended_for.is_none() && status.is_none() => {
                end_for = Some(format!("it took longer than {} s", limits.time.as_secs_f64()));
            }
            why = &mut stop, if ended_for.is_none() && status.is_none() => end_for = Some(why),
            () = at(kill_at) => {
                kill_at = None;
                kill(group, Signal::KILL);
            }
            () = tokio::time::sleep_until(flush_at) => {}
            () = at(close_at) => return (status, ended_for),
        }
        if status.is_some() && out.from.is_none() && err.from.is_none() {
            return (status, ended_for);
        }
        // Held in memory is one read more than may be kept.
        let much = out.came.len() + err.came.len() >= READ;
        if much || Instant::now() >= flush_at {
            for sent in [out.flush(recording).await, err.flush(recording).await] {
                if let Err(error) = sent
                    && ended_for.is_none()
                {
                    end_for = Some(format!("its output can't be kept: {error}"));
                }
            }
            flushes += u32::from(!much);
            flush_at = Instant::now() + EVERY * (1 + flushes / 50);
        }
        if let Some(why) = end_for {
            ended_for = Some(why);
            kill(group, Signal::TERM);
            kill_at = Some(Instant::now() + MIND_WITHIN);
        }
    }
}

fn kill(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // One that has ended is no error.
        let _ = kill_process_group(group, signal);
    }
}

/// That moment; never, without one.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
