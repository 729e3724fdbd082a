//! Reads a request's body with bounded memory.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

/// Of a body that is too long, this many bytes are read and thrown away, so that its client comes to reading the
/// answer.
const DISCARDED_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A body, or the start of one that is too long.
pub(super) struct Read {
    pub(super) bytes: Bytes,
    /// Whether the connection can go on: the body has been read to its end.
    pub(super) complete: bool,
}

/// Reads a body, keeping `kept_bytes_max` of it and at most one chunk more.
pub(super) async fn read(mut incoming: Incoming, kept_bytes_max: usize) -> hyper::Result<Read> {
    let mut bytes = Bytes::new();
    let mut rest = BytesMut::new();
    let mut read_bytes = 0_u64;
    while !incoming.is_end_stream() {
        let Some(frame) = incoming.frame().await else { break };
        let Ok(chunk) = frame?.into_data() else { continue };
        read_bytes += chunk.len() as u64;
        if read_bytes > kept_bytes_max as u64 + DISCARDED_BYTES_MAX {
            return Ok(Read { bytes: join(&bytes, rest), complete: false });
        }
        // Nearly every body is a single chunk, and needn't be copied.
        if bytes.is_empty() {
            bytes = chunk;
        } else if bytes.len() + rest.len() <= kept_bytes_max {
            rest.extend_from_slice(&chunk);
        }
    }
    Ok(Read { bytes: if rest.is_empty() { bytes } else { join(&bytes, rest) }, complete: true })
}

fn join(start: &Bytes, rest: BytesMut) -> Bytes {
    let mut whole = BytesMut::with_capacity(start.len() + rest.len());
    whole.extend_from_slice(start);
    whole.extend_from_slice(&rest);
    whole.freeze()
}
