//! The store in a file, with real files: what it keeps, what it does in trouble, and what it makes of a damaged one.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what it expects by unwrapping it")]
#![allow(missing_docs, unreachable_pub, reason = "a test has no readers but its own")]

#[cfg(unix)]
mod beside;
mod clocks;
#[cfg(unix)]
mod conformance;
mod damage;
#[cfg(unix)]
#[path = "../restarts/disk.rs"]
#[allow(dead_code, reason = "each test crate uses a part of it")]
mod disk;
#[path = "../simulation/draw.rs"]
#[allow(dead_code, reason = "each test crate uses a part of it")]
mod draw;
mod faults;
mod fixture;
mod keeping;
mod model;
#[cfg(unix)]
mod owners;
mod pages;
mod powercut;
mod reading;
mod reads;
mod remanence;
mod reports;
mod seeds;
#[cfg(unix)]
mod sharing;
#[cfg(target_os = "linux")]
mod small;
#[cfg(unix)]
mod strangers;
mod versions;
mod weather;
