//! Whether a job pays on a device: what it takes here and there, by rates that were measured.

use crate::backend::work::{Kind, Work};

/// What a device does in a second, all that goes with it included; infinite is what takes it no time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rates {
    /// Seconds that a job takes that has nothing to do.
    pub(super) call: f64,
    /// Bytes of queries and rows sent to it, through memory that stays.
    pub(super) sent: f64,
    /// Bytes of lists sent to it, for which memory is made.
    pub(super) lists: f64,
    /// Multiply-adds of scans.
    pub(super) scan: f64,
    /// Bytes of lists that scans read.
    pub(super) read: f64,
    /// Choices of scans.
    pub(super) choose: f64,
    /// Multiply-adds of assignments.
    pub(super) assign: f64,
}

/// The CPU's rates, with one worker and with so many: more get into each other's way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cpu {
    pub(super) one: Rates,
    pub(super) all: Rates,
    pub(super) workers: usize,
}

/// What a job needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    pub(super) kind: Kind,
    pub(super) multiply_adds: f64,
    /// Bytes of lists that are read, each once for all queries.
    pub(super) read: f64,
    /// See [`crate::backend::work::choices`].
    pub(super) choices: f64,
    /// Bytes to be sent for it alone.
    pub(super) bytes: f64,
    /// Bytes of lists to be sent for it alone.
    pub(super) passing: f64,
    /// Bytes of lists to be sent that later jobs find there.
    pub(super) lists: f64,
    /// How many times as long its work takes as that of one of plain vectors.
    pub(super) factors: Factors,
}

/// How many times as long it takes to scan codes as to scan plain vectors of as many dimensions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Factors {
    pub(super) cpu: f64,
    pub(super) device: f64,
}

impl Factors {
    /// Of plain vectors.
    pub(super) const PLAIN: Self = Self { cpu: 1.0, device: 1.0 };
}

impl Need {
    /// What `work` needs of a device that misses so many bytes of its lists.
    pub(super) fn of(work: &Work<'_>, missing: f64) -> Self {
        let Work { kind, multiply_adds, read, choices, bytes, .. } = *work;
        // Centroids change with every step of a training: they are sent for one job.
        let (passing, lists) = if kind == Kind::Scan { (0.0, missing) } else { (missing, 0.0) };
        Self { kind, multiply_adds, read, choices, bytes, passing, lists, factors: Factors::PLAIN }
    }
}

/// How much faster a device must be by its rates, which a job of another shape may miss.
pub(super) const MARGIN: f64 = 1.5;

impl Rates {
    /// Seconds for a job whose lists are there.
    pub(super) fn seconds(&self, need: &Need) -> f64 {
        self.way(need) + need.factors.device * self.work(need)
    }

    /// Seconds for a call and what is sent with it.
    pub(super) fn way(&self, need: &Need) -> f64 {
        self.call + need.bytes / self.sent + need.passing / self.lists
    }

    /// Seconds for what is to be computed, of plain vectors.
    pub(super) fn work(&self, need: &Need) -> f64 {
        match need.kind {
            Kind::Scan => need.multiply_adds / self.scan + need.read / self.read + need.choices / self.choose,
            Kind::Assign => need.multiply_adds / self.assign,
        }
    }
}

impl Cpu {
    /// Seconds for a job with some of the workers.
    pub(super) fn seconds(&self, need: &Need, workers: usize) -> f64 {
        need.factors.cpu * self.work(need, workers)
    }

    /// Seconds that a device saves whose lists are there; `None` if it saves nothing.
    fn saved(&self, need: &Need, workers: usize, device: &Rates) -> Option<f64> {
        let there = device.seconds(need);
        let saved = self.seconds(need, workers) - there * MARGIN;
        // Rates that are none make times that are none.
        (saved > 0.0 && there >= 0.0).then_some(saved)
    }

    /// Whether a device whose lists are there saves anything.
    pub(super) fn is_slower(&self, need: &Need, workers: usize, device: &Rates) -> bool {
        self.saved(need, workers, device).is_some()
    }

    /// The same, of plain vectors.
    pub(super) fn work(&self, need: &Need, workers: usize) -> f64 {
        let share = match self.workers {
            0 | 1 => 0.0,
            all => (workers.clamp(1, all) - 1) as f64 / (all - 1) as f64,
        };
        let between = |rate: fn(&Rates) -> f64| {
            let (one, all) = (rate(&self.one), rate(&self.all));
            // What takes no time with one worker takes none with more.
            if share == 0.0 || one.is_infinite() { one } else { one + share * (all - one) }
        };
        let rates = Rates {
            scan: between(|rates| rates.scan),
            read: between(|rates| rates.read),
            choose: between(|rates| rates.choose),
            assign: between(|rates| rates.assign),
            ..self.one
        };
        rates.work(need)
    }
}

