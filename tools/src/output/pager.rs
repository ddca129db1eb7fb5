//! A pager, for what a person reads and the terminal is too short for.
//!
//! ```text
//! text ─► kept while it fits the terminal ─► DAYBOOK_PAGER, else PAGER, else less
//!              └► printed, if nothing more comes
//! ```
//!
//! A pager that can't be run changes nothing but that: the text is printed. One that is quit early has
//! shown what was wanted.

use super::{cell, clean, print};
use anyhow::Context as _;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::process::{Child, Command, Stdio};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Whether a pager is wanted.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct PagerArgs {
    /// Print directly, however long it is
    #[arg(long)]
    no_pager: bool,
}

/// Where a command's text for people goes.
#[derive(Debug)]
pub struct Out(State);

#[derive(Debug)]
enum State {
    /// To standard output.
    Direct,
    /// Nowhere yet: it may fit the terminal.
    Waiting(Waiting),
    /// To a pager.
    Paging(Pager),
    /// Nowhere any more: the pager was quit.
    Gone,
}

#[derive(Debug)]
struct Waiting {
    pager: String,
    text: String,
    lines: usize,
    lines_max: usize,
    columns: usize,
}

impl Out {
    /// Standard output, through a pager if it is a terminal and the arguments do not refuse one.
    #[must_use]
    pub fn new(args: PagerArgs) -> Out {
        let stdout = std::io::stdout();
        let Some(pager) = pager().filter(|_| !args.no_pager && stdout.is_terminal()) else {
            return Out(State::Direct);
        };
        let size = terminal_size::terminal_size_of(stdout);
        let (columns, lines) = size.map_or((80, 24), |(w, h)| (usize::from(w.0), usize::from(h.0)));
        // The last line is the shell's.
        let lines_max = lines.saturating_sub(1);
        Out(State::Waiting(Waiting { pager, text: String::new(), lines: 0, lines_max, columns }))
    }

    /// Prints whole lines; answers whether more is wanted.
    ///
    /// # Errors
    /// The system's.
    pub fn print(&mut self, text: &str) -> anyhow::Result<bool> {
        match &mut self.0 {
            State::Direct => print(text),
            State::Gone => Ok(false),
            State::Waiting(waiting) => {
                waiting.take(text);
                if waiting.lines <= waiting.lines_max {
                    return Ok(true);
                }
                let text = std::mem::take(&mut waiting.text);
                self.0 = match Pager::start(&waiting.pager) {
                    Ok(pager) => State::Paging(pager),
                    Err(error) => {
                        tracing::warn!("{error:#}");
                        State::Direct
                    }
                };
                self.print(&text)
            }
            State::Paging(pager) => {
                if pager.give(text)? {
                    return Ok(true);
                }
                self.finish()?;
                Ok(matches!(self.0, State::Direct))
            }
        }
    }

    /// Prints what waits, and waits until the pager is quit. To be called however the command went: what
    /// is said after it would be lost behind the pager.
    ///
    /// # Errors
    /// The system's.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        match std::mem::replace(&mut self.0, State::Gone) {
            State::Direct => self.0 = State::Direct,
            State::Gone => {}
            State::Waiting(waiting) => {
                self.0 = State::Direct;
                print(&waiting.text)?;
            }
            State::Paging(pager) => {
                if let Some(text) = pager.end()? {
                    self.0 = State::Direct;
                    print(&text)?;
                }
            }
        }
        Ok(())
    }
}

impl Waiting {
    fn take(&mut self, text: &str) {
        // Of what is far too long, the first lines say so.
        for line in text.lines().take(self.lines_max + 1) {
            self.lines += cell::width(&clean::text(line)).div_ceil(self.columns.max(1)).max(1);
        }
        self.text.push_str(text);
    }
}

/// The pager that is set; none if that is empty, or `cat`, as for git.
fn pager() -> Option<String> {
    let set = ["DAYBOOK_PAGER", "PAGER"].iter().find_map(|name| std::env::var(name).ok());
    let pager = set.unwrap_or_else(|| "less".to_owned());
    (!matches!(pager.trim(), "" | "cat")).then_some(pager)
}

/// More than a pipe holds: once so much was taken, somebody reads it.
const PIPE_BYTES_MAX: usize = 1 << 20;
/// What a shell says of a command that can't be run, or is not there.
const NOT_RUN: [i32; 2] = [126, 127];

/// A running pager.
#[derive(Debug)]
struct Pager {
    child: Child,
    /// What it was given, as long as the pipe may hold it all: whether the shell could run the pager is
    /// known only at its end.
    given: Option<String>,
    /// `^C` is for the pager; this command must not leave it alone with the terminal.
    _interrupts: Signal,
}

impl Pager {
    fn start(command: &str) -> anyhow::Result<Pager> {
        let interrupts = signal(SignalKind::interrupt()).context("can't catch interrupts")?;
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).stdin(Stdio::piped());
        if std::env::var_os("LESS").is_none() {
            // Leaves at once if all fits, shows colours, and leaves what it showed on the screen.
            shell.env("LESS", "FRX");
        }
        let child = shell.spawn().context("can't run a shell for the pager")?;
        Ok(Pager { child, given: Some(String::new()), _interrupts: interrupts })
    }

    /// Gives it text; answers whether it takes more.
    fn give(&mut self, text: &str) -> anyhow::Result<bool> {
        match &mut self.given {
            Some(given) if given.len() <= PIPE_BYTES_MAX => given.push_str(text),
            _ => self.given = None,
        }
        let Some(stdin) = &mut self.child.stdin else { return Ok(false) };
        match stdin.write_all(text.as_bytes()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(error).context("can't write to the pager"),
        }
    }

    /// Waits for its end; answers the text that is still to be printed, if it could not be run.
    fn end(mut self) -> anyhow::Result<Option<String>> {
        drop(self.child.stdin.take());
        let status = self.child.wait().context("can't wait for the pager")?;
        Ok(self.given.filter(|_| status.code().is_some_and(|code| NOT_RUN.contains(&code))))
    }
}
