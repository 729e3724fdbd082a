//! What to do about an answer, and when to try again.

mod backoff;
mod breaker;
mod budget;
mod classify;
mod ended;

pub use self::backoff::{Backoff, Doubling};
pub use self::breaker::Breaker;
pub use self::budget::RetryBudget;
pub use self::classify::{Answer, Verdict, classify};
pub use self::ended::{Ended, says_ended};
