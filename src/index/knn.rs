//! Exact nearest neighbours of data in data, without an index to keep.

use std::sync::Arc;

use super::search::Request;
use super::{Index, IndexOptions, SearchOptions, SearchOutput};
use crate::context::Context;
use crate::error::Result;
use crate::matrix::MatrixRef;
use crate::metric::Metric;
use crate::progress::Control;

/// The `k` rows of `x` (`[n, dim]`) nearest to each query (`[m, dim]`), exactly. Ids are row
/// numbers. Of the options, `threads` and `filter` count.
pub fn knn(
    context: &Arc<Context>,
    queries: MatrixRef<'_>,
    x: MatrixRef<'_>,
    metric: Metric,
    k: usize,
    options: &SearchOptions<'_>,
    output: SearchOutput<'_>,
    control: &Control<'_>,
) -> Result<()> {
    queries.check_dim("queries", x.dim())?;
    output.check(queries.rows(), k)?;
    queries.check_finite("queries")?;
    let mut index = Index::new(context.clone(), x.dim(), metric, "Flat", &IndexOptions::default())?;
    index.add(x, None, options.threads, &control.silent())?;
    index.run(&Request { stage: "knn", queries, k, given: None }, options, output, control)
}
