//! The memory of answers: what all engines of the process hold of them together has a limit.
//!
//! An answer reserves its memory as it grows, and keeps it until its last copy is dropped, which is when JavaScript has
//! taken it. Beyond the limit a reader waits, and its connection with it, until others are done. Readers that wait for
//! one another would wait forever: therefore one at a time may exceed the limit, as long as the others keep within it.

use bytes::Bytes;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

use crate::lock::lock;

/// Held by all answers of the process. A single answer may exceed it by its own limit.
pub(super) const ANSWER_BYTES_MAX: usize = 268_435_456;
/// Of each answer, not counted: what messages are answered with never waits.
pub(super) const UNCOUNTED_BYTES: usize = 65_536;

/// The memory of several answers; a clone is the same memory.
#[derive(Clone, Debug)]
pub(super) struct Memory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bytes_max: usize,
    held: Mutex<Held>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Held {
    bytes: usize,
    /// Some answer may exceed the limit.
    is_exceeding: bool,
}

impl Memory {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Shared { bytes_max, held: Mutex::default(), freed: Notify::new() }))
    }

    /// For an answer that nothing has come of yet.
    pub(super) fn reservation(&self) -> Reservation {
        Reservation { memory: self.clone(), bytes: 0, may_exceed: false, is_waiting: false }
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        lock(&self.0.held).bytes
    }
}

/// The memory of one answer; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    memory: Memory,
    bytes: usize,
    may_exceed: bool,
    is_waiting: bool,
}

impl Reservation {
    /// Waits until there is memory for an answer of this capacity.
    pub(super) async fn grow_to(&mut self, capacity: usize) {
        let more = capacity.saturating_sub(UNCOUNTED_BYTES).saturating_sub(self.bytes);
        let memory = self.memory.clone();
        loop {
            let freed = memory.0.freed.notified();
            tokio::pin!(freed);
            // From here on it hears of memory that comes free.
            freed.as_mut().enable();
            self.is_waiting = !self.take(more);
            if !self.is_waiting {
                return;
            }
            freed.await;
        }
    }

    /// Whether the answer is incomplete because it waits for memory.
    pub(super) fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    fn take(&mut self, more: usize) -> bool {
        if more == 0 {
            return true;
        }
        let mut held = lock(&self.memory.0.held);
        let fits = held.bytes.saturating_add(more) <= self.memory.0.bytes_max;
        if !fits && !self.may_exceed {
            if held.is_exceeding || held.bytes > self.memory.0.bytes_max {
                return false;
            }
            held.is_exceeding = true;
            self.may_exceed = true;
        }
        held.bytes += more;
        self.bytes += more;
        true
    }

    /// The answer is read: the body holds what it needs of the memory, until its last copy is dropped.
    pub(super) fn into_body(mut self, mut bytes: Vec<u8>) -> Bytes {
        if self.bytes == 0 {
            return bytes.into();
        }
        bytes.shrink_to_fit();
        self.give_back(self.bytes.saturating_sub(bytes.len().saturating_sub(UNCOUNTED_BYTES)));
        Bytes::from_owner(Body { bytes, _reservation: self })
    }

    /// It grows no more, and the next one may exceed the limit.
    fn give_back(&mut self, bytes: usize) {
        let mut held = lock(&self.memory.0.held);
        debug_assert!(bytes <= self.bytes && self.bytes <= held.bytes, "more is given back than is held");
        held.bytes -= bytes;
        self.bytes -= bytes;
        held.is_exceeding &= !std::mem::take(&mut self.may_exceed);
        drop(held);
        self.memory.0.freed.notify_waiters();
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes > 0 || self.may_exceed {
            self.give_back(self.bytes);
        }
    }
}

struct Body {
    bytes: Vec<u8>,
    _reservation: Reservation,
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 1_000;

