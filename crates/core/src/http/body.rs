//! The body of a request, in pieces that a connection's buffer has room for.
//!
//! A connection copies what it writes behind the head, and writes both with one `send`, which costs the kernel less than a
//! `writev` of two parts. Its buffer keeps the size that it once had, so a large body must not be put into it whole.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

const PIECE_BYTES_MAX: usize = 65_536;

/// What is left of a body.
#[derive(Debug, Default)]
pub(super) struct Pieces(Bytes);

impl From<Bytes> for Pieces {
    fn from(whole: Bytes) -> Self {
        Self(whole)
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        let bytes = self.0.len().min(PIECE_BYTES_MAX);
        Poll::Ready(Some(Ok(Frame::data(self.0.split_to(bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn all_of_it_comes_in_order_and_in_small_pieces() {
        for length in [0, 1, PIECE_BYTES_MAX, PIECE_BYTES_MAX + 1, 3 * PIECE_BYTES_MAX] {
            let whole: Bytes = (0..length).map(|index| index as u8).collect();
            let mut body = Pieces::from(whole.clone());
            let mut read = Vec::new();
            while !body.is_end_stream() {
                assert_eq!(body.size_hint().exact(), Some((length - read.len()) as u64));
                let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
                assert!(!piece.is_empty() && piece.len() <= PIECE_BYTES_MAX);
                read.extend_from_slice(&piece);
            }
            assert_eq!(read, whole);
            assert!(body.frame().await.is_none());
        }
    }
}
