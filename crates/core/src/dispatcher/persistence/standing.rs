//! How the store stands: whether there is one, what is wrong with it, whose it is, and what it could not give back.

use crate::error::Error;
use crate::stats::StoreStanding;
use crate::store::Salvage;

#[derive(Debug)]
pub(in crate::dispatcher) struct Standing {
    durable: bool,
    /// Another owner has claimed the store.
    disowned: Option<Error>,
    told: StoreStanding,
}

impl Standing {
    pub(in crate::dispatcher) fn new(durable: bool) -> Self {
        Self { durable, disowned: None, told: StoreStanding::default() }
    }

    /// Messages are kept in a store.
    pub(in crate::dispatcher) fn is_durable(&self) -> bool {
        self.durable
    }

    /// Why nothing can be kept for now.
    pub(in crate::dispatcher) fn problem(&self) -> Option<&Error> {
        self.told.problem.as_ref()
    }

    /// Nothing can be kept, or still, for another reason. Whether that is new.
    pub(in crate::dispatcher) fn begin_degraded(&mut self, error: Error) -> bool {
        debug_assert!(self.durable, "memory has no trouble");
        self.told.problem.replace(error).is_none()
    }

    /// Everything can be kept. Whether something could not before.
    pub(in crate::dispatcher) fn end_degraded(&mut self) -> bool {
        self.told.problem.take().is_some()
    }

    /// Why nothing is sent any more; `None` while the store is this one's.
    pub(in crate::dispatcher) fn disowned(&self) -> Option<&Error> {
        self.disowned.as_ref()
    }

    pub(in crate::dispatcher) fn disown(&mut self, error: Error) {
        debug_assert!(self.durable, "memory has one owner");
        self.disowned = Some(error);
    }

    /// Messages of an earlier run that go on in this one.
    pub(in crate::dispatcher) fn recovered(&self) -> u64 {
        self.told.recovered
    }

    pub(in crate::dispatcher) fn count_recovered(&mut self) {
        self.told.recovered += 1;
    }

    /// As many as another dispatcher had recovered, and no more: what is taken over from it is not found again.
    pub(in crate::dispatcher) fn set_recovered(&mut self, recovered: u64) {
        self.told.recovered = recovered;
    }

    /// The store could not give a message back.
    pub(in crate::dispatcher) fn count_unreadable(&mut self) {
        self.told.unreadable += 1;
    }

    /// Counts what a damaged file has lost; in words where it lies, if there was one.
    pub(in crate::dispatcher) fn salvaged(&mut self, salvage: &Salvage) -> Option<String> {
        let Salvage { set_aside, unreadable, unreadable_parts } = salvage;
        self.told.unreadable += unreadable;
        self.told.unreadable_pages += unreadable_parts;
        let path = set_aside.clone()?;
        let mut problem =
            format!("the damaged file is set aside at {path}, and {unreadable} rows of it could not be read");
        if *unreadable_parts > 0 {
            problem += &format!(
                "; {unreadable_parts} pages of it could not be read at all, and how many rows they had is unknown"
            );
        }
        self.told.set_aside = Some(path);
        Some(problem)
    }

    /// For `stats()`, if there is a store.
    pub(in crate::dispatcher) fn told(&self) -> Option<StoreStanding> {
        self.durable.then(|| self.told.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::StoreErrorKind;

    fn error() -> Error {
        Error::Store { kind: StoreErrorKind::Full, problem: "no space".to_owned() }
    }

    #[test]
    fn trouble_begins_and_ends_once_however_often_it_is_told() {
        let mut standing = Standing::new(true);
        assert!(standing.begin_degraded(error()));
        assert!(!standing.begin_degraded(error()), "it has begun before");
        assert_eq!(standing.problem(), Some(&error()));
        assert!(standing.end_degraded());
        assert!(!standing.end_degraded(), "it has ended before");
        assert_eq!(standing.problem(), None);
    }

    #[test]
    fn what_damaged_files_have_lost_adds_up_and_the_last_one_is_named() {
        let mut standing = Standing::new(true);
        let salvage = |path: Option<&str>, rows, pages| Salvage {
            set_aside: path.map(Into::into),
            unreadable: rows,
            unreadable_parts: pages,
        };
        assert_eq!(standing.salvaged(&salvage(None, 0, 0)), None, "nothing was damaged");
        let problem = standing.salvaged(&salvage(Some("a"), 2, 0)).unwrap();
        assert_eq!(problem, "the damaged file is set aside at a, and 2 rows of it could not be read");
        assert!(standing.salvaged(&salvage(Some("b"), 1, 3)).unwrap().contains("3 pages of it"));
        standing.count_unreadable();
        let told = standing.told().unwrap();
        assert_eq!((told.unreadable, told.unreadable_pages, told.set_aside.as_deref()), (4, 3, Some("b")));
    }

    #[test]
    fn without_a_store_there_is_nothing_to_tell() {
        let standing = Standing::new(false);
        assert_eq!((standing.is_durable(), standing.told()), (false, None));
    }
}
