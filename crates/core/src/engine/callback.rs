//! The caller's `accessToken` function: whether a token is wanted of one, and of whose.

/// One call at a time: each session may have a function of its own, and one is asked.
#[derive(Debug, Default)]
pub(super) struct Callback {
    number: u64,
    stage: Stage,
}

#[derive(Debug, Default)]
enum Stage {
    /// No token is wanted.
    #[default]
    Idle,
    /// One is wanted, and nobody has been asked.
    Wanted,
    /// This session has been asked.
    Asked(u32),
}

impl Callback {
    /// A token is wanted: the number of the call.
    pub(super) fn begin(&mut self) -> u64 {
        self.number += 1;
        self.stage = Stage::Wanted;
        self.number
    }

    /// Whom to ask, of the sessions that are here, and the number of the call. Nobody while the one who was asked is
    /// here.
    pub(super) fn ask(&mut self, mut sessions: impl Iterator<Item = u32> + Clone) -> Option<(u32, u64)> {
        match self.stage {
            Stage::Idle => return None,
            Stage::Asked(asked) if sessions.clone().any(|session| session == asked) => return None,
            Stage::Wanted | Stage::Asked(_) => {}
        }
        let first = sessions.next()?;
        let session = sessions.fold(first, u32::min);
        self.stage = Stage::Asked(session);
        Some((session, self.number))
    }

    /// An answer to the call of this number: whether it is the one that is open, which ends with it.
    pub(super) fn end(&mut self, number: u64) -> bool {
        let is_open = !matches!(self.stage, Stage::Idle) && number == self.number;
        if is_open {
            self.stage = Stage::Idle;
        }
        is_open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_session_is_asked_and_another_when_that_one_has_left() {
        let mut callback = Callback::default();
        assert_eq!(callback.ask([1, 2].into_iter()), None, "none is wanted");
        assert_eq!(callback.begin(), 1);
        assert_eq!(callback.ask([].into_iter()), None, "nobody is here");
        assert_eq!(callback.ask([3, 2].into_iter()), Some((2, 1)));
        assert_eq!(callback.ask([1, 2, 3].into_iter()), None, "it is at it, whoever comes");
        assert_eq!(callback.ask([3, 1].into_iter()), Some((1, 1)));
        assert!(callback.end(1));
        assert_eq!(callback.ask([3].into_iter()), None);
    }

    #[test]
    fn only_the_first_answer_to_the_newest_call_counts() {
        let mut callback = Callback::default();
        assert!(!callback.end(0));
        assert_eq!((callback.begin(), callback.begin()), (1, 2));
        assert!(!callback.end(1));
        assert!(callback.end(2));
        assert!(!callback.end(2));
    }
}
