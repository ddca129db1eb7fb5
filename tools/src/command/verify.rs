//! `daybook verify`: is everything as it was recorded?

use crate::cli::Exit;
use crate::findings;
use crate::keys::KeyArgs;
use crate::output::{self, Paint};
use anyhow::{Context as _, anyhow, bail};
use daybook_engine::merkle::Verifier;
use daybook_engine::merkle::bundle::{Bundle, Proved};
use daybook_engine::verify::{Options, verify};
use daybook_query::{case_file, feed};
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

/// The arguments of `daybook verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The log's verifier key (name+id+base64), or a file that holds it: the one you were given, not the
    /// one that comes with what is checked
    #[arg(long)]
    key: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// An older checkpoint of the log, in a file: the log has to continue it
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Do not compare the catalog with the log, which reads every event once more
    #[arg(long)]
    skip_catalog: bool,
    #[command(flatten)]
    keys: KeyArgs,
    /// A data directory (also one that a server has open), a proof bundle, as `daybook proof` writes it, or the export
    /// of a case
    path: PathBuf,
}

/// Runs the command; something that does not hold makes the exit code 1.
///
/// # Errors
/// A file that can't be read, or that is no proof.
pub fn run(args: &Args, quiet: bool) -> anyhow::Result<Exit> {
    let key = args.key.as_deref().map(key_of).transpose()?;
    if args.path.is_dir() {
        return directory(args, key.as_ref(), quiet);
    }
    if args.checkpoint.is_some() {
        bail!("--checkpoint is for a data directory; a proof bundle has its own");
    }
    if is_archive(&args.path)? {
        return case(args, key.as_ref());
    }
    bundle(args, key.as_ref())
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| format!("can't read {}", path.display()))
}

/// Is it a ZIP archive? A bundle is JSON.
fn is_archive(path: &Path) -> anyhow::Result<bool> {
    let mut head = [0; 2];
    let read = open(path)?.read(&mut head);
    Ok(read.with_context(|| format!("can't read {}", path.display()))? == 2 && head == *b"PK")
}

/// Checks the export of a case, with nothing but the file.
fn case(args: &Args, key: Option<&Verifier>) -> anyhow::Result<Exit> {
    let (paint, shown) = (Paint::stdout(), args.path.display());
    let file = BufReader::new(open(&args.path)?);
    let checked = case_file::check(file, key).map_err(|what| anyhow!("{shown}: {what}"))?;
    if args.json {
        output::print_json(&checked)?;
    } else {
        let mut text = format!(
            "{}  {}\n",
            paint.bold(&output::clean::line(&checked.case)),
            if checked.is_well() { "everything in it holds" } else { "not everything in it holds" }
        );
        for session in &checked.sessions {
            let id = output::clean::line(&session.id);
            let found = match (&session.proved, &session.why) {
                (Some(proved), _) => {
                    format!("{} events, none missing between them", output::count(proved.events))
                }
                (None, Some(why)) => format!("not proved: {}", output::clean::line(why)),
                (None, None) => "not proved".to_owned(),
            };
            text.push_str(&format!("  session      {id}: {found}\n"));
        }
        for problem in &checked.problems {
            let problem = format!("does not hold: {}", output::clean::line(problem));
            text.push_str(&format!("  {}\n", paint.state("error", &problem)));
        }
        if let Some(signed) = &checked.key {
            let note = if key.is_some() {
                "the one that you named"
            } else {
                "compare it with the one that you were given, or use --key"
            };
            text.push_str(&format!("  key          {} ({note})\n", output::clean::line(signed)));
        }
        output::print(&text)?;
    }
    let proved = checked.sessions.iter().all(|session| session.proved.is_some());
    Ok(if checked.is_well() && proved { Exit::Well } else { Exit::Look })
}

