//! The events that are loaded: real ones from a directory, or the sample sessions many times over.

use anyhow::{Context as _, Result, bail};
use daybook_engine::event::text::Texts;
use daybook_engine::event::wire::Event;
use daybook_tools::demo::{self, Options, SEED};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Lines in the order in which they would have arrived.
#[derive(Debug)]
pub(crate) struct Source {
    pub name: String,
    pub lines: Vec<String>,
    /// The session of each line.
    pub sessions: Vec<String>,
    pub raw_bytes: u64,
    pub text_bytes: u64,
}

/// Loads the events of a directory, or makes some.
pub(crate) fn load(corpus: Option<&Path>, quick: bool) -> Result<Source> {
    let mut lines = Vec::new();
    match corpus {
        Some(dir) => {
            let mut files: Vec<_> = std::fs::read_dir(dir)
                .with_context(|| format!("can't list {}", dir.display()))?
                .collect::<Result<_, _>>()?;
            files.sort_by_key(std::fs::DirEntry::path);
            for file in files {
                let name = file.file_name().to_string_lossy().into_owned();
                let mut text = String::new();
                if name.ends_with(".ndjson.zst") {
                    zstd::Decoder::new(File::open(file.path())?)?.read_to_string(&mut text)?;
                } else if name.ends_with(".ndjson") {
                    File::open(file.path())?.read_to_string(&mut text)?;
                }
                lines.extend(text.lines().map(str::to_owned));
                if quick && lines.len() > 20_000 {
                    break;
                }
            }
        }
        None => {
            let rounds = if quick { 2 } else { 60 };
            for round in 0..rounds {
                let options = Options { seed: SEED + round, ..Options::standard() };
                lines.extend(demo::lines_without_requests(&options).into_iter().map(|line| {
                    line.replacen("\"session\":\"", &format!("\"session\":\"r{round}-"), 1)
                }));
            }
        }
    }
    if lines.is_empty() {
        bail!("no events: --corpus needs a directory with *.ndjson or *.ndjson.zst files");
    }
    let mut keyed = Vec::with_capacity(lines.len());
    let mut text_bytes = 0;
    for line in lines {
        let event = Event::decode(line.as_bytes()).map_err(anyhow::Error::msg)?;
        let key = (event.time, event.session.clone().into_owned(), event.seq);
        text_bytes += Texts::of(&event).iter().map(|(_, text)| text.len() as u64).sum::<u64>();
        keyed.push((key, line));
    }
    keyed.sort();
    let name = corpus.map_or("sample sessions".to_owned(), |dir| dir.display().to_string());
    let mut source =
        Source { name, lines: Vec::new(), sessions: Vec::new(), raw_bytes: 0, text_bytes };
    for ((_, session, _), line) in keyed {
        source.raw_bytes += line.len() as u64 + 1;
        source.lines.push(line);
        source.sessions.push(session);
    }
    Ok(source)
}

impl Source {
    /// Request bodies for each of `producers`: a session's events stay with one producer, in order.
    pub(crate) fn bodies(&self, producers: usize, body_bytes: usize) -> Vec<Vec<(String, u64)>> {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut all: Vec<Vec<(String, u64)>> = vec![vec![(String::new(), 0)]; producers];
        for (line, session) in self.lines.iter().zip(&self.sessions) {
            let mut hasher = DefaultHasher::new();
            session.hash(&mut hasher);
            let place = (hasher.finish() % producers as u64) as usize;
            let Some(bodies) = all.get_mut(place) else { continue };
            if bodies.last().is_none_or(|(body, _)| body.len() + line.len() > body_bytes) {
                bodies.push((String::with_capacity(body_bytes), 0));
            }
            if let Some((body, events)) = bodies.last_mut() {
                body.push_str(line);
                body.push('\n');
                *events += 1;
            }
        }
        for bodies in &mut all {
            bodies.retain(|(_, events)| *events > 0);
        }
        all
    }
}
