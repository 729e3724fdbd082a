//! Frames: the messages of one tick in one buffer. Little endian, one after another: ticket, `expiresInMs` and `notBefore`
//! (epoch ms) as doubles, -1 for none; priority and flags as 32 bits; the lengths of id, conversation id, params, traceparent
//! and body;
//! then these as UTF-8.

use std::time::Duration;

use spillway_core::clock::Clock;
use spillway_core::error::Error;
use spillway_core::handle::Handle;
use spillway_core::message::{Cargo, Message, Parts, Settle, Submission};
use spillway_core::random::Random;

const FLAG_ENQUEUE: u32 = 1;
/// With its head and its ids. A guess that is wrong costs a little memory for a moment, or one more allocation.
const MESSAGE_BYTES_LIKELY: usize = 256;

/// Reads the fields of a frame; every read is checked.
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

    fn text(&mut self, count: u32) -> Result<&'a str, Error> {
        std::str::from_utf8(self.bytes(count as usize)?).map_err(|_| broken())
    }
}

fn broken() -> Error {
    Error::message("frame", "is broken: the package's files do not belong together")
}

/// All messages of a frame.
pub(crate) fn read(frame: &[u8], handle: &Handle, random: &mut Random) -> Result<Vec<Submission>, Error> {
    let mut cursor = Cursor(frame);
    let mut submissions = Vec::with_capacity(frame.len() / MESSAGE_BYTES_LIKELY);
    let epoch_ms = Clock::epoch_ms_now();
    while !cursor.0.is_empty() {
        submissions.push(read_one(&mut cursor, handle, random, epoch_ms)?);
    }
    Ok(submissions)
}

fn read_one(cursor: &mut Cursor<'_>, handle: &Handle, random: &mut Random, epoch_ms: u64) -> Result<Submission, Error> {
    let (ticket, expires_in_ms, not_before) = (cursor.double()?, cursor.double()?, cursor.double()?);
    let (priority, flags) = (cursor.word()?, cursor.word()?);
    let lengths = [cursor.word()?, cursor.word()?, cursor.word()?, cursor.word()?, cursor.word()?];
    let (id, conversation) = (cursor.text(lengths[0])?, cursor.text(lengths[1])?);
    let (params, traceparent) = (cursor.text(lengths[2])?, cursor.text(lengths[3])?);
    let body = cursor.text(lengths[4])?;
    let made = if id.is_empty() { Some(random.message_id(epoch_ms)) } else { None };
    let (id, id_given) = (made.as_deref().unwrap_or(id), made.is_none());
    let message = Message::new(Parts { id, id_given, conversation, params, traceparent, body })?;
    Ok(Submission {
        ticket: handle.ticket(ticket as u64),
        settle: if flags & FLAG_ENQUEUE == 0 { Settle::OnOutcome } else { Settle::OnAcceptance },
        cargo: Cargo::Message(message),
        priority: i8::try_from(priority as i32).unwrap_or(0),
        expires_at: (expires_in_ms >= 0.0).then(|| handle.clock().now().after(span(expires_in_ms))),
        not_before: (not_before >= 0.0).then(|| handle.clock().at_epoch_ms(not_before)),
    })
}

/// A span in milliseconds, as JavaScript gives it.
pub(crate) fn span(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1_000.0).unwrap_or_default()
}
