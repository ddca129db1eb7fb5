//! The order of a segment's events, and the columns of its index.

use super::SealInput;
use super::index::{NewSession, Tables, code};
use crate::block::{RECORD_HEADER_LEN, Record, Records, is_plain};
use crate::error::Error;
use std::path::Path;

/// A closed journal's events in the order of a segment: by session id, then `seq`.
#[derive(Debug)]
pub struct Plan<'a> {
    input: SealInput<'a>,
    /// By offset: where the event's record is.
    places: Vec<Place>,
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
    /// Its offset from the base.
    offset: u32,
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

        let count = input.session_of.len();
        let mut places = Vec::with_capacity(count);
        let mut seen = Vec::with_capacity(count);
        let mut facts = Vec::with_capacity(count);
        let mut raw_json_bytes = 0;
        for (number, payload) in input.payloads.iter().enumerate() {
            let mut at = 0;
            for record in Records::new(payload) {
                let record = record.map_err(|what| wrong(format!("payload {number}: {what}")))?;
                let offset = places.len();
                if record.offset.0 != input.base.0 + offset as u64 {
                    return Err(wrong(format!("event {} is out of its order", record.offset)));
                }
                let session = input.session_of.get(offset).and_then(|at| ranks.get(*at as usize));
                let session = *session
                    .ok_or_else(|| wrong(format!("event {} has no session", record.offset)))?;
                seen.push(Seen { session, seq: record.seq.0, offset: offset as u32 });
                facts.push((record.time.0, code(record.kind, record.verdict)));
                places.push(Place { payload: number as u32, at: at as u32 });
                at += RECORD_HEADER_LEN + record.json.len();
                raw_json_bytes += record.json.len() as u64;
            }
        }
        if places.len() != count || count == 0 || u32::try_from(count).is_err() {
            return Err(wrong(format!("{} events for {count} sessions' numbers", places.len())));
        }
        seen.sort_unstable_by_key(|event| (event.session, event.seq, event.offset));

        let mut tables = Tables { base: input.base, ..Tables::default() };
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
                let (time, code) = facts.get(event.offset as usize).copied().unwrap_or_default();
                times = (times.0.min(time), times.1.max(time));
                tables.offsets.push(event.offset);
                tables.times.push(time);
                tables.seqs.push(event.seq);
                tables.codes.push(code);
            }
            let seqs = (run.first().map_or(0, |e| e.seq), run.last().map_or(0, |e| e.seq));
            let count = run.len() as u32;
            let (id, key) = (&*session.id, session.key);
            tables.sessions.push(NewSession { id, key, first, count, times, seqs });
        }
        Ok(Plan { input: *input, places, tables, raw_json_bytes })
    }

    /// An event's record, by its offset from the base, and whether its line is plain.
    pub fn record(&self, offset: u32) -> Option<(Record<'a>, bool)> {
        let place = self.places.get(offset as usize)?;
        let payload: &'a [u8] = self.input.payloads.get(place.payload as usize)?;
        let record = Record::decode(payload.get(place.at as usize..)?).ok()?.0;
        // A line may be plain in a block that is not.
        let plain = self.input.plain.get(place.payload as usize).copied().unwrap_or(false)
            || is_plain(record.json);
        Some((record, plain))
    }

    /// Offsets from the base in the order of time, then offset.
    pub fn by_time(&self) -> Vec<u32> {
        let times = self.tables.times.iter().zip(&self.tables.offsets);
        let mut order: Vec<(i64, u32)> = times.map(|(time, offset)| (*time, *offset)).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, offset)| offset).collect()
    }
}
