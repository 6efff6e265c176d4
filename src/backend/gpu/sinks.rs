//! Where the hits of trials go.

use std::sync::{Mutex, PoisonError};

use crate::collect::Sink;
use crate::topk::Hit;

/// Takes hits and forgets them: a lock around them would be measured too.
pub(super) struct Nobody;

impl Sink for Nobody {
    fn take(&self, _: usize, _: &[Hit]) {}
}

/// All hits of a job.
pub(super) struct Found(Mutex<Vec<Vec<Hit>>>);

impl Found {
    pub(super) fn new(queries: usize) -> Self {
        Self(Mutex::new(vec![Vec::new(); queries]))
    }

    pub(super) fn take(&self) -> Vec<Vec<Hit>> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sink for Found {
    fn take(&self, query: usize, hits: &[Hit]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[query] = hits.to_vec();
    }
}