/// Checks every file and every event of a data directory.
fn directory(args: &Args, key: Option<&Verifier>, quiet: bool) -> anyhow::Result<Exit> {
    let read = |path: &PathBuf| {
        std::fs::read(path).with_context(|| format!("can't read {}", path.display()))
    };
    let checkpoint = args.checkpoint.as_ref().map(read).transpose()?;
    let key = key.map(ToString::to_string);
    let bar = findings::progress(quiet);
    let progress = |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let options = Options {
        checkpoint: checkpoint.as_deref(),
        key: key.as_deref(),
        skip_catalog: args.skip_catalog,
        progress: Some(&progress),
    };
    let disk = args.keys.disk()?;
    let failed = || format!("can't verify {}", args.path.display());
    let mut report = verify(&disk, &args.path, &options).with_context(failed)?;
    feed::check(&disk, &args.path, &mut report).with_context(failed)?;
    bar.finish_and_clear();
    if args.json {
        output::print_json(&report)?;
    } else {
        output::print(&findings::text(&args.path, &report, Paint::stdout()))?;
    }
    Ok(if report.is_well() { Exit::Well } else { Exit::Look })
}

/// Checks the proof of one session, with nothing but the file.
fn bundle(args: &Args, key: Option<&Verifier>) -> anyhow::Result<Exit> {
    let paint = Paint::stdout();
    let shown = args.path.display();
    let json = std::fs::read(&args.path).with_context(|| format!("can't read {shown}"))?;
    let bundle = Bundle::parse(&json).map_err(|what| anyhow!("{shown}: {what}"))?;
    match bundle.check(key) {
        Ok(proved) => {
            if args.json {
                output::print_json(&proved)?;
            } else {
                output::print(&text(&proved, key.is_some(), paint))?;
            }
            Ok(Exit::Well)
        }
        Err(what) => {
            let what = output::clean::line(&what);
            if args.json {
                output::print_json(&serde_json::json!({ "error": what }))?;
            } else {
                output::print(&format!(
                    "{}\n",
                    paint.state("error", &format!("does not hold: {what}"))
                ))?;
            }
            Ok(Exit::Look)
        }
    }
}

fn text(proved: &Proved, trusted: bool, paint: Paint) -> String {
    let session = output::clean::line(&proved.session);
    let mut text = format!("{}  the proof holds\n", paint.bold(&session));
    let mut line = |name: &str, value: String| text.push_str(&format!("  {name:<12} {value}\n"));
    line(
        "events",
        format!("{}, offsets {} to {}", output::count(proved.events), proved.first, proved.last),
    );
    if proved.excerpt {
        line("excerpt", "each of these is as it was stored; of others nothing is said".to_owned());
    } else {
        line("missing", "none between these".to_owned());
    }
    match proved.before {
        _ if proved.excerpt => {}
        None => line("first", "the session's first event in this log".to_owned()),
        Some(offset) => {
            line("before", format!("event {offset} and those before it are not in the proof"))
        }
    }
    if !proved.unused_seqs.is_empty() {
        let ranges = proved.unused_seqs.iter().take(10);
        let ranges: Vec<String> = ranges.map(|r| format!("{}-{}", r.start(), r.end())).collect();
        line("unused seqs", format!("{} (the producer left them out)", ranges.join(", ")));
    }
    line("checkpoint", format!("size {}, root {}", proved.size, proved.root));
    line("log", output::clean::line(&proved.origin));
    let note = if trusted {
        "the one that you named"
    } else {
        "compare it with the one that you were given, or use --key"
    };
    line("key", format!("{} ({note})", output::clean::line(&proved.key)));
    text
}

/// A key, or the one in a file of that name.
fn key_of(text: &str) -> anyhow::Result<Verifier> {
    let read = match Verifier::parse(text) {
        Ok(key) => return Ok(key),
        Err(_) => std::fs::read_to_string(text),
    };
    let read = read.with_context(|| format!("`{text}` is neither a verifier key nor a file"))?;
    Verifier::parse(&read).map_err(|what| anyhow!("{text}: {what}"))
}
