//! As many events as are asked for, from the sessions of the source: each is repeated as a whole, under another
//! id, by another user, at another time within [`DAYS`], with other identifiers in its texts.
//!
//! The same seed gives the same events, and the sessions of a smaller number are among those of a larger one.
//! What the queries are drawn from, and all markers, are in the first of them: so every size has them.

use super::seeded::{Seeded, hash};
use super::template::Template;
use crate::source::Source;
use anyhow::{Context as _, Result};
use daybook_engine::event::Micros;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// The first session starts then: 2026-01-01.
const START_US: i64 = 1_767_225_600_000_000;
/// Sessions start within so many days.
pub(crate) const DAYS: i64 = 90;
const DAY_US: i64 = 86_400_000_000;
/// No session lasts longer; those of the source that do are quicker.
const LASTS_US: i64 = 8 * 3_600_000_000;
/// So many events are in any larger number, too.
const BASE_EVENTS: u64 = 200_000;
const USERS: u64 = 5_000;
const ROLES: u64 = 8;
/// So many markers are there, the one with number `i` in [`copies`] events.
pub(crate) const MARKERS: u64 = 40;

/// In how many events a marker is.
pub(crate) fn copies(marker: u64) -> u64 {
    1 + marker % 12
}

/// What is in a few events that are known.
#[derive(Clone, Debug)]
pub(crate) struct Marker {
    pub word: String,
    pub address: String,
    pub path: String,
    pub copies: u64,
}

impl Marker {
    fn of(seed: u64, number: u64) -> Marker {
        let mut seeded = Seeded::of(&[seed, 3, number]);
        let name = format!("{:08x}", seeded.next() as u32);
        Marker {
            word: format!("needle{name}"),
            // Neither the sources nor varied addresses have this network.
            address: format!("100.64.{}.{}", number + 1, seeded.below(200) + 20),
            path: format!("/srv/vault/{name}/ledger.db"),
            copies: copies(number),
        }
    }

    fn text(&self) -> String {
        format!(" ; fetch {} --from {} --to {}", self.word, self.address, self.path)
    }
}

/// A session of the source.
#[derive(Debug)]
struct Session {
    id: String,
    role: String,
    role_type: String,
    events: Vec<Template>,
}

/// A repetition of a session.
#[derive(Clone, Copy, Debug)]
struct Pick {
    session: usize,
    round: u64,
    start: Micros,
}

/// All events, made as they are asked for.
#[derive(Debug)]
pub(crate) struct Stream {
    seed: u64,
    sessions: Vec<Session>,
    /// In the order in which they were picked: a smaller number has the first of them.
    picks: Vec<Pick>,
    /// As many of the picks as every larger number has: how many events come before each of them.
    base: Vec<u64>,
    markers: Vec<Marker>,
    /// By pick and place in the session.
    marked: HashMap<(usize, usize), usize>,
    pub events: u64,
}

/// One event of the stream.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    /// Its number in the order of arrival.
    pub number: u64,
    pub session: String,
    pub seq: u64,
    pub time: Micros,
    pub user: String,
    pub role: String,
    pub role_type: &'a str,
    pub kind: &'a str,
    pub verdict: Option<&'a str>,
    pub text_bytes: u64,
    /// Whether there is a marker in it.
    pub marked: bool,
    /// As it is sent.
    pub line: String,
}

impl Stream {
    /// At least so many events, in whole sessions.
    pub(crate) fn new(source: &Source, events: u64, seed: u64) -> Result<Stream> {
        let sessions = sessions(source)?;
        let mut order: Vec<usize> = (0..sessions.len()).collect();
        let (mut picks, mut made, mut base) = (Vec::new(), 0, Vec::new());
        for round in 0.. {
            Seeded::of(&[seed, 1, round]).shuffle(&mut order);
            for &session in &order {
                if made >= events {
                    break;
                }
                let mut seeded = Seeded::of(&[seed, 2, round, session as u64]);
                let start = START_US + seeded.below((DAYS * DAY_US) as u64) as i64;
                if made < BASE_EVENTS {
                    base.push(made);
                }
                picks.push(Pick { session, round, start: Micros(start) });
                made += sessions.get(session).map_or(0, |s| s.events.len() as u64);
            }
            if made >= events {
                break;
            }
        }
        let markers = (0..MARKERS).map(|number| Marker::of(seed, number)).collect();
        let marked = HashMap::new();
        let mut stream = Stream { seed, sessions, picks, base, markers, marked, events: made };
        stream.mark();
        Ok(stream)
    }

