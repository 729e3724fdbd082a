//! What is wrong with a configuration.

use std::fmt;

use serde_json::Value;

/// A setting that is refused. The text names the field, its value, and what is allowed; secrets are not repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The path of the field, as in `quota[1].perMs`; empty when the whole document is at fault.
    pub field: String,
    /// The whole sentence, the field's name included.
    pub message: String,
}

impl ConfigError {
    /// `field` holds `value`, but must be `allowed`.
    pub(crate) fn new(field: impl Into<String>, allowed: &str, got: impl fmt::Display) -> Self {
        let field = field.into();
        let name = if field.is_empty() { "the simulator's options" } else { &field };
        let message = format!("{name} must be {allowed}, got {got}");
        Self { field, message }
    }

    /// Turns serde's error into a sentence, with the offending value looked up in the document.
    pub(super) fn from_serde(error: &serde_path_to_error::Error<serde_json::Error>, document: &Value) -> Self {
        let path = match error.path().to_string() {
            root if root == "." => String::new(),
            path => path,
        };
        let reason = error.inner().to_string();
        if let Some(rest) = reason.strip_prefix("unknown field `") {
            let (name, known) = rest.split_once('`').unwrap_or((rest, ""));
            let field = within(&path, name);
            let known = known.replace(", expected one of ", "").replace(", expected ", "").replace('`', "");
            return Self { message: format!("{field} is not an option; known are {known}"), field };
        }
        if let Some(name) = reason.strip_prefix("missing field `") {
            let field = within(&path, name.trim_end_matches('`'));
            return Self { message: format!("{field} is required, got nothing"), field };
        }
        match reason.split_once(", expected ") {
            Some((_, "a sequence")) => Self::new(&*path, "a list", shown(&path, document)),
            Some((_, "a map")) => Self::new(&*path, "an object", shown(&path, document)),
            Some((_, allowed)) => Self::new(&*path, &allowed.replace('`', "'"), shown(&path, document)),
            None => Self { message: format!("{path}: {reason}"), field: path },
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}

/// The path of `name` inside `path`, whether serde's path has it already or not.
fn within(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else if path == name || path.ends_with(&format!(".{name}")) {
        path.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// The value at `path`, as short JSON; only its type where it may be a secret.
fn shown(path: &str, document: &Value) -> String {
    let pointer: String = path.replace('[', ".").replace(']', "").split('.').map(|part| format!("/{part}")).collect();
    let Some(value) = (if path.is_empty() { Some(document) } else { document.pointer(&pointer) }) else {
        return "nothing".to_owned();
    };
    if path.starts_with("credentials") || path.starts_with("tls") {
        return match value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        }
        .to_owned();
    }
    // What JSON can't carry (NaN, a function) comes from JavaScript as {"$js": name}.
    if let Some(name) = value.get("$js").and_then(Value::as_str) {
        return name.to_owned();
    }
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
