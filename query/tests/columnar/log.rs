//! A log in memory: lines, with the states of their sessions.

use daybook_engine::block::Record;
use daybook_engine::event::wire::Event;
use daybook_engine::event::{Micros, Offset, Seq};
use daybook_engine::session::{Change, SessionState};
use daybook_query::columnar::Error;
use daybook_query::columnar::parquet::{Options, Writer};
use std::collections::HashMap;

/// Lines in the order of their times, and the sessions that they belong to.
pub struct Log {
    pub lines: Vec<Line>,
    pub sessions: HashMap<String, SessionState>,
}

pub struct Line {
    pub json: Vec<u8>,
    pub session: String,
    pub offset: u64,
    pub seq: Seq,
    pub time: Micros,
}

impl Log {
    pub fn of<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Log {
        let mut log = Log { lines: Vec::new(), sessions: HashMap::new() };
        for (offset, json) in lines.enumerate() {
            let event = Event::decode(json).unwrap();
            let session = event.session.clone().into_owned();
            let state = log.sessions.entry(session.clone()).or_default();
            let seq = event.seq.unwrap_or(Seq(state.events as u32));
            let time = event.time;
            state.apply(Change::of(event, seq, json.len() as u64));
            let offset = offset as u64;
            log.lines.push(Line { json: json.to_vec(), session, offset, seq, time });
        }
        log.lines.sort_by_key(|line| (line.time, line.offset));
        log
    }

    pub fn parquet(&self, options: Options) -> Result<Vec<u8>, Error> {
        let mut writer = Writer::new(Vec::new(), options)?;
        for line in &self.lines {
            writer.push(&line.record(), &line.session, &self.sessions[&line.session])?;
        }
        writer.finish().map(|(bytes, _)| bytes)
    }
}

impl Line {
    pub fn record(&self) -> Record<'_> {
        let event = Event::decode(&self.json).unwrap();
        Record {
            offset: Offset(self.offset),
            seq: self.seq,
            time: self.time,
            kind: event.body.kind(),
            verdict: event.body.verdict(),
            json: &self.json,
        }
    }
}
