//! Damage to a valid input: what a broken server, a cut connection or an attacker does to it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Fragments that parsers have failed on.
pub const NASTY: [&str; 22] = [
    "1e400",
    "-0",
    "-1",
    "0",
    "NaN",
    "18446744073709551616",
    "99999999999999999999999999999999",
    "1767225601",
    "1767225601000",
    "\"\\ud83d\"",
    "\\udc00",
    "\\u0000",
    "\u{feff}",
    "\u{1f600}",
    "\r\n",
    "\0",
    "\"",
    ",",
    ";",
    "[",
    "{\"a\":",
    "]",
];

/// Inputs do not grow beyond this: the largest header block that is read has 256 KiB, and the largest answer 64 KiB.
const BYTES_MAX: usize = 262_144;

/// One act of damage. Places are any numbers; they count modulo the length of the input.
#[derive(Clone, Debug)]
enum Edit {
    Flip(usize, u8),
    Cut(usize),
    Remove(usize, usize),
    Repeat(usize, usize, usize),
    Insert(usize, Vec<u8>),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => (any::<usize>(), 0_u8..8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        1 => any::<usize>().prop_map(Edit::Cut),
        2 => (any::<usize>(), 1_usize..40).prop_map(|(at, length)| Edit::Remove(at, length)),
        2 => (any::<usize>(), 1_usize..40, prop_oneof![9 => 1_usize..4, 1 => 1_usize..20_000])
            .prop_map(|(at, length, times)| Edit::Repeat(at, length, times)),
        4 => (any::<usize>(), select(&NASTY[..])).prop_map(|(at, text)| Edit::Insert(at, text.into())),
        1 => (any::<usize>(), vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
    ]
}

impl Edit {
    fn apply(self, input: &mut Vec<u8>) {
        let length = input.len();
        let place = |at: usize| at % (length + 1);
        match self {
            Self::Flip(at, bit) => {
                if length > 0 {
                    input[at % length] ^= 1 << bit;
                }
            }
            Self::Cut(at) => input.truncate(place(at)),
            Self::Remove(at, count) => drop(input.drain(place(at)..length.min(place(at) + count))),
            Self::Repeat(at, count, times) => {
                let part = input[place(at)..length.min(place(at) + count)].to_vec();
                let times = times.min(BYTES_MAX.saturating_sub(length) / part.len().max(1));
                drop(input.splice(place(at)..place(at), part.repeat(times)));
            }
            Self::Insert(at, bytes) => drop(input.splice(place(at)..place(at), bytes)),
        }
    }
}

/// Inputs of a kind, half of them damaged.
pub fn damaged(valid: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edits = prop_oneof![Just(Vec::new()), vec(edit(), 1..5)];
    (valid, edits).prop_map(|(mut input, edits)| {
        edits.into_iter().for_each(|edit| edit.apply(&mut input));
        input
    })
}
