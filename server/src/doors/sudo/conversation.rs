//! What a client says, in turn, and the events that it amounts to: no sockets, no log.
//!
//! ```text
//!             Accept, Reject, Alert                    Exit
//! greeting ───────────────────────────► running ───────────────────► ended
//!     └── Restart (place found in the log) ──►┘ records, subcommands
//! ```

use super::events::{COMMAND, FIRST, Facts, Lines, Nanos, nanos, session_id};
use super::messages::{ClientMessage, Exit, Said};
use std::collections::VecDeque;

/// Where a conversation stands.
#[derive(Debug, Default)]
pub struct Conversation {
    running: Option<Running>,
    ended: bool,
}

/// A session that takes records.
#[derive(Debug, PartialEq, Eq)]
pub struct Running {
    /// Its lines.
    pub lines: Lines,
    /// The delays so far, added up.
    pub elapsed: Nanos,
    /// The numbers of records that are stored and will come again, in their order.
    pub again: VecDeque<u32>,
    /// The next number that is free.
    pub next: u32,
    /// Do records come, so that commit points are waited for?
    pub records: bool,
}

/// What a message amounts to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Lines to be stored.
    pub lines: Vec<Vec<u8>>,
    /// Once they are, the client hears the session's name.
    pub named: bool,
    /// The client goes on with this session, after this time since its start.
    pub restart: Option<(String, Nanos)>,
}

impl Running {
    fn new(lines: Lines, records: bool) -> Running {
        Running { lines, elapsed: 0, again: VecDeque::new(), next: FIRST, records }
    }

    fn fresh(&mut self) -> Result<u32, String> {
        let seq = self.next;
        self.next = seq.checked_add(1).ok_or("the session has no numbers left")?;
        Ok(seq)
    }

    fn seq(&mut self) -> Result<u32, String> {
        match self.again.pop_front() {
            Some(seq) => Ok(seq),
            None => self.fresh(),
        }
    }
}

impl Conversation {
    /// The session that takes records, if one does.
    #[must_use]
    pub fn running(&self) -> Option<&Running> {
        self.running.as_ref()
    }

    /// Has the client said all that it has to say?
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Goes on with a session whose place was found.
    pub fn resume(&mut self, running: Running) {
        self.running = Some(running);
    }

    /// Takes a message; `bytes` are its own.
    ///
    /// # Errors
    /// What is wrong with it, for the client; nothing more can be taken.
    pub fn take(&mut self, message: ClientMessage, bytes: &[u8]) -> Result<Taken, String> {
        let said = message.said.ok_or("a message of a kind that is not known")?;
        if self.ended {
            return Err("a message after the end".to_owned());
        }
        match self.running.as_mut() {
            None => self.begin(said, bytes),
            Some(running) => match said {
                Said::Exit(exit) => {
                    self.ended = true;
                    exited(running, &exit)
                }
                said => record(running, said),
            },
        }
    }

    fn begin(&mut self, said: Said, bytes: &[u8]) -> Result<Taken, String> {
        let (time, info, verdict, reason, records) = match &said {
            Said::Hello(_) => return Ok(Taken::default()),
            Said::Restart(restart) => {
                let place = nanos(restart.resume_point)?;
                let restart = Some((restart.log_id.clone(), place));
                return Ok(Taken { restart, ..Taken::default() });
            }
            Said::Accept(a) => (a.submit_time, &a.info, "passed", String::new(), a.expect_iobufs),
            Said::Reject(r) => (r.submit_time, &r.info, "blocked", r.reason.clone(), false),
            Said::Alert(a) => {
                (a.alert_time, &a.info, "blocked", format!("alert: {}", a.reason), false)
            }
            _ => return Err("records come after an AcceptMessage or a RestartMessage".to_owned()),
        };
        let facts = Facts(info);
        let lines = Lines { session: session_id(facts, bytes), submitted: nanos(time)? };
        let mut taken = vec![
            lines.start(facts)?,
            lines.command(COMMAND, lines.submitted, facts, verdict, &reason)?,
        ];
        if verdict == "blocked" {
            taken.push(lines.end(FIRST, 0, "failed", None, Some(&reason))?);
            self.ended = true;
        }
        self.running = Some(Running::new(lines, records));
        Ok(Taken { lines: taken, named: records, restart: None })
    }

    /// The client has gone. A command that was let through and of which sudo tells nothing more has ended
    /// for all that is known; one whose records come may be gone on with.
    ///
    /// # Errors
    /// As [`Conversation::take`].
    pub fn close(&mut self) -> Result<Taken, String> {
        let running = self.running.as_mut().filter(|running| !running.records && !self.ended);
        let Some(running) = running else { return Ok(Taken::default()) };
        self.ended = true;
        let seq = running.fresh()?;
        let line = running.lines.end(seq, 0, "done", None, Some("sudo told of no end"))?;
        Ok(Taken { lines: vec![line], ..Taken::default() })
    }
}

