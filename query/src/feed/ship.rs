//! One feed at work.
//!
//! | step | what it does | a crash in it leaves |
//! |---|---|---|
//! | [`Feed::ship`] | the next stretch becomes a unit | files that nobody knows of, or the unit; the next attempt sees which |
//! | [`Feed::follow_erasures`] | units of which events were erased are made again, or go | the same; files that should be gone go at the next [`Feed::sweep`] |
//! | [`Feed::merge`] | small neighbours become one unit | the same |
//! | [`Feed::sweep`] | deletes files that went and are not kept any longer | files that are deleted then |
//! | [`Feed::sweep_unnamed`] | deletes files that nobody knows of | the same |

use super::delta::{Action, Txn};
use super::files::{self, Job, Made, Stretch};
use super::shape::Shape;
use super::state::State;
use super::store::Store;
use super::table::{Table, now_ms};
use super::units::{self, Unit, Went, Why};
use super::{Error, Spec, table_name};
use crate::ocsf::Class;
use daybook_engine::disk::SharedDisk;
use daybook_engine::view::Snapshot;
use parking_lot::Mutex;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// So many files are deleted at once at most, so that new ones need not wait for old ones.
const SWEPT_AT_ONCE: usize = 100;
/// A unit is of at most so many offsets: what is held of each while it is made is 16 bytes.
const OFFSETS_MAX: u64 = 4 << 20;

/// One feed.
#[derive(Debug)]
pub struct Feed {
    spec: Spec,
    tables: Vec<(Option<Class>, Table)>,
    node: String,
    disk: SharedDisk,
    scratch: PathBuf,
    /// Files that went and are deleted.
    swept: Mutex<HashSet<String>>,
    /// Files that no commit names, by table, and since when that is known, in milliseconds since 1970.
    unnamed: Mutex<BTreeMap<Option<Class>, BTreeMap<String, i64>>>,
}

/// What a step of a feed came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shipped {
    /// The feed has everything before this offset.
    pub through: u64,
    /// Events that were looked at.
    pub events: u64,
    /// Rows that were written.
    pub rows: u64,
    /// Files that were written.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Events of sessions that have not said who they are, which a feed of some sessions leaves out.
    pub unknown: u64,
}

impl Feed {
    /// Opens a feed with the stores of its tables, in the order of [`super::Columns::tables`]. `node` is what this log
    /// is called in the tables, `scratch` a directory of its own on `disk`, which is emptied.
    ///
    /// # Errors
    /// The disk's, the stores', or a table that can't be used.
    pub fn open(
        spec: Spec,
        node: &str,
        disk: &SharedDisk,
        scratch: &Path,
        stores: Vec<Arc<dyn Store>>,
    ) -> Result<Feed, Error> {
        disk.remove_tree(scratch)?;
        disk.create_dir_durably(scratch)?;
        let mut tables = Vec::new();
        for (class, store) in spec.columns.tables().into_iter().zip(stores) {
            let shape = Shape {
                name: format!("{}.{}", spec.name, table_name(class)),
                description: match class {
                    None => "Events of privileged sessions, in daybook's columns".to_owned(),
                    Some(class) => {
                        format!("Events of privileged sessions, as OCSF's {}", class.name())
                    }
                },
                schema: spec.columns.schema(class),
                partition_columns: spec.partition.columns(),
            };
            tables.push((class, Table::open(store, &shape)?));
        }
        Ok(Feed {
            spec,
            tables,
            node: node.to_owned(),
            disk: SharedDisk::clone(disk),
            scratch: scratch.to_owned(),
            swept: Mutex::default(),
            unnamed: Mutex::default(),
        })
    }

    /// What it has, and how.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// What this log is called in the tables.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Its tables, by the class of their rows.
    #[must_use]
    pub fn tables(&self) -> &[(Option<Class>, Table)] {
        &self.tables
    }

    /// What tells its tables from others that were or will be at the same place.
    #[must_use]
    pub fn ids(&self) -> String {
        let states = self.tables.iter().map(|(_, table)| table.state());
        let ids =
            states.map(|state| state.metadata.as_ref().map_or(String::new(), |m| m.id.clone()));
        ids.collect::<Vec<_>>().join(",")
    }

