//! What the acts in `daybook.cases` amount to: the cases.
//!
//! | act | target | says also |
//! |---|---|---|
//! | `case.open` | the case | `name`, `reason` |
//! | `case.add`, `case.remove` | the case | `session` |
//! | `case.note` | the case | `text` |
//! | `case.hold`, `case.release` | the case | `reason` |
//! | `case.close` | the case | `comment` |
//! | `case.export` | the case | |

use crate::ledger::Fold;
use daybook_engine::event::Micros;
use daybook_engine::{Act, Beside, OwnSession};
use daybook_query::item::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All cases, by their ids.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Cases {
    /// The cases.
    pub cases: BTreeMap<Box<str>, Case>,
}

/// A named set of sessions, and what there is to say about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    /// What it is called.
    pub name: Box<str>,
    /// Why there is one.
    pub reason: Box<str>,
    /// Who opened it, and when.
    pub opened: Done,
    /// Its sessions: who added each, and when.
    #[serde(default)]
    pub sessions: BTreeMap<Box<str>, Done>,
    /// What was said about it, in order.
    #[serde(default)]
    pub notes: Vec<CaseNote>,
    /// The legal hold on its sessions: who placed it, and why.
    #[serde(default)]
    pub hold: Option<Said>,
    /// Who closed it.
    #[serde(default)]
    pub closed: Option<Said>,
    /// When anything of it changed last.
    pub changed: Micros,
}

/// That somebody did something.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Done {
    /// Who.
    pub by: Box<str>,
    /// When.
    pub at: Micros,
}

/// That somebody did something, and what was said of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Said {
    /// Who.
    pub by: Box<str>,
    /// When.
    pub at: Micros,
    /// What was said.
    pub text: Box<str>,
}

/// A note on a case.
pub type CaseNote = Said;

impl Fold for Cases {
    const SESSION: OwnSession = OwnSession::Cases;
    const FILE: Beside = Beside::Cases;

    fn apply(&mut self, act: &Act) {
        let Act { access, time, .. } = act;
        let Some(id) = access.target.clone() else { return };
        let (by, at) = (access.by.clone(), *time);
        let text = |name: &str| Box::<str>::from(access.said(name).unwrap_or_default());
        if &*access.action == "case.open" {
            let opened = Done { by, at };
            self.cases.entry(id).or_insert_with(|| Case {
                name: text("name"),
                reason: text("reason"),
                opened,
                sessions: BTreeMap::new(),
                notes: Vec::new(),
                hold: None,
                closed: None,
                changed: at,
            });
            return;
        }
        let Some(case) = self.cases.get_mut(&id) else { return };
        match &*access.action {
            "case.add" => {
                case.sessions.entry(text("session")).or_insert(Done { by, at });
            }
            "case.remove" => {
                case.sessions.remove(&*text("session"));
            }
            "case.note" => case.notes.push(Said { by, at, text: text("text") }),
            "case.hold" => case.hold = Some(Said { by, at, text: text("reason") }),
            "case.release" => case.hold = None,
            "case.close" => case.closed = Some(Said { by, at, text: text("comment") }),
            // It changes nothing of the case.
            _ => return,
        }
        case.changed = at;
    }
}

/// A case, as a list has it.
#[derive(Debug, Serialize)]
pub struct CaseItem<'a> {
    id: &'a str,
    name: &'a str,
    reason: &'a str,
    opened_by: &'a str,
    opened_at: Time,
    changed_at: Time,
    session_count: usize,
    note_count: usize,
    hold: Option<SaidItem<'a>>,
    closed: Option<SaidItem<'a>>,
}

/// A case, whole.
#[derive(Debug, Serialize)]
pub struct CaseDetails<'a> {
    #[serde(flatten)]
    item: CaseItem<'a>,
    sessions: Vec<SessionEntry<'a>>,
    notes: Vec<SaidItem<'a>>,
}

#[derive(Debug, Serialize)]
struct SessionEntry<'a> {
    id: &'a str,
    added_by: &'a str,
    added_at: Time,
}

#[derive(Debug, Serialize)]
struct SaidItem<'a> {
    by: &'a str,
    at: Time,
    text: &'a str,
}

impl<'a> SaidItem<'a> {
    fn of(said: &'a Said) -> SaidItem<'a> {
        SaidItem { by: &said.by, at: Time(said.at), text: &said.text }
    }
}

impl<'a> CaseItem<'a> {
    /// The item of a case.
    pub fn of(id: &'a str, case: &'a Case) -> CaseItem<'a> {
        CaseItem {
            id,
            name: &case.name,
            reason: &case.reason,
            opened_by: &case.opened.by,
            opened_at: Time(case.opened.at),
            changed_at: Time(case.changed),
            session_count: case.sessions.len(),
            note_count: case.notes.len(),
            hold: case.hold.as_ref().map(SaidItem::of),
            closed: case.closed.as_ref().map(SaidItem::of),
        }
    }
}

impl<'a> CaseDetails<'a> {
    /// All of a case.
    pub fn of(id: &'a str, case: &'a Case) -> CaseDetails<'a> {
        let sessions = case.sessions.iter().map(|(id, done)| SessionEntry {
            id,
            added_by: &done.by,
            added_at: Time(done.at),
        });
        CaseDetails {
            item: CaseItem::of(id, case),
            sessions: sessions.collect(),
            notes: case.notes.iter().map(SaidItem::of).collect(),
        }
    }
}
