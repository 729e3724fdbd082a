//! A message or request: as it is handed over, and in the outbox.

/// A message or request as it is handed over.
#[derive(Clone, Debug)]
pub struct SubmissionModel {
    pub ticket: u64,
    pub settles_on_acceptance: bool,
    /// A message's id, or a name for a request.
    pub name: String,
    pub is_call: bool,
    pub id_given: bool,
    pub conversation: String,
    pub bytes: usize,
    /// Of a request that sets it for itself.
    pub attempts_max: Option<u32>,
    pub expires_us: Option<u64>,
    pub not_before_us: Option<u64>,
    /// Its number among all that was handed over; for drains.
    pub born: u64,
    /// A dead letter that waits to be sent again.
    pub redriven: bool,
}

/// A model in the outbox.
#[derive(Clone, Debug)]
pub struct Entry {
    pub model: SubmissionModel,
    pub waiter: Option<u64>,
    pub followers: Vec<u64>,
    pub attempts: u32,
    pub in_flight: bool,
    pub canceled: bool,
    pub accepted_by_server: u32,
    pub lost_answers: u32,
    /// The server, or the way to it, failed at its last attempt: while messages are held back that spends none.
    pub is_server_at_fault: bool,
    /// Refusals that may be everybody's: each is an attempt, or none if everybody was refused at that time.
    pub refusals: u32,
}

impl Entry {
    /// Whether so many attempts may have been made, `more` than are on the oracle.
    pub fn counts(&self, attempts: u32, more: u32) -> bool {
        let least = self.attempts + more;
        (least..=least + self.refusals).contains(&attempts)
    }
}
