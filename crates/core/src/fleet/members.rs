//! Who shares a worker, and what passes between the two.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use once_cell::sync::Lazy;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::link::{MemberId, Target};
use crate::lease::{Broadcast, Failure, Grant, Renewal};
use crate::lock::lock;
use crate::settings::RedisUrl;

static WORKERS: Lazy<Mutex<HashMap<RedisUrl, UnboundedSender<Order>>>> = Lazy::new(Mutex::default);

/// What a worker brings.
#[derive(Debug)]
pub enum Delivery {
    /// The store has answered.
    Granted(Box<Grant>),
    /// It has not, and won't.
    Failed(Failure),
    /// It tells everybody this.
    Broadcast(Broadcast),
    /// There is a connection again, or for the first time. What was published before may be lost.
    Connected,
}

/// What a worker is asked for.
#[derive(Debug)]
pub(super) enum Order {
    Join(MemberId, Member),
    Renew(MemberId, Box<Renewal>),
    Leave(MemberId),
}

/// An engine of an organization, as its worker has it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) organization: Arc<str>,
    deliveries: UnboundedSender<Delivery>,
    /// Where its key is.
    pub(super) home: Target,
}

impl Member {
    pub(super) fn new(organization: &str, deliveries: UnboundedSender<Delivery>) -> Self {
        Self { organization: organization.into(), deliveries, home: Target::Start }
    }

    pub(super) fn deliver(&self, delivery: Delivery) {
        // Its engine may have ended meanwhile.
        let _ = self.deliveries.send(delivery);
    }
}

/// Gives the worker of this Redis its first or next order; one that is not there yet is started with its inbox.
pub(super) fn order_from(
    url: &RedisUrl,
    order: Order,
    start: impl FnOnce(UnboundedReceiver<Order>),
) -> UnboundedSender<Order> {
    let mut workers = lock(&WORKERS);
    let orders = workers.entry(url.clone()).or_insert_with(|| {
        let (orders, inbox) = unbounded_channel();
        start(inbox);
        orders
    });
    // A worker ends under this lock only, so it is there to hear this.
    let _ = orders.send(order);
    orders.clone()
}

/// A worker without members ends, unless somebody is on the way in. Whether it does.
pub(super) fn retire(url: &RedisUrl, inbox: &UnboundedReceiver<Order>) -> bool {
    let mut workers = lock(&WORKERS);
    inbox.is_empty() && workers.remove(url).is_some()
}
