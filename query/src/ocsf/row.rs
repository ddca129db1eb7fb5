//! A row of OCSF, as serde writes it: the attributes that daybook fills, of all classes together. What a class or a
//! version does not have is `None` in its rows. The same names are in `columns`; writing a row into columns that
//! lack one is an error there, so the two can't drift apart.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::borrow::Cow;

type Text<'a> = Cow<'a, str>;

/// A row.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Row<'a> {
    pub(super) activity_id: u32,
    pub(super) activity_name: Text<'a>,
    pub(super) category_uid: u32,
    pub(super) category_name: &'static str,
    pub(super) class_uid: u32,
    pub(super) class_name: &'static str,
    pub(super) type_uid: u32,
    pub(super) type_name: String,
    pub(super) severity_id: u32,
    pub(super) severity: &'static str,
    /// Milliseconds since 1970.
    pub(super) time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) start_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) end_time: Option<i64>,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) duration: Option<i64>,
    pub(super) status_id: u32,
    pub(super) status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status_detail: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<Text<'a>>,
    pub(super) metadata: Metadata<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) actor: Option<Actor<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) src_endpoint: Option<Endpoint<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) database: Option<Named<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) query_info: Option<QueryInfo<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) device: Option<Named<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) process: Option<Process<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) exit_code: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) api: Option<Api<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) resources: Vec<Resource<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<User<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<Session<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service: Option<Service<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) privileges: Vec<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) finding_info: Option<FindingInfo<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) action_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) action: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) disposition_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) disposition: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) is_alert: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) policy: Option<Policy<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) authorizations: Vec<Authorization<'a>>,
    pub(super) unmapped: Unmapped,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Metadata<'a> {
    pub(super) version: &'static str,
    pub(super) product: Product,
    /// `session:seq`.
    pub(super) uid: String,
    pub(super) sequence: u32,
    /// The session.
    pub(super) correlation_uid: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) original_event_uid: Option<String>,
    /// The kind of the event.
    pub(super) event_code: &'static str,
    pub(super) log_name: &'static str,
    /// When the server took it in, in milliseconds since 1970.
    pub(super) logged_time: i64,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) labels: &'a [Box<str>],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) profiles: &'static [&'static str],
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Product {
    pub(super) name: &'static str,
    pub(super) vendor_name: &'static str,
    pub(super) version: &'static str,
}

impl Default for Product {
    fn default() -> Product {
        Product { name: "daybook", vendor_name: "daybook", version: env!("CARGO_PKG_VERSION") }
    }
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Actor<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<User<'a>>,
    pub(super) session: Session<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) app_name: Option<Text<'a>>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct User<'a> {
    pub(super) name: Text<'a>,
    pub(super) uid: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email_addr: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) full_name: Option<Text<'a>>,
    pub(super) type_id: u32,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) groups: Vec<Group<'a>>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Group<'a> {
    pub(super) name: Text<'a>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Session<'a> {
    pub(super) uid: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created_time: Option<i64>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Endpoint<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ip: Option<String>,
}

/// A database or a device: its type's number is required.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Named<'a> {
    pub(super) name: Text<'a>,
    pub(super) type_id: u32,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<Text<'a>>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct QueryInfo<'a> {
    pub(super) uid: String,
    pub(super) query_string: Text<'a>,
    pub(super) query_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<u64>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Process<'a> {
    pub(super) uid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cmd_line: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) terminated_time: Option<i64>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Api<'a> {
    pub(super) operation: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) service: Option<Service<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request: Option<Request<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response: Option<Response<'a>>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Request<'a> {
    pub(super) uid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<Text<'a>>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Response<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<Text<'a>>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Resource<'a> {
    pub(super) name: Text<'a>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role_id: Option<u32>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Service<'a> {
    pub(super) name: Text<'a>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Policy<'a> {
    pub(super) name: Text<'a>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Authorization<'a> {
    pub(super) decision: &'static str,
    pub(super) policy: Policy<'a>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct FindingInfo<'a> {
    pub(super) uid: String,
    pub(super) title: Text<'a>,
    pub(super) created_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) desc: Option<Text<'a>>,
}

/// What OCSF has no attribute for: an object, which columns have as its JSON.
#[derive(Clone, Debug, Default)]
pub(super) struct Unmapped {
    pub(super) values: Map<String, Value>,
    pub(super) as_text: bool,
}

impl Serialize for Unmapped {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_text {
            true => serializer.collect_str(&Compact(&self.values)),
            false => self.values.serialize(serializer),
        }
    }
}

struct Compact<'a>(&'a Map<String, Value>);

impl std::fmt::Display for Compact<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let json = serde_json::to_string(self.0).map_err(|_| std::fmt::Error)?;
        f.write_str(&json)
    }
}
