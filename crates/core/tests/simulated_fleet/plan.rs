//! What a seed decides before the run starts.

use super::draw::Draw;

const SECOND: u64 = 1_000_000;

/// What befalls the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// A host ends without a word.
    Killed(usize),
    /// A host more, with messages.
    Joined,
    /// Many at once.
    Crowd(u64),
    /// A host does nothing for so long, and hears nothing.
    Frozen(usize, u64),
    /// The store is gone for so long, and comes back as this.
    Down(u64, Fate),
    /// Everything in the store is deleted while it runs.
    Flushed,
    /// The store's clock is put forward or back.
    Jumped(i64),
    /// Nothing passes between a host and the store for so long.
    Cut(usize, u64),
    /// The store is slow for so long.
    Slow(u64),
}

/// How a store comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has all that it had.
    Whole,
    /// It has nothing.
    Empty,
    /// It has what it had so long ago.
    Older(u64),
}

impl Weather {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Killed(_) => "killed",
            Self::Joined => "joined",
            Self::Crowd(_) => "crowd",
            Self::Frozen(..) => "frozen",
            Self::Down(_, Fate::Whole) => "down, whole",
            Self::Down(_, Fate::Empty) => "down, empty",
            Self::Down(_, Fate::Older(_)) => "down, older",
            Self::Flushed => "flushed",
            Self::Jumped(_) => "jumped",
            Self::Cut(..) => "cut",
            Self::Slow(_) => "slow",
        }
    }
}

/// A host's traffic.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    pub conversations: u64,
    pub messages: u64,
    /// Over so long a time, in bursts of so many.
    pub within_us: u64,
    pub burst: u64,
}

#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub rates: Vec<(u64, u64)>,
    pub hosts: Vec<Traffic>,
    pub weather: Vec<(u64, Weather)>,
    /// The store has been there for long when the run begins.
    pub is_learned: bool,
    /// Of a hundred answers of the store, so many are lost after it has executed the renewal, or it executes it much
    /// later.
    pub lost_percent: u64,
    pub late_percent: u64,
    /// Of a hundred pushes.
    pub unpushed_percent: u64,
    /// Requests wait for the disk for up to so long between being made and leaving.
    pub departing_us: u64,
    /// The longest way to the server; and back.
    pub latency_us: u64,
    /// Of a hundred requests or answers of the server.
    pub unanswered_percent: u64,
    /// No weather comes later.
    pub calm_us: u64,
}

impl Plan {
    pub fn of(seed: u64) -> Self {
        let mut draw = Draw::stream(seed, 1);
        let per_ms = *draw.pick(&[300, 1_000, 1_000, 2_000, 5_000]);
        let mut rates = vec![(draw.scale(1, 40), per_ms)];
        if draw.percent(20) {
            rates.push((draw.range(rates[0].0, 3 * rates[0].0), per_ms * draw.range(2, 4)));
        }
        let count = draw.scale(2, 16) as usize;
        let calm_us = draw.range(3, 30) * SECOND;
        // Half of what the quota lets through in this time, or twice as much.
        let all = (rates[0].0 * calm_us / (per_ms * 1_000) * draw.range(1, 4) / 2).clamp(10, 300);
        // Some fleets meet a clock that jumps and little else.
        let may_jump = draw.percent(15);
        let within_us = if may_jump { 1 } else { calm_us };
        let hosts = (0..count).map(|_| traffic(&mut draw, all / count as u64 + 1, within_us)).collect();
        let weather_count = draw.range(0, 5);
        let first_us = if may_jump { 2 * SECOND } else { 0 };
        let mut weather: Vec<(u64, Weather)> =
            (0..weather_count).map(|_| (draw.range(first_us, calm_us), one(&mut draw, count, may_jump))).collect();
        // And some meet it besides: also when nobody is there, and a newcomer is the first to ask.
        let mut extra = Draw::stream(seed, 3);
        if !may_jump && extra.percent(20) {
            let jumps = extra.range(1, 4);
            weather.extend((0..jumps).map(|_| (extra.below(calm_us), jump(&mut extra))));
        }
        weather.sort_by_key(|(at, _)| *at);
        let is_rough = draw.percent(50);
        Self {
            seed,
            rates,
            hosts,
            weather,
            is_learned: may_jump || draw.percent(75),
            lost_percent: if is_rough { draw.range(0, 20) } else { 0 },
            late_percent: if is_rough { draw.range(0, 10) } else { 0 },
            unpushed_percent: if is_rough { draw.range(0, 50) } else { 0 },
            departing_us: *draw.pick(&[0, 0, 20_000, 200_000]),
            latency_us: draw.scale(1_000, 400_000),
            unanswered_percent: if draw.percent(30) { draw.range(1, 10) } else { 0 },
            calm_us,
        }
    }

    /// Hosts with a backlog each, and no weather at all.
    pub fn calm(seed: u64, rate: (u64, u64), hosts: &[Traffic]) -> Self {
        Self {
            seed,
            rates: vec![rate],
            hosts: hosts.to_vec(),
            weather: Vec::new(),
            is_learned: true,
            lost_percent: 0,
            late_percent: 0,
            unpushed_percent: 0,
            departing_us: 0,
            latency_us: 30_000,
            unanswered_percent: 0,
            calm_us: 0,
        }
    }
}

fn traffic(draw: &mut Draw, messages: u64, within_us: u64) -> Traffic {
    let messages = draw.range(0, 2 * messages);
    let within_us = if draw.percent(30) { 1 } else { within_us };
    Traffic { conversations: draw.scale(1, 20), messages, within_us, burst: draw.scale(1, 16) }
}

/// For how long a host is frozen, or the store gone: seconds, and now and then minutes.
fn spell(draw: &mut Draw) -> u64 {
    let most = if draw.percent(10) { 600 * SECOND } else { 20 * SECOND };
    draw.scale(200_000, most)
}

fn jump(draw: &mut Draw) -> Weather {
    let by = draw.scale(1, 3_600 * SECOND) as i64;
    Weather::Jumped(if draw.percent(60) { by } else { -by })
}

fn one(draw: &mut Draw, hosts: usize, may_jump: bool) -> Weather {
    let host = draw.below(hosts as u64) as usize;
    match draw.below(12) {
        _ if may_jump && draw.percent(50) => jump(draw),
        0 | 1 if !may_jump => Weather::Killed(host),
        2 if !may_jump => Weather::Joined,
        3 if !may_jump && draw.percent(30) => Weather::Crowd(draw.range(5, 50)),
        4 | 5 => Weather::Frozen(host, spell(draw)),
        6 => Weather::Down(spell(draw), Fate::Whole),
        7 if !may_jump => Weather::Down(draw.scale(10_000, 5 * SECOND), Fate::Empty),
        8 if !may_jump => Weather::Down(draw.scale(10_000, 5 * SECOND), Fate::Older(draw.scale(100_000, 20 * SECOND))),
        9 if !may_jump => Weather::Flushed,
        10 => Weather::Slow(spell(draw)),
        _ => Weather::Cut(host, spell(draw)),
    }
}
