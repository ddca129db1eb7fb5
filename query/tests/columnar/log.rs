//! A log in memory: lines, with the states of their sessions.

use daybook_engine::block::{BlockCache, Record, is_plain};
use daybook_engine::catalog::filter::{NumberFact, SessionFilter, TextFact};
use daybook_engine::disk::{RealDisk, SharedDisk};
use daybook_engine::event::wire::Event;
use daybook_engine::event::{Micros, Offset, Seq, SessionKey};
use daybook_engine::segment::{Leaves, SealInput, Segment, seal};
use daybook_engine::session::{Change, SessionState};
use daybook_engine::view::{
    Facet, ListPage, ListRequest, Part, Session, SessionSet, Sessions, Snapshot, Weights,
};
use daybook_query::columnar::Error;
use daybook_query::columnar::parquet::{Options, SegmentParquet, Writer};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

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

/// A catalog of the log's sessions.
struct Known(Vec<Session>);

impl Sessions for Known {
    fn get(&self, id: &str) -> Result<Option<Session>, daybook_engine::Error> {
        Ok(self.0.iter().find(|session| &*session.id == id).cloned())
    }

    fn by_key(&self, key: SessionKey) -> Result<Option<Session>, daybook_engine::Error> {
        Ok(self.0.iter().find(|session| session.key == key).cloned())
    }

    fn list(&self, _: &ListRequest) -> Result<ListPage, daybook_engine::Error> {
        unimplemented!("no export lists sessions")
    }

    fn keys(&self, filter: &SessionFilter) -> Result<Arc<SessionSet>, daybook_engine::Error> {
        let matching = self.0.iter().filter(|s| filter.matches(&s.id, s.key, &s.state));
        Ok(Arc::new(matching.map(|s| s.key).collect()))
    }

    fn facets(
        &self,
        _: &SessionFilter,
        _: Weights<'_>,
        _: &[TextFact],
        _: usize,
    ) -> Result<Vec<(TextFact, Facet)>, daybook_engine::Error> {
        unimplemented!("no export has facets")
    }

    fn each_numbers(
        &self,
        _: &SessionFilter,
        _: &[NumberFact],
        _: &mut dyn FnMut(&[Option<i64>]),
    ) -> Result<(), daybook_engine::Error> {
        unimplemented!("no export counts sessions over time")
    }

    fn count(&self) -> Result<u64, daybook_engine::Error> {
        Ok(self.0.len() as u64)
    }
}

impl Log {
    /// The log as two sealed segments with their Parquet copies, in `directory`.
    pub fn sealed(&self, directory: &Path) -> Snapshot {
        let mut lines: Vec<&Line> = self.lines.iter().collect();
        lines.sort_by_key(|line| line.offset);
        let mut keys: HashMap<&str, u64> = HashMap::new();
        for line in &lines {
            keys.entry(&line.session).or_insert(line.offset);
        }
        let mut sessions: Vec<Session> = Vec::new();
        for (id, key) in keys {
            let state = Arc::new(self.sessions[id].clone());
            sessions.push(Session { id: id.into(), key: SessionKey(key), state });
        }
        sessions.sort_by_key(|session| session.key);
        let disk: SharedDisk = Arc::new(RealDisk);
        let mut parts: Vec<Arc<dyn Part>> = Vec::new();
        for lines in lines.chunks(lines.len().div_ceil(2).max(1)) {
            let mut payload = Vec::new();
            lines.iter().for_each(|line| line.record().encode(&mut payload));
            let here: Vec<Session> = sessions
                .iter()
                .filter(|session| lines.iter().any(|line| *line.session == *session.id))
                .cloned()
                .collect();
            let place = |line: &&Line| here.iter().position(|s| *s.id == *line.session).unwrap();
            let session_of: Vec<u32> = lines.iter().map(|line| place(line) as u32).collect();
            let input = SealInput {
                base: Offset(lines[0].offset),
                end: Offset(lines[lines.len() - 1].offset + 1),
                payloads: &[Arc::new(payload.into())],
                plain: &[lines.iter().all(|line| is_plain(&line.json))],
                session_of: &session_of,
                sessions: &here,
                texts: &[],
                leaves: &Leaves::default(),
                created: Micros(1),
                generation: 0,
                replaces: &[],
            };
            seal(&disk, directory, &input, Some(&SegmentParquet::default())).unwrap();
            let name = format!("{:020}", lines[0].offset);
            let cache = Arc::new(BlockCache::new(1 << 20));
            parts.push(Arc::new(Segment::open(&disk, &directory.join(name), cache).unwrap()));
        }
        Snapshot { parts, sessions: Arc::new(Known(sessions)) }
    }
}

impl Line {
    pub fn record(&self) -> Record<'_> {
        let event = Event::decode(&self.json).unwrap();
        Record {
            offset: Offset(self.offset),
            previous: None,
            seq: self.seq,
            time: self.time,
            kind: event.body.kind(),
            verdict: event.body.verdict(),
            received: Micros(1_772_000_000_000_000),
            producer: ["", "pg-proxy"][(self.offset % 2) as usize],
            retry: None,
            json: &self.json,
        }
    }
}
