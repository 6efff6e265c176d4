//! What is known of queries before they meet a list.

use super::product::Tables;
use super::rounded::Roundings;
use super::{Codes, ScanJob};
use crate::kernel::Kernels;
use crate::matrix::squared_norm;
use crate::metric::Metric;

/// Of some queries of a job, numbered from its first.
#[derive(Default)]
pub(crate) struct Prepared {
    /// Squared lengths (L2).
    pub(super) norms: Vec<f32>,
    /// Where vectors are coded by words.
    pub(super) tables: Tables,
    /// Where they are rounded, once for all lists.
    pub(super) roundings: Roundings,
}

impl Prepared {
    /// Prepares the queries `from..to`, in place of all others.
    pub(super) fn fill(&mut self, kernels: &Kernels, job: &ScanJob<'_>, from: usize, to: usize) {
        let queries = job.rows(from..to);
        // Of a query that is rounded they come with that.
        let wanted = job.metric == Metric::L2 && !matches!(job.codes, Codes::Rounded(_));
        let norm = |row| if wanted { squared_norm(row) } else { 0.0 };
        self.norms.clear();
        self.norms.extend(queries.chunks_exact(job.dim).map(norm));
        match &job.codes {
            Codes::Product(codes) => self.tables.fill(kernels, codes, queries),
            Codes::Rounded(codes) if !codes.is_by_list(job.metric) => {
                self.roundings.fill(kernels, job.metric, codes, 0, queries.chunks_exact(job.dim));
            }
            _ => {}
        }
    }

    /// Bytes that a query takes.
    pub(super) fn bytes_a_query(job: &ScanJob<'_>) -> usize {
        match &job.codes {
            Codes::Product(codes) => codes.table_bytes(),
            _ => 0,
        }
    }
}
