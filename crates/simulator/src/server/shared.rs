//! What the tasks of the thread share.

use std::cell::{Cell, RefCell};

use tokio::sync::Notify;

use crate::clock::Clock;
use crate::model::{Model, Port};

/// The clock, the model, and a way to reach every connection.
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) model: RefCell<Model>,
    /// What new connections meet.
    pub(super) port: Cell<Port>,
    /// Tells the connections to end when their current request is answered.
    pub(super) outage: Notify,
}

impl Shared {
    pub(super) fn new(clock: Clock, model: Model) -> Self {
        Self { clock, model: RefCell::new(model), port: Cell::new(Port::Open), outage: Notify::new() }
    }
}
