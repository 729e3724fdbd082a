//! Statuses that a caller adds to those that are retried.

use super::reader::Reader;
use crate::error::Error;

const FIRST: u16 = 300;
const LAST: u16 = 599;
/// The token's and the limit's have rules of their own.
const EXCLUDED: [u16; 2] = [401, 429];
const WORDS: usize = (LAST - FIRST) as usize / 64 + 1;

/// A set of statuses from 300 to 599, without 401 and 429.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statuses([u64; WORDS]);

impl Statuses {
    /// Whether this one is among them.
    pub fn has(self, status: u16) -> bool {
        Self::place(status).is_some_and(|(word, bit)| self.0[word] & bit != 0)
    }

    fn insert(&mut self, status: u16) -> bool {
        let place = Self::place(status).filter(|_| !EXCLUDED.contains(&status));
        if let Some((word, bit)) = place {
            self.0[word] |= bit;
        }
        place.is_some()
    }

    fn place(status: u16) -> Option<(usize, u64)> {
        let index = usize::from(status.checked_sub(FIRST)?);
        (status <= LAST).then(|| (index / 64, 1 << (index % 64)))
    }

    /// In their order, so that two lists of the same ones are equal.
    fn words(self) -> String {
        let listed: Vec<String> =
            (FIRST..=LAST).filter(|status| self.has(*status)).map(|status| status.to_string()).collect();
        listed.join(", ")
    }
}

pub(super) fn read(object: &Reader<'_>, key: &'static str) -> Result<Statuses, Error> {
    let rule = || format!("an integer from {FIRST} to {LAST} other than {} and {}", EXCLUDED[0], EXCLUDED[1]);
    let mut statuses = Statuses::default();
    for (index, value) in object.list(key, usize::from(LAST - FIRST) + 1)?.iter().enumerate() {
        let status = value.as_u64().and_then(|number| u16::try_from(number).ok());
        if !status.is_some_and(|status| statuses.insert(status)) {
            return Err(object.refuse_element(key, index, value, rule()));
        }
    }
    object.note(key, statuses.words());
    Ok(statuses)
}
