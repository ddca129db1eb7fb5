//! An event to its rows.

use super::row::{
    Actor, Api, Authorization, Endpoint, FindingInfo, Group, Metadata, Named, Policy, Process,
    QueryInfo, Request, Resource, Response, Row, Service, Session, Unmapped, User,
};
use super::words::{Activity, OTHER, of_cluster, of_statement};
use super::{Class, Version};
use crate::columnar;
use crate::columnar::outputs::{self, Outputs};
use arrow::error::ArrowError;
use daybook_engine::Error;
use daybook_engine::block::Record;
use daybook_engine::event::wire::{Body, Command, CommandEnd, ReviewDecision, Start};
use daybook_engine::event::{Decision, EndStatus, Micros, RetentionAction, Scope, Seq, Verdict};
use daybook_engine::session::SessionState;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::net::IpAddr;

/// How events become rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// The version of OCSF.
    pub version: Version,
    /// What rows have of outputs.
    pub outputs: Outputs,
    /// Does a blocked command become a finding, too?
    pub findings: bool,
}

/// A version of OCSF before 1.4 has no longer texts, in characters.
const CHARS_MAX: usize = 65_535;

/// The actions of `access` events that read.
const READS: [&str; 4] = ["read", "search", "export", "download"];

/// The types of users: 1.3 has none for services.
const TYPE_USER: (u32, &str) = (1, "User");
const TYPE_SERVICE: (u32, &str) = (4, "Service");

/// The type of a database that is none of those that OCSF knows, and of one with tables.
const DATABASE_RELATIONAL: u32 = 1;
const DEVICE_SERVER: u32 = 1;

/// What is said where nobody knows.
const UNKNOWN: &str = "unknown";

/// Who an event went through, where the client's address is not known.
const GATEWAY: &str = "daybook-gateway";

impl Mapping {
    /// Calls `visit` with each row of an event of the session named `session`, whose state is `state`, written for
    /// JSON, or for columns where `columns`.
    ///
    /// # Errors
    /// A line that is not an event, or what `visit` answers.
    pub(super) fn rows<E: From<Error>>(
        self,
        record: &Record<'_>,
        session: &str,
        state: &SessionState,
        columns: bool,
        visit: &mut dyn FnMut(Class, &Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let event = record.event()?;
        let about = About { mapping: self, record, session, state, columns };
        let Some((class, row)) = about.row(&event.body) else { return Ok(()) };
        visit(class, &row)?;
        match &event.body {
            Body::Command(command)
                if self.findings && command.verdict == Some(Verdict::Blocked) =>
            {
                visit(Class::DetectionFinding, &about.finding(command))
            }
            _ => Ok(()),
        }
    }

    /// The rows of an event as JSON objects, each with its class.
    ///
    /// # Errors
    /// A line that is not an event.
    pub fn json(
        self,
        record: &Record<'_>,
        session: &str,
        state: &SessionState,
    ) -> Result<Vec<(Class, String)>, columnar::Error> {
        let mut rows = Vec::new();
        self.rows(record, session, state, false, &mut |class, row| {
            let json = serde_json::to_string(row);
            let json = json.map_err(|error| ArrowError::JsonError(error.to_string()))?;
            rows.push((class, json));
            Ok::<(), columnar::Error>(())
        })?;
        Ok(rows)
    }
}

/// An event and what is known of its session.
struct About<'a> {
    mapping: Mapping,
    record: &'a Record<'a>,
    session: &'a str,
    state: &'a SessionState,
    columns: bool,
}