    /// The table of a name.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|(class, _)| table_name(*class) == name).map(|(_, table)| table)
    }

    /// What the tables know its place by.
    fn app(&self) -> String {
        format!("daybook/{}/{}", self.node, self.spec.name)
    }

    /// How far a table is.
    fn place(&self, state: &State) -> u64 {
        let place = state.txns.get(&self.app()).copied().unwrap_or(0);
        u64::try_from(place).unwrap_or(0)
    }

    /// Are its tables further than a log that ends here? Then the log is an older copy of the one that wrote them, and
    /// what is new in it has offsets that they have already.
    #[must_use]
    pub fn is_ahead_of(&self, end: u64) -> bool {
        self.tables.iter().any(|(_, table)| self.place(&table.state()) > end)
    }

    /// Reads what others committed to its tables.
    ///
    /// # Errors
    /// A store's, or a commit that can't be read.
    pub fn refresh(&self) -> Result<(), Error> {
        self.tables.iter().try_for_each(|(_, table)| table.refresh().map(drop))
    }

    /// Makes the next unit: of what is between `from` (where the feed is) and `closed`, as much as there is of one part
    /// of the log. `None` if there is nothing.
    ///
    /// # Errors
    /// The log's, the disk's, or a store's. It can be tried again.
    pub fn ship(
        &self,
        snapshot: &Snapshot,
        from: u64,
        closed: u64,
    ) -> Result<Option<Shipped>, Error> {
        let mut places = Vec::new();
        for (_, table) in &self.tables {
            places.push(self.place(&*table.refresh()?));
        }
        // All of them may be further than their owner noted down.
        let done = places.iter().copied().min().unwrap_or(0).min(closed);
        if done > from {
            return Ok(Some(Shipped { through: done, ..Shipped::default() }));
        }
        let Some(to) = next_end(snapshot, from, closed, &places) else { return Ok(None) };
        let offsets = from..to;
        let stretch = self.make(snapshot, offsets.clone(), 0, None)?;
        let mut shipped = Shipped {
            through: to,
            events: stretch.events,
            unknown: stretch.unknown,
            ..Shipped::default()
        };
        for (class, table) in &self.tables {
            let files: Vec<&Made> = stretch.files.iter().filter(|f| f.class == *class).collect();
            // A commit without files tells readers nothing; where the feed is, its owner notes down.
            if files.is_empty() || self.place(&table.state()) >= to {
                self.discard(&files)?;
                continue;
            }
            self.put(table, &files)?;
            table.commit("WRITE", |state| {
                (self.place(state) < to).then(|| {
                    let txn = Txn {
                        app_id: self.app(),
                        version: i64::try_from(to).unwrap_or(i64::MAX),
                        last_updated: Some(now_ms()),
                    };
                    let mut actions = vec![Action::Txn(txn)];
                    actions.extend(self.adds(&files, &offsets, (stretch.events, 0), true));
                    actions
                })
            })?;
            shipped.files += files.len() as u64;
            shipped.rows += files.iter().map(|file| file.rows).sum::<u64>();
            shipped.bytes += files.iter().map(|file| file.size).sum::<u64>();
        }
        Ok(Some(shipped))
    }

    /// Makes again what has events that were erased since, and deletes what had them; answers how many units that were.
    ///
    /// # Errors
    /// As [`Feed::ship`].
    pub fn follow_erasures(&self, snapshot: &Snapshot) -> Result<u64, Error> {
        let mut count = 0;
        for (class, table) in &self.tables {
            for unit in units::live(&table.state(), &self.node) {
                let left = count_in(snapshot, &unit.offsets);
                if left < unit.events {
                    self.make_again(snapshot, *class, table, &[&unit], Why::Erased)?;
                    // Those that it replaced have them, too.
                    for went in units::went(&table.state(), &self.node) {
                        if went.offsets.start < unit.offsets.end
                            && unit.offsets.start < went.offsets.end
                        {
                            self.delete(table, &went.file.path)?;
                        }
                    }
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    /// Makes small units that are neighbours into one, where there are enough of them; answers how many became one.
    ///
    /// # Errors
    /// As [`Feed::ship`].
    pub fn merge(&self, snapshot: &Snapshot) -> Result<u64, Error> {
        for (class, table) in &self.tables {
            let units = units::live(&table.state(), &self.node);
            // Of what something was erased of, nothing is to be kept: that is [`Feed::follow_erasures`]'s first.
            let whole = |unit: &&Unit| count_in(snapshot, &unit.offsets) >= unit.events;
            let run = mergeable(&units, &self.spec).filter(|run| run.iter().all(whole));
            if let Some(run) = run {
                self.make_again(snapshot, *class, table, &run, Why::Merged)?;
                return Ok(run.len() as u64);
            }
        }
        Ok(0)
    }

    /// Deletes files that went and are not kept any longer: some at a time, what was erased and is latest first. Who
    /// starts does not know which are deleted already.
    ///
    /// # Errors
    /// A store's.
    pub fn sweep(&self) -> Result<(), Error> {
        let merged_since = now_ms() - self.spec.replaced_kept_ms;
        for (_, table) in &self.tables {
            let all: Vec<Went> = units::went(&table.state(), &self.node).collect();
            let erased: Vec<&Went> = all.iter().filter(|went| went.why == Why::Erased).collect();
            // Of the one that replaced it something was erased since, and an attempt to delete both did not end.
            let has_erased = |went: &Went| {
                erased.iter().any(|other| {
                    other.at >= went.at
                        && other.offsets.start < went.offsets.end
                        && went.offsets.start < other.offsets.end
                })
            };
            let is_erased = |went: &Went| went.why == Why::Erased || has_erased(went);
            let over = |went: &&Went| went.at < merged_since || is_erased(went);
            let mut over: Vec<&Went> = {
                let swept = self.swept.lock();
                all.iter().filter(|went| !swept.contains(&went.file.path)).filter(over).collect()
            };
            over.sort_by_key(|went| (!is_erased(went), Reverse(went.at)));
            for went in over.iter().take(SWEPT_AT_ONCE) {
                self.delete(table, &went.file.path)?;
            }
        }
        Ok(())
    }

    /// Deletes files of this node that no commit names and that were there `kept_ms` ago already: what an attempt left
    /// that failed, or was killed. They are not deleted at once, as a commit that nobody waits for any more may still
    /// arrive.
    ///
    /// # Errors
    /// A store's.
    pub fn sweep_unnamed(&self, kept_ms: i64) -> Result<u64, Error> {
        let mut count = 0;
        for (class, table) in &self.tables {
            // Listed first: what is committed in between is in the state.
            let files = table.store().files()?;
            let state = table.refresh()?;
            let named = |path: &str| state.live.contains_key(path) || state.gone.contains_key(path);
            let unnamed: HashSet<String> = files
                .into_iter()
                .filter(|path| files::is_of(path, &self.node) && !named(path))
                .collect();
            let old: Vec<String> = {
                let (now, mut seen) = (now_ms(), self.unnamed.lock());
                let seen = seen.entry(*class).or_default();
                seen.retain(|path, _| unnamed.contains(path));
                for path in &unnamed {
                    seen.entry(path.clone()).or_insert(now);
                }
                let old = seen.iter().filter(|(_, since)| **since + kept_ms <= now);
                old.map(|(path, _)| path.clone()).take(SWEPT_AT_ONCE).collect()
            };
            for path in old {
                tracing::info!(path, "a file that no commit names is deleted");
                table.store().delete(&path)?;
                count += 1;
            }
        }
        Ok(count)
    }

    fn delete(&self, table: &Table, path: &str) -> Result<(), Error> {
        if !self.swept.lock().contains(path) {
            table.store().delete(path)?;
            self.swept.lock().insert(path.to_owned());
        }
        Ok(())
    }

    /// Puts one unit in the place of others, which are neighbours.
    fn make_again(
        &self,
        snapshot: &Snapshot,
        class: Option<Class>,
        table: &Table,
        old: &[&Unit],
        why: Why,
    ) -> Result<(), Error> {
        let (Some(first), Some(last)) = (old.first(), old.last()) else { return Ok(()) };
        let paths: HashSet<&str> =
            old.iter().flat_map(|unit| &unit.files).map(|file| file.path.as_str()).collect();
        // An attempt that failed may have been committed all the same: what it put in their place has the names that
        // this one's files would have, and must stay what it is.
        let state = table.refresh()?;
        if !paths.iter().all(|path| state.live.contains_key(*path)) {
            return Ok(());
        }
        let offsets = first.offsets.start..last.offsets.end;
        let generation = old.iter().map(|unit| unit.generation).max().unwrap_or(0) + 1;
        let stretch = self.make(snapshot, offsets.clone(), generation, Some(class))?;
        let (files, others): (Vec<&Made>, Vec<&Made>) =
            stretch.files.iter().partition(|file| file.class == class);
        self.discard(&others)?;
        self.put(table, &files)?;
        // Rows that are erased and nothing in their place: the table changes. Else its rows are those that readers
        // have had.
        let data_change = files.is_empty();
        table.commit(if why == Why::Merged { "OPTIMIZE" } else { "DELETE" }, |state| {
            let at = units::going(state);
            // Another attempt may have been here.
            let gone: Vec<Action> = state
                .live
                .values()
                .filter(|live| paths.contains(live.add.path.as_str()))
                .map(|live| Action::Remove(units::remove(&live.add, why, at, data_change)))
                .collect();
            (gone.len() == paths.len()).then(|| {
                let mut actions = gone;
                let about = (stretch.events, generation);
                actions.extend(self.adds(&files, &offsets, about, data_change));
                actions
            })
        })?;
        if why == Why::Erased {
            for path in paths {
                self.delete(table, path)?;
            }
        }
        Ok(())
    }

    fn make(
        &self,
        snapshot: &Snapshot,
        offsets: Range<u64>,
        generation: u32,
        only: Option<Option<Class>>,
    ) -> Result<Stretch, Error> {
        let job = Job {
            spec: &self.spec,
            disk: &self.disk,
            scratch: &self.scratch,
            node: &self.node,
            generation,
            only,
        };
        // What an attempt left whose files could not be put.
        let left = self.disk.list(&self.scratch);
        if !left.map_err(daybook_engine::Error::io("list", &self.scratch))?.is_empty() {
            self.clear()?;
        }
        let made = files::make(&job, snapshot, offsets);
        if made.is_err() {
            // What was begun takes room, which may be what is missing.
            self.clear()?;
        }
        made
    }

    fn clear(&self) -> Result<(), Error> {
        self.disk.remove_tree(&self.scratch)?;
        Ok(self.disk.create_dir_durably(&self.scratch)?)
    }

    fn put(&self, table: &Table, files: &[&Made]) -> Result<(), Error> {
        files.iter().try_for_each(|made| table.store().put_file(&made.path, &made.file))
    }

    fn discard(&self, files: &[&Made]) -> Result<(), Error> {
        for made in files {
            let failed = daybook_engine::Error::io("delete", &made.file);
            self.disk.remove_file(&made.file).map_err(failed)?;
        }
        Ok(())
    }

    fn adds<'a>(
        &'a self,
        files: &'a [&'a Made],
        offsets: &'a Range<u64>,
        about: (u64, u32),
        data_change: bool,
    ) -> impl Iterator<Item = Action> + 'a {
        let add = move |made: &&Made| units::add(made, &self.node, offsets, about, data_change);
        files.iter().map(move |made| Action::Add(add(made)))
    }
}

