//! What a crash may leave of a disk.
//!
//! The log is read from its start, and what is durable is kept apart from what waits for a sync. Where
//! the log ends, so did the power; then chance, from a seed, decides over what still waited:
//!
//! | what waited | what may be left of it |
//! |---|---|
//! | writes to a file | nothing, everything, the first so many and a piece of the next, or for each sector any of its versions |
//! | a file's length | any that it had since the last sync, or one between two of these |
//! | changes of names | nothing, everything, the first so many, or any of them; but of one file's only the first so many |
//!
//! A sync that failed has the same dice thrown at once: what it lost stays lost, although the running
//! system goes on to see it.

use super::log::{Bytes, Change, Names, Op};
use super::random::{Random, mix};
use super::tree::{Ino, Tree, write};
use std::collections::{HashMap, HashSet};

/// What a disk writes whole or not at all, mostly.
const SECTOR_BYTES: usize = 512;

/// Once in so many times a sector is torn in itself.
const TORN_SECTORS: u64 = 16;

/// The tree that is found after the operations of `log` and a crash.
pub(super) fn image(start: &Tree, log: &[Op], seed: u64) -> Tree {
    let mut crash = Crash {
        durable: start.clone(),
        random: Random::new(seed),
        bytes: HashMap::new(),
        names: Vec::new(),
        stamps: HashMap::new(),
    };
    for (number, op) in log.iter().enumerate() {
        crash.step(number as u64 + 1, op);
    }
    crash.end()
}

