//! Notices a store that stopped answering. Its thread is then inside a system call that doesn't return (a frozen file
//! system, a file server that can't be reached), so it can't report that itself.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::{Error, StoreErrorKind};
use crate::store::StoreEvent;

/// A store that owes an answer for this long hangs. No transaction of a working disk takes as long: its size is
/// bounded.
const HANGS_AFTER: Duration = Duration::from_secs(3);

/// When the check itself is this late, the whole process was stopped, and the store's thread with it.
const LATE: Duration = Duration::from_secs(1);

/// What the store owes, and since when.
#[derive(Debug)]
pub(super) struct Watchdog {
    place: Box<str>,
    /// The number of the last change that was handed over, and of the last one that is durable or refused.
    handed_over: u64,
    done: u64,
    /// Reads that are not answered.
    loads: usize,
    /// When the store was last heard, or began to owe an answer.
    since: Timestamp,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Answering,
    /// It reported a problem, and will report its end: a repair may take any time.
    Degraded,
    Hanging,
    /// Its thread is gone.
    Ended,
}

impl Watchdog {
    pub(super) fn new(place: Box<str>, now: Timestamp) -> Self {
        Self { place, handed_over: 0, done: 0, loads: 0, since: now, state: State::Answering }
    }

    /// The store was given changes to write and requests to read.
    pub(super) fn handed_over(&mut self, changes: usize, loads: usize, now: Timestamp) {
        if !self.is_owed() {
            self.since = now;
        }
        self.handed_over += changes as u64;
        self.loads += loads;
    }

    /// When the store will count as hanging unless it answers before; `None` while it owes nothing, or a problem is
    /// known.
    pub(super) fn due(&self) -> Option<Timestamp> {
        (self.is_owed() && self.state == State::Answering).then(|| self.since.after(HANGS_AFTER))
    }

    /// The error to report when the store has begun to hang; once per hang.
    pub(super) fn begin_hanging(&mut self, now: Timestamp) -> Option<Error> {
        let due = self.due().filter(|due| *due <= now)?;
        if now.since(due) > LATE {
            self.since = now;
            return None;
        }
        self.state = State::Hanging;
        let problem = format!(
            "the store {} has not answered for {} s: its disk or file server hangs; check the disk and the system's log. Writing \
             resumes by itself once the disk answers",
            self.place,
            HANGS_AFTER.as_secs()
        );
        Some(Error::Store { kind: StoreErrorKind::Failed, problem })
    }

    /// The store answered; `None` when it never will again. True when that ends a hang, with no other problem left.
    pub(super) fn answered(&mut self, event: Option<&StoreEvent>, now: Timestamp) -> bool {
        self.since = now;
        let before = self.state;
        match event {
            Some(StoreEvent::Committed { up_to, .. }) => self.done = self.done.max(*up_to),
            Some(StoreEvent::Loaded(_)) => {
                debug_assert!(self.loads > 0, "an answer that nobody asked for");
                self.loads = self.loads.saturating_sub(1);
            }
            _ => {}
        }
        self.state = match (event, before) {
            (None | Some(StoreEvent::Failed(_) | StoreEvent::Disowned(_) | StoreEvent::Closed), _)
            | (_, State::Ended) => State::Ended,
            (Some(StoreEvent::Restored(_)), _) => State::Answering,
            (Some(StoreEvent::Degraded(_)), _) | (_, State::Degraded) => State::Degraded,
            _ => State::Answering,
        };
        debug_assert!(self.done <= self.handed_over, "durable before it was handed over");
        before == State::Hanging && self.state == State::Answering
    }

    fn is_owed(&self) -> bool {
        self.handed_over > self.done || self.loads > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Salvage;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_micros(ms * 1_000)
    }

    fn watchdog() -> Watchdog {
        Watchdog::new("/outbox.db".into(), at(0))
    }

    fn committed(up_to: u64) -> StoreEvent {
        StoreEvent::Committed { up_to, kept: Vec::new() }
    }

