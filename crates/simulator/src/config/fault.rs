//! Faults by chance.

use serde::Deserialize;

use super::choice::Fault;
use super::number::Real;
use super::shape::LatencyMs;
use super::{ConfigError, FaultRates};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawFaults {
    cut_before: Option<Real<1>>,
    cut_after: Option<Real<1>>,
    status500: Option<Real<1>>,
    status502: Option<Real<1>>,
    status503: Option<Real<1>>,
    status504: Option<Real<1>>,
    status408: Option<Real<1>>,
    status500_after: Option<Real<1>>,
    status502_after: Option<Real<1>>,
    status503_after: Option<Real<1>>,
    status504_after: Option<Real<1>>,
    status408_after: Option<Real<1>>,
    garbage: Option<Real<1>>,
    slow: Option<Real<1>>,
    slow_ms: Option<LatencyMs>,
}

impl RawFaults {
    /// The rates, and how much later a slow answer comes, in microseconds.
    pub(super) fn validate(self) -> Result<(FaultRates, u64), ConfigError> {
        let rates = [
            (Fault::CutBefore, self.cut_before),
            (Fault::CutAfter, self.cut_after),
            (Fault::Status500, self.status500),
            (Fault::Status502, self.status502),
            (Fault::Status503, self.status503),
            (Fault::Status504, self.status504),
            (Fault::Status408, self.status408),
            (Fault::Garbage, self.garbage),
            (Fault::Slow, self.slow),
            (Fault::Status500After, self.status500_after),
            (Fault::Status502After, self.status502_after),
            (Fault::Status503After, self.status503_after),
            (Fault::Status504After, self.status504_after),
            (Fault::Status408After, self.status408_after),
        ];
        let rates: Vec<_> = rates.iter().filter_map(|(fault, rate)| Some((*fault, (*rate)?.0))).collect();
        let sum: f64 = rates.iter().map(|(_, rate)| rate).sum();
        if sum > 1.0 + 1e-9 {
            return Err(ConfigError::new("faults", "probabilities with a sum of at most 1", sum));
        }
        let rates = rates.into_iter().filter(|(_, rate)| *rate > 0.0).collect();
        Ok((rates, self.slow_ms.map_or(30_000_000, Real::ms_to_us)))
    }
}
