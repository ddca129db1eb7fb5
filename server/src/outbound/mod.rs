//! What senders of every kind have in common: those that follow the log and hand on what they find, and try again
//! until it is taken.
//!
//! | module | what is there |
//! |---|---|
//! | `places` | how far each has come, on disk |
//! | `live` | whether it succeeds, and when it is tried again |
//! | `waits` | how long to wait after a failure |
//! | `query` | queries that mean the same at any time |
//! | `answer` | what a receiver says over HTTP |

mod answer;
mod live;
mod places;
mod query;
mod waits;

pub use answer::{Answer, cause};
pub use live::Live;
pub use places::Places;
pub use query::moves;
