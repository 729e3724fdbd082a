//! Frames: the messages of one tick in one buffer. Little endian: their count; a head for each, with ticket,
//! `expiresInMs` and `notBefore` (epoch ms) as doubles, -1 for none, priority and flags as 32 bits, and the lengths of
//! id, conversation id, params, headers, traceparent and body; then these texts as UTF-8, one after another, message by
//! message. The lengths are in UTF-16 units, as JavaScript knows them without counting.

use std::time::Duration;

use spillway_core::clock::Clock;
use spillway_core::error::Error;
use spillway_core::handle::Handle;
use spillway_core::message::{Message, Parts, Payload, Settle, Submission};
use spillway_core::random::Random;

const FLAG_ENQUEUE: u32 = 1;
const HEAD_BYTES: usize = 56;

/// Reads the numbers of a frame; every read is checked.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let (head, tail) = self.0.split_at_checked(count).ok_or_else(broken)?;
        self.0 = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.bytes(N)?.try_into().map_err(|_| broken())
    }

    fn double(&mut self) -> Result<f64, Error> {
        self.array().map(f64::from_le_bytes)
    }

    fn word(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_le_bytes)
    }
}

/// Reads the texts of a frame.
struct Texts<'a>(&'a str);

impl<'a> Texts<'a> {
    /// The next text, of this many UTF-16 units: as many bytes where all is ASCII, which nearly everything is.
    fn next(&mut self, units: u32) -> Result<&'a str, Error> {
        let units = units as usize;
        let is_ascii = self.0.as_bytes().get(..units).is_some_and(<[u8]>::is_ascii);
        let end = if is_ascii { Some(units) } else { bytes_of(self.0, units) };
        let (text, rest) = end.and_then(|end| self.0.split_at_checked(end)).ok_or_else(broken)?;
        self.0 = rest;
        Ok(text)
    }
}

/// How many bytes of the text this many UTF-16 units are; none when they end within a character or behind the text.
fn bytes_of(text: &str, units: usize) -> Option<usize> {
    let mut left = units;
    for (at, character) in text.char_indices() {
        if left == 0 {
            return Some(at);
        }
        left = left.checked_sub(character.len_utf16())?;
    }
    (left == 0).then_some(text.len())
}

fn broken() -> Error {
    Error::message("frame", "is damaged: the package's files are mismatched; reinstall spillway")
}

/// All messages of a frame.
pub(crate) fn read(frame: &[u8], handle: &Handle, random: &mut Random) -> Result<Vec<Submission>, Error> {
    let mut frame = Cursor(frame);
    let count = frame.word()? as usize;
    let mut heads = Cursor(frame.bytes(count.saturating_mul(HEAD_BYTES))?);
    let mut texts = Texts(std::str::from_utf8(frame.0).map_err(|_| broken())?);
    let epoch_ms = Clock::epoch_ms_now();
    let (mut submissions, mut room) = (Vec::with_capacity(count), String::new());
    for _ in 0..count {
        submissions.push(read_one(&mut heads, &mut texts, &mut room, handle, random, epoch_ms)?);
    }
    if texts.0.is_empty() { Ok(submissions) } else { Err(broken()) }
}

fn read_one(
    head: &mut Cursor<'_>,
    texts: &mut Texts<'_>,
    room: &mut String,
    handle: &Handle,
    random: &mut Random,
    epoch_ms: u64,
) -> Result<Submission, Error> {
    let (ticket, expires_in_ms, not_before) = (head.double()?, head.double()?, head.double()?);
    let (priority, flags) = (head.word()?, head.word()?);
    let (id, conversation) = (texts.next(head.word()?)?, texts.next(head.word()?)?);
    let (params, headers) = (texts.next(head.word()?)?, texts.next(head.word()?)?);
    let (traceparent, body) = (texts.next(head.word()?)?, texts.next(head.word()?)?);
    let made = if id.is_empty() { Some(random.message_id(epoch_ms)) } else { None };
    let (id, id_given) = (made.as_deref().unwrap_or(id), made.is_none());
    let message = Message::new_in(room, Parts { id, id_given, conversation, params, headers, traceparent, body })?;
    Ok(Submission {
        ticket: handle.ticket(ticket as u64),
        settle: if flags & FLAG_ENQUEUE == 0 { Settle::OnOutcome } else { Settle::OnAcceptance },
        payload: Payload::Message(message),
        priority: i8::try_from(priority as i32).unwrap_or(0),
        expires_at: (expires_in_ms >= 0.0).then(|| handle.clock().now().after(span(expires_in_ms))),
        not_before: (not_before >= 0.0).then(|| handle.clock().at_epoch_ms(not_before)),
    })
}

/// A span in milliseconds, as JavaScript gives it.
pub(crate) fn span(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1_000.0).unwrap_or_default()
}

#[cfg(test)]
#[path = "../crates/core/tests/fuzz/frames.rs"]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_apart_by_their_utf_16_lengths() {
        let all = ["", "ab", "ü", "😀€", "x", "日本語 and more", "\u{10ffff}", ""];
        let joined = all.concat();
        let mut texts = Texts(&joined);
        for text in all {
            assert_eq!(texts.next(text.encode_utf16().count() as u32).unwrap(), text);
        }
        assert!(texts.0.is_empty());
    }

    #[test]
    fn lengths_that_do_not_fit_the_texts_are_broken() {
        for (text, units) in [("", 1), ("ab", 3), ("é", 2), ("😀", 1), ("a😀", 2), ("😀", u32::MAX)] {
            assert!(Texts(text).next(units).is_err(), "{units} of {text:?}");
        }
    }
}
