//! An engine's place at the worker of its Redis.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc::UnboundedSender;

use super::link::MemberId;
use super::members::{Delivery, Member, Order, order_from};
use super::worker::Worker;
use crate::lease::Renewal;
use crate::settings::RedisUrl;

static LAST: AtomicU64 = AtomicU64::new(0);

/// An engine's place at the worker; dropped, it leaves.
#[derive(Debug)]
pub struct Membership {
    id: MemberId,
    orders: UnboundedSender<Order>,
}

/// Joins the process's worker for this Redis; starts it if there is none. What it brings goes to `deliveries`. To be
/// called on the runtime of the engines.
pub fn join(url: &RedisUrl, organization: &str, deliveries: UnboundedSender<Delivery>) -> Membership {
    let id = MemberId(LAST.fetch_add(1, Ordering::Relaxed));
    let order = Order::Join(id, Member::new(organization, deliveries));
    let orders = order_from(url, order, |inbox| drop(tokio::spawn(Worker::new(url.clone(), inbox).run())));
    Membership { id, orders }
}

impl Membership {
    /// Sends a renewal. Its answer, or the failure to get one, is delivered.
    pub fn renew(&self, renewal: Box<Renewal>) {
        let _ = self.orders.send(Order::Renew(self.id, renewal));
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Leave(self.id));
    }
}
