//! `daybook record`: a terminal session, recorded live.
//!
//! The command runs behind a pseudo terminal; what it shows goes to the screen and, event by event, to
//! the server. While the server is away the events wait in the spill, and the recording goes on. When the
//! spill is full too, nothing more can be kept: then the command is ended (`--when-full stop`), or waits
//! until there is room (`--when-full wait`). It never runs on unrecorded.

use crate::cli::Exit;
use crate::client::Client;
use crate::config::setting::size;
use crate::output;
use crate::producer::{NotTaken, Options, Producer, Report, SpillBounds};
use crate::record::{Ended, Facts, Raw, Said, Script, Terminal};
use crate::source::{ServerArgs, escape};
use anyhow::{Context as _, bail};
use daybook_engine::event::Micros;
use rustix::process::Signal;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

/// The arguments of `daybook record`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Who is recorded [default: who runs this]
    #[arg(long)]
    user: Option<String>,
    /// Through which resource role [default: this machine's name]
    #[arg(long)]
    role: Option<String>,
    /// The role's type
    #[arg(long = "type", value_name = "TYPE", default_value = "terminal")]
    kind: String,
    /// Also record what is typed, passwords too
    #[arg(long)]
    input: bool,
    /// Where events wait while the server is away [default: `~/.local/state/daybook/spill/SERVER`]
    #[arg(long, value_name = "DIR")]
    spill: Option<PathBuf>,
    /// How much of it may be used
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size)]
    spill_bytes_max: u64,
    /// What becomes of the command when the spill is full
    #[arg(long, value_enum, default_value_t = WhenFull::Stop)]
    when_full: WhenFull,
    /// How long to go on sending after the end, in seconds; what is left then is kept in the spill
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    patience: f64,
    /// Record nothing; send what waits in the spill
    #[arg(long, conflicts_with = "command")]
    send_spilled: bool,
    /// The command, and its arguments [default: the shell]
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

/// What becomes of a command whose recording can't be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum WhenFull {
    /// It is ended (SIGHUP, then SIGKILL).
    Stop,
    /// It waits until there is room.
    Wait,
}

/// How long the terminal may be silent after the command's end, while something that the command left
/// behind still has it open.
const LINGER: Duration = Duration::from_millis(200);
/// How long that may go on at most.
const LINGER_MAX: Duration = Duration::from_secs(5);
/// How long a command has to end when it is told to because it can't be recorded.
const MIND_WITHIN: Duration = Duration::from_secs(2);
/// The pause before a full spill is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Runs the command.
///
/// # Errors
/// A spill, a terminal or a command that can't be had.
pub async fn run(args: Args, quiet: bool) -> anyhow::Result<Exit> {
    let client = args.server.client()?;
    let dir = match &args.spill {
        Some(dir) => dir.clone(),
        None => default_spill(&client)?,
    };
    let patience = Duration::from_secs_f64(args.patience.clamp(0.0, 86_400.0));
    let spill = Some(SpillBounds { dir, bytes_max: args.spill_bytes_max });
    let producer = Producer::start(client, Options { spill, ..Options::default() })?;
    if args.send_spilled {
        let report = producer.close(patience).await?;
        say(&report, quiet);
        let well = report.left + report.rejected + report.lost == 0;
        return Ok(if well { Exit::Well } else { Exit::Look });
    }
    let id = crate::demo::rng::Rng::new(seed()?).id(12);
    let mut recording = Recording {
        script: Script::new(format!("rec-{}-{id}", Micros::now().0 / 1_000_000)),
        producer,
        when_full: args.when_full,
        broken: None,
        kill_at: None,
        asked: Asked::new()?,
    };
    let facts = facts(&args);
    let ended = recording.record(&facts, args.input).await;
    let (session, events) = (recording.script.session().to_owned(), recording.script.events());
    let report = recording.producer.close(patience).await?;
    let ended = ended?;
    if let Some(why) = &recording.broken {
        tell(&format!("the command was ended: {why}"));
    }
    if !quiet {
        tell(&format!("recorded {session}, {events} events"));
    }
    say(&report, quiet);
    Ok(Exit::Code(ended.exit_code()))
}

/// A recording that goes on.
struct Recording {
    script: Script,
    producer: Producer,
    when_full: WhenFull,
    /// Why nothing more is recorded.
    broken: Option<String>,
    /// When a command that did not mind being told to end is killed.
    kill_at: Option<Instant>,
    asked: Asked,
}

impl Recording {
    async fn record(&mut self, facts: &Facts, with_input: bool) -> anyhow::Result<Ended> {
        let mut resized = signal(SignalKind::window_change())?;
        let start = self.script.start(facts);
        self.producer.send(&start).await.context("the recording can't begin")?;
        let env = [("DAYBOOK_SESSION", self.script.session())];
        let raw = Raw::enter().context("can't switch the terminal to raw mode")?;
        let started = Terminal::start(&facts.command, &env, facts.size, with_input);
        let mut terminal = match started {
            Ok(terminal) => terminal,
            Err(error) => {
                // As a shell has it for a command that it can't run.
                let end = self.script.end(Ended::Code(127), Some(&format!("{error:#}")));
                self.producer.send_last(&end).await?;
                return Err(error);
            }
        };
        let (mut ended, mut stop_at) = (None, None);
        loop {
            let silence = ended.map(|_| Instant::now() + LINGER);
            tokio::select! {
                // A command that shows more than is taken must not keep the others waiting.
                biased;
                signal = self.asked.next(), if ended.is_none() => terminal.kill(signal),
                end = &mut terminal.ended, if ended.is_none() => {
                    ended = Some(end.unwrap_or(Ended::Signal(0)));
                    stop_at = Some(Instant::now() + LINGER_MAX);
                }
                () = at(self.kill_at), if ended.is_none() => {
                    self.kill_at = None;
                    terminal.kill(Signal::KILL);
                }
                () = at(stop_at) => break,
                said = terminal.said.recv() => match said {
                    Some(said) => self.said(&terminal, said).await,
                    // The thread that types may outlive the one that shows, so this is rarely how it ends.
                    None => break,
                },
                Some(()) = resized.recv() => {
                    let size = crate::record::size();
                    // A terminal that is gone has no size; its end is on its way.
                    let _ = terminal.resize(size);
                    if self.broken.is_none() {
                        let line = self.script.resize(size);
                        self.keep(&terminal, line).await;
                    }
                }
                () = at(silence) => break,
            }
        }
        let ended = match ended {
            Some(ended) => ended,
            None => terminal.ended.await.unwrap_or(Ended::Signal(0)),
        };
        for line in self.script.rest() {
            self.keep_last(line).await?;
        }
        let end = self.script.end(ended, self.broken.as_deref());
        self.keep_last(end).await?;
        drop(raw);
        Ok(ended)
    }

