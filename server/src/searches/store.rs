//! All saved searches: in memory, and in `searches.json`, which is durable before a change counts.

use super::rights::{may_delete, may_save, visible};
use super::saved::{self, Alert, File, Saved, VERSION, bad};
use super::{NewAlert, NewSearch};
use crate::alerts::Secret;
use crate::auth::Caller;
use crate::problem::Problem;
use crate::random;
use crate::state::App;
use axum::http::StatusCode;
use daybook_engine::event::Micros;
use daybook_engine::{Beside, Engine, Error};
use parking_lot::RwLock;
use std::sync::Arc;

/// The searches of a data directory.
#[derive(Debug)]
pub struct Searches {
    all: RwLock<Vec<Arc<Saved>>>,
    /// Held while they are changed.
    changing: tokio::sync::Mutex<()>,
}

impl Searches {
    /// Reads them.
    ///
    /// # Errors
    /// A file that can't be read, or that a newer version wrote.
    pub fn open(engine: &Engine) -> Result<Searches, Error> {
        let file: File = engine
            .beside(Beside::Searches)?
            .unwrap_or(File { version: VERSION, searches: Vec::new() });
        if file.version != VERSION {
            let what = format!("its version is {}, this daybook reads {VERSION}", file.version);
            return Err(Error::Unusable { path: engine.dir().join(Beside::Searches.name()), what });
        }
        let all = file.searches.into_iter().map(Arc::new).collect();
        Ok(Searches { all: RwLock::new(all), changing: tokio::sync::Mutex::default() })
    }

    /// All of them, in the order in which they were saved.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Saved>> {
        self.all.read().clone()
    }

    /// The one of an id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Arc<Saved>> {
        self.all.read().iter().find(|saved| *saved.id == *id).cloned()
    }
}

/// A change that is asked for.
#[derive(Debug)]
pub enum Change {
    /// A new search.
    Save(NewSearch),
    /// Another one in the place of the one of this id.
    Replace(String, NewSearch),
    /// None in the place of the one of this id.
    Delete(String),
}

/// A change that was made.
#[derive(Debug)]
pub struct Changed {
    /// The search as it is now, or was.
    pub saved: Arc<Saved>,
    /// The secret of its alert, if it was made for this change.
    pub secret: Option<Secret>,
}

/// Makes a change, and has the alert begin, go on or end accordingly.
///
/// # Errors
/// What can't be used, who may not, and the system's; then everything is as it was.
pub async fn change(app: &App, caller: &Caller, change: Change) -> Result<Changed, Problem> {
    let _changing = app.searches.changing.lock().await;
    match change {
        Change::Save(new) => {
            may_save(caller, None, matches!(new.alert, Some(Some(_))))?;
            put(app, caller, None, new).await
        }
        Change::Replace(id, new) => {
            let before = visible(app, caller, &id)?;
            may_save(caller, Some(&before), matches!(new.alert, Some(Some(_))))?;
            put(app, caller, Some(before), new).await
        }
        Change::Delete(id) => {
            let saved = visible(app, caller, &id)?;
            may_delete(caller, &saved)?;
            let mut all = app.searches.all();
            all.retain(|other| other.id != saved.id);
            app.alerts.end(&saved.id).await;
            if let Err(problem) = store(app, all).await {
                app.alerts.begin(app, &saved);
                return Err(problem);
            }
            app.alerts.forget(&saved.id);
            Ok(Changed { saved, secret: None })
        }
    }
}

/// Puts a search in the place of one, or of none.
async fn put(
    app: &App,
    caller: &Caller,
    before: Option<Arc<Saved>>,
    new: NewSearch,
) -> Result<Changed, Problem> {
    let mut all = app.searches.all();
    let others = || all.iter().filter(|other| before.as_ref().is_none_or(|b| b.id != other.id));
    let keeps_alert = new.alert.is_none() && before.as_ref().is_some_and(|b| b.alert.is_some());
    let has_alert = keeps_alert || matches!(new.alert, Some(Some(_)));
    saved::check_name(&new.name)?;
    saved::check_query(&new.query, has_alert)?;
    if others().any(|other| *other.name == *new.name) {
        let what = "another search has this name; choose another, or change that one";
        return Err(Problem::new("name-taken", StatusCode::CONFLICT, "Name taken", what));
    }
    at_most(others().count(), app.config.searches_max, "saved searches (searches_max)")?;
    if has_alert {
        let alerts = others().filter(|other| other.alert.is_some()).count();
        at_most(alerts, app.config.alerts_max, "alerts (alerts_max)")?;
    }
    // Nothing moves its place from here on.
    if let Some(before) = &before {
        app.alerts.end(&before.id).await;
    }
    let made = make(app, caller, before.as_deref(), new).await;
    let stored = match made {
        Ok((saved, secret)) => {
            let saved = Arc::new(saved);
            match all.iter_mut().find(|other| other.id == saved.id) {
                Some(other) => *other = Arc::clone(&saved),
                None => all.push(Arc::clone(&saved)),
            }
            store(app, all).await.map(|()| Changed { saved, secret })
        }
        Err(problem) => Err(problem),
    };
    match (&stored, &before) {
        (Ok(changed), _) if changed.saved.alert.is_none() => app.alerts.forget(&changed.saved.id),
        (Ok(changed), _) => app.alerts.begin(app, &changed.saved),
        (Err(_), Some(before)) => app.alerts.begin(app, before),
        (Err(_), None) => {}
    }
    stored
}

