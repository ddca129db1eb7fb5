//! Rows as Arrow's columns: one schema for each class and version.
//!
//! Objects are structs, times are 64-bit milliseconds (as OCSF's `timestamp_t`), `unmapped` is the JSON of its object.
//! Each field has an id that never changes its meaning. Arrow's own JSON decoder takes the rows, strictly: a row with
//! an attribute that its schema lacks is an error, so the two can't drift apart unseen.

use super::rows::Mapping;
use super::{Class, Version};
use crate::columnar::Error;
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field as ArrowField, Fields, Schema, SchemaRef};
use arrow::json::ReaderBuilder;
use arrow::json::reader::Decoder;
use daybook_engine::block::Record;
use daybook_engine::session::SessionState;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The most rows in a batch.
const BATCH_ROWS: usize = 8192;
/// A batch is closed once it has this many bytes of events.
const BATCH_BYTES: usize = 4 << 20;

/// An attribute.
struct Field {
    id: u32,
    name: &'static str,
    kind: Kind,
    /// Which classes have it; all, if none is named.
    of: &'static [Class],
    /// Did it come after 1.3?
    later: bool,
}

/// What an attribute is.
enum Kind {
    Int,
    Long,
    Bool,
    Text,
    /// A list; its elements have an id of their own.
    Texts(u32),
    Object(&'static [Field]),
    Objects(u32, &'static [Field]),
}

use Class::{
    ApiActivity as API, Authentication as LOGON, AuthorizeSession as GRANT,
    DatastoreActivity as DATA, DetectionFinding as FINDING, ProcessActivity as PROCESS,
};

const fn field(id: u32, name: &'static str, kind: Kind) -> Field {
    Field { id, name, kind, of: &[], later: false }
}

const fn of(of: &'static [Class], id: u32, name: &'static str, kind: Kind) -> Field {
    Field { id, name, kind, of, later: false }
}

const fn later(of: &'static [Class], id: u32, name: &'static str, kind: Kind) -> Field {
    Field { id, name, kind, of, later: true }
}

const PRODUCT: &[Field] = &[
    field(101, "name", Kind::Text),
    field(102, "vendor_name", Kind::Text),
    field(103, "version", Kind::Text),
];

const METADATA: &[Field] = &[
    field(110, "version", Kind::Text),
    field(111, "product", Kind::Object(PRODUCT)),
    field(112, "uid", Kind::Text),
    field(113, "sequence", Kind::Long),
    field(114, "correlation_uid", Kind::Text),
    later(&[], 115, "original_event_uid", Kind::Text),
    field(116, "event_code", Kind::Text),
    field(117, "log_name", Kind::Text),
    field(118, "logged_time", Kind::Long),
    field(119, "labels", Kind::Texts(120)),
    field(121, "profiles", Kind::Texts(122)),
];

const fn user(first: u32, group: &'static [Field]) -> [Field; 7] {
    [
        field(first, "name", Kind::Text),
        field(first + 1, "uid", Kind::Text),
        field(first + 2, "email_addr", Kind::Text),
        field(first + 3, "full_name", Kind::Text),
        field(first + 4, "type_id", Kind::Int),
        field(first + 5, "type", Kind::Text),
        field(first + 6, "groups", Kind::Objects(first + 7, group)),
    ]
}

const ACTOR_GROUP: &[Field] = &[field(138, "name", Kind::Text)];
const USER_GROUP: &[Field] = &[field(158, "name", Kind::Text)];
const ACTOR_USER: &[Field] = &user(130, ACTOR_GROUP);
const USER: &[Field] = &user(150, USER_GROUP);

const ACTOR_SESSION: &[Field] =
    &[field(142, "uid", Kind::Text), field(143, "created_time", Kind::Long)];
const SESSION: &[Field] = &[field(162, "uid", Kind::Text), field(163, "created_time", Kind::Long)];

const ACTOR: &[Field] = &[
    field(144, "user", Kind::Object(ACTOR_USER)),
    field(145, "session", Kind::Object(ACTOR_SESSION)),
    field(146, "app_name", Kind::Text),
];

const ENDPOINT: &[Field] = &[field(170, "name", Kind::Text), field(171, "ip", Kind::Text)];
const DATABASE: &[Field] = &[
    field(172, "name", Kind::Text),
    field(173, "type_id", Kind::Int),
    field(174, "type", Kind::Text),
];
const DEVICE: &[Field] = &[
    field(175, "name", Kind::Text),
    field(176, "type_id", Kind::Int),
    field(177, "type", Kind::Text),
];
const QUERY_INFO: &[Field] = &[
    field(180, "uid", Kind::Text),
    field(181, "query_string", Kind::Text),
    field(182, "query_time", Kind::Long),
    field(183, "data", Kind::Text),
    field(184, "bytes", Kind::Long),
];
const PROCESS_FIELDS: &[Field] = &[
    field(190, "uid", Kind::Text),
    field(191, "cmd_line", Kind::Text),
    field(192, "terminated_time", Kind::Long),
];
const API_SERVICE: &[Field] = &[field(200, "name", Kind::Text)];
const REQUEST: &[Field] = &[field(201, "uid", Kind::Text), field(202, "data", Kind::Text)];
const RESPONSE: &[Field] = &[
    field(203, "code", Kind::Long),
    field(204, "error", Kind::Text),
    field(205, "data", Kind::Text),
];
const API_FIELDS: &[Field] = &[
    field(206, "operation", Kind::Text),
    field(207, "service", Kind::Object(API_SERVICE)),
    field(208, "request", Kind::Object(REQUEST)),
    field(209, "response", Kind::Object(RESPONSE)),
];
const RESOURCE: &[Field] = &[
    field(210, "name", Kind::Text),
    field(211, "type", Kind::Text),
    later(&[], 212, "role_id", Kind::Int),
];
const SERVICE: &[Field] = &[field(214, "name", Kind::Text)];
const FINDING_INFO: &[Field] = &[
    field(220, "uid", Kind::Text),
    field(221, "title", Kind::Text),
    field(222, "created_time", Kind::Long),
    field(223, "desc", Kind::Text),
];
const POLICY: &[Field] = &[field(230, "name", Kind::Text)];
const AUTHORIZED_BY: &[Field] = &[field(231, "name", Kind::Text)];
const AUTHORIZATION: &[Field] =
    &[field(232, "decision", Kind::Text), field(233, "policy", Kind::Object(AUTHORIZED_BY))];

/// The attributes of all classes, in the order of the columns.
const ATTRIBUTES: &[Field] = &[
    field(1, "activity_id", Kind::Int),
    field(2, "activity_name", Kind::Text),
    field(3, "category_uid", Kind::Int),
    field(4, "category_name", Kind::Text),
    field(5, "class_uid", Kind::Int),
    field(6, "class_name", Kind::Text),
    field(7, "type_uid", Kind::Long),
    field(8, "type_name", Kind::Text),
    field(9, "severity_id", Kind::Int),
    field(10, "severity", Kind::Text),
    field(11, "time", Kind::Long),
    field(12, "start_time", Kind::Long),
    field(13, "end_time", Kind::Long),
    field(14, "duration", Kind::Long),
    field(15, "status_id", Kind::Int),
    field(16, "status", Kind::Text),
    field(17, "status_detail", Kind::Text),
    field(18, "message", Kind::Text),
    field(19, "metadata", Kind::Object(METADATA)),
    of(&[DATA, PROCESS, API, LOGON], 20, "actor", Kind::Object(ACTOR)),
    of(&[DATA, API, LOGON], 21, "src_endpoint", Kind::Object(ENDPOINT)),
    of(&[DATA], 22, "database", Kind::Object(DATABASE)),
    of(&[DATA], 23, "query_info", Kind::Object(QUERY_INFO)),
    of(&[PROCESS], 24, "device", Kind::Object(DEVICE)),
    of(&[PROCESS], 25, "process", Kind::Object(PROCESS_FIELDS)),
    of(&[PROCESS], 26, "exit_code", Kind::Long),
    of(&[API], 27, "api", Kind::Object(API_FIELDS)),
    of(&[API], 28, "resources", Kind::Objects(29, RESOURCE)),
    of(&[LOGON, GRANT], 30, "user", Kind::Object(USER)),
    of(&[LOGON, GRANT], 31, "session", Kind::Object(SESSION)),
    of(&[LOGON], 32, "service", Kind::Object(SERVICE)),
    of(&[GRANT], 33, "privileges", Kind::Texts(34)),
    of(&[FINDING], 35, "finding_info", Kind::Object(FINDING_INFO)),
    of(&[DATA, PROCESS, API, FINDING], 36, "action_id", Kind::Int),
    of(&[DATA, PROCESS, API, FINDING], 37, "action", Kind::Text),
    of(&[DATA, PROCESS, API, FINDING], 38, "disposition_id", Kind::Int),
    of(&[DATA, PROCESS, API, FINDING], 39, "disposition", Kind::Text),
    later(&[DATA, PROCESS, API, FINDING], 40, "is_alert", Kind::Bool),
    later(&[DATA, PROCESS, API, FINDING], 41, "policy", Kind::Object(POLICY)),
    of(&[DATA, PROCESS, API, FINDING], 42, "authorizations", Kind::Objects(43, AUTHORIZATION)),
    field(44, "unmapped", Kind::Text),
];

/// Those of an API Activity that 1.3 lacks.
const CONTROL: [u32; 5] = [36, 37, 38, 39, 42];

/// The Arrow schema of a class's rows.
#[must_use]
pub fn schema(class: Class, version: Version) -> SchemaRef {
    Arc::new(Schema::new(fields(ATTRIBUTES, class, version)))
}

fn fields(all: &[Field], class: Class, version: Version) -> Fields {
    let has = |field: &&Field| {
        (field.of.is_empty() || field.of.contains(&class))
            && (!field.later || version == Version::V1_8)
            && (class.has_verdict(version) || !CONTROL.contains(&field.id))
    };
    all.iter().filter(has).map(|field| arrow_field(field, class, version)).collect()
}

fn arrow_field(field: &Field, class: Class, version: Version) -> ArrowField {
    let list = |id: u32, of: DataType| {
        DataType::List(Arc::new(with_id(ArrowField::new("element", of, true), id)))
    };
    let kind = match &field.kind {
        Kind::Int => DataType::Int32,
        Kind::Long => DataType::Int64,
        Kind::Bool => DataType::Boolean,
        Kind::Text => DataType::Utf8,
        Kind::Texts(element) => list(*element, DataType::Utf8),
        Kind::Object(of) => DataType::Struct(fields(of, class, version)),
        Kind::Objects(element, of) => list(*element, DataType::Struct(fields(of, class, version))),
    };
    with_id(ArrowField::new(field.name, kind, true), field.id)
}

fn with_id(field: ArrowField, id: u32) -> ArrowField {
    field.with_metadata(HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())]))
}

