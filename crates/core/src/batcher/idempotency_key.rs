//! The idempotency key of a request: a message's id, or one for exactly these messages in this order.

/// FNV-1a, 64 bits: a repeat after a restart, or by another version, must have the same key.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;
/// No UTF-8 text has this byte: ids can't run into each other.
const END_OF_ID: u8 = 0xff;

/// The key for messages of these ids. A server that remembers keys takes a known one for a repeat: so it must not come
/// twice for different batches, not even for ones that begin alike.
pub fn key_of<'a>(mut ids: impl Iterator<Item = &'a str>) -> Box<str> {
    let Some(first) = ids.next() else { unreachable!("a request carries a message") };
    let (mut further, mut hash) = (0, OFFSET);
    for id in ids {
        further += 1;
        for byte in id.bytes().chain([END_OF_ID]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        }
    }
    if further == 0 { first.into() } else { format!("{first}~{further}~{hash:016x}").into() }
}

/// Of a key for `count` messages, the id of the first.
pub fn first_of(key: &str, count: u32) -> &str {
    let Some(further) = count.checked_sub(1).filter(|further| *further > 0) else { return key };
    let behind = format!("~{further}~{:016x}", 0).len();
    key.get(..key.len().saturating_sub(behind)).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_members_have_the_same_key_and_no_others() {
        let batches: [&[&str]; 8] =
            [&["a"], &["b"], &["a", "b"], &["b", "a"], &["a", "c"], &["a", "bc"], &["a", "b", "c"], &["a", "c", "b"]];
        let keys: Vec<_> = batches.iter().map(|ids| key_of(ids.iter().copied())).collect();
        for (index, key) in keys.iter().enumerate() {
            assert_eq!(keys.iter().position(|other| other == key), Some(index), "{key}");
            assert_eq!(*key, key_of(batches[index].iter().copied()));
        }
        assert_eq!(&*keys[0], "a");
        for (key, ids) in keys.iter().zip(batches) {
            assert_eq!(first_of(key, u32::try_from(ids.len()).unwrap()), ids[0]);
        }
        assert_eq!(&*keys[2], "a~1~08a5c907b54d1bee");
    }
}
