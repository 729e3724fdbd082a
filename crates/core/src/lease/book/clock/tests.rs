use super::*;

const SECOND: Micros = 1_000_000;

struct Draw(u64);

impl Draw {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }

    /// From one microsecond to `most`, every order of magnitude alike.
    fn scale(&mut self, most: u64) -> u64 {
        let top = 1 + self.below(most.ilog2().into());
        1 + self.below(1 << top)
    }
}

/// A server whose clock is put forward, or put back, hosts that tell of any reading that they have ever heard, and
/// newcomers that have heard none: what is noted at some moment is never older than it is.
#[test]
fn nothing_is_ever_older_than_it_is() {
    let mut has_aged = 0;
    for seed in 1..=300_u64 {
        let mut draw = Draw(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let start = 3_600 * SECOND;
        let (mut real, mut ahead) = (start, 0_i64);
        let mut clock = Clock::new(start);
        let mut heard: Vec<(Micros, Micros)> = Vec::new();
        let mut noted: Vec<(Micros, Micros)> = Vec::new();
        for _ in 0..400 {
            real += draw.scale(3 * SECOND);
            if draw.below(8) == 0 {
                let by = i64::try_from(draw.scale(300 * SECOND)).expect("small");
                ahead += if seed % 2 == 0 { by } else { -by };
            }
            // The renewal travels.
            let sent = real;
            real += draw.scale(SECOND);
            let reading = (draw.below(6) > 0 && !heard.is_empty()).then(|| {
                let last = heard.len() - 1;
                let back = usize::try_from(draw.below(20)).expect("small");
                heard[last - back.min(last)]
            });
            let witness = reading.map(|(reading, at)| Witness { reading, since: sent.saturating_sub(at) });
            let now = clock.advance(real.saturating_add_signed(ahead), witness);
            assert!(now.earliest <= now.latest, "seed {seed}: {clock:?}");
            for (latest, at) in &noted {
                let age = now.earliest.saturating_sub(*latest);
                assert!(age <= real - at, "seed {seed}: {age} of {}, {clock:?}", real - at);
                has_aged += u64::from(age > 0);
            }
            noted.push((now.latest, real));
            heard.push((clock.reading(), real + draw.scale(SECOND)));
        }
    }
    assert!(has_aged > 1_000_000, "{has_aged}");
}

/// Three hosts that renew their leases each second and tell of a reading that is some seconds old.
#[test]
fn a_clock_that_does_not_jump_loses_what_a_renewal_travels_now_and_then() {
    let travel = 2_000;
    let mut clock = Clock::new(SECOND);
    let mut told = [None; 3];
    let mut at = SECOND;
    for round in 0..600_u64 {
        for host in &mut told {
            at += SECOND / 3;
            let witness = host.map(|(reading, heard_at)| Witness { reading, since: at - heard_at });
            let now = clock.advance(at + travel, witness);
            assert!(now.latest - now.earliest <= 2 * travel || round == 0, "round {round}: {now:?}");
            if round % 5 == 0 {
                *host = Some((clock.reading(), at + 2 * travel));
            }
        }
    }
    let lost = at - clock.earliest;
    assert!(lost < 600 * SECOND / 300, "{lost}");
}
