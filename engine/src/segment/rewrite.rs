//! Rewriting: from segments that follow each other to one, with what is kept of their events.
//!
//! Merging keeps everything, retention drops sessions, repair makes the derived files again. The result is
//! written beside, like a sealed journal, and names its sources in `replaces`: at the moment of its rename
//! it stands for them, so a crash leaves the sources or the result, never both and never neither.
//!
//! Of an erased event its hash stays (`leaves.bin`), so that the leaves of the log's tree can still be
//! made again. Memory is about the raw size of what is kept.

use super::leaves::{EventSeal, Leaves, Run, RunEvents};
use super::seal::{Step, name, seal_in_steps, tmp_path};
use super::{Columnar, SealInput, SealReport, Segment, SessionRow, TEXT_DIR, delete};
use crate::block::{Payload, Record, Records};
use crate::disk::SharedDisk;
use crate::error::Error;
use crate::event::number::Numbers;
use crate::event::text::Texts;
use crate::event::{Offset, SessionKey};
use crate::merkle::Hash;
use crate::screen::Feed;
use crate::session::SessionState;
use crate::text::{TextSource, TextWriter};
use crate::view::{Ordinals, Part as _, Session};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A payload is closed at this size.
const PAYLOAD_BYTES: usize = 256 << 10;

/// What is rewritten, and how.
pub struct Rewrite<'a> {
    /// Where the files are.
    pub disk: &'a SharedDisk,
    /// The directory of segments.
    pub segments_dir: &'a Path,
    /// The segments, each behind the one before it.
    pub sources: &'a [Arc<Segment>],
    /// Which sessions' events are kept.
    pub keep: &'a dyn Fn(&SessionRow<'_>) -> bool,
    /// A session's state, for the columnar copy.
    pub state: &'a dyn Fn(&str) -> Result<Arc<SessionState>, Error>,
    /// Writes the columnar copy.
    pub columnar: Option<&'a dyn Columnar>,
    /// Shall the result have a text index? `Some` is the memory for making one again.
    pub text_heap_bytes: Option<usize>,
    /// Make the text index again from the events, whatever the sources' are like.
    pub index_again: bool,
}

impl std::fmt::Debug for Rewrite<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<String> = self.sources.iter().map(|source| source.name()).collect();
        f.debug_struct("Rewrite").field("sources", &names).finish()
    }
}

impl Rewrite<'_> {
    /// How often the result's events were rewritten: more than those of any source, so that the result has
    /// a name that nothing else had.
    fn generation(&self) -> u32 {
        self.sources.iter().map(|source| source.manifest().generation).max().unwrap_or(0) + 1
    }
}

/// What is kept of the sources.
#[derive(Default)]
struct Kept {
    payloads: Vec<Arc<Payload>>,
    open: Vec<u8>,
    session_of: Vec<u32>,
    sessions: Vec<Session>,
    places: HashMap<SessionKey, u32>,
    offsets: BTreeSet<Offset>,
    erased: BTreeMap<Offset, Hash>,
    /// Something is not kept.
    some_gone: bool,
}

/// Writes what is kept of the sources as one segment, which from then on stands for them; the sources
/// are still to be deleted. `None` if nothing is kept: then they are to be deleted without a replacement.
///
/// # Errors
/// The system's, damage in the sources, or what the columnar writer says. The sources are as before.
pub fn rewrite(asked: &Rewrite<'_>) -> Result<Option<SealReport>, Error> {
    rewrite_unless(asked, &|| false)
}

/// [`rewrite`]; [`Error::Closed`] as soon as nobody wants it any more.
pub(crate) fn rewrite_unless(
    asked: &Rewrite<'_>,
    unwanted: &dyn Fn() -> bool,
) -> Result<Option<SealReport>, Error> {
    let Some(first) = asked.sources.first() else { return Ok(None) };
    let (disk, dir, generation) = (&**asked.disk, asked.segments_dir, asked.generation());
    // Left by a try whose last step failed: since then, the sources count.
    delete(disk, dir, &name(first.base(), generation))?;
    let result = rewrite_in_steps(asked, &mut |_| match unwanted() {
        true => Err(Error::Closed),
        false => Ok(()),
    });
    if result.is_err() {
        // What can't be removed now is removed when daybook starts again.
        let _ = disk.remove_tree(&tmp_path(dir, first.base(), generation));
        let _ = delete(disk, dir, &name(first.base(), generation));
    }
    result
}

