//! Workers: tasks that carry requests to the server, each one after the other. A task of its own for every request
//! would cost the engine thread its making and its end, which is as much as writing the request's head.

use std::sync::Arc;

use reqwest::header::{HeaderMap, HeaderValue};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;

use super::Report;
use super::panics::unwound;
use crate::dispatcher::AttemptId;
use crate::http::Client;
use crate::retry::Answer;
use crate::shipment::Shipment;

/// A request to carry, and the token to show.
struct Job {
    attempt: AttemptId,
    shipment: Shipment,
    token: Arc<HeaderValue>,
}

/// One worker; dropped, it ends when its request is answered.
pub(super) struct Worker {
    jobs: UnboundedSender<Job>,
    task: AbortHandle,
}

impl Worker {
    /// Cuts the request that it carries; it carries none after that.
    pub(super) fn cut(self) {
        self.task.abort();
    }
}

/// Those that wait for a request. There are never more than requests at a time.
pub(super) struct Workers {
    client: Arc<Client>,
    reporter: UnboundedSender<Report>,
    idle: Vec<Worker>,
}

impl Workers {
    pub(super) fn new(client: Arc<Client>, reporter: UnboundedSender<Report>) -> Self {
        Self { client, reporter, idle: Vec::new() }
    }

    /// Sends a request with the worker that came back last, or with a new one.
    pub(super) fn send(&mut self, attempt: AttemptId, shipment: Shipment, token: Arc<HeaderValue>) -> Worker {
        let worker = self.idle.pop().unwrap_or_else(|| self.hire());
        // It listens for as long as somebody can ask it to carry something.
        let _ = worker.jobs.send(Job { attempt, shipment, token });
        worker
    }

    /// Its request is answered.
    pub(super) fn take_back(&mut self, worker: Worker) {
        self.idle.push(worker);
    }

    fn hire(&self) -> Worker {
        let (jobs, waiting) = unbounded_channel();
        let task = tokio::spawn(carry(waiting, Arc::clone(&self.client), self.reporter.clone()));
        Worker { jobs, task: task.abort_handle() }
    }
}

async fn carry(mut jobs: UnboundedReceiver<Job>, client: Arc<Client>, reporter: UnboundedSender<Report>) {
    let mut spare = HeaderMap::new();
    while let Some(Job { attempt, shipment, token }) = jobs.recv().await {
        let sent = unwound(async {
            match client.request(shipment, &token, std::mem::take(&mut spare)) {
                Ok(mut ready) => client.send(&mut ready, &mut spare).await,
                Err(problem) => Answer::Unsent { problem },
            }
        });
        // It may have been sent, and whoever waits for its answer must not wait forever.
        let failed = |_| Answer::Unanswered { problem: "a defect came between the request and its answer".to_owned() };
        let answer = sent.await.unwrap_or_else(failed);
        let _ = reporter.send(Report::Answer(attempt, answer));
    }
}
