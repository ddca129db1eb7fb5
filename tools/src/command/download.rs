//! `daybook download`: a session as a file.

use crate::cli::Exit;
use crate::client::Client;
use crate::output;
use crate::source::{Source, TargetArgs, escape};
use anyhow::{Context as _, anyhow, bail};
use daybook_engine::Engine;
use daybook_query::download::Download;
use daybook_query::excerpt::Excerpt;
use daybook_server::DownloadFormat;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The arguments of `daybook download`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  daybook download SESSION -o session.html
  daybook download SESSION -o results.zip
  daybook download SESSION --format cast3 -o session.cast

  .txt      what happened, as text          .cast     asciicast v2 (--format cast3: v3)
  .ndjson   every event as it was sent      .parquet  every event, as columns
  .csv      the result table                .html     a page that replays offline
  .zip      the result tables, if there are several

A download that breaks off is gone on with.")]
pub struct Args {
    #[command(flatten)]
    target: TargetArgs,
    /// The file to write; its ending is the format. - is standard output, as text
    #[arg(long, short)]
    output: PathBuf,
    /// Another format than the file's ending says: txt, ndjson, csv, cast, cast3, parquet or html
    #[arg(long, value_parser = DownloadFormat::of)]
    format: Option<DownloadFormat>,
    /// The session's id
    id: String,
}

/// How often a download that breaks off is gone on with.
const ATTEMPTS: u32 = 5;

/// Runs the command.
///
/// # Errors
/// No such session, a file that can't be written, or what the server or the log says.
pub async fn run(args: Args, quiet: bool) -> anyhow::Result<Exit> {
    let format = match args.format {
        Some(format) => format,
        None => format_of(&args.output)?,
    };
    let source = Source::open(&args.target)?;
    if args.output == Path::new("-") {
        let mut out = std::io::stdout();
        match &source {
            Source::Server(client) => _ = fetch(client, &args.id, format, None, &mut out).await?,
            Source::Data(engine) => write(engine, &args.id, format, &mut out)?,
        }
        return Ok(Exit::Well);
    }
    // Written beside and renamed, so that one that breaks leaves no half file that looks whole.
    let mut part = args.output.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = match &source {
        Source::Server(client) => from_server(client, &args.id, format, &part).await,
        Source::Data(engine) => File::create(&part).map_err(Into::into).and_then(|file| {
            let mut out = BufWriter::new(file);
            write(engine, &args.id, format, &mut out)?;
            Ok(out.flush()?)
        }),
    };
    if let Err(error) = written {
        let _ = std::fs::remove_file(&part);
        return Err(error);
    }
    let bytes = std::fs::metadata(&part).map_or(0, |file| file.len());
    std::fs::rename(&part, &args.output)
        .with_context(|| format!("can't rename {} to {}", part.display(), args.output.display()))?;
    if !quiet {
        output::print(&format!("{} to {}\n", output::bytes(bytes), args.output.display()))?;
    }
    Ok(Exit::Well)
}

fn format_of(path: &Path) -> anyhow::Result<DownloadFormat> {
    if path == Path::new("-") {
        return DownloadFormat::of("txt").map_err(|what| anyhow!(what));
    }
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    let name = if ending == "zip" { "csv" } else { &ending };
    DownloadFormat::of(name).map_err(|_| {
        anyhow!(
            "{} names no format by its ending; there are .txt, .ndjson, .csv, .zip, .cast, .parquet and .html, or use --format",
            path.display()
        )
    })
}

fn write(
    engine: &Engine,
    id: &str,
    format: DownloadFormat,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<()> {
    let snapshot = engine.snapshot();
    let download = Download::open(&snapshot, id, Excerpt::default())?;
    let download =
        download.ok_or_else(|| anyhow!("there is no session `{}`", output::clean::line(id)))?;
    if format.kind(&download)?.is_none() {
        bail!(
            "this session has no result that is a table; --format ndjson or txt has every output"
        );
    }
    Ok(format.write(&download, out)?)
}

/// Downloads, and goes on where it broke off.
async fn from_server(
    client: &Client,
    id: &str,
    format: DownloadFormat,
    part: &Path,
) -> anyhow::Result<()> {
    let failed = || format!("can't write {}", part.display());
    let mut etag: Option<String> = None;
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .open(part)
        .with_context(failed)?;
    for attempt in 1.. {
        let at = file.metadata().with_context(failed)?.len();
        let from = etag.as_deref().filter(|_| at > 0).map(|etag| (at, etag));
        let got = fetch(client, id, format, from, &mut file).await;
        match got {
            Ok(None) => return file.sync_all().with_context(failed),
            Ok(Some(known)) => etag = Some(known),
            // It never began.
            Err(error) if etag.is_none() => return Err(error),
            Err(_) => {}
        }
        if attempt == ATTEMPTS {
            bail!("the server broke the download off {ATTEMPTS} times");
        }
        tokio::time::sleep(Duration::from_secs(1 << attempt.min(4))).await;
    }
    Ok(())
}

/// What a download is written to: a file can be begun again.
trait Restart: Write {
    fn restart(&mut self) -> std::io::Result<()>;
}

impl Restart for File {
    fn restart(&mut self) -> std::io::Result<()> {
        use std::io::Seek as _;
        self.set_len(0)?;
        self.rewind()
    }
}

impl Restart for std::io::Stdout {
    fn restart(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Takes what comes; answers the ETag of a file that broke off, nothing once it is whole.
async fn fetch(
    client: &Client,
    id: &str,
    format: DownloadFormat,
    from: Option<(u64, &str)>,
    out: &mut (dyn Restart + Send),
) -> anyhow::Result<Option<String>> {
    let path = format!("/v1/sessions/{}/download", escape(id));
    let params = [("format", format.name().to_owned())];
    let mut response = client.resume(&path, &params, from).await?;
    let etag = response.headers().get("etag").and_then(|etag| etag.to_str().ok());
    let etag = etag.unwrap_or_default().to_owned();
    // The session grew: it comes as a whole.
    if from.is_some() && response.status() != reqwest::StatusCode::PARTIAL_CONTENT {
        out.restart().context("can't write the file")?;
    }
    loop {
        match response.chunk().await {
            Ok(Some(piece)) => out.write_all(&piece).context("can't write the file")?,
            Ok(None) => return Ok(None),
            Err(_) => return Ok(Some(etag)),
        }
    }
}