/// Where the next unit ends: with the part of the log that it begins in, and with a place that one of the tables has
/// reached before the others.
fn next_end(snapshot: &Snapshot, from: u64, closed: u64, places: &[u64]) -> Option<u64> {
    if from >= closed {
        return None;
    }
    let ends = snapshot.parts.iter().map(|part| part.end().0);
    let part = ends.filter(|end| *end > from).min().unwrap_or(closed);
    let place = places.iter().copied().filter(|place| *place > from).min().unwrap_or(u64::MAX);
    Some(part.min(closed).min(place).min(from.saturating_add(OFFSETS_MAX)))
}

/// How many events the log has of these offsets.
fn count_in(snapshot: &Snapshot, offsets: &Range<u64>) -> u64 {
    let parts = snapshot.parts.iter();
    parts
        .filter(|part| part.base().0 < offsets.end && offsets.start < part.end().0)
        .map(|part| match offsets.start <= part.base().0 && part.end().0 <= offsets.end {
            true => u64::from(part.len()),
            false => part.count_in(offsets.clone()),
        })
        .sum()
}

/// The first run of neighbours that are worth it.
fn mergeable<'a>(units: &'a [Unit], spec: &Spec) -> Option<Vec<&'a Unit>> {
    let (file_bytes_max, fewest) = (spec.file_bytes_max, spec.merge_fewest.max(2));
    let mut run: Vec<&Unit> = Vec::new();
    for unit in units {
        let small = unit.bytes() <= file_bytes_max / 2;
        let fits = run.iter().map(|unit| unit.bytes()).sum::<u64>() + unit.bytes()
            <= file_bytes_max
            && run
                .first()
                .is_none_or(|first| unit.offsets.end - first.offsets.start <= OFFSETS_MAX);
        if small && fits {
            run.push(unit);
            continue;
        }
        if run.len() >= fewest {
            return Some(run);
        }
        run.clear();
        if small {
            run.push(unit);
        }
    }
    (run.len() >= fewest).then_some(run)
}
