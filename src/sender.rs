//! `NativeSender`: a handle of the engine, and the mailbox through which completions reach JavaScript.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use napi::bindgen_prelude::{Function, Uint8Array};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, JsString, Result, Status};
use napi_derive::napi;
use spillway_core::clock::Clock;
use spillway_core::engine::sink::{Completion, Sink};
use spillway_core::handle::Handle;
use spillway_core::random::Random;
use spillway_core::settings::Settings;

use crate::completions::Rows;
use crate::errors::thrown;
use crate::{frame, ops, stats};

/// Weak: it doesn't keep the event loop alive. JavaScript does that with a timer while something is awaited.
type Wake = ThreadsafeFunction<(), (), (), Status, false, true>;

/// A larger buffer than this, left by many completions, isn't kept for the few that follow.
const TAKEN_BYTES_KEPT_MAX: usize = 1_048_576;

/// Completions on their way to JavaScript: many lie here together, and one wake fetches them all.
struct Mailbox {
    rows: Mutex<Rows>,
    wake: Wake,
}

impl Mailbox {
    fn with_rows<T>(&self, change: impl FnOnce(&mut Rows) -> T) -> T {
        change(&mut self.rows.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sink for Mailbox {
    fn complete(&self, completions: Vec<Completion>, clock: &Clock) {
        let was_empty = self.with_rows(|rows| {
            let was_empty = rows.is_empty();
            completions.iter().for_each(|completion| rows.push(completion, clock));
            was_empty
        });
        if was_empty {
            // An environment that is closing takes no calls; nobody waits there any more.
            self.wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }
}

/// A sender's native half.
#[napi]
pub struct NativeSender {
    handle: Handle,
    mailbox: Arc<Mailbox>,
    /// The buffer of the rows that were taken last; the mailbox gets it back at the next time.
    taken: Vec<u8>,
    random: Random,
}

#[napi]
impl NativeSender {
    /// Joins or starts the organisation's engine.
    #[napi(catch_unwind)]
    pub fn open(settings: String, wake: Function<'_, (), ()>) -> Result<Self> {
        let settings = Settings::from_json(&settings).map_err(|error| thrown(&error))?;
        let wake = wake.build_threadsafe_function().weak::<true>().build()?;
        let mailbox = Arc::new(Mailbox { rows: Mutex::default(), wake });
        let sink: Arc<dyn Sink> = mailbox.clone();
        let handle = Handle::open(settings, sink).map_err(|error| thrown(&error))?;
        Ok(Self { handle, mailbox, taken: Vec::new(), random: Random::from_entropy() })
    }

    /// The messages of one tick.
    #[napi(catch_unwind)]
    pub fn submit(&mut self, frame: &[u8]) -> Result<()> {
        let submissions = frame::read(frame, &self.handle, &mut self.random).map_err(|error| thrown(&error))?;
        self.handle.submit(submissions);
        Ok(())
    }

    /// Any other API call.
    #[napi(catch_unwind)]
    pub fn request(&self, ticket: f64, head: String, body: Option<Uint8Array>) -> Result<()> {
        let body = body.map(|body| Bytes::copy_from_slice(&body));
        let submission = ops::read_request(&self.handle, ticket as u64, &head, body).map_err(|error| thrown(&error))?;
        self.handle.submit(vec![submission]);
        Ok(())
    }

    /// Everything else, as `{ op, ticket, … }`.
    #[napi(catch_unwind)]
    pub fn call(&self, op: String) -> Result<()> {
        ops::call(&self.handle, &op).map_err(|error| thrown(&error))
    }

    /// All completions since the last time, as a JSON array.
    #[napi(catch_unwind, ts_return_type = "string")]
    pub fn take<'env>(&mut self, env: &'env Env) -> Result<JsString<'env>> {
        self.taken.clear();
        self.taken.shrink_to(TAKEN_BYTES_KEPT_MAX);
        self.mailbox.with_rows(|rows| rows.take(&mut self.taken));
        if self.taken.is_ascii() {
            // Latin-1 is copied, where UTF-8 would be decoded.
            return env.create_string_latin1(&self.taken);
        }
        // Rows are JSON, and JSON is UTF-8.
        env.create_string(String::from_utf8_lossy(&self.taken))
    }

    /// The engine's numbers, as JSON.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> String {
        stats::stats_text(&self.handle)
    }
}
