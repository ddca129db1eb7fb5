//! Events to record batches of the one [schema](super::schema).
//!
//! A batch is bounded in rows and in bytes, whichever comes first, so memory does not depend on how
//! many events there are, nor on how long their lines are (beyond the longest line itself).

use super::Error;
use super::cells::Cells;
use super::outputs::Outputs;
use super::schema::{COLUMNS, schema, tag_element};
use arrow::array::{
    ArrayBuilder, ArrayRef, Int64Builder, ListBuilder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder, TimestampMillisecondBuilder,
};
use daybook_engine::block::Record;
use daybook_engine::event::Seq;
use daybook_engine::event::wire::Start;
use daybook_engine::screen::Seen;
use daybook_engine::session::SessionState;
use serde_json::Value;
use std::fmt::Write as _;
use std::sync::Arc;

/// The most rows in a batch.
pub const BATCH_ROWS: usize = 8192;
/// A batch is closed once it has this many bytes of events.
pub const BATCH_BYTES: usize = 4 << 20;

/// Collects events into batches.
pub struct Rows {
    columns: Columns,
    event_data: bool,
    outputs: Outputs,
    bytes: usize,
}

/// A builder for each column; [`Columns::finish`] puts them into the schema's order.
struct Columns {
    offset: Int64Builder,
    session: StringBuilder,
    seq: Int64Builder,
    time: TimestampMicrosecondBuilder,
    kind: StringBuilder,
    verdict: StringBuilder,
    rule: StringBuilder,
    language: StringBuilder,
    input: StringBuilder,
    output: StringBuilder,
    text: StringBuilder,
    error: StringBuilder,
    stream: StringBuilder,
    command: Int64Builder,
    exit_code: Int64Builder,
    duration_ms: Int64Builder,
    rows: Int64Builder,
    masked: Int64Builder,
    review: StringBuilder,
    decision: StringBuilder,
    by: StringBuilder,
    action: StringBuilder,
    target: StringBuilder,
    bytes: Int64Builder,
    details: StringBuilder,
    user: StringBuilder,
    user_name: StringBuilder,
    role: StringBuilder,
    role_type: StringBuilder,
    subtype: StringBuilder,
    agent: StringBuilder,
    client_ip: StringBuilder,
    tags: ListBuilder<StringBuilder>,
    status: StringBuilder,
    event_time: TimestampMillisecondBuilder,
    uid: StringBuilder,
    event_data: StringBuilder,
    received: TimestampMicrosecondBuilder,
    producer: StringBuilder,
}

impl Rows {
    /// An empty collection. `event_data` says whether that column is filled: it has outputs, so it is not where rows
    /// have less than their text.
    #[must_use]
    pub fn new(event_data: bool, outputs: Outputs) -> Rows {
        let event_data = event_data && outputs == Outputs::Text;
        Rows { columns: Columns::new(), event_data, outputs, bytes: 0 }
    }

    /// Adds an event of the session named `session`, whose state is `state`.
    ///
    /// # Errors
    /// A line that is not an event: it was altered after it was accepted.
    pub fn push(
        &mut self,
        record: &Record<'_>,
        session: &str,
        state: &SessionState,
    ) -> Result<(), daybook_engine::Error> {
        self.push_seen(record, session, state, &Seen::default())
    }

    /// As [`Rows::push`], with what was seen with it: rows have that of terminals where outputs are rendered.
    ///
    /// # Errors
    /// As [`Rows::push`].
    pub fn push_seen(
        &mut self,
        record: &Record<'_>,
        session: &str,
        state: &SessionState,
        seen: &Seen,
    ) -> Result<(), daybook_engine::Error> {
        let event = record.event()?;
        let cells = Cells::of(event.body, self.outputs, seen);
        self.bytes += record.json.len();
        self.columns.push_record(record, session);
        self.columns.push_cells(cells);
        self.columns.push_session(session, state);
        // The line was decoded above, so it is UTF-8.
        let line = if self.event_data { std::str::from_utf8(record.json).ok() } else { None };
        self.columns.event_data.append_option(line);
        Ok(())
    }

    /// How many rows wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.columns.offset.len()
    }

    /// Does none wait?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Is it time to take the batch?
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// Takes what was collected, and starts again.
    ///
    /// # Errors
    /// Arrow's.
    pub fn take(&mut self) -> Result<RecordBatch, Error> {
        self.bytes = 0;
        Ok(RecordBatch::try_new(schema(), self.columns.finish())?)
    }
}

