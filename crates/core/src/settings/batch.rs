//! `batch`: whether and how messages travel together.

use std::time::Duration;

use super::reader::Reader;
use super::route::Route;
use crate::error::Error;

/// How messages travel together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchMode {
    /// One request a message.
    None,
    /// A JSON array of messages.
    Array,
    /// Waiting texts of one conversation, joined.
    Merge,
}

/// How a server counts the characters of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextUnits {
    /// UTF-16 code units, as Java and JavaScript count.
    Utf16,
    /// Unicode code points.
    CodePoints,
    /// Bytes of UTF-8.
    Bytes,
}

impl TextUnits {
    /// The length of a text.
    pub fn count(self, text: &str) -> usize {
        match self {
            Self::Utf16 => text.encode_utf16().count(),
            Self::CodePoints => text.chars().count(),
            Self::Bytes => text.len(),
        }
    }
}

/// What a request costs of the quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// One, however many messages it carries.
    Request,
    /// One for each message.
    Message,
    /// Whichever of the two the server's count of what is used shows.
    Learn,
}

/// Limits of batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSettings {
    /// Whether and how.
    pub mode: BatchMode,
    /// Messages in a batch.
    pub max_messages: usize,
    /// Bytes of the serialized body, brackets and commas included.
    pub max_bytes: usize,
    /// How long an array waits for more messages.
    pub linger: Duration,
    /// The server keeps the order inside an array, so that it may hold several messages of a conversation.
    pub array_ordered: bool,
    /// How the server counts a merged text.
    pub text_units: TextUnits,
    /// What a batch costs.
    pub cost: Cost,
}

impl BatchSettings {
    /// The defaults of a mode. Merging is bounded by the text's length, so its count is only a backstop.
    pub const fn of(mode: BatchMode) -> Self {
        Self {
            mode,
            max_messages: match mode {
                BatchMode::None => 1,
                BatchMode::Array => 10,
                BatchMode::Merge => 1_000,
            },
            max_bytes: 256_000,
            linger: Duration::from_millis(500),
            array_ordered: false,
            text_units: TextUnits::Utf16,
            cost: Cost::Request,
        }
    }
}

pub(super) fn read(root: &Reader<'_>, route: &Route) -> Result<BatchSettings, Error> {
    let object = root.section("batch")?;
    let modes = [("none", BatchMode::None), ("array", BatchMode::Array), ("merge", BatchMode::Merge)];
    let mode = object.choice("mode", &modes)?;
    let default = BatchSettings::of(mode);
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let max_messages = size(object.integer("maxMessages", 1..=10_000, default.max_messages as u64)?);
    let settings = BatchSettings {
        max_messages: if mode == BatchMode::None { 1 } else { max_messages },
        max_bytes: size(object.integer("maxBytes", 1_024..=16_777_216, default.max_bytes as u64)?),
        linger: Duration::from_millis(object.integer("lingerMs", 0..=60_000, 500)?),
        array_ordered: object.boolean("arrayOrdered", false)?,
        text_units: object.choice(
            "textUnits",
            &[("utf16", TextUnits::Utf16), ("codepoints", TextUnits::CodePoints), ("bytes", TextUnits::Bytes)],
        )?,
        cost: object
            .choice("cost", &[("request", Cost::Request), ("message", Cost::Message), ("learn", Cost::Learn)])?,
        mode,
    };
    match mode {
        BatchMode::Array if !route.is_array() => {
            Err(object.refuse("mode", "\"none\" or \"merge\" on this route, which takes no array (route.array)"))
        }
        BatchMode::Merge if route.is_array() || route.text_field().is_none() => Err(object.refuse(
            "mode",
            "\"none\" or \"array\" on this route: merging needs a text field (route.textField), and no array",
        )),
        _ => object.finish().map(|_| settings),
    }
}
