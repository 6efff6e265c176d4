//! A context: the threads and the devices that calls run on. No other state is shared.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::backend::device::{Device, DeviceStatus};
use crate::backend::workspace::WorkspacePool;
use crate::error::{Error, Result};
use crate::kernel::Kernels;
use crate::log::{Log, LogLevel};
use crate::pool::Pool;

/// How a [`Context`] is made.
#[derive(Clone, Debug, Default)]
pub struct ContextOptions {
    /// Threads a call may use, the calling one included; 0 = one a core that this process may use.
    pub threads: usize,
    /// `None`, "auto" (for each call what is faster), "cpu", "gpu", "gpu:1", or part of a device's name.
    pub device: Option<String>,
    /// `None` = the best that this CPU has; else "scalar", "avx2", "avx512" or "neon".
    pub kernel: Option<String>,
    /// Bytes that a GPU may be used for; 0 = four fifths of what it has. What does not fit is the CPU's.
    pub device_memory_bytes: u64,
    /// How long a GPU may take for a part of a call (a twentieth of a second, as a rule) before it is taken for
    /// lost; `None` = half a minute.
    pub device_timeout: Option<Duration>,
    /// Where warnings go; `None` = nowhere.
    pub log: Option<Log>,
}

/// Worker threads and kernels. Shared by indexes through an `Arc`; all methods may run in parallel.
///
/// Threads start when a call first has work for more than one; none starts at creation.
pub struct Context {
    threads: usize,
    kernels: &'static Kernels,
    device: Device,
    pool: Mutex<Option<Arc<Pool>>>,
    workspaces: WorkspacePool,
    log: Option<Log>,
    /// Whether the loss of the device was told.
    loss_told: AtomicBool,
}

impl Context {
    /// A context with these options.
    pub fn new(options: &ContextOptions) -> Result<Self> {
        let device =
            Device::open(options.device.as_deref(), options.device_memory_bytes, options.device_timeout)?;
        let cores = crate::backend::device::usable_cores();
        let threads = if options.threads == 0 { cores } else { options.threads };
        if threads > MAX_THREADS {
            return Err(Error::argument(format!("threads: expected at most {MAX_THREADS}, got {threads}")));
        }
        let kernels = Kernels::select(options.kernel.as_deref())?;
        let (pool, workspaces) = (Mutex::new(None), WorkspacePool::default());
        let log = options.log.clone();
        Ok(Self { threads, kernels, device, pool, workspaces, log, loss_told: AtomicBool::new(false) })
    }

    /// One of four threads on the software adapter, as if that could bind so many bytes, and destroyed after so many
    /// submissions; `None` where there is none.
    #[cfg(all(test, feature = "gpu"))]
    pub(crate) fn emulated(binding: u64, submissions: u64) -> Option<Arc<Self>> {
        let device = Device::emulated(binding, submissions)?;
        let options = ContextOptions { threads: 4, device: Some("cpu".into()), ..ContextOptions::default() };
        Some(Arc::new(Self { device, ..Self::new(&options).expect("a context") }))
    }

    /// Tells whoever listens; the text is made only for them.
    pub(crate) fn warn(&self, text: impl FnOnce() -> String) {
        if let Some(log) = &self.log {
            log.say(LogLevel::Warning, &text());
        }
    }

    /// The same of what is good to know.
    #[cfg(feature = "gpu")]
    pub(crate) fn inform(&self, text: impl FnOnce() -> String) {
        if let Some(log) = &self.log {
            log.say(LogLevel::Info, &text());
        }
    }

    /// Tells once if the device was lost. Called where no lock is held.
    pub(crate) fn notice_loss(&self) {
        if self.log.is_some()
            && let Some(reason) = self.device.status().lost
            && !self.loss_told.swap(true, Ordering::Relaxed)
        {
            let name = self.device_name();
            self.warn(|| {
                format!("device {name}: lost ({reason}); calls go on on the CPU, with the same results")
            });
        }
    }

    /// Threads that a call may use, the calling one included.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The name of the device that calls run on.
    pub fn device_name(&self) -> String {
        self.device.status().name
    }

    /// The device that calls run on, and whether it still does.
    pub fn device_status(&self) -> DeviceStatus {
        self.device.status()
    }

    /// Loses the GPU as a reset of its driver would, in the middle of whatever runs on it: for tests of what
    /// happens then.
    #[doc(hidden)]
    pub fn lose_device(&self) {
        self.device.destroy();
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// The name of the kernels in use: "scalar", "avx2", "avx512" or "neon".
    pub fn kernel_name(&self) -> &'static str {
        self.kernels.name
    }

    pub(crate) fn kernels(&self) -> &'static Kernels {
        self.kernels
    }

    pub(crate) fn workspaces(&self) -> &WorkspacePool {
        &self.workspaces
    }

    /// How many workers a call that asked for `threads` (0 = all) gets.
    pub(crate) fn workers(&self, threads: usize) -> usize {
        if threads == 0 { self.threads } else { threads.min(self.threads) }
    }

    /// Runs `work(0)`, ..., `work(workers - 1)`, the first on the calling thread, the others on the
    /// pool, and returns when all are done. Work is shared out by the callee (an atomic counter, say),
    /// so a worker that starts late finds nothing left to do.
    pub(crate) fn parallel(&self, workers: usize, work: &(impl Fn(usize) + Sync)) -> Result<()> {
        if workers <= 1 {
            work(0);
            return Ok(());
        }
        self.pool()?.run(workers, work);
        Ok(())
    }

    /// Runs `work` on the calling thread, with a scope in which it can ask the pool's threads to help if there may be more
    /// workers than one, and returns when all are done.
    #[cfg(feature = "gpu")]
    pub(crate) fn assisted<'s, T>(
        &self,
        workers: usize,
        work: impl FnOnce(Option<&rayon::Scope<'s>>) -> T,
    ) -> Result<T> {
        if workers <= 1 {
            return Ok(work(None));
        }
        Ok(self.pool()?.assisted(workers, |scope| work(Some(scope))))
    }

    /// Does `work` for every job, on as many workers; the first failure ends it.
    pub(crate) fn each<T>(
        &self,
        workers: usize,
        jobs: impl Iterator<Item = T> + Send,
        work: &(impl Fn(T) -> Result<()> + Sync),
    ) -> Result<()> {
        let jobs = Mutex::new(jobs.fuse());
        let failure = Mutex::new(None);
        self.parallel(workers, &|_| {
            loop {
                let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(job) = next else { break };
                if let Err(error) = work(job) {
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    break;
                }
            }
        })?;
        failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    /// Takes one short `step` after another, until one is the last (false), on the pool, while the calling thread goes on
    /// and other calls' work comes in between. `step` must not panic.
    pub(crate) fn later(&self, mut step: impl FnMut() -> bool + Send + 'static) {
        match self.pool() {
            Ok(pool) => pool.later(step),
            Err(_) => while step() {},
        }
    }

    /// The pool, started on first use, and again in the child of a fork.
    fn pool(&self) -> Result<Arc<Pool>> {
        let mut slot = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = slot.as_ref().filter(|pool| pool.is_here()) {
            return Ok(pool.clone());
        }
        let pool = Arc::new(Pool::new((self.threads - 1).max(1))?);
        // The parent's pool is forgotten, not dropped: its threads do not exist in this process.
        std::mem::forget(slot.take());
        Ok(slot.insert(pool).clone())
    }
}

const MAX_THREADS: usize = 4096;
