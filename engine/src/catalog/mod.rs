//! placeholder
#![allow(missing_docs, reason = "stub")]
pub mod filter;
use crate::error::Error;
use crate::event::*;
use crate::session::*;
use crate::view::*;
use filter::*;
use parking_lot::Mutex;
use std::collections::*;
use std::path::Path;
use std::sync::Arc;
#[derive(Debug)]
pub struct Update {
    pub id: Arc<str>,
    pub key: SessionKey,
    pub new: bool,
    pub change: Change,
}
#[derive(Debug, Default)]
pub struct Catalog(Mutex<(BTreeMap<Arc<str>, Session>, Offset)>);
impl Catalog {
    pub fn open(_d: &Path, _r: bool) -> Result<(Catalog, Offset), Error> {
        Ok((Catalog::default(), Offset(0)))
    }
    pub fn apply(&self, u: Vec<Update>, t: Offset) -> Result<(), Error> {
        let mut g = self.0.lock();
        for u in u {
            let s = g.0.entry(u.id.clone()).or_insert_with(|| Session {
                id: u.id.clone(),
                key: u.key,
                state: Arc::default(),
            });
            Arc::make_mut(&mut s.state).apply(u.change);
        }
        g.1 = t;
        Ok(())
    }
    pub fn commit(&self) -> Result<Offset, Error> {
        Ok(self.0.lock().1)
    }
}
impl Sessions for Catalog {
    fn get(&self, id: &str) -> Result<Option<Session>, Error> {
        Ok(self.0.lock().0.get(id).cloned())
    }
    fn by_key(&self, k: SessionKey) -> Result<Option<Session>, Error> {
        Ok(self.0.lock().0.values().find(|s| s.key == k).cloned())
    }
    fn list(&self, _r: &ListRequest) -> Result<ListPage, Error> {
        Err(Error::Closed)
    }
    fn keys(&self, f: &SessionFilter) -> Result<HashSet<SessionKey>, Error> {
        Ok(self
            .0
            .lock()
            .0
            .values()
            .filter(|s| f.matches(&s.id, s.key, &s.state))
            .map(|s| s.key)
            .collect())
    }
    fn facets(
        &self,
        _f: &SessionFilter,
        _x: &[TextFact],
        _l: usize,
    ) -> Result<Vec<(TextFact, Facet)>, Error> {
        Err(Error::Closed)
    }
    fn count(&self) -> Result<u64, Error> {
        Ok(self.0.lock().0.len() as u64)
    }
}
