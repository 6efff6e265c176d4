//! Work that is shared out, and beside it a task that one worker has to do.

use std::sync::{Mutex, PoisonError};

use crate::context::Context;
use crate::error::Result;

/// Does `task` on the calling thread, first of all, and `work` on all workers.
pub(super) fn beside(
    context: &Context,
    workers: usize,
    task: &mut (dyn FnMut() + Send),
    work: &(impl Fn() + Sync),
) -> Result<()> {
    let task = Mutex::new(Some(task));
    context.parallel(workers, &|worker| {
        if worker == 0
            && let Some(task) = task.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            task();
        }
        work();
    })
}
