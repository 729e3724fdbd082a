//! A host: a dispatcher on a clock of its own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use spillway_core::clock::Timestamp;
use spillway_core::dispatcher::{AttemptId, Dispatcher, Effect, Event, TokenEvent};
use spillway_core::message::{Message, Parts, Payload, Settle, Submission, Ticket};
use spillway_core::random::Random;
use spillway_core::settings::Settings;
use spillway_core::shipment::Shipment;
use spillway_core::token::TokenId;

use super::draw::Draw;

#[derive(Debug)]
pub struct Host {
    pub dispatcher: Dispatcher,
    /// Its clock, before the simulation's.
    offset_us: u64,
    pub frozen_until: u64,
    pub is_alive: bool,
    pub cut_until: u64,
    /// What came while it was frozen.
    pub inbox: Vec<Inbound>,
    pub submitted: u64,
    pub delivered: BTreeSet<Box<str>>,
    /// When each was delivered, on the simulation's clock.
    pub delivered_at: Vec<u64>,
    pub renewals: u64,
}

/// What waits for a frozen host.
#[derive(Debug)]
pub enum Inbound {
    Event(Event),
    /// A request that was made, and whose turn on the wire has come.
    Leaves(AttemptId, Shipment),
}

impl Host {
    pub fn new(settings: &Arc<Settings>, draw: &mut Draw) -> Self {
        let offset_us = draw.scale(1, 7_200_000_000);
        let start = Timestamp::from_micros(offset_us);
        let dispatcher = Dispatcher::new(Arc::clone(settings), Random::from_seed(draw.next()), start);
        Self {
            dispatcher,
            offset_us,
            frozen_until: 0,
            is_alive: true,
            cut_until: 0,
            inbox: Vec::new(),
            submitted: 0,
            delivered: BTreeSet::new(),
            delivered_at: Vec::new(),
            renewals: 0,
        }
    }

    pub fn at(&self, now_us: u64) -> Timestamp {
        Timestamp::from_micros(now_us + self.offset_us)
    }

    /// When it wants to be woken, on the simulation's clock.
    pub fn wake(&self) -> Option<u64> {
        if !self.is_alive {
            return None;
        }
        let wake = self.dispatcher.next_wake()?.as_micros().saturating_sub(self.offset_us);
        Some(wake.max(self.frozen_until))
    }

    pub fn handle(&mut self, now_us: u64, event: Event) -> Vec<Effect> {
        let (now, mut effects) = (self.at(now_us), Vec::new());
        self.dispatcher.handle(now, event, &mut effects);
        effects
    }

    pub fn poll(&mut self, now_us: u64) -> Vec<Effect> {
        let (now, mut effects) = (self.at(now_us), Vec::new());
        self.dispatcher.poll(now, &mut effects);
        effects
    }

    pub fn token(&mut self, now_us: u64) -> Vec<Effect> {
        self.handle(now_us, Event::Token(TokenId::FIRST, TokenEvent::Granted(Some(Duration::from_secs(86_400)))))
    }

    pub fn submit(&mut self, now_us: u64, name: usize, conversation: u64) -> Vec<Effect> {
        self.submitted += 1;
        let id = format!("h{name}-{}", self.submitted);
        let conversation = format!("h{name}-c{conversation}");
        let parts = Parts {
            id: &id,
            id_given: true,
            conversation: &conversation,
            body: r#"{"text":"hello"}"#,
            ..Parts::default()
        };
        let submission = Submission {
            ticket: Ticket { handle: 1, number: self.submitted },
            settle: Settle::OnOutcome,
            payload: Payload::Message(Message::new(parts).expect("a message")),
            priority: 0,
            expires_at: None,
            not_before: None,
        };
        self.handle(now_us, Event::Submit(submission))
    }
}
