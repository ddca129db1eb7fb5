//! The catalog: one entry for each session, for lists, filters and facets.
//!
//! ```text
//!   apply(changes) --> overlay: the sessions that changed since the last commit, in memory
//!                         |  commit(), now and then
//!                         v
//!                      index: a tantivy document for each session, in data/catalog
//! ```
//!
//! A reader sees both at once: an indexed session that is changed in the overlay is *hidden*, and
//! the overlay's state is evaluated in its place. So every list and every count is exact, at all
//! times. The payload of a commit is the offset below which all events are in it; after a crash the
//! log is applied again from there. Where retention erases events, what is left of their sessions is
//! folded again ([`Catalog::revise`]), so that the catalog stays the fold of the log.
//!
//! | module | what is there |
//! |---|---|
//! | [`filter`] | what can be asked of a session |
//! | [`sort`] | in which order sessions are listed |
//! | [`Catalog`] | the index with its overlay, and applying and committing changes |
//! | `overlay` | sessions in memory |
//! | `index` | the fields, opening, writing and merging |
//! | `lookup` | a filter against one tantivy segment |
//! | `kept` | sets that filters admitted, to be asked for again |
//! | `list` | pages and keys over index and overlay |
//! | `zones` | where in a long list its first sessions may be |
//! | `facets` | which values sessions have, and how often |

mod facets;
pub mod filter;
mod index;
mod kept;
mod list;
mod lookup;
mod overlay;
pub mod sort;
#[cfg(test)]
mod tests;
mod zones;

pub use overlay::{Catalog, Rest, Update};