    fn grows(reservation: &mut Reservation, bytes: usize) -> bool {
        let growing = pin!(reservation.grow_to(UNCOUNTED_BYTES + bytes));
        growing.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn small_answers_never_wait() {
        let memory = Memory::new(0);
        let mut small: Vec<_> = (0..100).map(|_| memory.reservation()).collect();
        assert!(small.iter_mut().all(|one| grows(one, 0)));
        assert_eq!(memory.held(), 0);
    }

    #[test]
    fn one_may_exceed_while_the_others_wait() {
        let memory = Memory::new(MAX);
        let [mut one, mut other, mut third] = std::array::from_fn(|_| memory.reservation());
        assert!(grows(&mut one, 600) && grows(&mut other, 400));
        assert!(grows(&mut one, 900), "two that wait for each other would wait forever");
        assert!(!grows(&mut other, 500) && other.is_waiting());
        assert!(grows(&mut one, 2_000));
        let body = one.into_body(vec![0; UNCOUNTED_BYTES + 2_000]);
        assert!(!grows(&mut third, 1), "the limit is exceeded until the body is dropped");
        assert!(grows(&mut memory.reservation(), 0), "a small answer has nothing to wait for");
        let copy = body.clone();
        drop(body);
        assert!(!grows(&mut third, 1));
        drop(copy);
        assert!(grows(&mut third, 1) && grows(&mut other, 500) && !other.is_waiting());
        assert_eq!(memory.held(), 501);
    }

    #[test]
    fn a_body_holds_no_more_than_it_is_long() {
        let memory = Memory::new(MAX);
        let mut one = memory.reservation();
        assert!(grows(&mut one, 900));
        let body = one.into_body(vec![0; UNCOUNTED_BYTES + 100]);
        assert_eq!(memory.held(), 100);
        drop(body);
        assert_eq!(memory.held(), 0);
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let memory = Memory::new(MAX);
        let (mut one, mut other) = (memory.reservation(), memory.reservation());
        one.grow_to(UNCOUNTED_BYTES + MAX + 1).await;
        let waiting = tokio::spawn(async move {
            other.grow_to(UNCOUNTED_BYTES + MAX).await;
            other
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(one);
        assert_eq!(waiting.await.unwrap().bytes, MAX);
        assert_eq!(memory.held(), 0);
    }

    proptest! {
        #[test]
        fn the_limit_holds_but_for_one_answer(steps in proptest::collection::vec((0..8_usize, 0..4_usize), 1..200)) {
            let memory = Memory::new(MAX);
            let mut readers: Vec<(Reservation, usize)> = (0..8).map(|_| (memory.reservation(), 0)).collect();
            let mut bodies: Vec<Bytes> = Vec::new();
            for (index, step) in steps {
                let (reader, size) = &mut readers[index];
                match step {
                    0 => readers[index] = (memory.reservation(), 0),
                    1 => {
                        let (reader, size) = std::mem::replace(&mut readers[index], (memory.reservation(), 0));
                        bodies.push(reader.into_body(vec![0; UNCOUNTED_BYTES + size]));
                    }
                    2 => drop(bodies.pop()),
                    _ if grows(reader, *size + 250) => *size += 250,
                    _ => {}
                }
                let excess = readers.iter().map(|(_, size)| *size).chain(bodies.iter().map(|body| body.len() - UNCOUNTED_BYTES)).max();
                prop_assert!(memory.held() <= MAX + excess.unwrap_or(0));
                let exceeding = readers.iter().filter(|(reader, _)| reader.may_exceed).count();
                prop_assert!(exceeding <= 1);
                // Some reader can always go on while what is read fits.
                let read: usize = bodies.iter().map(|body| body.len() - UNCOUNTED_BYTES).sum();
                if read <= MAX && exceeding == 0 && memory.held() <= MAX {
                    let mut next = memory.reservation();
                    prop_assert!(grows(&mut next, MAX));
                }
            }
            drop((readers, bodies));
            prop_assert_eq!(memory.held(), 0);
        }
    }
}
