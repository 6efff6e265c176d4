//! Work that is shared out, and beside it tasks that one worker has to do.

use std::sync::{Mutex, PoisonError};

use crate::context::Context;
use crate::error::Result;

/// What is to be done once, by any worker.
pub(super) type Task<'a> = &'a mut (dyn FnMut() + Send);

/// Does each of `tasks` once, the first of them on the calling thread and the others on whichever worker comes first, and
/// `work` on all workers.
pub(super) fn beside<const N: usize>(
    context: &Context,
    workers: usize,
    tasks: [Task<'_>; N],
    work: &(impl Fn() + Sync),
) -> Result<()> {
    let mut tasks = tasks.into_iter();
    let first = Mutex::new(tasks.next());
    let others = Mutex::new(tasks);
    context.parallel(workers, &|worker| {
        if worker == 0
            && let Some(task) = first.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            task();
        }
        let next = || others.lock().unwrap_or_else(PoisonError::into_inner).next();
        while let Some(task) = next() {
            task();
        }
        work();
    })
}
