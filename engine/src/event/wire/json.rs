//! JSON to fields, and fields to a kind: every check and every message is here.

use super::body::{
    Access, Body, Command, CommandEnd, Content, End, Retention, ReviewDecision, ReviewRequest,
    Start, fields_of,
};
use super::values::{Map, Names, Plain, Str, bounded};
use super::{Event, SESSION_BYTES_MAX};
use crate::event::time::excerpt;
use crate::event::{
    Decision, EndStatus, Kind, Micros, RetentionAction, Scope, Seq, Stream, Verdict,
};
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt;

/// Reads one JSON object as an event.
pub(super) fn event(line: &str) -> Result<Event<'_>, String> {
    let mut wire: Wire<'_> = serde_json::from_str(line).map_err(|error| json_error(&error))?;
    wire.event()
}

/// serde_json's message with the column, without the line (a line is always line 1).
fn json_error(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or(&text);
    let text = text.split(", expected one of `session`").next().unwrap_or(text);
    let text =
        if text == "EOF while parsing a value" { "line is empty or cut short" } else { text };
    format!("{text} at column {}", error.column())
}

/// Declares [`Wire`] and the walk over the names of the fields that are present.
macro_rules! wire {
    ($($field:ident $name:literal: $type:ty,)*) => {
        /// Every field of every kind, as JSON has them.
        #[derive(Deserialize, Default)]
        #[serde(deny_unknown_fields, default)]
        struct Wire<'a> {
            #[serde(borrow)]
            session: Option<Str<'a>>,
            seq: Option<u32>,
            #[serde(borrow)]
            id: Option<Str<'a>>,
            #[serde(borrow)]
            time: Option<Str<'a>>,
            #[serde(borrow)]
            kind: Option<Str<'a>>,
            $(#[serde(rename = $name, borrow)] $field: Option<$type>,)*
        }

        impl Wire<'_> {
            /// The first field that is present and not in `allowed`.
            fn stranger(&self, allowed: &[&str]) -> Option<&'static str> {
                $(if self.$field.is_some() && !allowed.contains(&$name) {
                    return Some($name);
                })*
                None
            }
        }
    };
}

wire! {
    user "user": Str<'a>,
    user_name "user_name": Str<'a>,
    groups "groups": Plain<'a, Names>,
    role "role": Str<'a>,
    role_type "type": Str<'a>,
    subtype "subtype": Str<'a>,
    agent "agent": Str<'a>,
    origin "origin": Str<'a>,
    client_ip "client_ip": Str<'a>,
    tags "tags": Plain<'a, Names>,
    correlation_id "correlation_id": Str<'a>,
    batch_id "batch_id": Str<'a>,
    cols "cols": Plain<'a, u32>,
    rows "rows": Plain<'a, u64>,
    metadata "metadata": Plain<'a, Map<Box<str>>>,
    input "input": Str<'a>,
    language "language": Str<'a>,
    verdict "verdict": Str<'a>,
    rule "rule": Str<'a>,
    rerun_of "rerun_of": Str<'a>,
    output "output": Str<'a>,
    exit_code "exit_code": Plain<'a, i64>,
    duration_ms "duration_ms": Plain<'a, u64>,
    masked "masked": Plain<'a, u64>,
    masked_types "masked_types": Plain<'a, Map<u64>>,
    command "command": Plain<'a, u32>,
    stream "stream": Str<'a>,
    text "text": Str<'a>,
    data "data": Str<'a>,
    truncated "truncated": Plain<'a, bool>,
    error "error": Str<'a>,
    review "review": Str<'a>,
    scope "scope": Str<'a>,
    min_approvals "min_approvals": Plain<'a, u32>,
    expires_at "expires_at": Str<'a>,
    reason "reason": Str<'a>,
    decision "decision": Str<'a>,
    by "by": Str<'a>,
    comment "comment": Str<'a>,
    forced "forced": Plain<'a, bool>,
    status "status": Str<'a>,
    action "action": Str<'a>,
    target "target": Str<'a>,
    case "case": Str<'a>,
    events "events": Plain<'a, u64>,
}

fn need<T>(value: Option<T>, kind: Kind, field: &str) -> Result<T, String> {
    value.ok_or_else(|| format!("`{kind}` needs the field `{field}`"))
}

fn name(value: Option<Str<'_>>, field: &str) -> Result<Option<Box<str>>, String> {
    value
        .map(|Str(s)| bounded(&s).map(Into::into))
        .transpose()
        .map_err(|e| format!("`{field}`: {e}"))
}

fn cow<'a>(value: Option<Str<'a>>) -> Option<Cow<'a, str>> {
    value.map(|Str(s)| s)
}