/// [`rewrite`], with a word after each step of the sealing. An error leaves everything as it is, as a
/// crash would.
pub(super) fn rewrite_in_steps(
    asked: &Rewrite<'_>,
    step: Step<'_>,
) -> Result<Option<SealReport>, Error> {
    let generation = asked.generation();
    let (Some(first), Some(last)) = (asked.sources.first(), asked.sources.last()) else {
        return Ok(None);
    };
    let mut kept = Kept::default();
    let mut leaves = Leaves::default();
    for source in asked.sources {
        let before = leaves.runs.len();
        leaves.runs.extend(source.leaves()?.runs);
        kept.read(asked, source, leaves.runs.get(before..).unwrap_or_default())?;
    }
    kept.close_payload();
    if kept.session_of.is_empty() {
        return Ok(None);
    }
    let leaves = kept.seal_leaves(leaves);
    let replaces = replaced(asked)?;
    let text = texts(asked, &kept, generation)?;
    let keep = |offset: Offset| kept.offsets.contains(&offset);
    let keep: Option<&dyn Fn(Offset) -> bool> = kept.some_gone.then_some(&keep);
    let sources: Vec<TextSource<'_>> =
        text.dirs.iter().map(|dir| TextSource { dir, keep }).collect();
    let input = SealInput {
        base: first.base(),
        end: last.end(),
        payloads: &kept.payloads,
        plain: &[],
        session_of: &kept.session_of,
        sessions: &kept.sessions,
        texts: &sources,
        leaves: &leaves,
        created: asked.sources.iter().map(|s| s.manifest().created).max().unwrap_or_default(),
        generation,
        replaces: &replaces,
    };
    let sealed = seal_in_steps(asked.disk, asked.segments_dir, &input, asked.columnar, step);
    let outcome = match sealed {
        // An index that can't be merged can be made again.
        Err(Error::Index { index: "text", what }) if !asked.index_again => {
            tracing::warn!(%what, "a segment's text index is damaged; it is made again");
            text.remove(asked.disk)?;
            return rewrite_in_steps(&Rewrite { index_again: true, ..*asked }, step);
        }
        outcome => outcome,
    };
    text.remove(asked.disk)?;
    outcome.map(Some)
}

/// The sources' names, and those of what they replaced that is still there.
fn replaced(asked: &Rewrite<'_>) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for source in asked.sources {
        names.push(source.name());
        for name in &source.manifest().replaces {
            if asked.disk.exists(&asked.segments_dir.join(name))? {
                names.push(name.clone());
            }
        }
    }
    Ok(names)
}

