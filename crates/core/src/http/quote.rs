//! What an error repeats of another host's words: plain words, and nothing that may be a secret in any encoding.

/// The longest quotation.
const CHARS_MAX: usize = 256;
/// A longer run of letters is more likely an encoded value than a word.
const WORD_CHARS_MAX: usize = 20;
/// A longer run of digits may be a value: a wait in seconds, or a port, has no more.
const DIGITS_MAX: usize = 5;
/// From this count on, single letters and numbers in a row may spell a value by its characters, or by its bytes.
const SPELLED_MIN: usize = 3;
/// What is left of a text that isn't repeated.
const HIDDEN: &str = "…";

/**
The words of `text` that are plain: lower-case words, capitalized words, words joined by `_` or `-`, acronyms and short numbers. Encodings of a
value (percent, base64, hexadecimal, escapes) have other characters, or mix them otherwise; each such run is hidden. What is plain is hidden all the
same if it is a part of one of the `secrets`, or has one of them in it, or if it spells a value.
*/
pub(super) fn quote(text: &str, secrets: &[&str]) -> String {
    let words: Vec<Word<'_>> = text.split_whitespace().map(|word| Word::read(word, secrets)).collect();
    let mut quoted: Vec<&str> = Vec::new();
    for run in words.chunk_by(|word, next| word.spells.is_some() && next.spells.is_some()) {
        let is_spelled = run.iter().filter_map(|word| word.spells).sum::<usize>() >= SPELLED_MIN;
        for word in run {
            let shown = if is_spelled { HIDDEN } else { word.shown };
            if shown != HIDDEN || quoted.last() != Some(&HIDDEN) {
                quoted.push(shown);
            }
        }
    }
    quoted.join(" ").chars().take(CHARS_MAX).collect()
}

struct Word<'text> {
    shown: &'text str,
    /// How many characters or bytes of a value are seen in it. `None`: it is a word of its own.
    spells: Option<usize>,
}

impl<'text> Word<'text> {
    fn read(word: &'text str, secrets: &[&str]) -> Self {
        if !is_plain(word) || is_of_secret(word, secrets) {
            // It ends no run: in hexadecimal, some bytes are numbers and others are not.
            return Self { shown: HIDDEN, spells: Some(0) };
        }
        let is_unit = |part: &str| part.len() <= 1 || part.bytes().all(|byte| byte.is_ascii_digit());
        let spells = parts(word).all(is_unit).then(|| parts(word).filter(|part| !part.is_empty()).count());
        Self { shown: word, spells }
    }
}

fn bare(word: &str) -> &str {
    word.trim_matches(['.', ',', ';', ':', '!', '?', '(', ')', '[', ']', '"', '\''])
}

fn parts(word: &str) -> impl Iterator<Item = &str> {
    bare(word).split(['_', '-', '\''])
}

fn is_plain(word: &str) -> bool {
    parts(word).all(|part| {
        let tail = part.get(1..).unwrap_or_default();
        let is_cased = part.len() <= WORD_CHARS_MAX && part.bytes().all(|byte| byte.is_ascii_alphabetic());
        let is_lower = tail.bytes().all(|byte| byte.is_ascii_lowercase());
        let is_acronym = part.len() <= 5 && part.bytes().all(|byte| byte.is_ascii_uppercase());
        let is_number = part.len() <= DIGITS_MAX && part.bytes().all(|byte| byte.is_ascii_digit());
        (is_cased && (is_lower || is_acronym)) || is_number
    })
}

fn is_of_secret(word: &str, secrets: &[&str]) -> bool {
    let word = bare(word).to_ascii_lowercase();
    secrets.iter().filter(|secret| !secret.is_empty()).any(|secret| {
        let secret = secret.to_ascii_lowercase();
        // Short words are parts of any long text by chance, and tell nothing of it.
        word.contains(&secret) || (word.len() > 3 && secret.contains(&word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "Hunter2-S3cret/+x";
    const BASIC: &str = "aWQ6SHVudGVyMi1TM2NyZXQvK3g=";

    fn quoted(text: &str) -> String {
        quote(text, &[SECRET, BASIC])
    }

    #[test]
    fn plain_words_are_repeated() {
        for text in [
            "invalid_client client not found",
            "rate limit exceeded; wait 30 seconds",
            "Authentication failed: the client's grant-type isn't allowed (HTTP 401).",
        ] {
            assert_eq!(quoted(text), text);
        }
        assert_eq!(quoted("no client 6a9c3f5e-1111-4222-8333-444455556666 here"), "no client … here");
    }

    #[test]
    fn a_secret_is_hidden_in_every_encoding() {
        for encoded in [
            SECRET.to_owned(),
            SECRET.to_ascii_uppercase(),
            SECRET.to_ascii_lowercase(),
            SECRET.chars().rev().collect(),
            BASIC.to_owned(),
            "SHVudGVyMi1TM2NyZXQvK3g=".to_owned(),
            "SHVudGVyMi1TM2NyZXQvK3g".to_owned(),
            "Hunter2-S3cret%2F%2Bx".to_owned(),
            "%48%75%6e%74%65%72%32".to_owned(),
            "48756e746572322d5333637265742f2b78".to_owned(),
            "\\u0048unter2-S3cret".to_owned(),
            "&#72;unter2-S3cret&#47;".to_owned(),
            "client_secret=Hunter2-S3cret/+x".to_owned(),
            "{\"secret\":\"Hunter2-S3cret\\/+x\"}".to_owned(),
        ] {
            assert_eq!(quoted(&format!("bad {encoded} given")), "bad … given", "{encoded}");
        }
    }

    #[test]
    fn a_secret_that_is_a_word_is_hidden() {
        for (text, secret) in [
            ("got swordfish today", "swordfish"),
            ("got Swordfish, today", "swordfish"),
            ("got sword today", "swordfish"),
        ] {
            assert_eq!(quote(text, &[secret]), "got … today");
        }
    }

    #[test]
    fn a_value_that_is_spelled_is_hidden() {
        let spelled = |separator: &str, unit: &dyn Fn(u8) -> String| {
            "server-1".bytes().map(unit).collect::<Vec<_>>().join(separator)
        };
        for text in [
            spelled(" ", &|byte| char::from(byte).to_string()),
            spelled("-", &|byte| char::from(byte).to_string()),
            spelled(" ", &|byte| byte.to_string()),
            format!("[{}]", spelled(", ", &|byte| byte.to_string())),
            spelled(" ", &|byte| format!("{byte:o}")),
            spelled(" ", &|byte| format!("{byte:x}")),
            spelled("-", &|byte| format!("{byte:X}")),
            spelled("_", &|byte| byte.to_string()),
        ] {
            assert_eq!(quote(&format!("bad {text} given"), &["server-1"]), "bad … given", "{text}");
        }
        assert_eq!(
            quoted("a limit of 300 a minute (HTTP 429): try in 60 s"),
            "a limit of 300 a minute (HTTP 429): try in 60 s"
        );
    }

    #[test]
    fn a_quotation_is_short_and_has_no_control_characters() {
        let long = quoted(&"word ".repeat(1_000));
        assert_eq!(long.chars().count(), CHARS_MAX);
        assert_eq!(quoted("a\u{9b}31m \u{202e}b c"), "… c");
    }
}
