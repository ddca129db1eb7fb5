//! The proof of one session: a file that whoever got it checks without the log, without the network
//! and without believing the node.
//!
//! ```text
//! { "format": "daybook-proof-1", "session": id, "excerpt": true (or nothing), "key": verifier key, "checkpoint": signed note,
//!   "blocks": [ { "index": the leaf's index, "leaf": base64 (64 B), "path": [hash ...],
//!                 "events": [ { "offset", "previous", "seq", "time", "kind", "verdict",
//!                               "salt": base64 (16 B), "line": as it was stored } ... ],
//!                 "cover": [hash ...] } ... ] }
//! ```
//!
//! | step | what it shows |
//! |---|---|
//! | the note is signed by `key` | the checkpoint is that log's |
//! | the leaf's hash and `path` lead to the checkpoint's root | the block is in the log, at this index |
//! | the events' hashes and `cover` ([`super::tree::cover`]) lead to the leaf's root | each event is in the block, at the place that its offset says, exactly as it stands here |
//! | each event's `previous` is the offset of the event before it | none of the session's events between the first and the last is missing |
//!
//! **Why none can be missing.** When an event is stored, its record also gets the offset of the session's
//! event before it, and the event's hash is over that too. An offset is at one place of the tree, so the
//! links lead through all of the session's events; one that is left out stays named by the one after it.
//! The producer's numbers (`seq`) can't show this alone, for a producer may leave numbers out; with the
//! links, a gap in them is known to be the producer's.
//!
//! **An excerpt** has some of the session's events, and the links do not have to lead from one to the next: it proves
//! each of them, and nothing of those that are left out, which are hashes in `cover` like everybody else's.
//!
//! **What is not proved.** That the session had nothing after the last event here (a later checkpoint
//! and a new bundle show it), or before the first if that one names a previous one (retention may have
//! erased it); that a node which held the key was honest when it *wrote* the record; and whose key it
//! is: compare `key` with the one that you were given by another way.

use super::checkpoint::Checkpoint;
use super::hash::Hash;
use super::leaf::{LEAF_LEN, Leaf, SALT_LEN, Salt, event_hash};
use super::note::Verifier;
use super::tree::{cover, root_from_cover, root_from_inclusion};
use crate::batch::OWN_SEQ_MIN;
use crate::block::{Record, Retry};
use crate::event::wire::Event;
use crate::event::{Kind, Micros, Offset, Seq, Verdict};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// What `format` says.
pub const FORMAT: &str = "daybook-proof-1";

/// The proof of one session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// Which form this is: [`FORMAT`].
    pub format: String,
    /// The session's id.
    pub session: String,
    /// Are events left out that somebody is not shown?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub excerpt: bool,
    /// The key that checks the checkpoint.
    pub key: String,
    /// The signed checkpoint.
    pub checkpoint: String,
    /// The journal blocks that hold the session's events, in order.
    pub blocks: Vec<BlockProof>,
}

/// What proves the events of one block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockProof {
    /// The leaf's index in the tree.
    pub index: u64,
    /// The leaf.
    #[serde(serialize_with = "leaf_out", deserialize_with = "leaf_in")]
    pub leaf: Leaf,
    /// The leaf's inclusion path in the checkpoint's tree, from its sibling upward.
    pub path: Vec<Hash>,
    /// The session's events in the block, in the order of offsets.
    pub events: Vec<EventProof>,
    /// What the rest of the block hashes to.
    pub cover: Vec<Hash>,
}

/// One event, with all that its hash is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventProof {
    /// Its place in the node's log.
    pub offset: Offset,
    /// The place of the session's event before it.
    pub previous: Option<Offset>,
    /// Its number in its session.
    pub seq: Seq,
    /// When it happened.
    #[serde(serialize_with = "time_out", deserialize_with = "time_in")]
    pub time: Micros,
    /// What happened.
    pub kind: Kind,
    /// The verdict, for commands that carry one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// When the server took it in.
    #[serde(serialize_with = "time_out", deserialize_with = "time_in")]
    pub received: Micros,
    /// Who sent it; empty where nobody asked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub producer: String,
    /// By what it is known when it is sent again, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(serialize_with = "retry_out", deserialize_with = "retry_in")]
    pub retry: Option<Retry>,
    /// Its salt.
    #[serde(serialize_with = "salt_out", deserialize_with = "salt_in")]
    pub salt: Salt,
    /// The line as it was stored.
    pub line: String,
}