impl Kept {
    /// Reads a source: keeps its events or remembers their hashes.
    fn read(&mut self, asked: &Rewrite<'_>, source: &Segment, runs: &[Run]) -> Result<(), Error> {
        let index = source.index();
        let (mut next, mut end, mut place) = (0, 0, None);
        source.read(&Ordinals::Range(0..source.len()), None, &mut |ordinal, record| {
            while ordinal >= end {
                let row = index.session_at(next)?;
                place = if (asked.keep)(&row) { Some(self.place(asked, &row)?) } else { None };
                (next, end) = (next + 1, row.ordinals.end);
            }
            match place {
                Some(place) => self.keep(&record, place),
                None => self.erase(source, runs, &record)?,
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    fn place(&mut self, asked: &Rewrite<'_>, row: &SessionRow<'_>) -> Result<u32, Error> {
        if let Some(place) = self.places.get(&row.key) {
            return Ok(*place);
        }
        let place = self.sessions.len() as u32;
        let state = (asked.state)(row.id)?;
        self.sessions.push(Session { id: row.id.into(), key: row.key, state });
        self.places.insert(row.key, place);
        Ok(place)
    }

    fn keep(&mut self, record: &Record<'_>, place: u32) {
        record.encode(&mut self.open);
        self.session_of.push(place);
        self.offsets.insert(record.offset);
        if self.open.len() >= PAYLOAD_BYTES {
            self.close_payload();
        }
    }

    fn close_payload(&mut self) {
        if !self.open.is_empty() {
            self.payloads.push(Arc::new(std::mem::take(&mut self.open).into()));
        }
    }

    fn erase(&mut self, source: &Segment, runs: &[Run], record: &Record<'_>) -> Result<(), Error> {
        self.some_gone = true;
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        let at = runs.partition_point(|run| run.base <= record.offset).checked_sub(1);
        let run = at.and_then(|at| runs.get(at)).filter(|run| record.offset < run.end());
        // A log without a tree has no runs, and then nothing has to be made again.
        if let Some(run) = run {
            let hash = run.hash(record.offset, Some(&bytes)).ok_or_else(|| {
                let what = format!("it does not know event {}", record.offset);
                Error::corrupt(&source.path().join(super::LEAVES_FILE), 0, what)
            })?;
            self.erased.insert(record.offset, hash);
        }
        Ok(())
    }

    /// The leaves of what is kept: runs of which something is gone lose their secret.
    fn seal_leaves(&self, leaves: Leaves) -> Leaves {
        let sealed = leaves.runs.into_iter().filter_map(|run| {
            let (base, end) = (run.base, run.end());
            self.offsets.range(base..end).next()?;
            if self.erased.range(base..end).next().is_none() {
                return Some(run);
            }
            let seals = (base.0..end.0).map(|offset| {
                let offset = Offset(offset);
                match (self.erased.get(&offset), run.salt(offset), run.hash(offset, None)) {
                    (Some(hash), _, _) => EventSeal::Gone(*hash),
                    (None, Some(salt), _) => EventSeal::Kept(salt),
                    (None, None, gone) => EventSeal::Gone(gone.unwrap_or_default()),
                }
            });
            let events = RunEvents::Erased(seals.collect());
            Some(Run { events, ..run })
        });
        Leaves { runs: sealed.collect() }
    }
}

/// The text indexes to merge; one that was made for it is removed again.
struct TextDirs {
    dirs: Vec<PathBuf>,
    made: Option<PathBuf>,
}

impl TextDirs {
    fn remove(&self, disk: &SharedDisk) -> Result<(), Error> {
        self.made.as_ref().map_or(Ok(()), |dir| disk.remove_tree(dir))
    }
}

fn texts(asked: &Rewrite<'_>, kept: &Kept, generation: u32) -> Result<TextDirs, Error> {
    let Some(heap) = asked.text_heap_bytes else {
        return Ok(TextDirs { dirs: Vec::new(), made: None });
    };
    let dirs: Vec<PathBuf> = asked.sources.iter().map(|s| s.path().join(TEXT_DIR)).collect();
    let mut whole = !asked.index_again;
    for dir in &dirs {
        whole &= asked.disk.exists(dir)?;
    }
    if whole {
        return Ok(TextDirs { dirs, made: None });
    }
    // The prefix of what is being written: a crash leaves nothing that counts.
    let base = asked.sources.first().map_or(Offset(0), |source| source.base());
    let made = asked.segments_dir.join(format!(".tmp-text-{:020}-{generation}", base.0));
    asked.disk.remove_tree(&made)?;
    let (mut writer, _) = TextWriter::open(asked.disk, &made, heap)?;
    let mut end = base;
    // Of a session that began in another segment it is not known what was seen.
    let mut feed = Feed::default();
    let mut sessions = kept.session_of.iter().filter_map(|at| kept.sessions.get(*at as usize));
    for payload in &kept.payloads {
        for record in Records::new(payload) {
            let record = record.map_err(|what| Error::corrupt(&made, 0, what))?;
            let event = record.event()?;
            let session =
                sessions.next().map_or(SessionKey(record.offset.0), |session| session.key);
            let glimpse = feed.next(session, &record, &event, &mut || None);
            let texts = Texts::of(&event);
            let numbers = Numbers::of(&event);
            writer.add(record.offset, record.kind, record.verdict, numbers, &texts, &glimpse)?;
            end = end.max(Offset(record.offset.0 + 1));
        }
    }
    writer.commit(end)?;
    Ok(TextDirs { dirs: vec![made.clone()], made: Some(made) })
}