    /// Puts the markers into events that have texts, at most one into each.
    fn mark(&mut self) {
        let mut places = Vec::new();
        for (index, pick) in self.picks.iter().take(self.base.len()).enumerate() {
            let events = self.sessions.get(pick.session).map_or(&[][..], |s| &s.events);
            let with_text = events.iter().enumerate().filter(|(_, event)| event.has_text());
            places.extend(with_text.map(|(place, _)| (index, place)));
        }
        Seeded::of(&[self.seed, 4]).shuffle(&mut places);
        let wanted = (0..self.markers.len())
            .flat_map(|marker| std::iter::repeat_n(marker, copies(marker as u64) as usize));
        self.marked = places.into_iter().zip(wanted).collect();
    }

    /// What is in events that are known; without those that did not find a place.
    pub(crate) fn markers(&self) -> Vec<&Marker> {
        let mut found = vec![0; self.markers.len()];
        for marker in self.marked.values() {
            found.get_mut(*marker).into_iter().for_each(|found: &mut u64| *found += 1);
        }
        let markers = self.markers.iter().zip(found);
        markers
            .filter(|(marker, found)| marker.copies == *found)
            .map(|(marker, _)| marker)
            .collect()
    }

    /// Any event of those that every size has.
    pub(crate) fn sample(&self, seeded: &mut Seeded) -> Option<Row<'_>> {
        let last = self.base.last()?;
        let end = last + self.session(self.base.len() - 1)?.events.len() as u64;
        let number = seeded.below(end);
        let pick = self.base.partition_point(|before| *before <= number).checked_sub(1)?;
        self.row(pick, (number - self.base.get(pick)?) as usize)
    }

    /// Any event of a session that started from this time on, of all that there are.
    pub(crate) fn sample_after(&self, time: Micros, seeded: &mut Seeded) -> Option<Row<'_>> {
        let picks: Vec<usize> = (0..self.picks.len())
            .filter(|pick| self.picks.get(*pick).is_some_and(|pick| pick.start >= time))
            .collect();
        let pick = *seeded.one(&picks)?;
        self.row(pick, seeded.below(self.session(pick)?.events.len() as u64) as usize)
    }

    /// An hour before the last session starts, or as long that a few start after it.
    pub(crate) fn last_hour(&self) -> Micros {
        let mut starts: Vec<Micros> = self.picks.iter().map(|pick| pick.start).collect();
        starts.sort_unstable();
        let last = starts.last().copied().unwrap_or(Micros(START_US));
        let few = starts.len().saturating_sub(20);
        Micros(last.0 - 3_600_000_000).min(starts.get(few).copied().unwrap_or(last))
    }

    /// How many sessions there are.
    pub(crate) fn sessions(&self) -> usize {
        self.picks.len()
    }

    fn session(&self, pick: usize) -> Option<&Session> {
        self.sessions.get(self.picks.get(pick)?.session)
    }

    fn time(&self, pick: usize, place: usize) -> Option<Micros> {
        let after = self.session(pick)?.events.get(place)?.after_us;
        Some(Micros(self.picks.get(pick)?.start.0 + after))
    }

    fn row(&self, at: usize, place: usize) -> Option<Row<'_>> {
        let (pick, session) = (self.picks.get(at)?, self.session(at)?);
        let event = session.events.get(place)?;
        let repetition = Seeded::of(&[self.seed, 5, pick.round, hash(&session.id)]).next();
        let marker = self.marked.get(&(at, place)).and_then(|at| self.markers.get(*at));
        let (rest, text_bytes) = event.write(repetition, marker.map(Marker::text).as_deref());
        let mut who = Seeded::of(&[repetition]);
        // A few users have most of the sessions.
        let user = who.below(USERS) * who.below(USERS) / USERS;
        let mut row = Row {
            number: 0,
            session: format!("{}-{}", session.id, pick.round),
            seq: event.seq,
            time: self.time(at, place)?,
            user: format!("user{user}@example.com"),
            role: format!("{}-{}", session.role, who.below(ROLES)),
            role_type: &session.role_type,
            kind: &event.kind,
            verdict: event.verdict.as_deref(),
            text_bytes,
            marked: marker.is_some(),
            line: String::new(),
        };
        let starts = match row.kind {
            "session.start" => format!(",\"user\":\"{}\",\"role\":\"{}\"", row.user, row.role),
            _ => String::new(),
        };
        row.line = format!(
            "{{\"session\":\"{}\",\"seq\":{},\"time\":\"{}\",\"kind\":\"{}\"{starts}{rest}}}",
            row.session, row.seq, row.time, row.kind
        );
        Some(row)
    }

    /// All events in the order in which they arrive.
    pub(crate) fn rows(&self) -> Rows<'_> {
        let mut order: Vec<usize> = (0..self.picks.len()).collect();
        order.sort_by_key(|pick| Reverse(self.picks.get(*pick).map(|pick| pick.start)));
        Rows { stream: self, waiting: order, open: BinaryHeap::new(), number: 0 }
    }
}

