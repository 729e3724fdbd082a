//! What goes wrong with the n-th request: by script, else by chance.

use std::collections::BTreeMap;

use crate::config::{Config, Fault, FaultRates, Scripted};
use crate::random::Chance;

/// Decides for one request after another.
#[derive(Debug)]
pub(crate) struct Faults {
    chance: Chance,
    rates: FaultRates,
    script: BTreeMap<u64, Scripted>,
    requests: u64,
}

impl Faults {
    pub(crate) fn new(config: &Config, chance: Chance) -> Self {
        Self { chance, rates: config.faults.clone(), script: config.script.clone(), requests: 0 }
    }

    /// From now on as `config` says; requests keep their numbers.
    pub(crate) fn set(&mut self, config: &Config) {
        self.rates.clone_from(&config.faults);
        self.script.clone_from(&config.script);
    }

    /// What happens to the next request.
    pub(crate) fn next(&mut self) -> Scripted {
        self.requests += 1;
        // Drawn for scripted requests too: a script shifts no other request's chance.
        let drawn = self.draw();
        match self.script.get(&self.requests) {
            Some(scripted) => scripted.clone(),
            None => Scripted { fault: drawn, ..Scripted::default() },
        }
    }

    fn draw(&mut self) -> Option<Fault> {
        if self.rates.is_empty() {
            return None;
        }
        let mut point = self.chance.unit();
        for (fault, rate) in &self.rates {
            if point < *rate {
                return Some(*fault);
            }
            point -= rate;
        }
        None
    }
}

/// The status of a fault that is one, and whether the request is accepted all the same.
pub(crate) fn status(fault: Fault) -> Option<(u16, bool)> {
    match fault {
        Fault::Status500 => Some((500, false)),
        Fault::Status502 => Some((502, false)),
        Fault::Status503 => Some((503, false)),
        Fault::Status504 => Some((504, false)),
        Fault::Status408 => Some((408, false)),
        Fault::Status500After => Some((500, true)),
        Fault::Status502After => Some((502, true)),
        Fault::Status503After => Some((503, true)),
        Fault::Status504After => Some((504, true)),
        Fault::Status408After => Some((408, true)),
        Fault::CutBefore | Fault::CutAfter | Fault::Garbage | Fault::Slow => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn faults(json: &str) -> Faults {
        Faults::new(&Config::from_json(json).unwrap(), Chance::stream(7, 0))
    }

    #[test]
    fn the_rates_are_kept_and_a_seed_replays() {
        let mut some = faults(r#"{"faults":{"cutBefore":0.1,"status503":0.2}}"#);
        let drawn: Vec<_> = (0..20_000).map(|_| some.next().fault).collect();
        let share = |fault| drawn.iter().filter(|drawn| **drawn == fault).count() as f64 / drawn.len() as f64;
        assert!((share(Some(Fault::CutBefore)) - 0.1).abs() < 0.01);
        assert!((share(Some(Fault::Status503)) - 0.2).abs() < 0.01);
        assert!((share(None) - 0.7).abs() < 0.02);

        let mut again = faults(r#"{"faults":{"cutBefore":0.1,"status503":0.2}}"#);
        assert!(drawn.iter().all(|fault| again.next().fault == *fault));
    }

    #[test]
    fn the_script_goes_first_and_shifts_nothing() {
        let mut plain = faults(r#"{"faults":{"slow":0.5}}"#);
        let mut scripted =
            faults(r#"{"faults":{"slow":0.5},"script":[{"request":3,"fault":"cutAfter"},{"request":4,"status":418}]}"#);
        for number in 1..=100 {
            let (plain, scripted) = (plain.next(), scripted.next());
            match number {
                3 => assert_eq!(scripted.fault, Some(Fault::CutAfter)),
                4 => assert_eq!((scripted.fault, scripted.answer.status), (None, Some(418))),
                _ => assert_eq!(scripted, plain),
            }
        }
    }
}
