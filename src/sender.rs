//! `NativeSender`: a handle of the engine, and the mailbox through which completions reach JavaScript.

use std::sync::Arc;

use bytes::Bytes;
use napi::bindgen_prelude::{BufferSlice, ClassInstance, Uint8Array};
use napi::{Env, JsString, Result};
use napi_derive::napi;
use spillway_core::engine::sink::Sink;
use spillway_core::handle::Handle;
use spillway_core::http::tls;
use spillway_core::random::Random;
use spillway_core::settings::Settings;

use crate::errors::thrown;
use crate::mailbox::Mailbox;
use crate::waker::NativeWaker;
use crate::{exposition, frame, ops, stats};

/// A sender's native half.
#[napi]
pub struct NativeSender {
    handle: Handle,
    mailbox: Arc<Mailbox>,
    random: Random,
}

#[napi]
impl NativeSender {
    /// Joins or starts the organization's engine; what comes of it wakes JavaScript with this number. `null` if it
    /// needs TLS and this process has not settled yet whom it trusts: `settleRoots` does that.
    #[napi(catch_unwind)]
    pub fn open(settings: String, waker: &NativeWaker, number: u32) -> Result<Option<Self>> {
        let settings = Settings::from_json(&settings).map_err(|error| thrown(&error))?;
        if settings.uses_tls() && !tls::is_settled() {
            return Ok(None);
        }
        let mailbox = Arc::new(Mailbox::new(waker.bell(), number));
        let sink: Arc<dyn Sink> = mailbox.clone();
        let handle = Handle::open(settings, sink).map_err(|error| thrown(&error))?;
        Ok(Some(Self { handle, mailbox, random: Random::from_entropy() }))
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

    /// Completions since the last time, as a JSON array: all, or as many as are good for one turn of the event loop.
    #[napi(catch_unwind, ts_return_type = "string")]
    pub fn take<'env>(&self, env: &'env Env) -> Result<JsString<'env>> {
        string(env, &self.mailbox.take())
    }

    /// The body of an answer whose row says that it crosses by itself; only once.
    #[napi(catch_unwind, ts_return_type = "Buffer | null")]
    pub fn body<'env>(&self, env: &'env Env, ticket: f64) -> Result<Option<BufferSlice<'env>>> {
        // Copied, so that the process's memory for answers is free again as soon as JavaScript has this one.
        self.mailbox.take_body(ticket as u64).map(|body| BufferSlice::copy_from(env, body)).transpose()
    }

    /// Drops the completions that wait, and those that come: nobody takes them any more.
    #[napi(catch_unwind)]
    pub fn discard(&self) {
        self.mailbox.close();
    }

    /// The engine's numbers, as JSON.
    #[napi(catch_unwind)]
    pub fn stats(&self) -> String {
        stats::stats_text(&self.handle)
    }
}

/// The numbers of these senders' engines in Prometheus' text format.
#[cfg_attr(test, allow(dead_code))]
#[napi(catch_unwind, ts_return_type = "string")]
pub fn exposition<'env>(env: &'env Env, senders: Vec<ClassInstance<NativeSender>>) -> Result<JsString<'env>> {
    string(env, exposition::exposition(senders.iter().map(|sender| &sender.handle)).as_bytes())
}

/// A text in UTF-8 as JavaScript has it.
fn string<'env>(env: &'env Env, text: &[u8]) -> Result<JsString<'env>> {
    if text.is_ascii() {
        // Latin-1 is copied, where UTF-8 would be decoded.
        return env.create_string_latin1(text);
    }
    env.create_string(String::from_utf8_lossy(text))
}
