//! The script that renews leases: the rules of [`crate::lease`] in Lua.

/// As the server is given it.
pub const SOURCE: &str = include_str!("script.lua");