/// Collects the rows of events into batches, one class each.
#[derive(Debug)]
pub struct Batches {
    mapping: Mapping,
    /// Of which classes; of all, if none is named.
    only: Option<Class>,
    open: BTreeMap<Class, Open>,
}

#[derive(Debug)]
struct Open {
    decoder: Decoder,
    rows: usize,
    bytes: usize,
}

impl Open {
    fn take(&mut self) -> Result<Option<RecordBatch>, Error> {
        (self.rows, self.bytes) = (0, 0);
        Ok(self.decoder.flush()?)
    }
}

impl Batches {
    /// An empty collection, of one class or of all.
    #[must_use]
    pub fn new(mapping: Mapping, only: Option<Class>) -> Batches {
        Batches { mapping, only, open: BTreeMap::new() }
    }

    /// Adds the rows of an event of the session named `session`, whose state is `state`; `full` gets each batch that
    /// is full then.
    ///
    /// # Errors
    /// A line that is not an event, or what `full` answers.
    pub fn push(
        &mut self,
        record: &Record<'_>,
        session: &str,
        state: &SessionState,
        full: &mut dyn FnMut(Class, RecordBatch) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Batches { mapping, only, open } = self;
        mapping.rows(record, session, state, true, &mut |class, row| {
            if only.is_some_and(|only| only != class) {
                return Ok(());
            }
            let open = match open.entry(class) {
                std::collections::btree_map::Entry::Occupied(open) => open.into_mut(),
                std::collections::btree_map::Entry::Vacant(free) => {
                    let builder = ReaderBuilder::new(schema(class, mapping.version));
                    let decoder = builder
                        .with_batch_size(BATCH_ROWS)
                        .with_strict_mode(true)
                        .build_decoder()?;
                    free.insert(Open { decoder, rows: 0, bytes: 0 })
                }
            };
            open.decoder.serialize(std::slice::from_ref(row))?;
            open.rows += 1;
            open.bytes += record.json.len();
            let is_full = open.rows >= BATCH_ROWS || open.bytes >= BATCH_BYTES;
            if is_full && let Some(batch) = open.take()? {
                full(class, batch)?;
            }
            Ok(())
        })
    }

    /// Ends the collection: `last` gets what is left.
    ///
    /// # Errors
    /// What `last` answers.
    pub fn finish(
        mut self,
        last: &mut dyn FnMut(Class, RecordBatch) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for (class, open) in &mut self.open {
            if let Some(batch) = open.take()? {
                last(*class, batch)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::collections::HashSet;

    fn ids(fields: &[Field], all: &mut Vec<u32>) {
        for field in fields {
            all.push(field.id);
            match &field.kind {
                Kind::Texts(element) => all.push(*element),
                Kind::Object(of) => ids(of, all),
                Kind::Objects(element, of) => {
                    all.push(*element);
                    ids(of, all);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn field_ids_are_unique() {
        let mut all = Vec::new();
        ids(ATTRIBUTES, &mut all);
        let unique: HashSet<u32> = all.iter().copied().collect();
        assert_eq!(unique.len(), all.len(), "{all:?}");
    }
}
