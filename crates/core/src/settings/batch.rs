//! `batch`: whether and how messages travel together.

use std::time::Duration;

use serde_json::Value;

use super::channel::{Channel, TextUnits, text_length_max};
use super::reader::Reader;
use super::route::{Route, TEXT_LENGTHS};
use crate::error::Error;

/// Paths in `ignore`, and bytes of one.
const PATHS_MAX: usize = 32;
const PATH_BYTES_MAX: usize = 256;

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

/// Whose value a field of a merged body has, where those of its messages may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The first message's.
    First,
    /// The last one's.
    Last,
}

/// The path of a field in a body, by the names on its way: objects only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath(Vec<String>);

impl FieldPath {
    /// Reads `channel.time`; none if a name is empty, or there are too many.
    pub fn parse(path: &str) -> Option<Self> {
        let names: Vec<_> = path.split('.').map(str::to_owned).collect();
        let is_path = path.len() <= PATH_BYTES_MAX && names.iter().all(|name| !name.is_empty());
        is_path.then_some(Self(names))
    }

    /// The names in order.
    pub fn names(&self) -> &[String] {
        &self.0
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The longest merged text, in these units.
    pub text_length_max: usize,
    /// Fields in which merged messages may differ.
    pub ignore: Vec<FieldPath>,
    /// Whose values those have.
    pub keep: Keep,
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
            text_length_max: 2_000,
            ignore: Vec::new(),
            keep: Keep::First,
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
    let channel = channel(&object, route)?;
    let text_units = text_units(&object, channel)?;
    let length_default = match route.text_length_max() {
        Some(given) => given as u64,
        None => text_length_max(channel, text_units),
    };
    let settings = BatchSettings {
        max_messages: if mode == BatchMode::None { 1 } else { max_messages },
        max_bytes: size(object.integer("maxBytes", 1_024..=16_777_216, default.max_bytes as u64)?),
        linger: Duration::from_millis(object.integer("lingerMs", 0..=60_000, 500)?),
        array_ordered: object.boolean("arrayOrdered", false)?,
        text_units,
        text_length_max: size(object.integer("maxTextLength", TEXT_LENGTHS, length_default)?),
        ignore: ignore(&object, route)?,
        keep: object.choice("keep", &[("first", Keep::First), ("last", Keep::Last)])?,
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

/// That of the option, else the preset's.
fn channel(object: &Reader<'_>, route: &Route) -> Result<Option<Channel>, Error> {
    let words = [
        ("open", Channel::Open),
        ("web", Channel::Web),
        ("sms", Channel::Sms),
        ("facebook", Channel::Facebook),
        ("instagram", Channel::Instagram),
    ];
    match object.value("channel") {
        Some(_) => object.choice("channel", &words).map(Some),
        None => Ok(route.channel()),
    }
}

/// Those of the option, else the channel's.
fn text_units(object: &Reader<'_>, channel: Option<Channel>) -> Result<TextUnits, Error> {
    let words = [
        ("utf16", TextUnits::Utf16),
        ("codepoints", TextUnits::CodePoints),
        ("bytes", TextUnits::Bytes),
        ("sms", TextUnits::Sms),
    ];
    match object.value("textUnits") {
        None if channel.is_some() => {
            let units = channel.map_or(TextUnits::Utf16, Channel::text_units);
            object.note("textUnits", words.iter().find(|(_, each)| *each == units).map_or("", |(word, _)| word));
            Ok(units)
        }
        _ => object.choice("textUnits", &words),
    }
}

/// The paths of the option, else those that differ in every message of the preset.
fn ignore(object: &Reader<'_>, route: &Route) -> Result<Vec<FieldPath>, Error> {
    let paths: Vec<&str> = match object.value("ignore") {
        None => route.varying().to_vec(),
        Some(Value::Array(paths)) if paths.len() <= PATHS_MAX => {
            let texts: Option<Vec<_>> = paths.iter().map(Value::as_str).collect();
            texts.ok_or_else(|| object.refuse("ignore", path_rule()))?
        }
        Some(_) => return Err(object.refuse("ignore", path_rule())),
    };
    let read = |path: &&str| FieldPath::parse(path).ok_or_else(|| object.refuse("ignore", path_rule()));
    let read: Vec<_> = paths.iter().map(read).collect::<Result<_, _>>()?;
    if paths.iter().any(|path| Some(*path) == route.text_field()) {
        return Err(object.refuse("ignore", "a list without the text field, whose texts are joined"));
    }
    object.note("ignore", paths.join(", "));
    Ok(read)
}

fn path_rule() -> String {
    format!("a list of at most {PATHS_MAX} paths such as \"channel.time\", of at most {PATH_BYTES_MAX} bytes each")
}
