//! Whether a job pays on a device: what it takes here and there, by rates that were measured.

use crate::backend::work::Kind;

/// What a device does in a second, all that goes with it included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rates {
    /// Seconds that a job takes that has nothing to do.
    pub(super) call: f64,
    /// Bytes sent to it.
    pub(super) bytes: f64,
    /// Multiply-adds of scans.
    pub(super) scan: f64,
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
    /// Bytes to be sent for it alone.
    pub(super) bytes: f64,
    /// Bytes to be sent that later jobs find there.
    pub(super) lists: f64,
}

/// How much faster a device must be by its rates, which a job of another shape may miss.
const MARGIN: f64 = 1.5;

impl Rates {
    /// Seconds for a job whose lists are there.
    fn seconds(&self, need: &Need) -> f64 {
        let rate = match need.kind {
            Kind::Scan => self.scan,
            Kind::Assign => self.assign,
        };
        self.call + need.bytes / self.bytes + need.multiply_adds / rate
    }
}

impl Cpu {
    /// Seconds for a job with some of the workers.
    fn seconds(&self, need: &Need, workers: usize) -> f64 {
        let share = match self.workers {
            0 | 1 => 0.0,
            all => (workers.clamp(1, all) - 1) as f64 / (all - 1) as f64,
        };
        let between = |one: f64, all: f64| one + share * (all - one);
        let (one, all) = (&self.one, &self.all);
        let rates =
            Rates { scan: between(one.scan, all.scan), assign: between(one.assign, all.assign), ..*one };
        rates.seconds(need)
    }
}

/// Whether a job should go to `device` rather than to `workers` of the CPU's.
///
/// Lists are sent once it has paid: when jobs that went to the CPU for want of them, counted in `missed` (seconds),
/// would have saved what the way costs. So no more than twice the least possible time is spent, whatever comes.
pub(super) fn pays(need: &Need, cpu: &Cpu, workers: usize, device: &Rates, missed: &mut f64) -> bool {
    let there = device.seconds(need);
    let saved = cpu.seconds(need, workers) - there * MARGIN;
    // Rates that are none make times that are none.
    if saved.is_nan() || saved <= 0.0 || there < 0.0 {
        return false;
    }
    let way = need.lists / device.bytes * MARGIN;
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

    /// A CPU whose 64 cores are 32 times as fast as one, and a GPU that is 200 times as fast as a core, behind a bus of
    /// 10 GB/s.
    const ONE: Rates = Rates { call: 1e-6, bytes: f64::INFINITY, scan: 5e10, assign: 5e10 };
    const CPU: Cpu = Cpu { one: ONE, all: Rates { scan: 1.6e12, assign: 1.6e12, ..ONE }, workers: 64 };
    const GPU: Rates = Rates { call: 2e-4, bytes: 1e10, scan: 1e13, assign: 1e13 };

    fn need(multiply_adds: f64, bytes: f64, lists: f64) -> Need {
        Need { kind: Kind::Scan, multiply_adds, bytes, lists }
    }

    fn once(need: &Need, workers: usize, device: &Rates) -> bool {
        pays(need, &CPU, workers, device, &mut 0.0)
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
        let emulated = Rates { call: 1e-3, bytes: 1e9, scan: 2e9, assign: 2e9 };
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
