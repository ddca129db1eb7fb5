//! Notifications: people and programs that are told of access requests, at least once.
//!
//! ```text
//!           ┌───────────── notify.json ─────────────┐
//!           │ through          at         dead      │ durable before a message is sent for the first time
//!           ▼                   ▼          ▲        │
//! log ─ review events ─► told of? ─► message ─► webhook ─ 2xx ─► through moves
//!                                      ▲          │
//!                                      └── wait ◄─┘ anything else; after `give_up_after`, or 410: a dead letter
//! ```
//!
//! One message after the other, each made of the log again at each attempt's beginning. A receiver that is away holds
//! up nobody else, and nothing for ever: what can't be delivered in time is put aside, listed, and sent again on request.
//!
//! | module | what is there |
//! |---|---|
//! | `target` | who is told what, in which form |
//! | `message` | what is sent |
//! | `sender` | one who is told at work |
//! | `place` | how far each is |
//! | `api` | `/v1/admin/notifications` |

pub(crate) mod api;
mod message;
mod place;
mod sender;
mod target;

pub use target::{Form, Target, Told};

use crate::alerts::{Courier, Secret};
use crate::outbound::{Live, Places};
use crate::state::App;
use crate::{Config, Error};
use daybook_engine::{Beside, Engine};
use parking_lot::Mutex;
use place::Place;
use sender::Sender;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// The notifications of a server.
#[derive(Debug)]
pub struct Notifications {
    places: Places<Place>,
    courier: Courier,
    targets: Vec<One>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// One who is told.
#[derive(Debug)]
struct One {
    target: Arc<Target>,
    secret: Option<Secret>,
    live: Arc<Mutex<Live>>,
    again: Arc<Notify>,
}

impl Notifications {
    /// Those of a configuration; none is told yet. One that is new is told of what comes from now on.
    ///
    /// # Errors
    /// A secret that can't be read, or places.
    pub fn open(engine: &Arc<Engine>, config: &Config) -> Result<Notifications, Error> {
        let places: Places<Place> =
            Places::open(engine, Beside::Notify).map_err(Error::Notified)?;
        let end = engine.follow().borrow().0;
        let mut targets = Vec::new();
        for target in &config.notify {
            let unusable = |what: String| Error::Notify { name: target.name.clone(), what };
            target.check().map_err(unusable)?;
            let secret = target.secret().map_err(unusable)?;
            let place = places.get(&target.name);
            // Past the end it is that of another log.
            if place.is_none_or(|place| place.through > end) {
                places.set(&target.name, Place { through: end, ..Place::default() });
            }
            let (live, again) = (Arc::default(), Arc::default());
            targets.push(One { target: Arc::new(target.clone()), secret, live, again });
        }
        let tasks = Mutex::default();
        Ok(Notifications { places, courier: Courier::new(config), targets, tasks })
    }

    fn places(&self) -> &Places<Place> {
        &self.places
    }

    fn courier(&self) -> &Courier {
        &self.courier
    }

    fn one(&self, name: &str) -> Option<&One> {
        self.targets.iter().find(|one| &*one.target.name == name)
    }

    /// Has nobody be told any more.
    pub fn stop(&self) {
        self.tasks.lock().drain(..).for_each(|task| task.abort());
    }

    /// Makes durable how far everybody is.
    pub async fn keep_places(&self) {
        if self.targets.is_empty() {
            return;
        }
        if let Err(error) = self.places.keep().await {
            tracing::warn!(%error, "how far notifications are could not be noted down; something may come twice");
        }
    }
}

/// Tells everybody, until [`Notifications::stop`].
pub fn start(app: &App) {
    let tasks = app.notify.targets.iter().map(|one| {
        let sender = Sender {
            app: Arc::clone(app),
            target: Arc::clone(&one.target),
            secret: one.secret.clone(),
            live: Arc::clone(&one.live),
            again: Arc::clone(&one.again),
        };
        tokio::spawn(sender.run())
    });
    app.notify.tasks.lock().extend(tasks);
}
