//! Which rows of a table were told at opening.

use std::collections::BTreeMap;

/// A set of row numbers. They come mostly in order, so it holds runs: first to last.
#[derive(Debug, Default)]
pub(super) struct ReportedRows {
    runs: BTreeMap<i64, i64>,
    resume_after: i64,
}

impl ReportedRows {
    /// Everything up to this number was read, from the file as it is now.
    pub(super) fn resume_after(&self) -> i64 {
        self.resume_after
    }

    /// Another file is read now, from its start.
    pub(super) fn rewind(&mut self) {
        self.resume_after = 0;
    }

    pub(super) fn contains(&self, number: i64) -> bool {
        self.runs.range(..=number).next_back().is_some_and(|(_, last)| number <= *last)
    }

    pub(super) fn insert(&mut self, number: i64) {
        self.resume_after = number;
        let next = number.saturating_add(1);
        let end = self.runs.remove(&next).unwrap_or(number);
        match self.runs.range_mut(..=number).next_back() {
            Some((_, last)) if last.saturating_add(1) >= number => *last = end.max(*last),
            _ => {
                self.runs.insert(number, end);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn after_a_rewind_it_reads_from_the_start_but_knows_what_was_told() {
        let mut told = ReportedRows::default();
        (21..=23).for_each(|number| told.insert(number));
        assert_eq!(told.resume_after(), 23);
        told.rewind();
        assert_eq!(told.resume_after(), 0);
        assert!((21..=23).all(|number| told.contains(number)));
        assert!([0, 20, 24].iter().all(|number| !told.contains(*number)));
    }

    proptest! {
        #[test]
        fn it_is_a_set(numbers in proptest::collection::vec(1_i64..40, 0..60)) {
            let mut told = ReportedRows::default();
            let mut set = BTreeSet::new();
            for number in numbers {
                told.insert(number);
                set.insert(number);
                prop_assert!((0..41).all(|number| told.contains(number) == set.contains(&number)));
            }
            let gaps = set.iter().filter(|number| !set.contains(&(*number + 1))).count();
            prop_assert_eq!(told.runs.len(), gaps, "runs that touch are one");
        }
    }
}