struct Crash<'a> {
    durable: Tree,
    random: Random,
    /// What waits to become durable, by file.
    bytes: HashMap<Ino, Vec<&'a Bytes>>,
    /// The same for names, with the operation's number.
    names: Vec<(u64, &'a Names)>,
    /// The operation that gave a durable name its meaning.
    stamps: HashMap<(Ino, &'a str), u64>,
}

/// How much of what waits is left.
enum Luck {
    Nothing,
    Everything,
    First(usize),
    Any,
}

impl<'a> Crash<'a> {
    fn step(&mut self, number: u64, op: &'a Op) {
        match &op.change {
            Change::Bytes { ino, change } => self.bytes.entry(*ino).or_default().push(change),
            Change::Sync { ino, failed } => {
                let waiting = self.bytes.remove(ino).unwrap_or_default();
                self.settle(*ino, &waiting, *failed);
            }
            Change::Names { names, new } => {
                if let Some(dir) = new {
                    self.durable.add(names.ino, *dir);
                }
                self.names.push((number, names));
            }
            Change::SyncDir { ino, failed } => {
                let mut waiting = std::mem::take(&mut self.names);
                for at in 0..waiting.len() {
                    if let Some((_, names)) = waiting.get(at).copied()
                        && names.home == *ino
                        && !(*failed && self.random.one_in(2))
                    {
                        self.rename_all(waiting.get(..=at).unwrap_or_default(), names.ino);
                    }
                }
                waiting.retain(|(_, names)| names.home != *ino);
                self.names = waiting;
            }
        }
    }

    fn end(mut self) -> Tree {
        let mut files: Vec<_> = std::mem::take(&mut self.bytes).into_iter().collect();
        files.sort_unstable_by_key(|(ino, _)| *ino);
        for (ino, waiting) in files {
            self.settle(ino, &waiting, true);
        }
        let waiting = std::mem::take(&mut self.names);
        let luck = self.luck(waiting.len());
        let mut lost = HashSet::new();
        for (at, (number, names)) in waiting.into_iter().enumerate() {
            let kept = match luck {
                Luck::Nothing => false,
                Luck::Everything => true,
                Luck::First(count) => at < count,
                Luck::Any => self.random.one_in(2),
            };
            if kept && !lost.contains(&names.ino) {
                self.rename(number, names);
            } else {
                lost.insert(names.ino);
            }
        }
        self.durable.prune();
        self.durable
    }

    fn luck(&mut self, waiting: usize) -> Luck {
        match self.random.below(5) {
            0 => Luck::Nothing,
            1 => Luck::Everything,
            2 => Luck::First(self.random.below(waiting as u64 + 1) as usize),
            _ => Luck::Any,
        }
    }

    /// Changes of one file's names follow from each other: what came before is durable with the last.
    fn rename_all(&mut self, changes: &[(u64, &'a Names)], ino: Ino) {
        for (number, names) in changes {
            if names.ino == ino {
                self.rename(*number, names);
            }
        }
    }

    fn rename(&mut self, number: u64, names: &'a Names) {
        for (dir, name, ino) in &names.set {
            let stamp = self.stamps.entry((*dir, name)).or_default();
            if *stamp <= number {
                *stamp = number;
                self.durable.name(*dir, name, *ino);
            }
        }
    }

    /// Makes changes of a file's bytes durable; `torn`: what chance leaves of them.
    fn settle(&mut self, ino: Ino, changes: &[&Bytes], torn: bool) {
        let luck = if torn { self.luck(changes.len()) } else { Luck::Everything };
        let Ok(bytes) = self.durable.bytes(ino) else { return };
        match luck {
            Luck::Nothing => {}
            Luck::Everything => changes.iter().for_each(|change| apply(bytes, change)),
            Luck::First(count) => {
                let (kept, lost) = changes.split_at(count.min(changes.len()));
                kept.iter().for_each(|change| apply(bytes, change));
                if let Some(Bytes::Write { at, bytes: new }) = lost.first() {
                    let len = self.random.below(new.len() as u64 + 1) as usize;
                    write(bytes, *at, new.get(..len).unwrap_or_default());
                }
            }
            Luck::Any => tear(bytes, changes, &mut self.random),
        }
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Bytes) {
    match change {
        Bytes::Write { at, bytes: new } => write(bytes, *at, new),
        Bytes::SetLen(len) => bytes.resize(*len as usize, 0),
    }
}

/// Leaves each sector in any of the versions that it had, and the file at any of its lengths.
fn tear(bytes: &mut Vec<u8>, changes: &[&Bytes], random: &mut Random) {
    let seed = random.next();
    // The number of changes that a sector has seen.
    let seen = |sector: usize| (mix(seed ^ sector as u64) % (changes.len() as u64 + 1)) as usize;
    let mut lens = vec![bytes.len()];
    for (number, change) in changes.iter().enumerate() {
        let len = lens.last().copied().unwrap_or(0);
        match change {
            Bytes::Write { at, bytes: new } => {
                let (start, end) = (*at as usize, *at as usize + new.len());
                lens.push(len.max(end));
                let mut from = start;
                while from < end {
                    let sector = from / SECTOR_BYTES;
                    let mut to = end.min((sector + 1) * SECTOR_BYTES);
                    if number == seen(sector) && random.one_in(TORN_SECTORS) {
                        to = from + random.below((to - from) as u64) as usize;
                    } else if number >= seen(sector) {
                        from = to;
                        continue;
                    }
                    write(
                        bytes,
                        from as u64,
                        new.get(from - start..to - start).unwrap_or_default(),
                    );
                    from = end.min((sector + 1) * SECTOR_BYTES);
                }
            }
            Bytes::SetLen(new) => {
                let new = *new as usize;
                lens.push(new);
                let mut from = new;
                while from < bytes.len() {
                    let sector = from / SECTOR_BYTES;
                    let to = bytes.len().min((sector + 1) * SECTOR_BYTES);
                    if number < seen(sector)
                        && let Some(cut) = bytes.get_mut(from..to)
                    {
                        cut.fill(0);
                    }
                    from = to;
                }
            }
        }
    }
    let at = random.below(lens.len() as u64) as usize;
    let len = lens.get(at).copied().unwrap_or(0);
    let next = lens.get(at + 1).copied().unwrap_or(len);
    let between = random.below(len.abs_diff(next) as u64 + 1) as usize;
    let len = match random.below(4) {
        0 => len.min(next) + between,
        1 => lens.iter().copied().max().unwrap_or(0),
        _ => len,
    };
    bytes.resize(len, 0);
}
