//! Channels: how each counts a text, and how long that may be.

/// The longest merged text where no channel says otherwise: sources conflict on 2,000 and 4,000, so the lower one.
const TEXT_LENGTH_MAX: u64 = 2_000;
const OPEN_LENGTH_MAX: u64 = 4_000;
const WEB_LENGTH_MAX: u64 = 4_000;
const FACEBOOK_LENGTH_MAX: u64 = 2_000;
const INSTAGRAM_LENGTH_MAX: u64 = 1_000;
/// Septets of GSM-7: five parts of an SMS.
const SMS_SEPTETS_MAX: u64 = 765;
/// The same in any other units: what fits whatever the encoding.
const SMS_UNITS_MAX: u64 = 335;

/// Where messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Open messaging.
    Open,
    /// Web messaging.
    Web,
    /// SMS.
    Sms,
    /// Facebook.
    Facebook,
    /// Instagram.
    Instagram,
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
    /// Septets of GSM-7, or UTF-16 code units where a character has no place in that.
    Sms,
}

impl Channel {
    /// How its texts are counted.
    pub(super) fn text_units(self) -> TextUnits {
        if self == Self::Sms { TextUnits::Sms } else { TextUnits::Utf16 }
    }
}

/// The longest text of a channel, or of one that is not known, in these units.
pub(super) fn text_length_max(channel: Option<Channel>, units: TextUnits) -> u64 {
    match (channel, units) {
        (Some(Channel::Sms) | None, TextUnits::Sms) => SMS_SEPTETS_MAX,
        (Some(Channel::Sms), _) => SMS_UNITS_MAX,
        (Some(Channel::Open), _) => OPEN_LENGTH_MAX,
        (Some(Channel::Web), _) => WEB_LENGTH_MAX,
        (Some(Channel::Facebook), _) => FACEBOOK_LENGTH_MAX,
        (Some(Channel::Instagram), _) => INSTAGRAM_LENGTH_MAX,
        (None, _) => TEXT_LENGTH_MAX,
    }
}