/// What a bundle was found to prove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proved {
    /// The session's id.
    pub session: String,
    /// Are some of the session's events left out? Then nothing is said of what is between these.
    pub excerpt: bool,
    /// How many events.
    pub events: u64,
    /// The offset of the first one.
    pub first: Offset,
    /// The offset of the last one.
    pub last: Offset,
    /// The session's event before the first one, which is not in the bundle.
    pub before: Option<Offset>,
    /// Numbers between the least and the largest that the producer did not use (the first few ranges).
    pub unused_seqs: Vec<RangeInclusive<u32>>,
    /// The log's name.
    pub origin: String,
    /// The size of the checkpoint's tree.
    pub size: u64,
    /// The root of the checkpoint's tree.
    pub root: Hash,
    /// The key that signed.
    pub key: String,
}

/// At most this many ranges of unused numbers are named.
const UNUSED_MAX: usize = 100;

impl BlockProof {
    /// The proof of some events of a block. `hashes` are those of all of its events; the records ascend.
    ///
    /// # Errors
    /// A record that is not in the block, or whose line is not UTF-8.
    pub fn new(
        index: u64,
        leaf: Leaf,
        path: Vec<Hash>,
        hashes: &[Hash],
        events: Vec<EventProof>,
    ) -> Result<BlockProof, &'static str> {
        let place = |event: &EventProof| place_in(&leaf, event.offset);
        let places: Option<Vec<u32>> = events.iter().map(place).collect();
        let places = places.ok_or("an event is not in the block that it is to be proved in")?;
        if hashes.len() != leaf.count as usize {
            return Err("the block has not as many events as its leaf says");
        }
        let cover = cover(hashes, &places);
        Ok(BlockProof { index, leaf, path, events, cover })
    }

    /// Checks the block and its events against the tree's root.
    fn check(&self, size: u64, root: Hash) -> Result<(), String> {
        let found = root_from_inclusion(self.leaf.hash(), self.index, size, &self.path);
        if found != Some(root) {
            return Err(format!("block {} is not in the checkpoint's tree", self.index));
        }
        let mut leaves = Vec::with_capacity(self.events.len());
        let mut record = Vec::new();
        for event in &self.events {
            let place = place_in(&self.leaf, event.offset);
            let place = place.ok_or_else(|| {
                format!("event {} is not of block {}, where it stands", event.offset, self.index)
            })?;
            record.clear();
            event.record().encode(&mut record);
            leaves.push((place, event_hash(event.salt, &record)));
        }
        if leaves.is_empty() {
            return Err(format!("block {} has no events here", self.index));
        }
        if root_from_cover(self.leaf.count, &leaves, &self.cover) != Some(self.leaf.root) {
            let (first, last) = (self.events.first(), self.events.last());
            let name = |event: Option<&EventProof>| event.map_or(0, |event| event.offset.0);
            return Err(format!(
                "the events {} to {} of block {} are not what the log committed to: at least one of them was changed",
                name(first),
                name(last),
                self.index
            ));
        }
        Ok(())
    }
}

fn place_in(leaf: &Leaf, offset: Offset) -> Option<u32> {
    let place = offset.0.checked_sub(leaf.base.0).and_then(|place| u32::try_from(place).ok());
    place.filter(|place| *place < leaf.count)
}

impl EventProof {
    /// An event with its salt.
    ///
    /// # Errors
    /// A line that is not UTF-8.
    pub fn new(record: &Record<'_>, salt: Salt) -> Result<EventProof, &'static str> {
        let line = std::str::from_utf8(record.json).map_err(|_| "a stored line is not UTF-8")?;
        Ok(EventProof {
            offset: record.offset,
            previous: record.previous,
            seq: record.seq,
            time: record.time,
            kind: record.kind,
            verdict: record.verdict,
            received: record.received,
            producer: record.producer.to_owned(),
            retry: record.retry,
            salt,
            line: line.to_owned(),
        })
    }

    /// The record that its hash is over.
    #[must_use]
    pub fn record(&self) -> Record<'_> {
        Record {
            offset: self.offset,
            previous: self.previous,
            seq: self.seq,
            time: self.time,
            kind: self.kind,
            verdict: self.verdict,
            received: self.received,
            producer: &self.producer,
            retry: self.retry,
            json: self.line.as_bytes(),
        }
    }
}

impl Bundle {
    /// Reads a bundle; nothing of it is believed before [`Bundle::check`].
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(json: &[u8]) -> Result<Bundle, String> {
        let bundle: Bundle = serde_json::from_slice(json)
            .map_err(|error| format!("this is no proof bundle of daybook's: {error}"))?;
        if bundle.format != FORMAT {
            return Err("the bundle is of a form that this version does not know".to_owned());
        }
        Ok(bundle)
    }

