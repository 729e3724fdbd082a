//! A connection's stream, which bounds what is read ahead of an answer's final head.
//!
//! hyper bounds one head. It reads any number of interim answers (1xx) before it, in one turn of the engine thread.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};

/// The largest head of an answer.
pub(super) const HEAD_BYTES_MAX: usize = 256 * 1024;
/// The most header lines of an answer: as many as Node.js keeps.
pub(super) const HEADERS_MAX: usize = 2_000;
/// A final head and all interim ones before it.
const HEADS_BYTES_MAX: usize = 2 * HEAD_BYTES_MAX;
/// What is read at once before the head is known. hyper's buffer begins with the same size.
const READ_BYTES: usize = 8 * 1024;
/// Of a stream that waits for no head.
const UNBOUNDED: usize = usize::MAX;

/// What may still be read before the head of the answer that is awaited.
#[derive(Clone, Debug)]
pub(super) struct HeadAllowance(Arc<AtomicUsize>);

impl HeadAllowance {
    fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(UNBOUNDED)))
    }

    /// A request is about to be sent.
    pub(super) fn begin(&self) {
        self.0.store(HEADS_BYTES_MAX, Ordering::Relaxed);
    }

    /// The final head has arrived. What follows is the body, whose bound is the reader's.
    pub(super) fn end(&self) {
        self.0.store(UNBOUNDED, Ordering::Relaxed);
    }

    fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn spend(&self, bytes: usize) {
        // The stream and the request that uses it share the engine thread: nobody writes in between.
        self.0.store(self.left().saturating_sub(bytes), Ordering::Relaxed);
    }
}

/// The stream.
pub(super) struct Stream<S> {
    io: S,
    allowance: HeadAllowance,
}

impl<S> Stream<S> {
    pub(super) fn new(io: S) -> (Self, HeadAllowance) {
        let allowance = HeadAllowance::new();
        (Self { io, allowance: allowance.clone() }, allowance)
    }
}

impl<S: Read + Unpin> Read for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut room: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.allowance.left();
        if left == UNBOUNDED {
            return Pin::new(&mut self.io).poll_read(context, room);
        }
        if left == 0 {
            return Poll::Ready(Err(io::Error::other("too much was sent ahead of the answer")));
        }
        // Read aside and copied: nothing else tells how much arrived.
        let mut bytes = [MaybeUninit::uninit(); READ_BYTES];
        let mut part = ReadBuf::uninit(&mut bytes[..READ_BYTES.min(room.remaining()).min(left)]);
        ready!(Pin::new(&mut self.io).poll_read(context, part.unfilled()))?;
        self.allowance.spend(part.filled().len());
        room.put_slice(part.filled());
        Poll::Ready(Ok(()))
    }
}

impl<S: Write + Unpin> Write for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, parts)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::future::poll_fn;

    use super::*;

    /// Always has more to read.
    struct Endless;

    impl Read for Endless {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, mut room: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
            room.put_slice(&vec![b'x'; room.remaining()]);
            Poll::Ready(Ok(()))
        }
    }

    async fn read(stream: &mut Stream<Endless>) -> io::Result<usize> {
        let mut bytes = vec![0; 100_000];
        let mut room = ReadBuf::new(&mut bytes);
        poll_fn(|context| Pin::new(&mut *stream).poll_read(context, room.unfilled())).await?;
        Ok(room.filled().len())
    }

    #[tokio::test]
    async fn what_comes_ahead_of_a_head_ends_at_its_limit() {
        let (mut stream, allowance) = Stream::new(Endless);
        assert_eq!(read(&mut stream).await.unwrap(), 100_000, "nothing is awaited");
        for _ in 0..2 {
            allowance.begin();
            let mut total = 0;
            let error = loop {
                match read(&mut stream).await {
                    Ok(bytes) => total += bytes,
                    Err(error) => break error,
                }
            };
            assert_eq!((total, error.kind()), (HEADS_BYTES_MAX, io::ErrorKind::Other));
        }
        allowance.end();
        assert_eq!(read(&mut stream).await.unwrap(), 100_000, "a body has its own limit");
    }
}
