//! What a refusal means, once everything that was under way with it is back.

use std::time::Duration;

use super::belief::Why;
use super::company::Company;
use super::layer::Layer;
use super::learner::Learner;
use super::trail::Trail;
use crate::clock::Timestamp;

/// Windows that are inferred where no header names them: per second, per minute.
const WINDOWS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];
/// A window that was refused though less than this share of it was used is not what refused.
const EXPLAINS_MIN: f64 = 0.5;
/// Refusals since the last time that nothing was on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    /// The sending of the first request that was refused.
    pub(super) sent_at: Timestamp,
    /// Headers say which quota was spent.
    pub(super) is_named: bool,
}

impl Learner {
    /// What a refusal means: which limit was full, or that there must be another, longer one.
    pub(super) fn judge(&mut self, now: Timestamp, trial: Trial) {
        let until = trial.sent_at.after(self.travel.gathering());
        let used = |layer: &Layer, trail: &Trail| trail.counted(trial.sent_at.before(layer.per), until);
        let spent = |layer: &&mut Layer| layer.why == Why::Headers && layer.is_nearly(used(layer, &self.trail));
        let trail = &self.trail;
        let is_learned = |layer: &Layer| layer.why == Why::Refusals;
        let suspect = |layer: &Layer| is_learned(layer) && used(layer, trail) * 4 >= u64::from(layer.requests);
        if trial.is_named {
            return self.judge_named(now, trial);
        }
        let has_suspect = self.layers.iter().any(suspect);
        if !has_suspect && let Some(spent) = self.layers.iter_mut().find(spent) {
            // The server didn't say so, but one that it had named is spent.
            return spent.widen(now);
        }
        let fullness = |layer: &Layer, trail: &Trail| used(layer, trail) as f64 / f64::from(layer.requests);
        let learned = |layer: &Layer| layer.why == Why::Refusals;
        let trail = &self.trail;
        let fullest = (0..self.layers.len()).filter(|index| learned(&self.layers[*index])).max_by(|one, other| {
            let share = |index: usize| fullness(&self.layers[index], trail);
            share(*one).total_cmp(&share(*other)).then(self.layers[*one].per.cmp(&self.layers[*other].per))
        });
        let Some(index) = fullest else {
            self.layers.retain(|layer| layer.why != Why::Start);
            return self.infer(now, trial);
        };
        let used = used(&self.layers[index], trail);
        let explains = used as f64 >= f64::from(self.layers[index].requests) * EXPLAINS_MIN;
        if used == 0 && self.infer_longer(now, trial) {
            return;
        }
        self.lower(now, index, used, explains);
    }

    /// What the server had accepted of a window when it refused: all that was sent up to then, or with it.
    fn used(&self, trial: Trial, per: Duration) -> u64 {
        self.trail.counted(trial.sent_at.before(per), trial.sent_at.after(self.travel.gathering()))
    }

    /// Which of the usual windows is it? The shortest that isn't known to have something left.
    fn infer(&mut self, now: Timestamp, trial: Trial) {
        let known = |per: Duration, layers: &[Layer]| layers.iter().any(|layer| layer.per == per);
        let found = WINDOWS.into_iter().filter(|per| !known(*per, &self.layers)).find_map(|per| {
            let used = self.used(trial, per);
            (used > 0).then_some((u32::try_from(used).unwrap_or(u32::MAX), per))
        });
        if let Some(limit) = found {
            self.begin(now, limit, Why::Refusals);
        } else if self.layers.is_empty() {
            // Refused from the first request on: others have spent it all, or it is a longer window's.
            self.begin(now, (1, WINDOWS[0]), Why::Refusals);
        }
    }

    /// Refused though nothing was sent for a whole window: a longer one is at work, and the shorter one was wronged.
    fn infer_longer(&mut self, now: Timestamp, trial: Trial) -> bool {
        let known = self.layers.iter().filter(|layer| layer.why == Why::Refusals).map(|layer| layer.per).max();
        let longer = WINDOWS.into_iter().filter(|per| known.is_some_and(|known| *per > known));
        let found = longer.into_iter().find_map(|per| {
            let used = self.used(trial, per);
            (used > 0).then_some((u32::try_from(used).unwrap_or(u32::MAX), per))
        });
        let Some(limit) = found else { return false };
        for layer in self.layers.iter_mut().filter(|layer| layer.why == Why::Refusals) {
            let before = layer.before;
            layer.set(now, before);
        }
        self.begin(now, limit, Why::Refusals);
        true
    }

    fn lower(&mut self, now: Timestamp, index: usize, used: u64, explains: bool) {
        let layer = &mut self.layers[index];
        layer.confirmed_at = now;
        let used = u32::try_from(used).unwrap_or(u32::MAX).max(1);
        let lower = layer.climb.as_ref().map_or(used, |climb| climb.fallback(layer.requests, used));
        if let Some(climb) = &mut layer.climb {
            if explains { climb.refused(now) } else { climb.fell(now) }
        }
        layer.before = layer.requests;
        layer.set(now, lower.min(layer.requests));
    }

    /// Headers name the quota, and none is left of it.
    fn judge_named(&mut self, now: Timestamp, trial: Trial) {
        let Some(index) = self.reports.tightest(&self.layers) else { return };
        let used = self.used(trial, self.layers[index].per);
        let layer = &mut self.layers[index];
        if now.since(layer.changed_at) < layer.per {
            // What was under way when the quota changed.
            return;
        }
        let is_nearly = layer.is_nearly(used);
        match &mut layer.company {
            Some(company) => company.refused(used),
            None if is_nearly => layer.widen(now),
            None => layer.company = Some(Company::new(now, used, layer.per)),
        }
    }
}
