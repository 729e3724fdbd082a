//! Reads a body up to its limits, and lets others have their turns meanwhile.

use std::pin::pin;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;

use super::memory::Reservation;

/// Of a body whose length is told, room for so much is made at once: what isn't written to takes no memory, and a
/// vector that grows is copied, in one turn. A server that promises more has to send it.
const ROOM_BYTES_MAX: usize = 16 * 1024 * 1024;
/// After so much of a long body the others have their turns.
const TURN_BYTES: usize = 256 * 1024;

/// How a body was read.
pub(super) enum End {
    Whole,
    TooLarge,
    Cut,
}

/// What has come is in `bytes`, also when the rest comes too late. Copied, since a chunk holds its connection's whole
/// buffer.
pub(super) async fn read<B: Body<Data = Bytes>>(
    body: B,
    bytes_max: usize,
    bytes: &mut Vec<u8>,
    reservation: &mut Reservation,
) -> End {
    let told = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
    let length_max = told.unwrap_or(usize::MAX).min(bytes_max);
    let room = told.map_or(0, |_| length_max.min(ROOM_BYTES_MAX));
    let mut body = pin!(body);
    let (mut reserved, mut turn) = (0, 0);
    loop {
        let chunk = match body.frame().await {
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(_)) => return End::Cut,
            None => return End::Whole,
        };
        let fits = chunk.len().min(bytes_max - bytes.len());
        let length = bytes.len() + fits;
        if length > reserved {
            reserved = (2 * reserved).min(length_max).max(length);
            reservation.grow_to(reserved).await;
            if reserved > bytes.capacity() {
                bytes.reserve_exact(reserved.max(room) - bytes.len());
            }
        }
        bytes.extend_from_slice(&chunk[..fits]);
        if fits < chunk.len() {
            return End::TooLarge;
        }
        turn += fits;
        if turn >= TURN_BYTES {
            turn = 0;
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]
    use std::cell::Cell;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::{Frame, SizeHint};

    use super::*;
    use crate::http::memory::Memory;

    const CHUNK: &[u8] = &[b'x'; 100_000];

    /// Always has its next chunk ready.
    struct Ready {
        left: usize,
        is_length_told: bool,
    }

    impl Body for Ready {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let chunk = Bytes::from_static(&CHUNK[..self.left.min(CHUNK.len())]);
            self.left -= chunk.len();
            Poll::Ready(if chunk.is_empty() { None } else { Some(Ok(Frame::data(chunk))) })
        }

        fn size_hint(&self) -> SizeHint {
            if self.is_length_told { SizeHint::with_exact(self.left as u64) } else { SizeHint::default() }
        }
    }

    async fn read_ready(length: usize, is_length_told: bool, bytes_max: usize) -> (Vec<u8>, End) {
        let memory = Memory::new(usize::MAX);
        let (mut bytes, mut reservation) = (Vec::new(), memory.reservation());
        let end = read(Ready { left: length, is_length_told }, bytes_max, &mut bytes, &mut reservation).await;
        (bytes, end)
    }

    #[tokio::test]
    async fn others_have_their_turns_while_a_long_body_is_there_already() {
        let (turns, is_read) = (Cell::new(0), Cell::new(false));
        let others = async {
            while !is_read.get() {
                turns.set(turns.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        let reading = async {
            read_ready(8_000_000, true, usize::MAX).await;
            is_read.set(true);
        };
        tokio::join!(reading, others);
        assert!(turns.get() >= 8_000_000 / (TURN_BYTES + CHUNK.len()), "{} turns", turns.get());
    }

    #[tokio::test]
    async fn a_body_of_a_known_length_never_moves() {
        let (bytes, _) = read_ready(8_000_000, true, usize::MAX).await;
        assert_eq!((bytes.len(), bytes.capacity()), (8_000_000, 8_000_000));
        let (bytes, _) = read_ready(300_000, false, usize::MAX).await;
        assert_eq!(bytes.len(), 300_000, "without a length it grows");
    }

    #[tokio::test]
    async fn a_promised_length_makes_no_more_room_than_is_allowed() {
        let (bytes, end) = read_ready(8_000_000, true, 250_000).await;
        assert!(matches!(end, End::TooLarge));
        assert_eq!((bytes.len(), bytes.capacity()), (250_000, 250_000));

        let memory = Memory::new(usize::MAX);
        let (mut bytes, mut reservation) = (Vec::new(), memory.reservation());
        let mut body = Ready { left: usize::MAX, is_length_told: true };
        let reading = read(&mut body, usize::MAX, &mut bytes, &mut reservation);
        tokio::select! {
            biased;
            _ = reading => unreachable!("it has no end"),
            () = tokio::task::yield_now() => {}
        }
        assert!(bytes.capacity() <= ROOM_BYTES_MAX, "{} bytes", bytes.capacity());
    }
}
