//! A command behind a pseudo terminal.
//!
//! Three threads, because each waits in the system: one reads what the command shows, one reads what is
//! typed, one waits for its end. What they have goes through one bounded channel, so that a command that
//! shows more than is taken waits, as it would before a slow terminal.

use anyhow::Context as _;
use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// What a terminal said.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// It showed these bytes.
    Shown(Vec<u8>),
    /// These were typed.
    Typed(Vec<u8>),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this exit code.
    Code(u8),
    /// By this signal.
    Signal(i32),
}

impl Ended {
    /// As a shell has it: 128 and the signal's number for a signal.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Ended::Code(code) => code,
            Ended::Signal(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }

    fn of(status: ExitStatus) -> Ended {
        match (status.code(), status.signal()) {
            (Some(code), _) => Ended::Code(u8::try_from(code).unwrap_or(u8::MAX)),
            (None, signal) => Ended::Signal(signal.unwrap_or(0)),
        }
    }
}

/// A command and its terminal.
#[derive(Debug)]
pub struct Terminal {
    pty: Arc<Near>,
    pid: Option<Pid>,
    /// What it says; ends when all that had the terminal open are gone.
    pub said: mpsc::Receiver<Said>,
    /// How it ended.
    pub ended: oneshot::Receiver<Ended>,
}

/// The terminal's near end, which can be read, written and resized at once.
struct Near(Pty);

impl std::fmt::Debug for Near {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pty")
    }
}

/// How much is read at once.
const READ_BYTES: usize = 16 << 10;
/// What ends the input of a terminal: `^D`.
const END_OF_INPUT: &[u8] = &[4];

impl Terminal {
    /// Starts a command in a terminal of this size; standard input is typed into it, and is said too if
    /// `with_input`.
    ///
    /// # Errors
    /// No terminal, or no such command.
    pub fn start(
        command: &[String],
        env: &[(&str, &str)],
        size: (u16, u16),
        with_input: bool,
    ) -> anyhow::Result<Terminal> {
        let (program, args) = command.split_first().context("there is no command to record")?;
        let (pty, pts) = open().context("can't get a pseudo terminal")?;
        pty.resize(Size::new(size.1, size.0)).context("can't set the terminal's size")?;
        let command = Command::new(program).args(args).envs(env.iter().copied());
        let child = command.spawn(pts).with_context(|| format!("can't run {program}"))?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pty = Arc::new(Near(pty));
        let (sender, said) = mpsc::channel(64);
        let (end, ended) = oneshot::channel();
        let (shown, typed) = (Arc::clone(&pty), Arc::clone(&pty));
        let typing = with_input.then(|| sender.clone());
        // Not the runtime's: it would wait for a read of standard input that never ends.
        std::thread::spawn(move || show(&shown.0, &sender));
        std::thread::spawn(move || type_in(&typed.0, typing));
        std::thread::spawn(move || wait(child, end));
        Ok(Terminal { pty, pid, said, ended })
    }

    /// Gives it another size; the command is told by the system.
    ///
    /// # Errors
    /// The system's.
    pub fn resize(&self, (cols, rows): (u16, u16)) -> anyhow::Result<()> {
        self.pty.0.resize(Size::new(rows, cols)).context("can't set the terminal's size")
    }

    /// Sends the command a signal; one that has ended is not minded.
    pub fn kill(&self, signal: Signal) {
        if let Some(pid) = self.pid {
            let _ = kill_process(pid, signal);
        }
    }
}

fn show(mut pty: &Pty, said: &mpsc::Sender<Said>) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match pty.read(&mut buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            // Linux answers EIO when the far end is closed.
            Ok(0) | Err(_) => return,
            Ok(n) => {
                let bytes = buffer.get(..n).unwrap_or_default().to_vec();
                if said.blocking_send(Said::Shown(bytes)).is_err() {
                    return;
                }
            }
        }
    }
}

fn type_in(mut pty: &Pty, said: Option<mpsc::Sender<Said>>) {
    let mut buffer = vec![0; READ_BYTES];
    let mut line_ended = true;
    loop {
        match std::io::stdin().read(&mut buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => {
                // In a line that has not ended the first one ends the line.
                let times = if line_ended { 1 } else { 2 };
                let _ = pty.write_all(&END_OF_INPUT.repeat(times));
                return;
            }
            Ok(n) => {
                let bytes = buffer.get(..n).unwrap_or_default();
                line_ended = bytes.ends_with(b"\n");
                // Noted before it is done: what a command was told is there also if it ends all.
                if let Some(said) = &said
                    && said.blocking_send(Said::Typed(bytes.to_vec())).is_err()
                {
                    return;
                }
                if pty.write_all(bytes).is_err() {
                    return;
                }
            }
        }
    }
}

fn wait(mut child: Child, end: oneshot::Sender<Ended>) {
    let ended = child.wait().map_or(Ended::Signal(0), Ended::of);
    // The other side may have given up.
    let _ = end.send(ended);
}
