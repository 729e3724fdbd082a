//! The engine's side of the fleet's store: renewals out, grants and broadcasts in.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::Engine;
use crate::dispatcher::{Event, Farewell};
use crate::fleet::{self, Delivery, Membership};
use crate::lease::{Broadcast, Host, Renewal};
use crate::settings::Settings;

/// For so long the end of an engine waits for the fleet's store.
const FAREWELL_MAX: Duration = Duration::from_millis(500);

/// A place at the worker of the process.
pub(super) struct Leases {
    membership: Membership,
    deliveries: UnboundedReceiver<Delivery>,
    /// What the dispatcher calls itself; known from its first renewal on.
    host: Option<Host>,
}

impl Leases {
    /// `None` where the budget is not shared.
    pub(super) fn join(settings: &Settings) -> Option<Self> {
        let shared = settings.shared.as_ref()?;
        let (sender, deliveries) = unbounded_channel();
        let membership = fleet::join(&shared.url, &settings.organization, sender);
        Some(Self { membership, deliveries, host: None })
    }

    pub(super) fn renew(&mut self, renewal: Box<Renewal>) {
        self.host = Some(renewal.host);
        self.membership.renew(renewal);
    }

    pub(super) fn try_next(&mut self) -> Option<Delivery> {
        self.deliveries.try_recv().ok()
    }
}

/// What the store says next; never, where there is none.
pub(super) async fn next_delivery(leases: &mut Option<Leases>) -> Option<Delivery> {
    match leases {
        Some(leases) => leases.deliveries.recv().await,
        None => std::future::pending().await,
    }
}

impl Engine {
    pub(super) fn delivered(&mut self, delivery: Delivery) {
        self.turn.answer();
        self.handle(match delivery {
            Delivery::Granted(grant) => Event::Granted(grant),
            Delivery::Failed(failure) => Event::RenewalFailed(failure),
            Delivery::Broadcast(broadcasts) => Event::FleetBroadcast(broadcasts),
            Delivery::Connected => return self.connected(),
        });
    }

    /// Nothing leaves any more: the others of the fleet may have what this host held. Waits for the store's answer,
    /// since whoever hears of the engine's end may end the process.
    pub(super) async fn give_leases_back(&mut self) {
        let _ = tokio::time::timeout(FAREWELL_MAX, async {
            loop {
                let farewell = self.dispatcher.farewell(self.clock.now());
                let Some(leases) = &mut self.leases else { return };
                match farewell {
                    Farewell::Renewal(renewal) => leases.renew(renewal),
                    Farewell::Awaited => {}
                    Farewell::Said => return,
                }
                let Some(delivery) = leases.deliveries.recv().await else { return };
                self.delivered(delivery);
            }
        })
        .await;
    }

    /// The store can be reached, perhaps again: as if it had called upon this host.
    fn connected(&mut self) {
        let Some(host) = self.leases.as_ref().and_then(|leases| leases.host) else { return };
        self.handle(Event::FleetBroadcast(Broadcast::Free(vec![host])));
        self.handle(Event::FleetBroadcast(Broadcast::Short(vec![host])));
    }
}
