//! Exact nearest neighbours of data in data, without an index to keep.

use std::sync::Arc;

use super::search::Request;
use super::{Index, IndexOptions, SearchOptions, SearchOutput};
use crate::context::Context;
use crate::error::Result;
use crate::metric::Metric;
use crate::progress::Control;
use crate::rows::RowsRef;

/// The `k` rows of `x` (`[n, dim]`, of any element type, as are the queries) nearest to each query (`[m, dim]`), exactly. Ids are row
/// numbers. Of the options, `threads` and `filter` count.
pub fn knn<'q, 'x>(
    context: &Arc<Context>,
    queries: impl Into<RowsRef<'q>>,
    x: impl Into<RowsRef<'x>>,
    metric: Metric,
    k: usize,
    options: &SearchOptions<'_>,
    output: SearchOutput<'_>,
    control: &Control<'_>,
) -> Result<()> {
    let (queries, x) = (queries.into(), x.into());
    queries.check_dim("queries", x.dim())?;
    output.check(queries.rows(), k)?;
    let mut index = Index::new(context.clone(), x.dim(), metric, "Flat", &IndexOptions::default())?;
    index.check_finite(queries, "queries", options.threads, control)?;
    index.add(x, None, options.threads, &control.silent())?;
    index.run(&Request { stage: "knn", queries, k, given: None }, options, output, control)
}