/// A message of a session that runs.
fn record(running: &mut Running, said: Said) -> Result<Taken, String> {
    let delay = match &said {
        Said::TtyIn(io)
        | Said::TtyOut(io)
        | Said::Stdin(io)
        | Said::Stdout(io)
        | Said::Stderr(io) => io.delay,
        Said::Resize(resize) => resize.delay,
        Said::Suspend(suspend) => suspend.delay,
        _ => None,
    };
    // A sum of times that clocks say, each below 2^64 s, does not come to an end of 128 bits.
    running.elapsed = running.elapsed.saturating_add(nanos(delay)?);
    let at = running.lines.submitted.saturating_add(running.elapsed);
    let line = match &said {
        Said::TtyIn(io) | Said::Stdin(io) => {
            let seq = running.seq()?;
            running.lines.bytes(seq, at, "terminal.input", None, &io.data)?
        }
        Said::TtyOut(io) => {
            let seq = running.seq()?;
            running.lines.bytes(seq, at, "terminal.output", None, &io.data)?
        }
        Said::Stdout(io) => {
            let seq = running.seq()?;
            running.lines.bytes(seq, at, "output", Some("stdout"), &io.data)?
        }
        Said::Stderr(io) => {
            let seq = running.seq()?;
            running.lines.bytes(seq, at, "output", Some("stderr"), &io.data)?
        }
        Said::Resize(resize) => {
            let seq = running.seq()?;
            running.lines.resize(seq, at, resize.rows, resize.cols)?
        }
        Said::Suspend(suspend) => {
            let seq = running.seq()?;
            let text = format!("suspend: {}", suspend.signal);
            running.lines.bytes(seq, at, "terminal.marker", None, text.as_bytes())?
        }
        // What the command itself runs.
        Said::Accept(accept) => {
            let (seq, at) = (running.fresh()?, nanos(accept.submit_time)?);
            running.lines.command(seq, at, Facts(&accept.info), "passed", "")?
        }
        Said::Reject(reject) => {
            let (seq, at) = (running.fresh()?, nanos(reject.submit_time)?);
            running.lines.command(seq, at, Facts(&reject.info), "blocked", &reject.reason)?
        }
        Said::Alert(alert) => {
            let (seq, at) = (running.fresh()?, nanos(alert.alert_time)?);
            let reason = format!("alert: {}", alert.reason);
            running.lines.command(seq, at, Facts(&alert.info), "blocked", &reason)?
        }
        Said::Exit(_) | Said::Restart(_) | Said::Hello(_) => {
            return Err("a message that does not belong into a session that runs".to_owned());
        }
    };
    Ok(Taken { lines: vec![line], ..Taken::default() })
}

fn exited(running: &mut Running, exit: &Exit) -> Result<Taken, String> {
    let (command_end, end) = (running.seq()?, running.seq()?);
    let status = match (exit.error.is_empty(), exit.signal.is_empty()) {
        (false, _) => "failed",
        (true, false) => "killed",
        (true, true) => "done",
    };
    let lines = vec![
        running.lines.command_end(command_end, exit)?,
        running.lines.end(end, nanos(exit.run_time)?, status, Some(exit.exit_value), None)?,
    ];
    Ok(Taken { lines, ..Taken::default() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;
    use crate::doors::sudo::messages::{Accept, IoBuffer, TimeSpec};
    use daybook_engine::event::wire::Event;
    use proptest::prelude::*;
    use prost::Message as _;

    fn message(said: Said) -> ClientMessage {
        ClientMessage { said: Some(said) }
    }

    fn accepted() -> (Conversation, Taken) {
        let time = TimeSpec { tv_sec: 1_772_357_400, tv_nsec: 5 };
        let accept = Accept { submit_time: Some(time), info: Vec::new(), expect_iobufs: true };
        let mut conversation = Conversation::default();
        let message = message(Said::Accept(accept));
        let bytes = message.encode_to_vec();
        let taken = conversation.take(message, &bytes).unwrap();
        (conversation, taken)
    }

    #[test]
    fn the_same_messages_are_the_same_lines() {
        let shown = |conversation: &mut Conversation| {
            let delay = Some(TimeSpec { tv_sec: 1, tv_nsec: 999_999_999 });
            let io = IoBuffer { delay, data: b"caf\xc3".to_vec() };
            conversation.take(message(Said::TtyOut(io)), b"").unwrap().lines
        };
        let ((mut one, first), (mut two, second)) = (accepted(), accepted());
        assert_eq!(first, second);
        assert_eq!(shown(&mut one), shown(&mut two));
        let next = shown(&mut one).remove(0);
        let text = String::from_utf8(next.clone()).unwrap();
        assert!(
            text.contains("2026-03-01T09:30:04.000000003Z") && text.contains("\"seq\":3"),
            "{text}"
        );
        assert!(Event::decode(&next).is_ok() && text.contains("data"));
    }

    proptest! {
        #[test]
        fn whatever_is_said_the_lines_are_events_or_it_is_an_error(
            messages in prop::collection::vec(
                (1u8..14, prop::collection::vec(any::<u8>(), 0..40)), 0..8,
            ),
        ) {
            let (mut conversation, _) = accepted();
            for (tag, body) in messages {
                let mut bytes = vec![tag << 3 | 2, body.len() as u8];
                bytes.extend_from_slice(&body);
                let Ok(message) = ClientMessage::decode(&*bytes) else { continue };
                let Ok(taken) = conversation.take(message, &bytes) else { return Ok(()) };
                for line in taken.lines {
                    // A field may still be out of the log's bounds.
                    if let Err(error) = Event::decode(&line) {
                        prop_assert!(!error.contains("column"), "{}: {}", error, String::from_utf8_lossy(&line));
                    }
                }
            }
        }
    }
}