/// The search that was asked for, and its secret if one was made for it.
async fn make(
    app: &App,
    caller: &Caller,
    before: Option<&Saved>,
    new: NewSearch,
) -> Result<(Saved, Option<Secret>), Problem> {
    let now = Micros::now().0;
    let old = before.and_then(|before| before.alert.as_ref().map(|alert| (before, alert)));
    let same_query = before.is_some_and(|before| *before.query == *new.query);
    let (mut secret, mut from) = (None, None);
    let alert = match new.alert {
        Some(None) => None,
        None => old.map(|(_, alert)| alert.clone()),
        Some(Some(wanted)) => {
            let alert = alert(wanted, old.map(|(_, alert)| alert), &mut secret, &mut from)?;
            Some(alert)
        }
    };
    let end = app.engine.follow().borrow().0;
    if from.is_some_and(|from| from > end) {
        return Err(bad(
            "alert.from",
            format!("the log ends at {end}: leave `from` out to begin there"),
        ));
    }
    let alert = match (alert, old, from) {
        (Some(alert), Some((before, old)), None) if same_query => {
            app.alerts.resume(before, old).await;
            Some(alert)
        }
        (Some(mut alert), old, from) => {
            let place = old.map(|(before, old)| app.alerts.place(before, old).through);
            alert.from = from.or(place).unwrap_or(end);
            // Each beginning has a time of its own.
            alert.began = old.map_or(now, |(_, old)| now.max(old.began + 1));
            Some(alert)
        }
        (None, ..) => None,
    };
    let saved = match before {
        Some(before) => Saved {
            name: new.name.into(),
            query: new.query.into(),
            updated: now,
            alert,
            ..before.clone()
        },
        None => Saved {
            id: random::id::<6>("search-")?,
            name: new.name.into(),
            query: new.query.into(),
            by: caller.name().map(Into::into),
            limits: caller.limits(),
            created: now,
            updated: now,
            alert,
        },
    };
    Ok((saved, secret))
}

/// The alert that was asked for. It has the secret of the one before, or one that is made now.
fn alert(
    wanted: NewAlert,
    old: Option<&Alert>,
    made: &mut Option<Secret>,
    from: &mut Option<u64>,
) -> Result<Alert, Problem> {
    let url = saved::check_url(&wanted.url)?;
    *from = wanted.from;
    let secret = match (wanted.secret, old) {
        (Some(text), _) => Secret::parse(&text).map_err(|what| bad("alert.secret", what))?,
        (None, Some(old)) => old.secret.clone(),
        (None, None) => made.insert(Secret::random().map_err(Problem::internal)?).clone(),
    };
    let (from, began) = old.map_or((0, 0), |old| (old.from, old.began));
    Ok(Alert { url, secret, from, began })
}

/// Makes the searches durable; from then on they count.
async fn store(app: &App, all: Vec<Arc<Saved>>) -> Result<(), Problem> {
    let searches = all.iter().map(|saved| Saved::clone(saved)).collect();
    let (engine, file) = (Arc::clone(&app.engine), File { version: VERSION, searches });
    let stored = tokio::task::spawn_blocking(move || engine.keep_beside(Beside::Searches, &file));
    stored.await.map_err(Problem::internal)??;
    *app.searches.all.write() = all;
    Ok(())
}

fn at_most(others: usize, max: usize, what: &str) -> Result<(), Problem> {
    if others < max {
        return Ok(());
    }
    let what = format!("there are {max} {what}, as many as there may be; delete some");
    Err(Problem::new("too-many", StatusCode::CONFLICT, "Too many", what))
}