/// Counts beyond `i64::MAX` read as that.
fn integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Columns {
    fn new() -> Columns {
        let text = StringBuilder::new;
        let number = Int64Builder::new;
        Columns {
            offset: number(),
            session: text(),
            seq: number(),
            time: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            kind: text(),
            verdict: text(),
            rule: text(),
            language: text(),
            input: text(),
            output: text(),
            text: text(),
            error: text(),
            stream: text(),
            command: number(),
            exit_code: number(),
            duration_ms: number(),
            rows: number(),
            masked: number(),
            review: text(),
            decision: text(),
            by: text(),
            action: text(),
            target: text(),
            bytes: number(),
            details: text(),
            user: text(),
            user_name: text(),
            role: text(),
            role_type: text(),
            subtype: text(),
            agent: text(),
            client_ip: text(),
            tags: ListBuilder::new(text()).with_field(tag_element()),
            status: text(),
            event_time: TimestampMillisecondBuilder::new().with_timezone("UTC"),
            uid: text(),
            event_data: text(),
            received: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            producer: text(),
        }
    }

    fn push_record(&mut self, record: &Record<'_>, session: &str) {
        self.offset.append_value(integer(record.offset.0));
        self.seq.append_value(i64::from(record.seq.0));
        self.time.append_value(record.time.0);
        self.event_time.append_value(record.time.0.div_euclid(1000));
        self.received.append_value(record.received.0);
        self.producer.append_option((!record.producer.is_empty()).then_some(record.producer));
        self.kind.append_value(record.kind.name());
        self.bytes.append_value(record.json.len() as i64);
        // What is written to a builder is the start of the value that is appended next.
        let _ = write!(self.uid, "{session}:{}", record.seq);
        self.uid.append_value("");
    }

    fn push_cells(&mut self, cells: Cells<'_>) {
        self.verdict.append_option(cells.verdict);
        self.rule.append_option(cells.rule);
        self.language.append_option(cells.language);
        self.input.append_option(cells.input);
        self.output.append_option(cells.output);
        self.text.append_option(cells.text);
        self.error.append_option(cells.error);
        self.stream.append_option(cells.stream);
        self.command.append_option(cells.command.map(|Seq(n)| i64::from(n)));
        self.exit_code.append_option(cells.exit_code);
        self.duration_ms.append_option(cells.duration_ms.map(integer));
        self.rows.append_option(cells.rows.map(integer));
        self.masked.append_option(cells.masked.map(integer));
        self.review.append_option(cells.review);
        self.decision.append_option(cells.decision);
        self.by.append_option(cells.by);
        self.action.append_option(cells.action);
        self.target.append_option(cells.target);
        let details = (!cells.details.is_empty()).then(|| Value::Object(cells.details).to_string());
        self.details.append_option(details);
    }

    fn push_session(&mut self, session: &str, state: &SessionState) {
        self.session.append_value(session);
        self.status.append_value(state.status().name());
        let facts = state.facts();
        let fact = |column: &mut StringBuilder, of: fn(&Start) -> &Option<Box<str>>| {
            column.append_option(facts.and_then(|start| of(start).as_deref()));
        };
        fact(&mut self.user, |start| &start.user);
        fact(&mut self.user_name, |start| &start.user_name);
        fact(&mut self.role, |start| &start.role);
        fact(&mut self.role_type, |start| &start.kind);
        fact(&mut self.subtype, |start| &start.subtype);
        fact(&mut self.agent, |start| &start.agent);
        fact(&mut self.client_ip, |start| &start.client_ip);
        for tag in facts.map(|start| start.tags.as_slice()).unwrap_or_default() {
            self.tags.values().append_value(tag);
        }
        self.tags.append(true);
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        let (kind, session): (ArrayRef, ArrayRef) =
            (Arc::new(self.kind.finish()), Arc::new(self.session.finish()));
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(COLUMNS.len());
        macro_rules! take {
            ($($column:ident)*) => { $(arrays.push(Arc::new(self.$column.finish()));)* };
        }
        take!(offset);
        arrays.push(Arc::clone(&session));
        take!(seq time);
        arrays.push(Arc::clone(&kind));
        take!(verdict rule language input output text error stream);
        take!(command exit_code duration_ms rows masked review decision by action target bytes);
        take!(details user user_name role role_type subtype agent client_ip tags status);
        arrays.push(kind);
        take!(event_time uid);
        arrays.push(session);
        take!(event_data received producer);
        arrays
    }
}
