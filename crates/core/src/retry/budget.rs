//! The retry budget: retries are at most a tenth of the requests, so that they can't become the load that keeps a
//! struggling server down (after tower's `TpsBudget`).
//!
//! Once requests succeed again there is nothing to protect: from the [`SUCCESSES_MIN`]th success in a row on, each pays
//! for two retries, so that what an incident has left doubles its pace with every round trip. The next failure ends
//! that.

use std::time::Duration;

use crate::clock::Timestamp;

/// Thousandths of a retry: integers, so that a replayed run is exact.
const RETRY: u64 = 1_000;
/// What every first attempt pays in.
const DEPOSIT: u64 = RETRY / 10;
/// What there is without traffic: ten retries a second, so that a lone message is retried, too.
const TRICKLE_PER_SECOND: u64 = 10 * RETRY;
/// Savings end here.
const BALANCE_MAX: u64 = 100 * RETRY;
/// Successes in a row that show that the server is well. While half of the requests fail, one run in a thousand is as
/// long.
const SUCCESSES_MIN: u32 = 10;
/// What each further success pays in.
const REWARD: u64 = 2 * RETRY;
/// Savings of a server that is well end here.
const BALANCE_WELL_MAX: u64 = 10_000 * RETRY;
const BALANCE_START: u64 = 10 * RETRY;

/// Retries that may be made now.
///
/// ```
/// use spillway_core::{clock::Timestamp, retry::RetryBudget};
///
/// let now = Timestamp::from_micros(0);
/// let mut budget = RetryBudget::new(now);
/// let paid = (0..100).take_while(|_| budget.withdraw(now).is_ok()).count();
/// assert_eq!(paid, 10, "the starting balance");
/// let later = budget.withdraw(now).expect_err("it is spent");
/// assert!(budget.withdraw(later).is_ok(), "ten per second come back");
/// ```
#[derive(Debug)]
pub struct RetryBudget {
    balance: u64,
    as_of: Timestamp,
    /// In a row.
    successes: u32,
}

impl RetryBudget {
    /// The starting balance.
    pub fn new(now: Timestamp) -> Self {
        Self { balance: BALANCE_START, as_of: now, successes: 0 }
    }

    /// A first attempt was made.
    pub fn deposit(&mut self) {
        self.save(DEPOSIT);
    }

    /// A request succeeded.
    pub fn succeeded(&mut self) {
        self.successes = self.successes.saturating_add(1);
        if self.successes >= SUCCESSES_MIN {
            self.balance = (self.balance + REWARD).min(BALANCE_WELL_MAX);
        }
    }

    /// A request failed for the server's fault.
    pub fn failed(&mut self) {
        self.successes = 0;
        self.balance = self.balance.min(BALANCE_MAX);
    }

    /// What was saved while the server was well stays until a failure.
    fn save(&mut self, amount: u64) {
        self.balance = self.balance.saturating_add(amount).min(BALANCE_MAX.max(self.balance));
    }

    /// Pays for a retry.
    ///
    /// # Errors
    /// When there will be enough, if nobody else pays before.
    pub fn withdraw(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        self.trickle(now);
        match self.balance.checked_sub(RETRY) {
            Some(rest) => {
                self.balance = rest;
                Ok(())
            }
            None => {
                let missing_ms = ((RETRY - self.balance) * 1_000).div_ceil(TRICKLE_PER_SECOND);
                Err(now.after(Duration::from_millis(missing_ms)))
            }
        }
    }

    fn trickle(&mut self, now: Timestamp) {
        let elapsed_ms = u64::try_from(now.since(self.as_of).as_millis()).unwrap_or(u64::MAX);
        let earned = elapsed_ms.saturating_mul(TRICKLE_PER_SECOND / 1_000);
        self.save(earned);
        // Whole milliseconds only: the rest counts next time.
        self.as_of = self.as_of.after(Duration::from_millis(elapsed_ms));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_burst_of_failures_is_cut_to_the_start_and_the_trickle() {
        let mut budget = RetryBudget::new(Timestamp::START);
        let granted = (0..100).filter(|_| budget.withdraw(Timestamp::START).is_ok()).count();
        assert_eq!(granted, 10);
        let again = budget.withdraw(Timestamp::START).unwrap_err();
        assert_eq!(again.since(Timestamp::START), Duration::from_millis(100));
        assert!(budget.withdraw(again).is_ok());
        assert!(budget.withdraw(again).is_err());
    }

    #[test]
    fn ten_requests_pay_for_one_retry() {
        let mut budget = RetryBudget::new(Timestamp::START);
        while budget.withdraw(Timestamp::START).is_ok() {}
        (0..10).for_each(|_| budget.deposit());
        assert!(budget.withdraw(Timestamp::START).is_ok());
        assert!(budget.withdraw(Timestamp::START).is_err());
    }

    /// Retries alone, each answered after a round trip: how many are made in each, after an incident has spent
    /// everything.
    fn retries_per_round_trip(fails: impl Fn(u32) -> bool) -> Vec<usize> {
        let (mut budget, mut now, mut made) = (RetryBudget::new(Timestamp::START), Timestamp::START, 0);
        budget.failed();
        while budget.withdraw(now).is_ok() {}
        let round_trip = |_| {
            now = now.after(Duration::from_millis(100));
            let retries = (0..1_000).take_while(|_| budget.withdraw(now).is_ok()).count();
            for _ in 0..retries {
                made += 1;
                if fails(made) { budget.failed() } else { budget.succeeded() }
            }
            retries
        };
        (0..30).map(round_trip).collect()
    }

    #[test]
    fn a_backlog_of_retries_drains_ever_faster_once_they_succeed() {
        let retries = retries_per_round_trip(|_| false);
        assert!(retries[20..].iter().all(|retries| *retries == 1_000), "{retries:?}");
    }

    #[test]
    fn retries_of_a_server_that_fails_now_and_then_stay_a_trickle() {
        let retries = retries_per_round_trip(|made| made % 3 == 0);
        assert!(retries.iter().all(|retries| *retries <= 1), "{retries:?}");
    }

    #[test]
    fn a_failure_takes_back_what_a_healthy_server_was_granted() {
        let mut budget = RetryBudget::new(Timestamp::START);
        (0..100_000).for_each(|_| budget.succeeded());
        budget.deposit();
        budget.failed();
        let granted = (0..100_000).filter(|_| budget.withdraw(Timestamp::START).is_ok()).count();
        assert_eq!(granted, 100);
    }
}
