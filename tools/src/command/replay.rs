//! `daybook replay`: a session's terminal, played.

use crate::cli::Exit;
use crate::output::{self, Paint, Picture, print};
use crate::source::{Source, TargetArgs};
use anyhow::bail;
use daybook_engine::event::Micros;
use daybook_query::replay::Keyframes;
use serde_json::Value;
use std::io::IsTerminal as _;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The arguments of `daybook replay`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  daybook replay SESSION
  daybook replay --speed 4 --at 2026-03-01T09:30:00Z SESSION
  daybook replay --json SESSION > frames.ndjson

Ctrl-C ends it. A session that goes on is followed. --json has the frames of
GET /v1/sessions/{id}/replay, one a line, as fast as they come.")]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    /// How fast: 0.5 is half as fast as it was, 16 sixteen times
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// The longest that nothing happens, in seconds of the recording; 0 for no pause at all
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    idle: f64,
    /// Begin at this moment
    #[arg(long, value_name = "TIME", value_parser = Micros::parse)]
    at: Option<Micros>,
    /// Print one frame a line, as JSON
    #[arg(long)]
    json: bool,
    /// The session's id
    id: String,
}

/// How often a session that goes on is asked for more.
const FOLLOW: Duration = Duration::from_secs(1);

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed: &f64| (0.1..=1_000.0).contains(speed));
    speed.ok_or_else(|| "use a number from 0.1 to 1000".to_owned())
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds: &f64| (0.0..=86_400.0).contains(seconds));
    seconds.ok_or_else(|| "use a number of seconds, at most 86400".to_owned())
}

/// Runs the command.
///
/// # Errors
/// No such session, or what the server or the log says.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    let source = Source::open(&args.target)?;
    if args.json {
        frames(&args, &source, async |frame| output::print_json(frame)).await?;
        return Ok(Exit::Well);
    }
    if !std::io::stdout().is_terminal() {
        bail!("a replay needs a terminal to play on; use --json for its frames, or `daybook show`");
    }
    let mut show = Show::begin(&args)?;
    tokio::select! {
        played = frames(&args, &source, async |frame| show.frame(frame).await) => played?,
        stopped = tokio::signal::ctrl_c() => stopped?,
    }
    show.end()?;
    Ok(Exit::Well)
}

/// Has each frame shown, until no more are wanted.
async fn frames(
    args: &Args,
    source: &Source,
    mut show: impl AsyncFnMut(&Value) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let keyframes = Keyframes::default();
    let mut cursor = None::<String>;
    let mut begun = false;
    loop {
        let at = args.at.filter(|_| cursor.is_none());
        let page = source.replay(&args.id, &keyframes, at, cursor.as_deref()).await?;
        let frames = page.get("frames").and_then(Value::as_array);
        let frames = frames.map(Vec::as_slice).unwrap_or_default();
        // The first of a later page is what stands already.
        for frame in frames.iter().skip(usize::from(begun)) {
            if !show(frame).await? {
                return Ok(());
            }
        }
        let next = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        let nothing_new = begun && frames.len() == 1 && next == cursor;
        begun |= !frames.is_empty();
        if next.is_none() {
            return Ok(());
        }
        cursor = next;
        if nothing_new {
            if args.json {
                return Ok(());
            }
            tokio::time::sleep(FOLLOW).await;
        }
    }
}

/// The terminal of who watches, while something is played on it.
struct Show {
    picture: Picture,
    speed: f64,
    idle: Duration,
    /// When the frame before was due, and which moment of the session it is.
    due: Instant,
    moment: Option<u64>,
    ended: bool,
}

impl Show {
    fn begin(args: &Args) -> anyhow::Result<Show> {
        print("\u{1b}[?1049h\u{1b}[2J\u{1b}[H")?;
        Ok(Show {
            picture: Picture::new(!Paint::stdout().is_on()),
            speed: args.speed,
            idle: Duration::from_secs_f64(args.idle),
            due: Instant::now(),
            moment: None,
            ended: false,
        })
    }

    async fn frame(&mut self, frame: &Value) -> anyhow::Result<bool> {
        let moment = frame.get("time_ms").and_then(Value::as_u64).unwrap_or(0);
        let passed = moment.saturating_sub(self.moment.unwrap_or(moment));
        let pause = Duration::from_millis(passed).min(self.idle);
        // What took long to come is not waited for again.
        self.due = (self.due + pause.div_f64(self.speed)).max(Instant::now());
        self.moment = Some(moment);
        sleep_until(self.due).await;
        print(&self.picture.draw(frame, size()))
    }

    /// The terminal as it was, and below what stood on the one that was played.
    fn end(mut self) -> anyhow::Result<()> {
        self.restore()?;
        print(&self.picture.lines(size().0))?;
        Ok(())
    }

    fn restore(&mut self) -> anyhow::Result<()> {
        self.ended = true;
        print("\u{1b}[0m\u{1b}[?25h\u{1b}[?1049l")?;
        Ok(())
    }
}

impl Drop for Show {
    fn drop(&mut self) {
        if !self.ended {
            // An error is on its way already.
            let _ = self.restore();
        }
    }
}

fn size() -> (usize, usize) {
    let size = terminal_size::terminal_size_of(std::io::stdout());
    size.map_or((80, 24), |(width, height)| (usize::from(width.0), usize::from(height.0)))
}
