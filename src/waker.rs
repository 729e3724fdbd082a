//! One wake-up for all senders of an environment. Every thread-safe function has a handle in the event loop, and libuv
//! checks all of them whenever one is called. With one per sender, each open sender would add to the cost of a message.

use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::Function;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Result, Status};
use napi_derive::napi;

/// Weak: it doesn't keep the event loop alive. JavaScript does that with a timer while something is awaited.
type Wake = ThreadsafeFunction<(), (), (), Status, false, true>;

/// The numbers of senders that have something for JavaScript.
#[derive(Default)]
struct Calling(Mutex<Vec<u32>>);

impl Calling {
    /// Adds a number. Returns whether it is the first since they were last taken.
    fn add(&self, number: u32) -> bool {
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.push(number);
        numbers.len() == 1
    }

    fn take(&self) -> Vec<u32> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Rings for the senders of an environment, and knows which of them have rung.
pub(crate) struct Bell {
    calling: Calling,
    wake: Wake,
}

impl Bell {
    /// The sender with this number has something for JavaScript.
    pub(crate) fn ring(&self, number: u32) {
        if self.calling.add(number) {
            // An environment that is closing takes no calls; nobody waits there any more.
            self.wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }
}

/// Wakes JavaScript for all senders of its environment.
#[napi]
pub struct NativeWaker {
    bell: Arc<Bell>,
}

#[napi]
impl NativeWaker {
    /// `wake` is called when senders have something for JavaScript; once, until their numbers are taken.
    #[napi(constructor, catch_unwind)]
    pub fn new(wake: Function<'_, (), ()>) -> Result<Self> {
        let wake = wake.build_threadsafe_function().weak::<true>().build()?;
        Ok(Self { bell: Arc::new(Bell { calling: Calling::default(), wake }) })
    }

    /// The numbers of the senders that have something, each once or, if it has more since, twice.
    #[napi(catch_unwind)]
    pub fn take(&self) -> Vec<u32> {
        self.bell.calling.take()
    }

    pub(crate) fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.bell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_to_ring_wakes_and_the_others_are_found_with_it() {
        let calling = Calling::default();
        assert!(calling.add(3));
        assert!(!calling.add(1));
        assert_eq!(calling.take(), [3, 1]);
        assert!(calling.take().is_empty());
        assert!(calling.add(1), "what comes after that is told anew");
    }
}