    async fn said(&mut self, terminal: &Terminal, said: Said) {
        // Kept before it is seen: nobody sees what is not recorded.
        if self.broken.is_some() {
            return;
        }
        if let Some(line) = self.script.say(&said) {
            self.keep(terminal, line).await;
        }
        if let Said::Shown(bytes) = &said
            && self.broken.is_none()
        {
            let mut screen = std::io::stdout().lock();
            // A screen that is gone does not end the recording; the system ends the command (SIGHUP).
            let _ = screen.write_all(bytes).and_then(|()| screen.flush());
        }
    }

    async fn keep(&mut self, terminal: &Terminal, line: String) {
        loop {
            match self.producer.send(&line).await {
                Ok(()) => return,
                Err(NotTaken::Full(why)) if self.when_full == WhenFull::Wait => {
                    tokio::select! {
                        () = tokio::time::sleep(LOOK_AGAIN) => {}
                        _ = self.asked.next() => return self.breaks(terminal, why),
                    }
                }
                Err(error) => return self.breaks(terminal, error.to_string()),
            }
        }
    }

    /// The event before could not be kept: nothing runs on unrecorded.
    fn breaks(&mut self, terminal: &Terminal, why: String) {
        self.script.take_back();
        self.broken = Some(why);
        self.kill_at = Some(Instant::now() + MIND_WITHIN);
        terminal.kill(Signal::HUP);
    }

    /// Keeps what there is room for in any case.
    async fn keep_last(&mut self, line: String) -> anyhow::Result<()> {
        self.producer.send_last(&line).await.context("the end of the recording can't be kept")
    }
}

/// That moment; never, without one.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Signals that ask this to end; the command gets them, and its end is the recording's.
struct Asked {
    hup: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
    term: tokio::signal::unix::Signal,
}

impl Asked {
    fn new() -> std::io::Result<Asked> {
        Ok(Asked {
            hup: signal(SignalKind::hangup())?,
            int: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            term: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.hup.recv() => Signal::HUP,
            _ = self.int.recv() => Signal::INT,
            _ = self.quit.recv() => Signal::QUIT,
            // A shell with a person in front of it does not end at SIGTERM; when its terminal is gone it does.
            _ = self.term.recv() => Signal::HUP,
        }
    }
}

fn facts(args: &Args) -> Facts {
    let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let command = match args.command.is_empty() {
        true => vec![variable("SHELL").unwrap_or_else(|| "/bin/sh".to_owned())],
        false => args.command.clone(),
    };
    let names = ["TERM", "SHELL", "SSH_CONNECTION"];
    let mut metadata: Vec<_> =
        names.into_iter().filter_map(|name| Some((name, variable(name)?))).collect();
    metadata.push(("host", host.clone()));
    Facts {
        user: args.user.clone().or_else(|| variable("USER")).or_else(|| variable("LOGNAME")),
        role: args.role.clone().or(Some(host)),
        kind: args.kind.clone(),
        command,
        size: crate::record::size(),
        metadata,
    }
}

/// Where events wait for this server: those of one are not sent to another.
pub(super) fn default_spill(client: &Client) -> anyhow::Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let state = variable("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".local/state")));
    let Some(state) = state else {
        bail!(
            "neither XDG_STATE_HOME nor HOME says where events may wait; name a directory with --spill"
        )
    };
    let server = client.base().trim_start_matches("http://");
    Ok(state.join("daybook/spill").join(escape(server)))
}

fn seed() -> anyhow::Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).context("the system has no random numbers")?;
    Ok(u64::from_le_bytes(bytes))
}

/// What became of the events, where that is not that all are stored.
fn say(report: &Report, quiet: bool) {
    if let Some(why) = &report.first_rejected {
        let why = output::clean::line(why);
        tell(&format!("the server refused {} events: {why}", output::count(report.rejected)));
    }
    if report.lost > 0 {
        let why = report.why.as_deref().unwrap_or("the spill could not be written");
        tell(&format!("{} events are LOST: {why}", output::count(report.lost)));
    }
    if let Some(dir) = report.left_in.as_ref().filter(|_| !quiet) {
        let why = report.why.as_deref().unwrap_or("there was no time to send them");
        tell(&format!(
            "{} events wait in {} and are sent by the next `daybook record`, or by `daybook record --send-spilled`: {why}",
            output::count(report.left),
            dir.display()
        ));
    }
}

/// To the person in front of the terminal, who may be gone: that is no reason to end badly.
fn tell(what: &str) {
    let _ = writeln!(std::io::stderr(), "daybook: {what}");
}
