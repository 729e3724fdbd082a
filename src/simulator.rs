//! `NativeSimulator`: the Genesys double as an object of JavaScript's.

use std::sync::Arc;

use napi::bindgen_prelude::AsyncTask;
use napi::{Env, Error, Result, Task};
use napi_derive::napi;
use serde::Deserialize;
use serde_json::json;
use spillway_simulator::{Config, ConfigError, Server};

/// A running simulator.
#[napi]
pub struct NativeSimulator {
    server: Arc<Server>,
}

#[derive(Deserialize)]
struct LedgerOptions {
    #[serde(default)]
    ids: bool,
}

#[napi]
impl NativeSimulator {
    /// Starts a server; the promise settles when it listens.
    #[napi(catch_unwind, ts_return_type = "Promise<NativeSimulator>")]
    pub fn start(config: String) -> Result<AsyncTask<Start>> {
        let config = Config::from_json(&config).map_err(refused)?;
        Ok(AsyncTask::new(Start(Some(config))))
    }

    /// Where it listens.
    #[napi(getter, catch_unwind)]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// What it saw, as JSON; with `{"ids":true}` each id's count, too.
    #[napi(catch_unwind)]
    pub fn ledger(&self, options: String) -> Result<String> {
        let options: LedgerOptions =
            serde_json::from_str(&options).map_err(|error| Error::from_reason(error.to_string()))?;
        Ok(self.server.ledger_json(options.ids))
    }

    /// Changes some settings while it runs.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn set(&self, config: String) -> AsyncTask<Change> {
        AsyncTask::new(Change(Arc::clone(&self.server), config))
    }

    /// Stops it.
    #[napi(catch_unwind, ts_return_type = "Promise<void>")]
    pub fn close(&self) -> AsyncTask<Stop> {
        AsyncTask::new(Stop(Arc::clone(&self.server)))
    }
}

/// Binds the port off the event loop.
pub struct Start(Option<Config>);

impl Task for Start {
    type Output = Server;
    type JsValue = NativeSimulator;

    fn compute(&mut self) -> Result<Server> {
        let config = self.0.take().ok_or_else(|| Error::from_reason("started twice"))?;
        Server::start(config).map_err(|error| {
            let message = format!("the simulator can't listen: {error}");
            Error::from_reason(json!({ "code": "CONFIG_INVALID", "field": "port", "message": message }).to_string())
        })
    }

    fn resolve(&mut self, _: Env, server: Server) -> Result<NativeSimulator> {
        Ok(NativeSimulator { server: Arc::new(server) })
    }
}

/// Changes settings off the event loop.
pub struct Change(Arc<Server>, String);

impl Task for Change {
    type Output = ();
    type JsValue = ();

    fn compute(&mut self) -> Result<()> {
        self.0.set(&self.1).map_err(refused)
    }

    fn resolve(&mut self, _: Env, (): ()) -> Result<()> {
        Ok(())
    }
}

/// Stops the server's thread off the event loop.
pub struct Stop(Arc<Server>);

impl Task for Stop {
    type Output = ();
    type JsValue = ();

    fn compute(&mut self) -> Result<()> {
        self.0.close();
        Ok(())
    }

    fn resolve(&mut self, _: Env, (): ()) -> Result<()> {
        Ok(())
    }
}

fn refused(error: ConfigError) -> Error {
    let message = error.to_string();
    Error::from_reason(json!({ "code": "CONFIG_INVALID", "field": error.field, "message": message }).to_string())
}