/// How something ended: status, and why.
type Outcome = (u32, &'static str);
const UNKNOWN_OUTCOME: Outcome = (0, "Unknown");
const SUCCESS: Outcome = (1, "Success");
const FAILURE: Outcome = (2, "Failure");

impl<'a> About<'a> {
    fn facts(&self) -> Option<&'a Start> {
        self.state.facts()
    }

    fn role(&self) -> &'a str {
        self.facts().and_then(|facts| facts.role.as_deref()).unwrap_or(UNKNOWN)
    }

    fn role_type(&self) -> Option<&'a str> {
        self.facts().and_then(|facts| facts.kind.as_deref())
    }

    /// The class of what is run with the role.
    fn class_of_commands(&self) -> Class {
        match self.role_type() {
            Some("database") => Class::DatastoreActivity,
            Some("kubernetes") => Class::ApiActivity,
            _ => Class::ProcessActivity,
        }
    }

    fn later(&self) -> bool {
        self.mapping.version == Version::V1_8
    }

    fn row(&self, body: &'a Body<'a>) -> Option<(Class, Row<'a>)> {
        let (class, mut row) = match body {
            Body::SessionStart(_) => (Class::Authentication, self.logon((1, "Logon"))),
            Body::SessionEnd(end) => {
                let mut row = self.logon((2, "Logoff"));
                (row.status_id, row.status) =
                    if end.status == EndStatus::Done { SUCCESS } else { FAILURE };
                row.status_detail = self.text_of(&mut row.unmapped, end.reason.as_deref());
                row.put("end_status", end.status.name());
                row.put("exit_code", end.exit_code);
                row.end_time = Some(millis(self.record.time));
                row.start_time = self.state.started_at().map(millis);
                row.duration = i64::try_from(self.state.duration_ms()).ok();
                (Class::Authentication, row)
            }
            Body::Command(command) => (self.class_of_commands(), self.command(command)),
            Body::CommandEnd(end) => (self.class_of_commands(), self.command_end(end)),
            Body::ReviewRequest { review, request } => {
                let mut row = self.authorization((OTHER, "review.request"), review, request.scope);
                row.status_detail = self.text_of(&mut row.unmapped, request.reason.as_deref());
                row.put("command", request.command.map(|Seq(seq)| seq));
                row.put("groups", &request.groups);
                row.put("min_approvals", request.min_approvals);
                row.put("expires_at", request.expires_at.map(|time| time.to_string()));
                (Class::AuthorizeSession, row)
            }
            Body::ReviewDecision { review, decision } => {
                (Class::AuthorizeSession, self.decision(review, decision))
            }
            Body::Note { by, text, command } => {
                let mut row = self.of_daybook((1, "Create"), "note", by, Some(self.session));
                row.put("command", command.map(|Seq(seq)| seq));
                row.message = self.bounded(&mut row.unmapped, text);
                (Class::ApiActivity, row)
            }
            Body::Access(access) => {
                let action = &*access.action;
                let does = if READS.contains(&action) { (2, "Read") } else { (OTHER, "Other") };
                let mut row = self.of_daybook(does, action, &access.by, access.target.as_deref());
                row.put("metadata", &access.metadata);
                (Class::ApiActivity, row)
            }
            Body::Retention(told) => {
                let does = match told.action {
                    RetentionAction::Delete => (4, "Delete"),
                    _ => (OTHER, told.action.name()),
                };
                let operation = told.action.name();
                let mut row = self.of_daybook(does, operation, &told.by, told.target.as_deref());
                row.status_detail = self.text_of(&mut row.unmapped, told.reason.as_deref());
                row.put("case", told.case.as_deref());
                row.put("metadata", &told.metadata);
                (Class::ApiActivity, row)
            }
            Body::Output { .. }
            | Body::TerminalOutput(_)
            | Body::TerminalInput(_)
            | Body::TerminalResize { .. }
            | Body::TerminalMarker(_) => return None,
        };
        self.seal(class, &mut row);
        Some((class, row))
    }

    /// What every row has.
    fn base(&self, (activity_id, activity_name): Activity) -> Row<'a> {
        let facts = self.facts();
        let mut row = Row {
            activity_id,
            activity_name: activity_name.into(),
            severity_id: 1,
            severity: "Informational",
            time: millis(self.record.time),
            status_id: SUCCESS.0,
            status: SUCCESS.1,
            metadata: Metadata {
                version: self.mapping.version.name(),
                uid: self.uid(self.record.seq),
                sequence: self.record.seq.0,
                correlation_uid: self.session.into(),
                event_code: self.record.kind.name(),
                log_name: "daybook",
                logged_time: millis(self.record.received),
                labels: facts.map(|facts| facts.tags.as_slice()).unwrap_or_default(),
                ..Metadata::default()
            },
            unmapped: Unmapped { as_text: self.columns, ..Unmapped::default() },
            ..Row::default()
        };
        row.put("offset", self.record.offset.0);
        if let Some(facts) = facts {
            row.put("role", facts.role.as_deref());
            row.put("role_type", facts.kind.as_deref());
            row.put("role_subtype", facts.subtype.as_deref());
            row.put("agent", facts.agent.as_deref());
            row.put("origin", facts.origin.as_deref());
        }
        if !self.record.producer.is_empty() {
            row.put("producer", self.record.producer);
        }
        row
    }

    /// What depends on the class alone.
    fn seal(&self, class: Class, row: &mut Row<'a>) {
        (row.category_uid, row.category_name) = class.category();
        row.class_uid = class.uid();
        row.class_name = class.caption();
        row.type_uid = class.uid() * 100 + row.activity_id;
        row.type_name = format!("{}: {}", class.caption(), row.activity_name);
        if class.has_verdict(self.mapping.version) {
            row.metadata.profiles = &["security_control"];
            // 1.3 requires it of each row.
            row.action_id.get_or_insert(0);
            row.action.get_or_insert("Unknown");
        } else {
            (row.action_id, row.action, row.disposition_id, row.disposition) =
                (None, None, None, None);
            row.authorizations.clear();
            (row.policy, row.is_alert) = (None, None);
        }
        if !self.later() {
            (row.policy, row.is_alert) = (None, None);
        }
    }

    fn uid(&self, Seq(seq): Seq) -> String {
        format!("{}:{seq}", self.session)
    }

    fn user(&self) -> Option<User<'a>> {
        let facts = self.facts()?;
        let user = facts.user.as_deref()?;
        let (type_id, kind) = match (&facts.agent, self.later()) {
            (None, _) => TYPE_USER,
            (Some(_), true) => TYPE_SERVICE,
            (Some(_), false) => (OTHER, TYPE_SERVICE.1),
        };
        let groups = facts.groups.iter().map(|name| Group { name: (&**name).into() });
        Some(User {
            groups: groups.collect(),
            full_name: facts.user_name.as_deref().map(Cow::Borrowed),
            ..user_named(user, type_id, kind)
        })
    }

    fn its_session(&self) -> Session<'a> {
        Session { uid: self.session.into(), created_time: self.state.started_at().map(millis) }
    }

    fn actor(&self) -> Actor<'a> {
        let agent = self.facts().and_then(|facts| facts.agent.as_deref());
        Actor { user: self.user(), session: self.its_session(), app_name: agent.map(Cow::Borrowed) }
    }

    fn endpoint(&self) -> Endpoint<'a> {
        let address = self.facts().and_then(|facts| facts.client_ip.as_deref());
        match address.map(|text| (text, text.parse::<IpAddr>())) {
            None => Endpoint { name: Some(GATEWAY.into()), ip: None },
            Some((_, Ok(ip))) => Endpoint { name: None, ip: Some(ip.to_string()) },
            Some((text, Err(_))) => Endpoint { name: Some(text.into()), ip: None },
        }
    }

    fn resource(&self) -> Resource<'a> {
        Resource {
            name: self.role().into(),
            kind: self.role_type().map(Cow::Borrowed),
            // 1 is the target.
            role_id: self.later().then_some(1),
        }
    }

    /// What a command of each class is done with.
    fn place(&self, row: &mut Row<'a>) {
        row.actor = Some(self.actor());
        match self.class_of_commands() {
            Class::DatastoreActivity => {
                row.src_endpoint = Some(self.endpoint());
                row.database = Some(Named {
                    name: self.role().into(),
                    type_id: DATABASE_RELATIONAL,
                    kind: Some("Relational".into()),
                });
            }
            Class::ApiActivity => {
                row.src_endpoint = Some(self.endpoint());
                row.resources = vec![self.resource()];
            }
            _ => {
                row.device = Some(Named {
                    name: self.role().into(),
                    type_id: DEVICE_SERVER,
                    kind: Some("Server".into()),
                });
                row.put("device_type", self.role_type());
                // Processes have no source in OCSF.
                row.put("client_ip", self.facts().and_then(|facts| facts.client_ip.as_deref()));
            }
        }
    }

    fn command(&self, command: &'a Command<'a>) -> Row<'a> {
        let input = &*command.input;
        let class = self.class_of_commands();
        let (operation, activity) = match class {
            Class::DatastoreActivity => (None, of_statement(input)),
            Class::ApiActivity => {
                let (operation, activity) = of_cluster(input);
                (Some(operation), activity)
            }
            _ => (None, (1, "Launch")),
        };
        let mut row = self.base(activity);
        self.place(&mut row);
        let text = self.bounded(&mut row.unmapped, input);
        let output = self.output(&mut row, command.output.as_deref());
        match class {
            Class::DatastoreActivity => {
                row.query_info = Some(QueryInfo {
                    uid: self.uid(self.record.seq),
                    query_string: text.unwrap_or_default(),
                    query_time: millis(self.record.time),
                    data: output,
                    bytes: command.output.as_ref().map(|output| output.len() as u64),
                });
            }
            Class::ApiActivity => {
                let code = command.exit_code;
                let response = Response { code, error: None, data: output };
                row.api = Some(Api {
                    operation: operation.unwrap_or_default().into(),
                    request: Some(Request { uid: self.uid(self.record.seq), data: text }),
                    response: (code.is_some() || response.data.is_some()).then_some(response),
                    service: None,
                });
            }
            _ => {
                row.process = Some(Process {
                    uid: self.uid(self.record.seq),
                    cmd_line: text,
                    terminated_time: None,
                });
                row.exit_code = command.exit_code;
                row.put("output", output.as_deref());
            }
        }
        row.put("language", command.language.as_deref());
        row.put("rerun_of", command.rerun_of.as_deref());
        row.put("rows", command.rows);
        row.masked(command.masked, &command.masked_types);
        row.lasts(command.duration_ms);
        if command.exit_code.is_some_and(|code| code != 0) {
            (row.status_id, row.status) = FAILURE;
        }
        self.decided(&mut row, command.verdict, command.rule.as_deref());
        row
    }

    fn command_end(&self, end: &'a CommandEnd<'a>) -> Row<'a> {
        let class = self.class_of_commands();
        let activity = match class {
            Class::ProcessActivity => (2, "Terminate"),
            _ => (OTHER, "command.end"),
        };
        let mut row = self.base(activity);
        self.place(&mut row);
        let of = end.command.map_or_else(|| self.uid(self.record.seq), |seq| self.uid(seq));
        let error = self.text_of(&mut row.unmapped, end.error.as_deref());
        match class {
            Class::DatastoreActivity => {}
            Class::ApiActivity => {
                row.api = Some(Api {
                    operation: "command.end".into(),
                    request: Some(Request { uid: of.clone(), data: None }),
                    response: Some(Response {
                        code: end.exit_code,
                        error: error.clone(),
                        data: None,
                    }),
                    service: None,
                });
            }
            _ => {
                row.process = Some(Process {
                    uid: of.clone(),
                    cmd_line: None,
                    terminated_time: Some(millis(self.record.time)),
                });
            }
        }
        match class {
            Class::ProcessActivity => row.exit_code = end.exit_code,
            _ => row.put("exit_code", end.exit_code),
        }
        if end.error.is_some() || end.exit_code.is_some_and(|code| code != 0) {
            (row.status_id, row.status) = FAILURE;
        }
        row.status_detail = error;
        if self.later() {
            row.metadata.original_event_uid = Some(of);
        } else {
            row.put("original_event_uid", of);
        }
        row.put("rows", end.rows);
        row.masked(end.masked, &end.masked_types);
        // It says what is over.
        row.lasts(end.duration_ms);
        row.end_time = Some(row.time);
        row.start_time = row.duration.and_then(|duration| row.time.checked_sub(duration));
        row
    }

    /// Says what was decided of a command.
    fn decided(&self, row: &mut Row<'a>, verdict: Option<Verdict>, rule: Option<&'a str>) {
        let (action, disposition, outcome, severity) = match verdict {
            None => return,
            Some(Verdict::Passed) => ((1, "Allowed"), (1, "Allowed"), None, (1, "Informational")),
            Some(Verdict::Blocked) => ((2, "Denied"), (2, "Blocked"), Some(FAILURE), (3, "Medium")),
            Some(Verdict::Pending) => {
                ((0, "Unknown"), (14, "Delayed"), Some(UNKNOWN_OUTCOME), (1, "Informational"))
            }
            Some(Verdict::Approved) => {
                ((1, "Allowed"), (8, "Approved"), None, (1, "Informational"))
            }
            Some(Verdict::Rejected) => ((2, "Denied"), (25, "Rejected"), Some(FAILURE), (2, "Low")),
        };
        (row.action_id, row.action) = (Some(action.0), Some(action.1));
        (row.disposition_id, row.disposition) = (Some(disposition.0), Some(disposition.1));
        (row.severity_id, row.severity) = severity;
        if let Some((status_id, status)) = outcome {
            (row.status_id, row.status) = (status_id, status);
        }
        row.put("verdict", verdict.map(Verdict::name));
        row.is_alert = Some(verdict == Some(Verdict::Blocked));
        if let Some(rule) = rule {
            row.put("rule", rule);
            row.status_detail = self.bounded(&mut row.unmapped, rule);
            row.policy = Some(Policy { name: rule.into() });
        }
        if matches!(verdict, Some(Verdict::Approved | Verdict::Rejected)) {
            let decision = verdict.map_or(UNKNOWN, Verdict::name);
            let policy = Policy { name: "action".into() };
            row.authorizations = vec![Authorization { decision, policy }];
        }
    }

    /// A session that begins or ends.
    fn logon(&self, activity: Activity) -> Row<'a> {
        let mut row = self.base(activity);
        row.actor = Some(self.actor());
        row.user = Some(self.user().unwrap_or_else(|| user_named(UNKNOWN, 0, "Unknown")));
        row.session = Some(self.its_session());
        row.service = Some(Service { name: self.role().into() });
        row.src_endpoint = Some(self.endpoint());
        if let Some(facts) = self.facts() {
            row.put("correlation_id", facts.correlation_id.as_deref());
            row.put("batch_id", facts.batch_id.as_deref());
            row.put("metadata", &facts.metadata);
        }
        row
    }

    /// What is said of a review.
    fn authorization(&self, activity: Activity, review: &'a str, scope: Scope) -> Row<'a> {
        let mut row = self.base(activity);
        row.user = Some(self.user().unwrap_or_else(|| user_named(UNKNOWN, 0, "Unknown")));
        row.session = Some(self.its_session());
        row.privileges = vec![self.role().into()];
        row.put("review", review);
        row.put("scope", scope.name());
        row
    }

    fn decision(&self, review: &'a str, decision: &'a ReviewDecision) -> Row<'a> {
        let asked = self.state.reviews.get(review).and_then(|review| review.request.as_ref());
        let activity = match decision.decision {
            Decision::Approved => (1, "Assign Privileges"),
            other => (OTHER, other.name()),
        };
        let scope = asked.map_or(Scope::Session, |(_, _, request)| request.scope);
        let mut row = self.authorization(activity, review, scope);
        row.put("command", asked.and_then(|(_, _, request)| request.command).map(|Seq(seq)| seq));
        row.put("decision", decision.decision.name());
        row.put("reviewed_by", decision.by.as_deref());
        if let Decision::Rejected | Decision::Revoked | Decision::Expired = decision.decision {
            (row.status_id, row.status) = FAILURE;
        }
        row.status_detail = self.text_of(&mut row.unmapped, decision.comment.as_deref());
        row
    }

    /// What somebody did with daybook itself.
    fn of_daybook(
        &self,
        activity: Activity,
        operation: &'a str,
        by: &'a str,
        target: Option<&'a str>,
    ) -> Row<'a> {
        let mut row = self.base(activity);
        row.actor = Some(Actor {
            user: Some(user_named(by, 0, "Unknown")),
            session: self.its_session(),
            app_name: None,
        });
        row.src_endpoint = Some(Endpoint { name: Some("daybook".into()), ip: None });
        row.api = Some(Api {
            operation: operation.into(),
            service: Some(Service { name: "daybook".into() }),
            request: None,
            response: None,
        });
        let name = target.filter(|target| !target.is_empty()).unwrap_or(self.session);
        row.resources = vec![Resource { name: name.into(), kind: None, role_id: None }];
        row
    }

    /// The finding that a blocked command is.
    fn finding(&self, command: &'a Command<'a>) -> Row<'a> {
        let mut row = self.base((1, "Create"));
        self.decided(&mut row, command.verdict, command.rule.as_deref());
        // Of a finding the status says where it stands.
        (row.status_id, row.status) = (1, "New");
        let desc = self.bounded(&mut row.unmapped, &command.input);
        row.finding_info = Some(FindingInfo {
            uid: self.uid(self.record.seq),
            title: command.rule.as_deref().unwrap_or("a command was blocked").into(),
            created_time: millis(self.record.time),
            desc,
        });
        row.put("user", self.facts().and_then(|facts| facts.user.as_deref()));
        self.seal(Class::DetectionFinding, &mut row);
        row
    }

    /// The output, if rows have it; what they have instead is put down.
    fn output(&self, row: &mut Row<'a>, output: Option<&'a str>) -> Option<Cow<'a, str>> {
        let output = output?;
        match self.mapping.outputs {
            Outputs::None => None,
            Outputs::Text | Outputs::Rendered => self.bounded(&mut row.unmapped, output),
            Outputs::Hash => {
                row.put("output_sha256", outputs::sha256(output.as_bytes()));
                row.put("output_bytes", output.len());
                None
            }
        }
    }

    fn text_of(&self, unmapped: &mut Unmapped, text: Option<&'a str>) -> Option<Cow<'a, str>> {
        text.and_then(|text| self.bounded(unmapped, text))
    }

    /// A text as the version allows it; that it was cut is said.
    fn bounded(&self, unmapped: &mut Unmapped, text: &'a str) -> Option<Cow<'a, str>> {
        let cut = match self.later() {
            true => None,
            false => text.char_indices().nth(CHARS_MAX),
        };
        let Some((at, _)) = cut else { return Some(Cow::Borrowed(text)) };
        unmapped.values.insert("is_truncated".to_owned(), json!(true));
        unmapped.values.insert("untruncated_size".to_owned(), json!(text.len()));
        text.get(..at).map(Cow::Borrowed)
    }
}

impl Row<'_> {
    /// Puts down what OCSF has no attribute for; nothing for null and what is empty.
    fn put(&mut self, name: &str, value: impl Serialize) {
        let value = serde_json::to_value(value).unwrap_or_default();
        let empty = match &value {
            Value::Null => true,
            Value::Array(values) => values.is_empty(),
            Value::Object(values) => values.is_empty(),
            _ => false,
        };
        if !empty {
            self.unmapped.values.insert(name.to_owned(), value);
        }
    }

    fn masked(&mut self, fields: u64, types: &impl Serialize) {
        if fields > 0 {
            self.put("masked_fields", fields);
        }
        self.put("masked_types", types);
    }

    /// It began at its time and took so long.
    fn lasts(&mut self, duration_ms: Option<u64>) {
        self.duration = duration_ms.and_then(|ms| i64::try_from(ms).ok());
        self.start_time = Some(self.time);
        self.end_time = self.duration.and_then(|duration| self.time.checked_add(duration));
    }
}

fn user_named<'a>(name: &'a str, type_id: u32, kind: &'static str) -> User<'a> {
    User {
        name: name.into(),
        uid: name.into(),
        email_addr: is_email(name).then_some(name.into()),
        full_name: None,
        type_id,
        kind,
        groups: Vec::new(),
    }
}

/// Is it an e-mail address as OCSF's `email_t` has it?
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let Some((host, rest)) = domain.split_once('.') else { return false };
    let of_local = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let of_host = |c: char| c.is_ascii_alphanumeric() || c == '-';
    !local.is_empty()
        && local.chars().all(of_local)
        && !host.is_empty()
        && host.chars().all(of_host)
        && !rest.is_empty()
        && rest.chars().all(|c| of_host(c) || c == '.')
}

fn millis(Micros(micros): Micros) -> i64 {
    micros.div_euclid(1000)
}