    /// Checks everything. With `key`, the checkpoint has to be signed by that one; without, by the one
    /// in the bundle, which is then worth what the way is worth that it came by.
    ///
    /// # Errors
    /// A sentence that says what does not hold.
    pub fn check(&self, key: Option<&Verifier>) -> Result<Proved, String> {
        let own = Verifier::parse(&self.key)?;
        if key.is_some_and(|key| *key != own) {
            return Err("the bundle's key is not the one that is trusted".to_owned());
        }
        let checkpoint = Checkpoint::open(&self.checkpoint, &own)?;
        let indexes = self.blocks.iter().map(|block| block.index);
        if !indexes.is_sorted_by(|a, b| a < b) {
            return Err("the blocks are not in order".to_owned());
        }
        for block in &self.blocks {
            block.check(checkpoint.size, checkpoint.root)?;
        }
        let events = || self.blocks.iter().flat_map(|block| &block.events);
        self.check_links(events())?;
        let (Some(first), Some(last)) = (events().next(), events().last()) else {
            return Err("the bundle has no events".to_owned());
        };
        Ok(Proved {
            session: self.session.clone(),
            excerpt: self.excerpt,
            events: events().count() as u64,
            first: first.offset,
            last: last.offset,
            before: first.previous,
            unused_seqs: match self.excerpt {
                true => Vec::new(),
                false => {
                    let of_producer = |seq: &u32| *seq < OWN_SEQ_MIN.0;
                    unused(events().map(|event| event.seq.0).filter(of_producer).collect())
                }
            },
            origin: checkpoint.origin,
            size: checkpoint.size,
            root: checkpoint.root,
            key: own.to_string(),
        })
    }

    /// Is each event of this session, and linked to the one before it?
    fn check_links<'a>(&self, events: impl Iterator<Item = &'a EventProof>) -> Result<(), String> {
        let mut before: Option<&EventProof> = None;
        for event in events {
            let line = Event::decode(event.line.as_bytes())
                .map_err(|error| format!("the line of event {} is none: {error}", event.offset))?;
            if line.session != self.session {
                return Err(format!("event {} is of another session", event.offset));
            }
            if event.previous.is_some_and(|previous| previous >= event.offset) {
                return Err(format!("event {} can't come after what it names", event.offset));
            }
            if let Some(before) = before
                && event.previous != Some(before.offset)
                && !self.excerpt
            {
                let missing = event.previous.map_or("none".to_owned(), |offset| offset.to_string());
                return Err(format!(
                    "between events {} and {} something is missing: the event before {} was {missing}",
                    before.offset, event.offset, event.offset
                ));
            }
            before = Some(event);
        }
        Ok(())
    }
}

/// The gaps in a set of numbers.
fn unused(seqs: BTreeSet<u32>) -> Vec<RangeInclusive<u32>> {
    let after = seqs.iter().skip(1);
    let gaps = seqs.iter().zip(after).filter(|(a, b)| **b - **a > 1);
    gaps.map(|(a, b)| a + 1..=b - 1).take(UNUSED_MAX).collect()
}

fn leaf_out<S: Serializer>(leaf: &Leaf, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(leaf.encode()))
}

fn leaf_in<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Leaf, D::Error> {
    let bytes: [u8; LEAF_LEN] = bytes_in(deserializer)?;
    Leaf::decode(&bytes).map_err(serde::de::Error::custom)
}

fn salt_out<S: Serializer>(salt: &Salt, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(salt.0))
}

fn salt_in<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Salt, D::Error> {
    Ok(Salt(bytes_in::<SALT_LEN, D>(deserializer)?))
}

fn retry_out<S: Serializer>(retry: &Option<Retry>, serializer: S) -> Result<S::Ok, S::Error> {
    match retry {
        Some(Retry(id)) => serializer.serialize_str(&STANDARD.encode(id)),
        None => serializer.serialize_none(),
    }
}

fn retry_in<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Retry>, D::Error> {
    bytes_in::<16, D>(deserializer).map(|id| Some(Retry(id)))
}

fn bytes_in<'de, const N: usize, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<[u8; N], D::Error> {
    let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
    let bytes = STANDARD.decode(text.as_ref()).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not {N} bytes of base64")))
}

fn time_out<S: Serializer>(time: &Micros, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

fn time_in<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Micros, D::Error> {
    let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
    Micros::parse(&text).map_err(serde::de::Error::custom)
}
