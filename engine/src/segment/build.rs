//! The order of a segment's events, and the columns of its index.

use super::SealInput;
use super::index::{NewSession, Tables, code};
use crate::block::{Record, Records, is_plain};
use crate::error::Error;
use std::path::Path;

/// A closed journal's events in the order of a segment: by session id, then `seq`.
#[derive(Debug)]
pub struct Plan<'a> {
    input: SealInput<'a>,
    /// In the order of offsets: where the event's record is.
    places: Vec<Place>,
    /// In the order of offsets: the place of the event's session in the input.
    session_of: Vec<u32>,
    /// By ordinal: the event's place in the order of offsets.
    pub order: Vec<u32>,
    /// The index so far: everything but the blocks.
    pub tables: Tables<'a>,
    /// Bytes of all lines as they were sent.
    pub raw_json_bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    payload: u32,
    at: u32,
}

/// What ordering needs to know of an event.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// The rank of its session by id.
    session: u32,
    seq: u32,
    /// Its place in the order of offsets.
    at: u32,
}

/// An event, as the walk over the payloads finds it.
#[derive(Clone, Copy, Debug)]
struct Found {
    /// From the base.
    offset: u32,
    /// The place of its session in the input.
    session: u32,
    seq: u32,
    time: i64,
    code: u8,
    json_len: u32,
    place: Place,
}

fn walk(input: &SealInput<'_>) -> Result<Vec<Found>, String> {
    let count = input.session_of.len();
    let mut found = Vec::with_capacity(count);
    for (number, payload) in input.payloads.iter().enumerate() {
        let mut at = 0;
        for record in Records::new(payload) {
            let record = record.map_err(|what| format!("payload {number}: {what}"))?;
            let (offset, session) = (record.offset, input.session_of.get(found.len()).copied());
            if offset < input.base || offset >= input.end {
                return Err(format!("event {offset} does not belong to it"));
            }
            found.push(Found {
                offset: u32::try_from(offset.0 - input.base.0)
                    .map_err(|_| "it has more offsets than 32 bits count".to_owned())?,
                session: session
                    .filter(|session| (*session as usize) < input.sessions.len())
                    .ok_or_else(|| format!("event {offset} has no session"))?,
                seq: record.seq.0,
                time: record.time.0,
                code: code(record.kind, record.verdict),
                json_len: record.json.len() as u32,
                place: Place { payload: number as u32, at: at as u32 },
            });
            at += record.encoded_len();
        }
    }
    if found.len() != count || count == 0 {
        return Err(format!("{} events for {count} sessions' numbers", found.len()));
    }
    Ok(found)
}

impl<'a> Plan<'a> {
    /// Walks the payloads and orders their events. `dir` is named in errors.
    ///
    /// # Errors
    /// An input that contradicts itself.
    pub fn new(input: &SealInput<'a>, dir: &Path) -> Result<Plan<'a>, Error> {
        let wrong = |what: String| Error::corrupt(dir, 0, what);
        let mut by_id: Vec<u32> = (0..input.sessions.len() as u32).collect();
        let id_of = |at: u32| input.sessions.get(at as usize).map(|session| &*session.id);
        by_id.sort_unstable_by_key(|at| id_of(*at));
        let mut ranks = vec![0u32; by_id.len()];
        for (rank, at) in by_id.iter().enumerate() {
            if let Some(place) = ranks.get_mut(*at as usize) {
                *place = rank as u32;
            }
        }

        let mut found = walk(input).map_err(wrong)?;
        found.sort_unstable_by_key(|event| event.offset);
        if found.windows(2).any(|pair| matches!(pair, [a, b] if a.offset == b.offset)) {
            return Err(wrong("an event is there twice".to_owned()));
        }
        let span = u32::try_from(input.end.0 - input.base.0);
        let span = span.map_err(|_| wrong("it has more offsets than 32 bits count".to_owned()))?;
        let mut seen = Vec::with_capacity(found.len());
        for (at, event) in (0u32..).zip(&found) {
            let session = ranks.get(event.session as usize).copied().unwrap_or_default();
            seen.push(Seen { session, seq: event.seq, at });
        }
        seen.sort_unstable_by_key(|event| (event.session, event.seq, event.at));

        let order = seen.iter().map(|event| event.at).collect();
        let mut tables = Tables { base: input.base, span, ..Tables::default() };
        for run in seen.chunk_by(|a, b| a.session == b.session) {
            let at = run.first().and_then(|event| by_id.get(event.session as usize));
            let session = at
                .and_then(|at| input.sessions.get(*at as usize))
                .ok_or_else(|| wrong("an event has no session".to_owned()))?;
            if tables.sessions.last().is_some_and(|last| last.id == &*session.id) {
                return Err(wrong(format!("session {} is there twice", session.id)));
            }
            let first = tables.offsets.len() as u32;
            let mut times = (i64::MAX, i64::MIN);
            for event in run {
                let Some(Found { offset, time, code, .. }) = found.get(event.at as usize).copied()
                else {
                    continue;
                };
                times = (times.0.min(time), times.1.max(time));
                tables.offsets.push(offset);
                tables.times.push(time);
                tables.seqs.push(event.seq);
                tables.codes.push(code);
            }
            let seqs = (run.first().map_or(0, |e| e.seq), run.last().map_or(0, |e| e.seq));
            let count = run.len() as u32;
            let (id, key) = (&*session.id, session.key);
            tables.sessions.push(NewSession { id, key, first, count, times, seqs });
        }
        let raw_json_bytes = found.iter().map(|event| u64::from(event.json_len)).sum();
        let session_of = found.iter().map(|event| event.session).collect();
        let places = found.into_iter().map(|event| event.place).collect();
        Ok(Plan { input: *input, places, session_of, order, tables, raw_json_bytes })
    }

    /// An event's record, by its place in the order of offsets, and whether its line is plain.
    pub fn record(&self, at: u32) -> Option<(Record<'a>, bool)> {
        let place = self.places.get(at as usize)?;
        let payload: &'a [u8] = self.input.payloads.get(place.payload as usize)?;
        let record = Record::decode(payload.get(place.at as usize..)?).ok()?.0;
        // A line may be plain in a block that is not.
        let plain = self.input.plain.get(place.payload as usize).copied().unwrap_or(false)
            || is_plain(record.json);
        Some((record, plain))
    }

    /// The place of an event's session in the input, by the event's place in the order of offsets.
    pub fn session_of(&self, at: u32) -> Option<u32> {
        self.session_of.get(at as usize).copied()
    }

    /// The events' places in the order of time, then offset.
    pub fn by_time(&self) -> Vec<u32> {
        let times = self.tables.times.iter().zip(&self.order);
        let mut order: Vec<(i64, u32)> = times.map(|(time, at)| (*time, *at)).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, at)| at).collect()
    }
}
