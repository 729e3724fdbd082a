//! The samples of a family, one to a line.

use std::fmt::Write as _;

/// Samples of one family and one organization, at the end of a text.
pub(super) struct Rows<'text> {
    pub(super) text: &'text mut String,
    pub(super) name: &'static str,
    pub(super) organization: &'text str,
}

impl Rows<'_> {
    pub(super) fn add(&mut self, labels: &[(&str, &str)], value: f64) {
        self.begin("");
        for (name, value) in labels {
            self.text.push(',');
            self.text.push_str(name);
            self.text.push_str("=\"");
            escape(self.text, value);
            self.text.push('"');
        }
        self.end(value);
    }

    pub(super) fn add_flag(&mut self, labels: &[(&str, &str)], is_set: bool) {
        self.add(labels, f64::from(u8::from(is_set)));
    }

    pub(super) fn add_count(&mut self, count: u64) {
        self.begin("_count");
        self.end(count as f64);
    }

    fn begin(&mut self, suffix: &str) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        self.text.push_str("{organization=\"");
        self.text.push_str(self.organization);
        self.text.push('"');
    }

    fn end(&mut self, value: f64) {
        let written = match value {
            f64::INFINITY => writeln!(self.text, "}} +Inf"),
            f64::NEG_INFINITY => writeln!(self.text, "}} -Inf"),
            value => writeln!(self.text, "}} {value}"),
        };
        debug_assert!(written.is_ok(), "a String takes anything");
    }
}

fn escape(text: &mut String, value: &str) {
    for char in value.chars() {
        match char {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

/// The value of a label, as it stands between quotes.
pub(super) fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    escape(&mut text, value);
    text
}
