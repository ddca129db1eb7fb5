//! What the load generator sends, and how it looks for what it sent.
//!
//! | module | what is there |
//! |---|---|
//! | `pool` | events as templates, sent again and again as new sessions |
//! | `probe` | from an ack to the search that finds the event |

mod pool;
mod probe;

pub use pool::{Pool, Producer};
pub use probe::{Searchable, searchable};
