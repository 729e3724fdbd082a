//! The retry budget: retries are at most a tenth of the requests, so that they can't become the load that keeps a
//! struggling server down (after tower's `TpsBudget`).

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
const BALANCE_START: u64 = 10 * RETRY;

/// Retries that may be made now.
#[derive(Debug)]
pub struct RetryBudget {
    balance: u64,
    as_of: Timestamp,
}

impl RetryBudget {
    /// The starting balance.
    pub fn new(now: Timestamp) -> Self {
        Self { balance: BALANCE_START, as_of: now }
    }

    /// A first attempt was made.
    pub fn deposit(&mut self) {
        self.balance = (self.balance + DEPOSIT).min(BALANCE_MAX);
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
        self.balance = self.balance.saturating_add(earned).min(BALANCE_MAX);
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
}
