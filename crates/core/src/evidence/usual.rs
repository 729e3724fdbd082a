//! The lengths that windows usually have, for servers that name only the end of one.

use std::time::Duration;

/// Windows longer than this are cut to it.
pub const WINDOW_MAX: Duration = Duration::from_secs(86_400);
/// Lengths of windows in use; a reset time lies below the one that it belongs to.
pub const USUAL_WINDOWS: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(60), Duration::from_secs(3_600), WINDOW_MAX];
/// Resets of 61 seconds have been seen of windows of a minute; and a Unix time is cut to seconds once more.
pub const RESET_SLACK: Duration = Duration::from_secs(1);

/// The shortest of these lengths that a reset can belong to.
pub fn usual_window(reset: Duration) -> Duration {
    USUAL_WINDOWS.into_iter().find(|per| reset <= *per + RESET_SLACK).unwrap_or(WINDOW_MAX)
}