/// The seconds of a unit of each of two things, of which two jobs need `amounts` and take `seconds`: none is below zero,
/// however uneven the clock.
pub(super) fn costs(amounts: [[f64; 2]; 2], seconds: [f64; 2]) -> [f64; 2] {
    let [[a, b], [c, d]] = amounts;
    let [s, t] = seconds.map(|seconds| seconds.max(0.0));
    let whole = a * d - b * c;
    match [(s * d - t * b) / whole, (a * t - c * s) / whole] {
        [first, second] if first >= 0.0 && second >= 0.0 => [first, second],
        // One of the two explains both jobs best if it is all that there is.
        [first, _] if first >= 0.0 => [(s + t) / (a + c), 0.0],
        _ => [0.0, (s + t) / (b + d)],
    }
}

/// Whether a job should go to `device` rather than to `workers` of the CPU's.
///
/// Lists are sent once it has paid: when jobs that went to the CPU for want of them, counted in `missed` (seconds),
/// would have saved what the way costs. So no more than twice the least possible time is spent, whatever comes.
pub(super) fn pays(need: &Need, cpu: &Cpu, workers: usize, device: &Rates, missed: &mut f64) -> bool {
    let Some(saved) = cpu.saved(need, workers, device) else { return false };
    let way = need.lists / device.lists * MARGIN;
    if way <= *missed + saved {
        *missed = 0.0;
        return true;
    }
    *missed += saved;
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::work::choices;

    /// A CPU whose 64 cores are 32 times as fast as one, and a GPU that is 200 times as fast as a core, behind a bus of
    /// 10 GB/s.
    const ONE: Rates = Rates {
        call: 1e-6,
        sent: f64::INFINITY,
        lists: f64::INFINITY,
        scan: 5e10,
        read: f64::INFINITY,
        choose: f64::INFINITY,
        assign: 5e10,
    };
    const CPU: Cpu = Cpu { one: ONE, all: Rates { scan: 1.6e12, assign: 1.6e12, ..ONE }, workers: 64 };
    const GPU: Rates = Rates { call: 2e-4, sent: 1e10, lists: 1e10, scan: 1e13, assign: 1e13, ..ONE };

    fn need(multiply_adds: f64, bytes: f64, lists: f64) -> Need {
        let (kind, factors) = (Kind::Scan, Factors::PLAIN);
        Need { kind, multiply_adds, read: 0.0, choices: 0.0, bytes, passing: 0.0, lists, factors }
    }

    fn once(need: &Need, workers: usize, device: &Rates) -> bool {
        pays(need, &CPU, workers, device, &mut 0.0)
    }

    /// An H200 and 16 threads of the Xeon beside it.
    const H200: Rates = Rates {
        call: 169e-6,
        sent: 7.5e9,
        lists: 1.2e9,
        scan: 3.5e12,
        read: 2e12,
        choose: 5.6e8,
        assign: 1.1e12,
    };
    const XEON: Cpu = Cpu {
        one: Rates { scan: 1.7e10, read: 1.2e10, choose: 1.7e7, assign: 3.4e10, ..ONE },
        all: Rates { scan: 2.46e11, read: 1e11, choose: 2.8e8, assign: 3.36e11, ..ONE },
        workers: 16,
    };

    /// Scans of the engine's protocol: the `k` best of those of `vectors` that a query looks at.
    fn scan(count: f64, vectors: f64, looked: f64, k: usize) -> Need {
        let read = vectors * 512.0 * (1.0 - (1.0 - looked / vectors).powf(count));
        Need { read, choices: count * choices(k, looked), ..need(count * looked * 128.0, count * 512.0, 0.0) }
    }

    #[test]
    fn pays_where_an_h200_was_faster_than_the_xeon_beside_it() {
        // Batch, whether the centroids' scan was faster on the card (`None`: they were level), and the lists'.
        let seen = [
            (1, Some(false), false),
            (32, Some(false), true),
            (128, Some(false), true),
            (1024, None, true),
            (4096, Some(true), true),
            (19_600, Some(true), true),
        ];
        for (batch, centroids, lists) in seen {
            let coarse = scan(f64::from(batch), 512.0, 512.0, 32);
            let fine = scan(f64::from(batch), 262_144.0, 16_384.0, 20);
            let pays = |need| pays(need, &XEON, 16, &H200, &mut 0.0);
            assert!(centroids.is_none_or(|faster| pays(&coarse) == faster), "centroids, batch {batch}");
            assert_eq!(pays(&fine), lists, "lists, batch {batch}");
        }
        // What was seen of the largest: 13.6 and 6.1 ms.
        let coarse = scan(19_600.0, 512.0, 512.0, 32);
        assert!((0.012..0.016).contains(&XEON.seconds(&coarse, 16)), "{}", XEON.seconds(&coarse, 16));
        assert!((0.005..0.008).contains(&H200.seconds(&coarse)), "{}", H200.seconds(&coarse));
    }

    #[test]
    fn pays_where_an_h200_was_faster_with_codes() {
        // Bytes of a vector, and thousands of queries a second of the Xeon and the card at batches of 128 and 19600.
        let seen = [
            ("SQ8", 128.0, 512.0, [42.0, 138.0], [66.0, 755.0]),
            ("SQ4", 64.0, 512.0, [34.0, 139.0], [66.0, 739.0]),
            ("PQ32x4fs", 16.0, 512.0, [46.0, 140.0], [102.0, 434.0]),
            ("PQ16", 16.0, 16384.0, [21.0, 52.0], [43.0, 130.0]),
            ("RaBitQ", 24.0, 512.0, [55.0, 91.0], [121.0, 761.0]),
            ("RaBitQ4", 72.0, 512.0, [34.0, 142.0], [74.0, 765.0]),
        ];
        for (name, bytes, sent, few, many) in seen {
            // A form is measured with many queries.
            let need = |count: f64, factors| {
                let plain = scan(count, 262_144.0, 16_384.0, 20);
                Need { read: plain.read / 512.0 * bytes, bytes: count * sent, factors, ..plain }
            };
            let large = need(19_600.0, Factors::PLAIN);
            let [cpu, device] = many.map(|rate| 19.6 / rate);
            let factors = Factors {
                cpu: cpu / XEON.work(&large, 16),
                device: (device - H200.way(&large)).max(device / 4.0) / H200.work(&large),
            };
            for (batch, rates) in [(128.0, few), (19_600.0, many)] {
                let faster = rates[1] > rates[0];
                let pays = pays(&need(batch, factors), &XEON, 16, &H200, &mut 0.0);
                assert_eq!(pays, faster, "{name}, batch {batch}, {factors:?}");
            }
            assert!(!pays(&need(1.0, factors), &XEON, 16, &H200, &mut 0.0), "{name}, one query");
        }
    }

    #[test]
    fn costs_of_two_jobs_are_what_they_were_made_of() {
        let amounts = [[8e9, 6e5], [5e8, 1e6]];
        let jobs = |of: [f64; 2]| amounts.map(|[a, b]| a * of[0] + b * of[1]);
        let got = costs(amounts, jobs([3e-13, 2e-9]));
        assert!((got[0] / 3e-13 - 1.0).abs() < 1e-6 && (got[1] / 2e-9 - 1.0).abs() < 1e-6, "{got:?}");
        // A clock that makes the second job too quick or too slow for both to cost something.
        assert_eq!(costs(amounts, [8e-3, 1e-4]), [(8e-3 + 1e-4) / (8e9 + 5e8), 0.0]);
        assert_eq!(costs(amounts, [1e-3, 8e-3]), [0.0, (1e-3 + 8e-3) / (6e5 + 1e6)]);
        assert_eq!(costs(amounts, [-1.0, 0.0]), [0.0, 0.0]);
    }

    #[test]
    fn pays_small_jobs_stay_on_the_cpu_and_large_ones_do_not() {
        // One query of the engine's protocol, then 128 and 10,000 of them.
        assert!(!once(&need(2e6, 512.0, 0.0), 2, &GPU));
        assert!(once(&need(128.0 * 2e6, 65e3, 0.0), 2, &GPU));
        assert!(once(&need(1e4 * 2e6, 5e6, 0.0), 2, &GPU));
    }

    #[test]
    fn pays_more_cores_need_larger_jobs() {
        let job = need(4e7, 1e4, 0.0);
        assert!(once(&job, 1, &GPU));
        assert!(!once(&job, 64, &GPU));
    }

    #[test]
    fn pays_a_slow_device_never() {
        let emulated = Rates { call: 1e-3, sent: 1e9, lists: 1e9, scan: 2e9, assign: 2e9, ..ONE };
        for size in [1e3, 1e6, 1e9, 1e12, 1e15] {
            assert!(!once(&need(size, size / 1e3, 0.0), 1, &emulated));
        }
        // Nor one that is hardly faster.
        let equal = Rates { scan: 1.2 * ONE.scan, ..GPU };
        assert!(!once(&need(1e15, 0.0, 0.0), 1, &equal));
    }

    #[test]
    fn pays_a_job_that_is_all_transfer_stays() {
        // A row against sixteen centroids: 32 multiply-adds for each float sent.
        assert!(!once(&Need { kind: Kind::Assign, ..need(1e6 * 128.0 * 16.0, 1e6 * 512.0, 0.0) }, 2, &GPU));
        assert!(once(&Need { kind: Kind::Assign, ..need(1e6 * 128.0 * 4096.0, 1e6 * 512.0, 0.0) }, 2, &GPU));
    }

    #[test]
    fn pays_lists_are_sent_once_enough_was_missed() {
        // 1 GB of lists takes 0.1 s; a batch saves about 2 ms.
        let job = need(2e8, 1e5, 1e9);
        let mut missed = 0.0;
        let mut on_the_cpu = 0;
        while !pays(&job, &CPU, 2, &GPU, &mut missed) {
            on_the_cpu += 1;
            assert!(on_the_cpu < 1000);
        }
        assert!((50..150).contains(&on_the_cpu), "{on_the_cpu}");
        assert_eq!(missed, 0.0);
        // A large batch pays for the way at once.
        assert!(once(&need(2e11, 1e5, 1e9), 2, &GPU));
    }

    #[test]
    fn pays_rates_that_are_no_numbers_are_the_cpu_s() {
        for rate in [0.0, f64::NAN, -1.0] {
            assert!(!once(&need(1e12, 0.0, 0.0), 1, &Rates { scan: rate, ..GPU }), "{rate}");
        }
    }
}