    #[test]
    fn a_store_that_owes_an_answer_for_three_seconds_hangs_until_it_answers() {
        let mut watchdog = watchdog();
        assert_eq!(watchdog.due(), None, "it owes nothing");
        watchdog.handed_over(2, 0, at(10_000));
        watchdog.handed_over(1, 0, at(12_000));
        assert_eq!(watchdog.due(), Some(at(13_000)), "since the first of them");
        assert!(watchdog.begin_hanging(at(12_999)).is_none());
        let error = watchdog.begin_hanging(at(13_000)).unwrap();
        assert!(error.code() == "STORE_FAILED" && error.to_string().contains("/outbox.db"), "{error}");
        assert!(watchdog.begin_hanging(at(13_500)).is_none() && watchdog.due().is_none(), "it is reported once");
        assert!(watchdog.answered(Some(&committed(2)), at(21_000)), "the first answer ends it");
        assert_eq!(watchdog.due(), Some(at(24_000)), "it still owes the third change");
        assert!(!watchdog.answered(Some(&committed(3)), at(21_500)) && watchdog.due().is_none());
    }

    #[test]
    fn reading_hangs_as_well_as_writing() {
        let mut watchdog = watchdog();
        watchdog.handed_over(0, 1, at(1_000));
        assert!(watchdog.begin_hanging(at(4_000)).is_some());
        assert!(watchdog.answered(Some(&StoreEvent::Loaded(Vec::new())), at(9_000)) && watchdog.due().is_none());
    }

    #[test]
    fn an_answer_in_between_starts_the_time_again() {
        let mut watchdog = watchdog();
        watchdog.handed_over(2, 0, at(0));
        assert!(!watchdog.answered(Some(&committed(1)), at(2_900)));
        assert!(watchdog.begin_hanging(at(5_899)).is_none() && watchdog.begin_hanging(at(5_900)).is_some());
    }

    #[test]
    fn a_store_that_reports_a_problem_itself_does_not_hang_until_it_reports_the_end() {
        let problem = problem_of_its_own;
        for hangs_before in [false, true] {
            let mut watchdog = watchdog();
            watchdog.handed_over(1, 0, at(0));
            assert_eq!(watchdog.begin_hanging(at(if hangs_before { 3_000 } else { 2_000 })).is_some(), hangs_before);
            assert!(!watchdog.answered(Some(&StoreEvent::Degraded(problem())), at(4_000)), "the outage goes on");
            assert_eq!(watchdog.due(), None, "a repair may take any time");
            assert!(!watchdog.answered(Some(&StoreEvent::Refused(Vec::new(), problem())), at(5_000)));
            assert_eq!(watchdog.due(), None);
            assert!(
                !watchdog.answered(Some(&StoreEvent::Restored(Salvage::default())), at(60_000)),
                "that reports the end itself"
            );
            assert_eq!(watchdog.due(), Some(at(63_000)), "the change is still to be confirmed");
        }
    }

    #[test]
    fn a_process_that_was_stopped_gives_its_store_the_time_again() {
        let mut watchdog = watchdog();
        watchdog.handed_over(1, 0, at(0));
        assert!(watchdog.begin_hanging(at(60_000)).is_none(), "nothing of this process ran meanwhile");
        assert!(watchdog.begin_hanging(at(62_999)).is_none() && watchdog.begin_hanging(at(63_000)).is_some());
    }

    #[test]
    fn a_store_whose_thread_is_gone_does_not_hang() {
        for end in [None, Some(StoreEvent::Closed), Some(StoreEvent::Failed(problem_of_its_own()))] {
            let mut watchdog = watchdog();
            watchdog.handed_over(1, 0, at(0));
            assert!(!watchdog.answered(end.as_ref(), at(1_000)));
            assert!(watchdog.due().is_none() && watchdog.begin_hanging(at(4_000)).is_none());
        }
    }

    fn problem_of_its_own() -> Error {
        Error::Store { kind: StoreErrorKind::Full, problem: "the disk is full".to_owned() }
    }
}
