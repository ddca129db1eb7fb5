//! Events in the [Open Cybersecurity Schema Framework](https://schema.ocsf.io), for tools that know no other schema.
//!
//! Each row is of one class, and each class makes a file of its own. An event becomes one row, by its kind and by
//! the type of its resource role; a command that was blocked may become a finding, too. What OCSF has no attribute
//! for is in `unmapped`; events that OCSF has no class for (pieces of outputs and of terminals) are no rows: the
//! native files have them.
//!
//! | event | role's type | class | activity |
//! |---|---|---|---|
//! | `session.start`, `session.end` | any | Authentication 3002 | Logon, Logoff |
//! | `command` | `database` | Datastore Activity 6005 | by its first word: Read, Write, Update, Create, Delete; else Query |
//! | | `kubernetes` | API Activity 6003 | by its verb: Read, Create, Update, Delete; else Other |
//! | | any other | Process Activity 1007 | Launch |
//! | `command.end` | `database` | Datastore Activity 6005 | Other: `command.end` |
//! | | `kubernetes` | API Activity 6003 | Other: `command.end` |
//! | | any other | Process Activity 1007 | Terminate |
//! | `review.request` | any | Authorize Session 3003 | Other: `review.request` |
//! | `review.decision` | any | Authorize Session 3003 | Assign Privileges where it approves, else Other |
//! | `note`, `access`, `retention` | any | API Activity 6003 | Create, Read, Delete, Other |
//! | a blocked `command`, if asked for | any | Detection Finding 2004 | Create |
//!
//! | verdict | action | disposition | status | severity |
//! |---|---|---|---|---|
//! | `passed` | 1 Allowed | 1 Allowed | 1 Success | 1 Informational |
//! | `blocked` | 2 Denied | 2 Blocked | 2 Failure | 3 Medium |
//! | `pending` | 0 Unknown | 14 Delayed | 0 Unknown | 1 Informational |
//! | `approved` | 1 Allowed | 8 Approved | 1 Success | 1 Informational |
//! | `rejected` | 2 Denied | 25 Rejected | 2 Failure | 2 Low |
//!
//! A command that waits and is approved later is two rows, with one `metadata.correlation_uid` (the session).
//! Amazon Security Lake takes OCSF up to 1.3: [`Version::V1_3`] leaves out what came later, and puts it into
//! `unmapped`.
//!
//! | module | what is there |
//! |---|---|
//! | `rows` | an event to its rows |
//! | `row` | a row, as serde writes it |
//! | `columns` | the same as Arrow's columns: one schema for each class and version |
//! | [`Writer`] | a file of columns, of one class |
//! | `words` | what a command's first words say |

mod columns;
mod files;
mod row;
mod rows;
mod words;

pub use crate::columnar::outputs::Outputs;
pub use columns::{Batches, schema};
pub use files::Writer;
pub(crate) use files::properties;
pub use rows::Mapping;

use serde::{Deserialize, Serialize};

/// A version of OCSF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    /// 1.8.0.
    #[default]
    #[serde(rename = "1.8.0")]
    V1_8,
    /// 1.3.0, for Amazon Security Lake.
    #[serde(rename = "1.3.0")]
    V1_3,
}

impl Version {
    /// Every version.
    pub const ALL: [Version; 2] = [Version::V1_8, Version::V1_3];

    /// As OCSF writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Version::V1_8 => "1.8.0",
            Version::V1_3 => "1.3.0",
        }
    }
}

/// A class of OCSF's events that daybook has rows of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// What was asked of a database.
    DatastoreActivity,
    /// What was run on a server.
    ProcessActivity,
    /// What was asked of a cluster, and of daybook.
    ApiActivity,
    /// Sessions that begin and end.
    Authentication,
    /// Who may have a session, or run a command.
    AuthorizeSession,
    /// Commands that were blocked.
    DetectionFinding,
}

impl Class {
    /// Every class.
    pub const ALL: [Class; 6] = [
        Class::DatastoreActivity,
        Class::ProcessActivity,
        Class::ApiActivity,
        Class::Authentication,
        Class::AuthorizeSession,
        Class::DetectionFinding,
    ];

    /// Its number.
    #[must_use]
    pub const fn uid(self) -> u32 {
        match self {
            Class::DatastoreActivity => 6005,
            Class::ProcessActivity => 1007,
            Class::ApiActivity => 6003,
            Class::Authentication => 3002,
            Class::AuthorizeSession => 3003,
            Class::DetectionFinding => 2004,
        }
    }

    /// Its name in the schema, such as `datastore_activity`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Class::DatastoreActivity => "datastore_activity",
            Class::ProcessActivity => "process_activity",
            Class::ApiActivity => "api_activity",
            Class::Authentication => "authentication",
            Class::AuthorizeSession => "authorize_session",
            Class::DetectionFinding => "detection_finding",
        }
    }

    /// The class of a name or a number.
    #[must_use]
    pub fn of(text: &str) -> Option<Class> {
        Class::ALL.into_iter().find(|class| class.name() == text || class.uid().to_string() == text)
    }

    /// Its name for people.
    const fn caption(self) -> &'static str {
        match self {
            Class::DatastoreActivity => "Datastore Activity",
            Class::ProcessActivity => "Process Activity",
            Class::ApiActivity => "API Activity",
            Class::Authentication => "Authentication",
            Class::AuthorizeSession => "Authorize Session",
            Class::DetectionFinding => "Detection Finding",
        }
    }

    /// Its category's number and name.
    const fn category(self) -> (u32, &'static str) {
        match self {
            Class::DatastoreActivity | Class::ApiActivity => (6, "Application Activity"),
            Class::ProcessActivity => (1, "System Activity"),
            Class::Authentication | Class::AuthorizeSession => (3, "Identity & Access Management"),
            Class::DetectionFinding => (2, "Findings"),
        }
    }

    /// Do its rows say what was decided (the profile `security_control`)?
    const fn has_verdict(self, version: Version) -> bool {
        match self {
            Class::DatastoreActivity | Class::ProcessActivity | Class::DetectionFinding => true,
            Class::ApiActivity => matches!(version, Version::V1_8),
            Class::Authentication | Class::AuthorizeSession => false,
        }
    }
}
