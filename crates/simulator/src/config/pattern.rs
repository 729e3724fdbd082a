//! Patterns of paths, as routes and outages name them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// A path whose segments are texts, or `*` or `{name}` for any one segment; a last `**` stands for any rest, also for
/// none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    segments: Vec<Segment>,
    has_rest: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Text(String),
    Any,
}

impl PathPattern {
    fn parse(text: &str) -> Option<Self> {
        let path = text.strip_prefix('/').filter(|_| !text.contains(['?', '#']))?;
        let (path, has_rest) = match path.strip_suffix("**") {
            Some("") => (None, true),
            Some(before) => (Some(before.strip_suffix('/')?), true),
            None => (Some(path), false),
        };
        let segments = path.map_or_else(Vec::new, |path| path.split('/').map(Segment::read).collect());
        Some(Self { segments, has_rest })
    }

    /// Whether `path`, percent-encoded and without its query, is one of these.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let mut segments = path.strip_prefix('/').unwrap_or(path).split('/');
        let start = self.segments.iter().all(|own| segments.next().is_some_and(|segment| own.matches(segment)));
        start && (self.has_rest || segments.next().is_none())
    }
}

impl Segment {
    fn read(text: &str) -> Self {
        let is_named = text.starts_with('{') && text.ends_with('}');
        if text == "*" || is_named { Self::Any } else { Self::Text(text.to_owned()) }
    }

    fn matches(&self, segment: &str) -> bool {
        match self {
            Self::Text(text) => text == segment,
            Self::Any => !segment.is_empty(),
        }
    }
}

struct PatternVisitor;

impl Visitor<'_> for PatternVisitor {
    type Value = PathPattern;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path like '/api/v2/users/{id}', '/api/v2/users/*' or '/api/v2/**'")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<PathPattern, E> {
        PathPattern::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

impl<'de> Deserialize<'de> for PathPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PatternVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matching() {
        let cases = [
            ("/api/v2/users/me", "/api/v2/users/me", true),
            ("/api/v2/users/me", "/api/v2/users/me/", false),
            ("/api/v2/users/me", "/api/v2/users", false),
            ("/api/v2/users/me", "/api/v2/users/you", false),
            ("/api/v2/users/{id}", "/api/v2/users/7", true),
            ("/api/v2/users/*", "/api/v2/users/", false),
            ("/api/v2/users/*/queues", "/api/v2/users/7/queues", true),
            ("/api/v2/users/*", "/api/v2/users/7/queues", false),
            ("/api/v2/**", "/api/v2/users/7", true),
            ("/api/v2/**", "/api/v2", true),
            ("/api/v2/**", "/api/v20", false),
            ("/**", "/", true),
            ("/**", "/api/v2/users/7", true),
            ("/", "/", true),
            ("/", "/api", false),
        ];
        for (pattern, path, expected) in cases {
            let matches = PathPattern::parse(pattern).map(|pattern| pattern.matches(path));
            assert_eq!(matches, Some(expected), "{pattern} {path}");
        }
        for text in ["", "api", "/api?x=1", "/api#x", "/api**"] {
            assert_eq!(PathPattern::parse(text), None, "{text}");
        }
    }
}
