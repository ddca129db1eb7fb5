//! Who may see and change which search.
//!
//! | what | who |
//! |---|---|
//! | see it | everybody who may read; a token with limits only what a token of its name and its limits saved |
//! | save, change or delete one without alert | whoever may read, what they saved themselves; `admin` any |
//! | give it an alert, or change one that has one | `admin` that may also read: an alert sends events out |
//! | delete one that has an alert, test it | `admin` |

use super::saved::Saved;
use crate::auth::Caller;
use crate::auth::tokens::Scope;
use crate::problem::Problem;
use crate::state::App;
use axum::http::StatusCode;
use std::sync::Arc;

/// May this caller see it?
pub fn sees(caller: &Caller, saved: &Saved) -> bool {
    caller.limits().are_none() || is_own(caller, saved)
}

fn is_own(caller: &Caller, saved: &Saved) -> bool {
    caller.0.is_none() || (caller.name() == saved.by.as_deref() && caller.limits() == saved.limits)
}

/// The search of an id, if this caller may see it.
///
/// # Errors
/// There is none.
pub fn visible(app: &App, caller: &Caller, id: &str) -> Result<Arc<Saved>, Problem> {
    let found = app.searches.find(id).filter(|saved| sees(caller, saved));
    found.ok_or_else(|| {
        Problem::not_found(format!(
            "there is no search `{}`; GET /v1/searches lists them",
            daybook_engine::event::time::excerpt(id)
        ))
    })
}

/// May this caller put a search with or without an alert in the place of this one, or of none?
///
/// # Errors
/// Which scope it takes.
pub fn may_save(caller: &Caller, before: Option<&Saved>, alert: bool) -> Result<(), Problem> {
    needs(caller, Scope::Read, "saving a search")?;
    if alert || before.is_some_and(|before| before.alert.is_some()) {
        return needs(caller, Scope::Admin, "an alert");
    }
    match before {
        Some(before) if !is_own(caller, before) => needs(caller, Scope::Admin, "another's search"),
        _ => Ok(()),
    }
}

/// May this caller delete it?
///
/// # Errors
/// Which scope it takes.
pub fn may_delete(caller: &Caller, saved: &Saved) -> Result<(), Problem> {
    if saved.alert.is_some() {
        return needs(caller, Scope::Admin, "deleting a search that has an alert");
    }
    if is_own(caller, saved) {
        return Ok(());
    }
    needs(caller, Scope::Admin, "deleting another's search")
}

/// Does the caller's token have a scope?
///
/// # Errors
/// It has not.
pub fn needs(caller: &Caller, scope: Scope, what: &str) -> Result<(), Problem> {
    if caller.may(scope) {
        return Ok(());
    }
    let what = format!("{what} takes a token with the scope `{}`", scope.name());
    Err(Problem::new("scope", StatusCode::FORBIDDEN, "Not with this token", what))
}
