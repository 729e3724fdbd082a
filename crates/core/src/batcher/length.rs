//! The length of a text as a server counts it. An SMS counts by its encoding, and one character beyond GSM-7 changes
//! that of the whole text.

use crate::settings::TextUnits;

/// The GSM 7-bit default alphabet (3GPP TS 23.038, 6.2.1) beyond ASCII, and what of ASCII it has: a septet each.
const GSM_BASIC: &str = "£¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà\n\r";
/// Its extension (6.2.1.1): an escape, and a septet more.
const GSM_EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// What a part of a long SMS holds, in septets of GSM-7 and in units of UCS-2.
const SEPTETS_PER_PART: usize = 153;
const UCS2_PER_PART: usize = 67;

/// The length of a text; the length of two texts together is their sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextLength {
    /// In the units of the setting.
    Units(usize),
    /// Of an SMS.
    Sms {
        /// In GSM-7; none once a character has no place in it.
        septets: Option<usize>,
        /// In UCS-2.
        utf16: usize,
    },
}

impl TextLength {
    pub(super) fn of(text: &str, units: TextUnits) -> Self {
        match units {
            TextUnits::Utf16 => Self::Units(utf16_units(text)),
            TextUnits::CodePoints => Self::Units(text.chars().count()),
            TextUnits::Bytes => Self::Units(text.len()),
            TextUnits::Sms => Self::Sms { septets: text.chars().map(septets).sum(), utf16: utf16_units(text) },
        }
    }

    /// The length of this text and another one behind it.
    #[must_use]
    pub(super) fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Units(one), Self::Units(other)) => Self::Units(one + other),
            (Self::Sms { septets: one, utf16 }, Self::Sms { septets: other, utf16: more }) => {
                Self::Sms { septets: one.zip(other).map(|(one, other)| one + other), utf16: utf16 + more }
            }
            _ => unreachable!("lengths of one setting are of one kind"),
        }
    }

    /// Whether a text of this length is short enough. The limit on an SMS is in septets; in UCS-2 as many parts hold
    /// less: 765 septets are five parts, and so are 335 units.
    pub(super) fn fits(self, length_max: usize) -> bool {
        match self {
            Self::Units(length) | Self::Sms { septets: Some(length), .. } => length <= length_max,
            Self::Sms { septets: None, utf16 } => utf16 <= length_max.saturating_mul(UCS2_PER_PART) / SEPTETS_PER_PART,
        }
    }
}

/// Most texts are ASCII, which is found out many bytes at a time.
fn utf16_units(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}

/// Septets of a character in GSM-7; none if it has no place there.
fn septets(character: char) -> Option<usize> {
    match character {
        _ if GSM_EXTENSION.contains(character) => Some(2),
        '`' => None,
        ' '..='~' => Some(1),
        _ => GSM_BASIC.contains(character).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UNITS: [TextUnits; 4] = [TextUnits::Utf16, TextUnits::CodePoints, TextUnits::Bytes, TextUnits::Sms];

    #[test]
    fn gsm_7_has_127_characters_beside_the_escape_and_ten_of_its_extension() {
        let all = || (0..=u32::from(char::MAX)).filter_map(char::from_u32);
        assert_eq!(all().filter(|character| septets(*character) == Some(1)).count(), 127);
        assert_eq!(all().filter(|character| septets(*character) == Some(2)).count(), 10);
        for character in ['`', 'ç', 'á', '\t', '\u{1b}', '’', '“', 'Α', '😀', '\u{a0}'] {
            assert_eq!(septets(character), None, "{character:?}");
        }
    }

    #[test]
    fn an_sms_has_765_septets_or_335_units() {
        for (text, longest) in
            [("a", 765), ("€", 382), ("à", 765), ("\n", 765), ("ç", 335), ("名", 335), ("😀", 167), ("`", 335)]
        {
            let fits = |count: usize| TextLength::of(&text.repeat(count), TextUnits::Sms).fits(765);
            assert!(fits(longest) && !fits(longest + 1), "{text:?}");
        }
        // One character decides for all; 160 septets are one part, as are 70 units.
        assert!(TextLength::of(&("a".repeat(334) + "名"), TextUnits::Sms).fits(765));
        assert!(!TextLength::of(&("a".repeat(335) + "名"), TextUnits::Sms).fits(765));
        assert!(TextLength::of(&"名".repeat(70), TextUnits::Sms).fits(160));
        assert!(!TextLength::of(&"名".repeat(71), TextUnits::Sms).fits(160));
    }

    proptest! {
        #[test]
        fn units_are_those_of_utf_16(text in "\\PC{0,40}") {
            prop_assert_eq!(utf16_units(&text), text.encode_utf16().count());
        }

        #[test]
        fn the_length_of_two_texts_is_the_sum(one in "[a-z€ç😀\\n]{0,9}", other in "[a-z€ç😀\\n]{0,9}") {
            for units in UNITS {
                let sum = TextLength::of(&one, units).plus(TextLength::of(&other, units));
                prop_assert_eq!(sum, TextLength::of(&format!("{one}{other}"), units));
            }
        }
    }
}
