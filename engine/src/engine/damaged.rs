//! Segments of which something is damaged: they do not keep the others from being read.
//!
//! | what is damaged | what happens at the start |
//! |---|---|
//! | index, manifest | made again from the events, in memory; the mender then writes them (see [`super::mender`]) |
//! | the events' header, by more than a byte; index and events | the segment is left out and named, and no events are taken: nobody could say which are new |
//! | anything else | found by who reads it |

use crate::block::BlockCache;
use crate::catalog::Catalog;
use crate::disk::SharedDisk;
use crate::error::Error;
use crate::event::{Offset, SessionKey};
use crate::journal::file::Finding;
use crate::segment::{self, Live, Segment};
use crate::view::{Part as _, Sessions as _};
use std::io::ErrorKind;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What opening the segments found.
pub(super) struct Segments {
    disk: SharedDisk,
    cache: Arc<BlockCache>,
    /// In the order of offsets, without those that another one stands for.
    pub whole: Vec<Arc<Segment>>,
    /// Those that could not be opened, and why.
    pub damaged: Vec<(PathBuf, Error)>,
}

/// What a segment has of a session: its number, the seqs of its events, and the last event.
type InSegment = (SessionKey, Vec<RangeInclusive<u32>>, Option<Offset>);

/// Is it the file's fault? Everything else (keys, versions, limits of the system) is an error of opening.
fn is_damage(error: &Error) -> bool {
    match error {
        Error::Corrupt { .. } => true,
        Error::Io { source, .. } => {
            let kinds = [ErrorKind::NotFound, ErrorKind::UnexpectedEof, ErrorKind::InvalidData];
            kinds.contains(&source.kind()) || source.raw_os_error() == Some(libc::EIO)
        }
        _ => false,
    }
}

impl Segments {
    /// Opens what can be opened.
    pub fn open(
        disk: &SharedDisk,
        dir: &Path,
        cache: &Arc<BlockCache>,
        writable: bool,
    ) -> Result<Segments, Error> {
        let (mut whole, mut damaged) = (Vec::new(), Vec::new());
        let live = Live::of(&**disk, dir)?;
        for (path, manifest) in live.segments {
            let opened = manifest
                .and_then(|manifest| Segment::open_with(disk, &path, manifest, Arc::clone(cache)));
            match opened {
                Ok(segment) => whole.push(Arc::new(segment)),
                Err(error) if is_damage(&error) => damaged.push((path, error)),
                Err(error) => return Err(error),
            }
        }
        if writable {
            // A crash left them.
            for name in &live.replaced {
                segment::delete(&**disk, dir, name)?;
            }
        }
        whole.sort_by_key(|segment| segment.base());
        let (disk, cache) = (Arc::clone(disk), Arc::clone(cache));
        Ok(Segments { disk, cache, whole, damaged })
    }

    /// Reads the indexes of segments whose events the catalog lacks: they will be folded.
    pub fn doubt_above(&mut self, covered: Offset) {
        let mut damaged = Vec::new();
        self.whole.retain(|segment| {
            let wrong = (segment.end() > covered).then(|| segment.index().verify().err()).flatten();
            let right = wrong.is_none();
            damaged.extend(wrong.map(|error| (segment.path().to_owned(), error)));
            right
        });
        self.damaged.extend(damaged);
    }

    /// Mends in memory what can be mended, and says of all of it what is wrong. Answers why no events
    /// can be taken, if so.
    pub fn mend(&mut self, catalog: &Catalog, findings: &mut Vec<Finding>) -> Option<Arc<str>> {
        let mut reason = None;
        for (path, why) in std::mem::take(&mut self.damaged) {
            let base = path.file_name().and_then(|name| name.to_str()?.get(..20)?.parse().ok());
            let (file, at) = match &why {
                Error::Corrupt { path, at, .. } => (path.clone(), *at),
                Error::Io { path, .. } => (path.clone(), 0),
                _ => (path.clone(), 0),
            };
            let mut what = why.to_string();
            let key_of = |id: &str| self.key_of(catalog, id);
            match Segment::mend(&self.disk, &path, Arc::clone(&self.cache), why, &key_of) {
                Ok(segment) => {
                    what.push_str("; it was made again from the segment's events, in memory");
                    tracing::warn!(segment = %path.display(), %what, "a segment is damaged");
                    self.whole.push(Arc::new(segment));
                    self.whole.sort_by_key(|segment| segment.base());
                }
                Err(error) => {
                    what = format!("{what}; its events can't be read either: {error}");
                    tracing::error!(segment = %path.display(), %what, "a segment is lost");
                    reason.get_or_insert_with(|| format!("{}: {what}", path.display()).into());
                }
            }
            findings.push(Finding {
                path: file,
                from: at,
                to: at,
                first_offset: Offset(base.unwrap_or(0)),
                what,
                quarantine: None,
            });
        }
        reason
    }

    /// A session's number, the seqs of its events and the last of these, in each segment that has some.
    /// An index that turns out to be damaged is made again.
    pub fn seqs(
        &mut self,
        id: &str,
        catalog: &Catalog,
        findings: &mut Vec<Finding>,
    ) -> Result<Vec<InSegment>, Error> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(segment) = self.whole.get(at) {
            let in_segment = segment.seqs(id).and_then(|seqs| {
                let Some((key, ranges)) = seqs else { return Ok(None) };
                Ok(Some((key, ranges, segment.last_of(id)?)))
            });
            match in_segment {
                Ok(in_segment) => {
                    found.extend(in_segment);
                    at += 1;
                }
                Err(error @ Error::Corrupt { .. }) => {
                    let path = segment.path().to_owned();
                    self.whole.remove(at);
                    self.damaged.push((path.clone(), error));
                    if let Some(what) = self.mend(catalog, findings) {
                        return Err(Error::Unusable { path, what: what.to_string() });
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    fn key_of(&self, catalog: &Catalog, id: &str) -> Result<Option<SessionKey>, Error> {
        if let Ok(Some(session)) = catalog.get(id) {
            return Ok(Some(session.key));
        }
        for segment in &self.whole {
            if let Some((key, _)) = segment.seqs(id)? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }
}
