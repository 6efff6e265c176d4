//! The worker threads of a context: a rayon pool that stays alert between calls that follow one another.
//!
//! A sleeping thread takes 20 to 100 microseconds to wake, which is as long as a whole query. So after a call its
//! workers look out for the next one for a moment before they sleep, as OpenMP's do; and a caller that is done waits
//! for the others awake for as long.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How long workers stay alert after a call.
const ALERT: Duration = Duration::from_micros(100);

/// Looks at the clock are this many spins apart.
const SPINS: usize = 16;

/// A rayon pool and the process that it lives in: after a fork its threads are gone.
pub(crate) struct Pool {
    process: u32,
    threads: rayon::ThreadPool,
    watch: Arc<Watch>,
}

/// Who is alert, and until when.
struct Watch {
    start: Instant,
    /// Nanoseconds after `start`.
    until: AtomicU64,
    alert: AtomicUsize,
}

impl Pool {
    /// Starts `threads` workers.
    pub(crate) fn new(threads: usize) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|worker| format!("ivf-{worker}"))
            .build()
            .map_err(|error| Error::Device(format!("starting {threads} threads: {error}")))?;
        let watch = Watch { start: Instant::now(), until: AtomicU64::new(0), alert: AtomicUsize::new(0) };
        Ok(Self { process: std::process::id(), threads: pool, watch: Arc::new(watch) })
    }

    /// Whether the threads live in this process.
    pub(crate) fn is_here(&self) -> bool {
        self.process == std::process::id()
    }

    /// Runs `work(0)` on the calling thread and `work(1)`, ..., `work(workers - 1)` on the pool's; returns when
    /// all are done.
    pub(crate) fn run(&self, workers: usize, work: &(impl Fn(usize) + Sync)) {
        self.watch.extend();
        let done = AtomicUsize::new(1);
        let done = &done;
        self.threads.in_place_scope(|scope| {
            for worker in 1..workers {
                scope.spawn(move |_| {
                    work(worker);
                    done.fetch_add(1, Ordering::Release);
                });
            }
            work(0);
            // The scope's own wait would put this thread to sleep at once.
            let start = Instant::now();
            while done.load(Ordering::Acquire) < workers && start.elapsed() < ALERT {
                (0..SPINS).for_each(|_| std::hint::spin_loop());
            }
        });
        self.watch.extend();
        self.keep_alert(workers - 1);
    }

    /// Runs `work` on the calling thread, with a scope for what it wants threads of the pool to do, and returns when all are
    /// done. As many workers, it included, stay alert.
    #[cfg(feature = "gpu")]
    pub(crate) fn assisted<'s, T>(&self, workers: usize, work: impl FnOnce(&rayon::Scope<'s>) -> T) -> T {
        let result = self.threads.in_place_scope(work);
        self.watch.extend();
        self.keep_alert(workers - 1);
        result
    }

    /// Has a worker take one `step` after another, until one is the last (false), other calls' work in between.
    pub(crate) fn later(&self, mut step: impl FnMut() -> bool + Send + 'static) {
        self.threads.spawn(move || {
            while step() {
                rayon::yield_now();
            }
        });
    }

    /// Has as many workers look out for the next call as took part in the last.
    fn keep_alert(&self, workers: usize) {
        let wanted = workers.min(self.threads.current_num_threads());
        while self.watch.enter(wanted) {
            let watch = self.watch.clone();
            self.threads.spawn(move || watch.keep());
        }
    }
}

impl Watch {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn extend(&self) {
        let alert = u64::try_from(ALERT.as_nanos()).unwrap_or(u64::MAX);
        self.until.store(self.now().saturating_add(alert), Ordering::Relaxed);
    }

    /// Counts one more alert worker, if fewer than `wanted` are.
    fn enter(&self, wanted: usize) -> bool {
        let more = |alert| (alert < wanted).then_some(alert + 1);
        self.alert.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Takes whatever work comes until the time is over.
    fn keep(&self) {
        while self.now() < self.until.load(Ordering::Relaxed) {
            // Takes a job of the pool, if there is one.
            if rayon::yield_now() != Some(rayon::Yield::Executed) {
                (0..SPINS).for_each(|_| std::hint::spin_loop());
                std::thread::yield_now();
            }
        }
        self.alert.fetch_sub(1, Ordering::Relaxed);
    }
}