/// See [`Stream::rows`].
pub(crate) struct Rows<'a> {
    stream: &'a Stream,
    /// Sessions that did not start yet, the next one last.
    waiting: Vec<usize>,
    /// The next event of each session that has started.
    open: BinaryHeap<Reverse<(Micros, usize, usize)>>,
    number: u64,
}

impl<'a> Iterator for Rows<'a> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Row<'a>> {
        while let Some(pick) = self.waiting.last().copied() {
            let starts = self.stream.time(pick, 0)?;
            if self.open.peek().is_some_and(|Reverse((next, ..))| starts > *next) {
                break;
            }
            self.waiting.pop();
            self.open.push(Reverse((starts, pick, 0)));
        }
        let Reverse((_, pick, place)) = self.open.pop()?;
        if let Some(time) = self.stream.time(pick, place + 1) {
            self.open.push(Reverse((time, pick, place + 1)));
        }
        let mut row = self.stream.row(pick, place)?;
        row.number = self.number;
        self.number += 1;
        Some(row)
    }
}

/// The sessions of the source, the times of their events from their start on.
fn sessions(source: &Source) -> Result<Vec<Session>> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut sessions: Vec<Session> = Vec::new();
    for (line, id) in source.lines.iter().zip(&source.sessions) {
        let place = *places.entry(id).or_insert_with(|| {
            let (role, role_type) = ("unknown".to_owned(), String::new());
            sessions.push(Session { id: id.clone(), role, role_type, events: Vec::new() });
            sessions.len() - 1
        });
        let session = sessions.get_mut(place).context("a session without a place")?;
        let template = Template::of(line, session.events.len() as u64)?;
        if template.kind == "session.start" {
            let value: serde_json::Value = serde_json::from_str(line)?;
            let field = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
            (session.role, session.role_type) = (field("role"), field("type"));
        }
        session.events.push(template);
    }
    for session in &mut sessions {
        let time = |event: Option<&Template>| event.map_or(0, |event| event.after_us);
        let (first, last) = (time(session.events.first()), time(session.events.last()));
        let squeeze = (LASTS_US as f64 / (last - first).max(1) as f64).min(1.0);
        for event in &mut session.events {
            event.after_us = ((event.after_us - first) as f64 * squeeze) as i64;
        }
    }
    Ok(sessions)
}
