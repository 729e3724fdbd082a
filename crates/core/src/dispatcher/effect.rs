//! What the dispatcher wants done.

use std::time::Duration;

use super::AttemptId;
use crate::budget::Believed;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::evidence::NamedLimit;
use crate::lanes::EntryId;
use crate::lease::Renewal;
use crate::message::Ticket;
use crate::outcome::{CallAnswer, DeliveryFailure, Receipt, Redriven};
use crate::shipment::Shipment;
use crate::stats::PauseScope;
use crate::store::{Change, Seq};
use crate::token::TokenId;

/// What is to be done.
#[derive(Debug)]
pub enum Effect {
    /// An `enqueue` or `redrive` settles.
    Accepted {
        /// Whose.
        ticket: Ticket,
        /// The message's id.
        id: Box<str>,
        /// Whether the id was known already.
        duplicate: bool,
    },
    /// A message is delivered.
    Delivered {
        /// Whose promise it settles.
        waiter: Option<Ticket>,
        /// The receipt.
        receipt: Receipt,
        /// How long the delivering request took; none for a repetition of an older receipt, which is no news.
        request: Option<Duration>,
    },
    /// A message became a dead letter.
    Buried {
        /// Whose promise it settles.
        waiter: Option<Ticket>,
        /// The letter's conversation.
        conversation: Box<str>,
        /// Why.
        failure: DeliveryFailure,
    },
    /// A request is answered.
    CallAnswered(Ticket, CallAnswer),
    /// A promise is refused.
    Failed(Ticket, Error),
    /// An operation without a value is done.
    Done(Ticket),
    /// A call for many dead letters has sent again what it could.
    Redriven(Ticket, Redriven),
    /// A drain ended; with how many messages left, when its time was up.
    Drained(Ticket, Option<usize>),
    /// Send this; [`super::Event::Left`] says when it leaves. Before that, [`super::Dispatcher::may_leave`] says
    /// whether it still may.
    Send {
        /// Its number, for the answer.
        attempt: AttemptId,
        /// The request.
        shipment: Shipment,
    },
    /// Nobody waits for this attempt any more: cut it, or don't let it leave.
    Cut(AttemptId),
    /// Try to connect, without a request.
    CheckReachable,
    /// Ask for a token.
    FetchToken(TokenId),
    /// The store is to keep this, before anything that is told or sent after it.
    Store(Change),
    /// Send this to the store of the fleet. One at a time is under way.
    Renew(Box<Renewal>),
    /// The store is to give these back.
    Load(Vec<(EntryId, Seq)>),
    /// Tell whoever listens.
    Notice(Notice),
}

impl Effect {
    /// Whether it tells the world something that a crash must not take back: then whoever performs effects holds it
    /// until every change that came before it is durable.
    pub fn waits_for_store(&self) -> bool {
        match self {
            Self::Send { shipment, .. } => shipment.messages > 0,
            Self::Failed(_, error) => matches!(error, Error::Delivery(_)),
            Self::Delivered { .. } | Self::Buried { .. } | Self::Done(_) | Self::Drained(_, None) => true,
            Self::Notice(notice) => matches!(notice, Notice::Empty),
            _ => false,
        }
    }
}

/// News for listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A pause begins, or becomes longer.
    Throttled {
        /// For what it holds.
        scope: PauseScope,
        /// The limit that was exceeded, if the server named one.
        limit: Option<Box<NamedLimit>>,
        /// Where the length comes from.
        reason: &'static str,
        /// Until when.
        until: Timestamp,
        /// How long from now.
        pause: Duration,
        /// Whether it is longer than `maxPauseMs`.
        long: bool,
    },
    /// An operator holds everything back.
    Paused {
        /// The word for it.
        reason: &'static str,
        /// From when.
        since: Timestamp,
        /// Until when, if that is known.
        until: Option<Timestamp>,
    },
    /// The pause is over: a probe was accepted, or an operator ended it.
    Resumed {
        /// For what it held.
        scope: PauseScope,
        /// The limit that was exceeded, if the server named one.
        limit: Option<Box<NamedLimit>>,
        /// How long it was.
        paused: Duration,
    },
    /// An outage begins or ends.
    Outage {
        /// `breaker`, `auth` or `store`.
        reason: &'static str,
        /// What went wrong.
        problem: String,
        /// Whether it begins.
        open: bool,
    },
    /// The credentials of one of several tokens are refused, or it can't be had; or that is over. All others go on.
    TokenOutage {
        /// What the token is called.
        token: Box<str>,
        /// `auth` or `token`.
        reason: &'static str,
        /// What went wrong.
        problem: String,
        /// Whether it begins.
        open: bool,
    },
    /// What is believed of the quota has changed by more than a little.
    Quota {
        /// The limits in force.
        quota: Vec<Believed>,
        /// Since when.
        since: Timestamp,
    },
    /// The outbox is empty.
    Empty,
}
