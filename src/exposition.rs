//! Prometheus' text exposition format, version 0.0.4, of all readings in one text. Only numbers get in: no id, no text,
//! no secret. In Rust, since a process of a thousand organizations has tens of thousands of samples, and the event loop
//! waits for them.

mod families;
mod reading;
mod rows;

use std::collections::HashSet;
use std::fmt::Write as _;

use spillway_core::handle::Handle;

use self::families::{FAMILIES, Family};
use self::reading::Reading;
use self::rows::Rows;

/// Of one organization without pauses. A guess that is wrong costs a little memory for a moment, or one more
/// allocation.
const TEXT_BYTES_LIKELY: usize = 2_560;

/// One exposition of these engines. Senders of one organization read the same engine: it is there once.
pub(crate) fn exposition<'a>(handles: impl Iterator<Item = &'a Handle>) -> String {
    let mut known = HashSet::new();
    let once = handles.filter(|handle| known.insert(handle.organization().to_owned()));
    text_of(&once.map(Reading::of).collect::<Vec<_>>())
}

fn text_of(readings: &[Reading]) -> String {
    let mut text = String::with_capacity(readings.len() * TEXT_BYTES_LIKELY);
    for Family { name, help, samples } in FAMILIES {
        let before = text.len();
        let head = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {}", samples.kind());
        debug_assert!(head.is_ok(), "a String takes anything");
        let without_samples = text.len();
        for reading in readings {
            samples.write(reading, &mut Rows { text: &mut text, name, organization: &reading.organization });
        }
        if text.len() == without_samples {
            text.truncate(before);
        }
    }
    if text.is_empty() { "\n".to_owned() } else { text }
}

#[cfg(test)]
mod tests;
