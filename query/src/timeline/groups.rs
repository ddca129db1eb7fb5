//! Groups: an item of a page with what is folded under it, found before a line of it is kept.

use super::fold::{Folder, Role, Step, WINDOW};
use super::runs::{Entry, Position};
use crate::error::QueryError;
use daybook_engine::event::Kind;
use std::collections::HashMap;

/// How many events are placed in one go.
const BATCH: usize = 256;

/// How many events a page may read and test before it ends early.
const EVENTS_READ_MAX: u64 = 200_000;

/// An item and what stands under it, by `seq`.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) leader: Entry,
    pub(super) members: Vec<(Entry, Role)>,
    matches: bool,
}

impl Group {
    fn new(step: &Step) -> Group {
        Group { leader: step.entry, members: Vec::new(), matches: step.matches }
    }

    pub(super) fn seq(&self) -> Position {
        self.leader.seq()
    }

    /// The same with the decisions under it that daybook wrote itself.
    fn with_own(mut self, folder: &mut Folder<'_>) -> Result<Group, QueryError> {
        if matches!(self.leader.facts.kind, Kind::Command | Kind::ReviewRequest) {
            for step in folder.own_decisions(self.seq())? {
                self.matches |= step.matches;
                self.members.push((step.entry, step.role));
            }
        }
        Ok(self)
    }
}

/// The groups of a page, in the direction of the walk, and where the next page starts.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) groups: Vec<Group>,
    /// Forwards, the first item's place; backwards, the place that items are below.
    pub(super) next: Option<Position>,
}

/// The next batch of an iterator.
fn batch(entries: &mut impl Iterator<Item = Entry>) -> Vec<Entry> {
    entries.take(BATCH).collect()
}

/// The first `limit` groups from a place on.
pub(super) fn forwards(
    folder: &mut Folder<'_>,
    from: Position,
    limit: usize,
) -> Result<Found, QueryError> {
    let runs = folder.runs;
    let mut entries = runs.forwards(from);
    let mut groups: Vec<Group> = Vec::new();
    let mut index: HashMap<Position, usize> = HashMap::new();
    // Past this, nothing can belong to the groups.
    let mut reach = 0;
    let (mut matching, mut ended) = (0, false);
    // Groups below this are known to match or not.
    let mut settled = None;
    while !ended {
        let some = batch(&mut entries);
        let Some(first) = some.first().map(Entry::seq) else { break };
        if matching > limit && first >= reach {
            break;
        }
        if folder.read >= EVENTS_READ_MAX {
            settled = Some((first + 1).saturating_sub(WINDOW).max(from));
            break;
        }
        // What can't match any more makes room.
        if folder.plan.is_some() {
            groups.retain(|g| g.matches || g.seq() + WINDOW > first);
            index = groups.iter().enumerate().map(|(i, g)| (g.seq(), i)).collect();
        }
        for step in folder.steps(&some)? {
            if matching > limit && step.entry.seq() >= reach {
                ended = true;
                break;
            }
            if step.role == Role::Item {
                if matching <= limit {
                    index.insert(step.leader, groups.len());
                    reach = reach.max(step.leader + folder.reach(step.entry.facts.kind));
                    let group = Group::new(&step).with_own(folder)?;
                    matching += usize::from(group.matches);
                    groups.push(group);
                }
            } else if step.is_apart() {
                // It came with its item.
            } else if let Some(group) = index.get(&step.leader).and_then(|i| groups.get_mut(*i)) {
                matching += usize::from(step.matches && !group.matches);
                group.matches |= step.matches;
                group.members.push((step.entry, step.role));
            }
        }
    }
    groups.retain(|g| g.matches && settled.is_none_or(|settled| g.seq() < settled));
    let next = groups.get(limit).map(Group::seq).or(settled);
    groups.truncate(limit);
    // Those that daybook wrote came with their items, and not in their order.
    groups.iter_mut().for_each(|group| group.members.sort_by_key(|(entry, _)| entry.seq()));
    Ok(Found { groups, next })
}

/// The last `limit` groups before a place, the last one first.
pub(super) fn backwards(
    folder: &mut Folder<'_>,
    below: Position,
    limit: usize,
) -> Result<Found, QueryError> {
    let runs = folder.runs;
    let mut entries = runs.backwards(if folder.fold { below + WINDOW - 1 } else { below });
    let mut groups: Vec<Group> = Vec::new();
    // Events whose item has not come yet.
    let mut waiting: HashMap<Position, (bool, Vec<(Entry, Role)>)> = HashMap::new();
    loop {
        let some = batch(&mut entries);
        let Some(first) = some.first().map(Entry::seq) else { break };
        if folder.read >= EVENTS_READ_MAX && first + 1 < below {
            return Ok(Found { groups, next: Some(first + 1) });
        }
        for step in folder.steps(&some)? {
            if step.is_apart() {
                continue;
            }
            if step.role != Role::Item {
                let (matches, members) = waiting.entry(step.leader).or_default();
                *matches |= step.matches;
                members.push((step.entry, step.role));
                continue;
            }
            let mut group = Group::new(&step);
            if let Some((matches, mut members)) = waiting.remove(&step.leader) {
                members.reverse();
                group.matches |= matches;
                group.members = members;
            }
            let group = group.with_own(folder)?;
            if group.matches && group.seq() < below {
                if groups.len() == limit {
                    return Ok(Found { groups, next: Some(group.seq() + 1) });
                }
                groups.push(group);
            }
        }
    }
    Ok(Found { groups, next: None })
}
