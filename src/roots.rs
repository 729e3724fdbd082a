//! Whom TLS trusts, settled off the event loop: reading and parsing some hundred roots takes many milliseconds.

use napi::bindgen_prelude::AsyncTask;
use napi::{Env, Result, Task};
use napi_derive::napi;
use spillway_core::http::tls;

use crate::errors::thrown;

/// Settles what this process trusts, with Node.js's roots (PEM) among it; the promise gives a warning for each root or
/// file that can't be read.
#[napi(catch_unwind, ts_return_type = "Promise<Array<string>>")]
pub fn settle_roots(bundled: String) -> AsyncTask<Settle> {
    AsyncTask::new(Settle(bundled))
}

/// Reads and parses roots.
pub struct Settle(String);

impl Task for Settle {
    type Output = Vec<String>;
    type JsValue = Vec<String>;

    fn compute(&mut self) -> Result<Vec<String>> {
        tls::settle(&self.0).map_err(|error| thrown(&error))
    }

    fn resolve(&mut self, _: Env, warnings: Vec<String>) -> Result<Vec<String>> {
        Ok(warnings)
    }
}
