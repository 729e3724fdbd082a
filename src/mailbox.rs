//! Completions on their way to JavaScript: many lie here together, and one wake fetches them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use spillway_core::clock::Clock;
use spillway_core::engine::sink::{Completion, Happening, Sink};

use crate::completions::{Rows, rows};
use crate::waker::Bell;

/// How many are written at a time. JavaScript waits for the lock while an array is appended, never while one is
/// written.
const COMPLETIONS_AT_ONCE: usize = 256;
/// An array that is as long gets no more rows: JavaScript takes one in a turn of its event loop, however many wait.
const ARRAY_BYTES: usize = 16_384;

/// Beyond so much that waits, a thread that takes nothing hears no more of the messages of others, of which there is no
/// end. What it waits for itself it hears of.
const EVENT_BYTES_MAX: usize = 64 * 1_048_576;

/// Rows that wait, each after a comma, as much together as is taken together.
#[derive(Default)]
struct Arrays {
    queue: VecDeque<Array>,
    bytes: usize,
    /// Of the rows that wait, and of those that were taken a moment ago.
    bodies: HashMap<u64, Bytes>,
    /// Nobody takes anything any more.
    is_closed: bool,
}

struct Array {
    text: Vec<u8>,
    /// With its bodies.
    bytes: usize,
}

pub(crate) struct Mailbox {
    arrays: Mutex<Arrays>,
    bell: Arc<Bell>,
    /// With which it rings.
    number: u32,
}

impl Mailbox {
    pub(crate) fn new(bell: Arc<Bell>, number: u32) -> Self {
        Self { arrays: Mutex::default(), bell, number }
    }

    /// The next array, as JSON. When there are more, its last row says so.
    pub(crate) fn take(&self) -> Vec<u8> {
        take(&mut self.arrays.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The body that crosses apart from the row of this ticket.
    pub(crate) fn take_body(&self, ticket: u64) -> Option<Bytes> {
        self.arrays.lock().unwrap_or_else(PoisonError::into_inner).bodies.remove(&ticket)
    }

    /// Drops what waits, and what comes.
    pub(crate) fn close(&self) {
        let closed = Arrays { is_closed: true, ..Arrays::default() };
        *self.arrays.lock().unwrap_or_else(PoisonError::into_inner) = closed;
    }

    /// Whether nothing else waits.
    fn put(&self, rows: Rows) -> bool {
        put(&mut self.arrays.lock().unwrap_or_else(PoisonError::into_inner), rows)
    }

    fn is_full(&self) -> bool {
        self.arrays.lock().unwrap_or_else(PoisonError::into_inner).bytes > EVENT_BYTES_MAX
    }
}

impl Sink for Mailbox {
    fn complete(&self, mut completions: Vec<Completion>, clock: &Clock) {
        if self.is_full() {
            completions.retain(|completion| !is_of_any_message(completion));
        }
        for mut some in completions.chunks(COMPLETIONS_AT_ONCE) {
            while !some.is_empty() {
                let (rows, left) = rows(some, clock);
                some = left;
                if self.put(rows) {
                    self.bell.ring(self.number);
                }
            }
        }
    }
}

/// An event that comes with each message or request, whoever it is of.
fn is_of_any_message(completion: &Completion) -> bool {
    matches!(completion, Completion::Event(Happening::Delivered(_) | Happening::DeadLetter(..) | Happening::Request(_)))
}

fn put(arrays: &mut Arrays, rows: Rows) -> bool {
    if arrays.is_closed {
        return false;
    }
    let was_empty = arrays.queue.is_empty();
    let bytes = rows.bytes();
    arrays.bytes += bytes;
    arrays.bodies.extend(rows.bodies);
    match arrays.queue.back_mut() {
        Some(last) if last.bytes < ARRAY_BYTES => {
            last.text.extend_from_slice(&rows.text);
            last.bytes += bytes;
        }
        _ => arrays.queue.push_back(Array { text: rows.text, bytes }),
    }
    was_empty
}

fn take(arrays: &mut Arrays) -> Vec<u8> {
    let Some(Array { text: mut array, bytes }) = arrays.queue.pop_front() else { return b"[]".to_vec() };
    arrays.bytes -= bytes;
    array[0] = b'[';
    array.extend_from_slice(if arrays.queue.is_empty() { b"]" } else { b",[0,\"more\"]]" });
    array
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rows_of(text: &str) -> Rows {
        Rows { text: text.into(), bodies: Vec::new() }
    }

    fn taken(arrays: &mut Arrays) -> Vec<Value> {
        serde_json::from_slice(&take(arrays)).unwrap()
    }

    #[test]
    fn what_is_put_while_something_waits_is_taken_with_it() {
        let mut arrays = Arrays::default();
        assert!(put(&mut arrays, rows_of(",[1],[2]")));
        assert!(!put(&mut arrays, rows_of(",[3]")));
        assert_eq!(taken(&mut arrays), [json!([1]), json!([2]), json!([3])]);
        assert!(taken(&mut arrays).is_empty());
        assert!(put(&mut arrays, rows_of(",[4]")));
    }

    #[test]
    fn a_long_body_ends_its_array() {
        let mut arrays = Arrays::default();
        let body = Bytes::from(vec![0; ARRAY_BYTES]);
        for ticket in 1..=2 {
            put(&mut arrays, Rows { text: format!(",[{ticket}]").into(), bodies: vec![(ticket, body.clone())] });
        }
        assert!(arrays.bytes > 2 * ARRAY_BYTES);
        assert_eq!(taken(&mut arrays), [json!([1]), json!([0, "more"])]);
        assert_eq!(taken(&mut arrays), [json!([2])]);
        assert_eq!((arrays.bytes, arrays.bodies.len()), (0, 2));
    }

    #[test]
    fn a_closed_mailbox_holds_nothing() {
        let mut arrays = Arrays { is_closed: true, ..Arrays::default() };
        assert!(!put(&mut arrays, Rows { text: b",[1]".to_vec(), bodies: vec![(1, Bytes::from_static(b"x"))] }));
        assert!(arrays.bodies.is_empty() && taken(&mut arrays).is_empty());
    }

    #[test]
    fn what_is_more_than_an_array_is_taken_in_the_next() {
        let mut arrays = Arrays::default();
        for number in 0..10_000 {
            put(&mut arrays, rows_of(&format!(",[{number}]")));
        }
        let (mut all, mut count) = (Vec::new(), 0);
        while !arrays.queue.is_empty() {
            let mut array = taken(&mut arrays);
            let more = array.pop_if(|row| row[0] == 0 && row[1] == "more");
            assert_eq!(more.is_some(), !arrays.queue.is_empty());
            all.append(&mut array);
            count += 1;
        }
        assert!(all.iter().enumerate().all(|(number, row)| row[0] == number));
        assert_eq!((all.len(), count), (10_000, 78_890_usize.div_ceil(ARRAY_BYTES)));
        assert_eq!(arrays.bytes, 0);
    }
}