fn plain<T>(value: Option<Plain<'_, T>>) -> Option<T> {
    value.map(|plain| plain.0)
}

fn coded<T: Copy + fmt::Display>(
    value: &str,
    field: &str,
    from_name: fn(&str) -> Option<T>,
    all: &[T],
) -> Result<T, String> {
    from_name(value).ok_or_else(|| {
        let names: Vec<String> = all.iter().map(|v| format!("`{v}`")).collect();
        format!("`{field}` is `{}`, but has to be one of {}", excerpt(value), names.join(", "))
    })
}

fn small(value: u64, field: &str) -> Result<u32, String> {
    u32::try_from(value)
        .map_err(|_| format!("`{field}` is {value}, over the limit of {}", u32::MAX))
}

impl<'a> Wire<'a> {
    fn content(&mut self, kind: Kind) -> Result<Content<'a>, String> {
        use base64::Engine as _;
        match (self.text.take(), self.data.take()) {
            (Some(Str(text)), None) => Ok(Content::Text(text)),
            (None, Some(Str(data))) => base64::engine::general_purpose::STANDARD
                .decode(data.as_bytes())
                .map(Content::Data)
                .map_err(|error| format!("`data` is not standard base64 with padding: {error}")),
            (Some(_), Some(_)) => Err(format!("`{kind}` takes `text` or `data`, not both")),
            (None, None) => Err(format!("`{kind}` needs the field `text` or `data`")),
        }
    }

    fn event(&mut self) -> Result<Event<'a>, String> {
        let session = self.session.take().ok_or("the field `session` is missing")?.0;
        if session.is_empty() || session.len() > SESSION_BYTES_MAX {
            return Err(format!(
                "`session` has {} bytes, but has to have 1 to {SESSION_BYTES_MAX}",
                session.len()
            ));
        }
        if session.chars().any(char::is_control) {
            return Err("`session` has a control character".to_owned());
        }
        let kind = self.kind.take().ok_or("the field `kind` is missing")?.0;
        let kind = coded(&kind, "kind", Kind::from_name, Kind::ALL)?;
        let time = self.time.take().ok_or("the field `time` is missing")?.0;
        let time = Micros::parse(&time)?;
        let seq = self.seq.map(Seq);
        let id = self.id.take().map(|Str(id)| id);
        if let Some(id) = &id {
            bounded(id).map_err(|error| format!("`id`: {error}"))?;
            if id.is_empty() {
                return Err("`id` is empty; leave it out, or give the event a name".to_owned());
            }
        }
        if let Some(field) = self.stranger(fields_of(kind)) {
            let fields: Vec<String> = fields_of(kind).iter().map(|f| format!("`{f}`")).collect();
            return Err(format!(
                "`{field}` is not a field of `{kind}`, which has {}",
                fields.join(", ")
            ));
        }
        let body = self.body(kind)?;
        Ok(Event { session, seq, id, time, body })
    }

    fn body(&mut self, kind: Kind) -> Result<Body<'a>, String> {
        Ok(match kind {
            Kind::SessionStart => Body::SessionStart(Box::new(Start {
                user: name(self.user.take(), "user")?,
                user_name: name(self.user_name.take(), "user_name")?,
                groups: plain(self.groups.take()).unwrap_or_default().0,
                role: name(self.role.take(), "role")?,
                kind: name(self.role_type.take(), "type")?,
                subtype: name(self.subtype.take(), "subtype")?,
                agent: name(self.agent.take(), "agent")?,
                origin: name(self.origin.take(), "origin")?,
                client_ip: name(self.client_ip.take(), "client_ip")?,
                tags: plain(self.tags.take()).unwrap_or_default().0,
                correlation_id: name(self.correlation_id.take(), "correlation_id")?,
                batch_id: name(self.batch_id.take(), "batch_id")?,
                cols: plain(self.cols.take()),
                rows: plain(self.rows.take()).map(|v| small(v, "rows")).transpose()?,
                metadata: plain(self.metadata.take()).map(|Map(m)| m).unwrap_or_default(),
            })),
            Kind::Command => Body::Command(Box::new(Command {
                input: need(cow(self.input.take()), kind, "input")?,
                language: cow(self.language.take()),
                verdict: self
                    .verdict
                    .take()
                    .map(|Str(v)| coded(&v, "verdict", Verdict::from_name, Verdict::ALL))
                    .transpose()?,
                rule: cow(self.rule.take()),
                rerun_of: cow(self.rerun_of.take()),
                output: cow(self.output.take()),
                rows: plain(self.rows.take()),
                exit_code: plain(self.exit_code.take()),
                duration_ms: plain(self.duration_ms.take()),
                masked: plain(self.masked.take()).unwrap_or(0),
                masked_types: plain(self.masked_types.take()).map(|Map(m)| m).unwrap_or_default(),
            })),
            Kind::Output => Body::Output {
                command: plain(self.command.take()).map(Seq),
                stream: self
                    .stream
                    .take()
                    .map(|Str(v)| coded(&v, "stream", Stream::from_name, Stream::ALL))
                    .transpose()?,
                truncated: plain(self.truncated.take()).unwrap_or(false),
                content: self.content(kind)?,
            },
            Kind::CommandEnd => Body::CommandEnd(Box::new(CommandEnd {
                command: plain(self.command.take()).map(Seq),
                duration_ms: plain(self.duration_ms.take()),
                exit_code: plain(self.exit_code.take()),
                rows: plain(self.rows.take()),
                masked: plain(self.masked.take()).unwrap_or(0),
                masked_types: plain(self.masked_types.take()).map(|Map(m)| m).unwrap_or_default(),
                error: cow(self.error.take()),
            })),
            Kind::TerminalOutput => Body::TerminalOutput(self.content(kind)?),
            Kind::TerminalInput => Body::TerminalInput(self.content(kind)?),
            Kind::TerminalMarker => Body::TerminalMarker(self.content(kind)?),
            Kind::TerminalResize => Body::TerminalResize {
                cols: need(plain(self.cols.take()), kind, "cols")?,
                rows: small(need(plain(self.rows.take()), kind, "rows")?, "rows")?,
            },
            Kind::ReviewRequest => {
                let scope = need(cow(self.scope.take()), kind, "scope")?;
                Body::ReviewRequest {
                    review: need(name(self.review.take(), "review")?, kind, "review")?,
                    request: Box::new(ReviewRequest {
                        scope: coded(&scope, "scope", Scope::from_name, Scope::ALL)?,
                        command: plain(self.command.take()).map(Seq),
                        groups: plain(self.groups.take()).unwrap_or_default().0,
                        min_approvals: plain(self.min_approvals.take()),
                        expires_at: self
                            .expires_at
                            .take()
                            .map(|Str(t)| Micros::parse(&t))
                            .transpose()?,
                        duration_ms: plain(self.duration_ms.take()),
                        reason: cow(self.reason.take()).map(|r| r.into()),
                    }),
                }
            }
            Kind::ReviewDecision => {
                let decision = need(cow(self.decision.take()), kind, "decision")?;
                Body::ReviewDecision {
                    review: need(name(self.review.take(), "review")?, kind, "review")?,
                    decision: Box::new(ReviewDecision {
                        decision: coded(&decision, "decision", Decision::from_name, Decision::ALL)?,
                        by: name(self.by.take(), "by")?,
                        comment: cow(self.comment.take()).map(|c| c.into()),
                        forced: plain(self.forced.take()).unwrap_or(false),
                    }),
                }
            }
            Kind::SessionEnd => {
                let status = need(cow(self.status.take()), kind, "status")?;
                Body::SessionEnd(Box::new(End {
                    status: coded(&status, "status", EndStatus::from_name, EndStatus::ALL)?,
                    exit_code: plain(self.exit_code.take()),
                    reason: cow(self.reason.take()).map(|r| r.into()),
                    events: plain(self.events.take()),
                }))
            }
            Kind::Note => Body::Note {
                by: need(cow(self.by.take()), kind, "by")?,
                text: need(cow(self.text.take()), kind, "text")?,
                command: plain(self.command.take()).map(Seq),
            },
            Kind::Access => Body::Access(Box::new(Access {
                by: need(cow(self.by.take()), kind, "by")?.into(),
                action: need(cow(self.action.take()), kind, "action")?.into(),
                target: cow(self.target.take()).map(|target| target.into()),
                metadata: plain(self.metadata.take()).map(|Map(m)| m).unwrap_or_default(),
            })),
            Kind::Retention => {
                let action = need(cow(self.action.take()), kind, "action")?;
                Body::Retention(Box::new(Retention {
                    by: need(name(self.by.take(), "by")?, kind, "by")?,
                    action: coded(
                        &action,
                        "action",
                        RetentionAction::from_name,
                        RetentionAction::ALL,
                    )?,
                    target: name(self.target.take(), "target")?,
                    case: name(self.case.take(), "case")?,
                    reason: cow(self.reason.take()).map(|r| r.into()),
                    metadata: plain(self.metadata.take()).map(|Map(m)| m).unwrap_or_default(),
                }))
            }
        })
    }
}
