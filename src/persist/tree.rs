//! The section `TREE`, see [the format](super).

use crate::coarse::Grouping;
use crate::error::{Error, Result};

/// The section's bytes.
pub(super) fn encode(grouping: &Grouping, dim: usize) -> Vec<u8> {
    let groups = u32::try_from(grouping.centroids.len() / dim).expect("invariant: fewer groups than lists");
    let (centroids, labels) = (&grouping.centroids[..], &grouping.labels[..]);
    [bytemuck::bytes_of(&groups), bytemuck::cast_slice(centroids), bytemuck::cast_slice(labels)].concat()
}

/// The grouping of a section's bytes, for `dim` dimensions. Whether it is one of the index's lists is for
/// [`Grouping::check`] to say.
pub(super) fn decode(bytes: &[u8], dim: usize) -> Result<Grouping> {
    let fail = |expected: u64| {
        Error::corrupt(format!("section TREE: expected at least {expected} bytes, got {}", bytes.len()))
    };
    let (groups, rest) = bytes.split_at_checked(4).ok_or_else(|| fail(4))?;
    let groups: u32 = bytemuck::pod_read_unaligned(groups);
    let length = u64::from(groups).saturating_mul(dim as u64).saturating_mul(4);
    let split = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
    let (centroids, labels) = split.ok_or_else(|| fail(length.saturating_add(4)))?;
    if !labels.len().is_multiple_of(4) {
        return Err(Error::corrupt(format!(
            "section TREE: expected whole labels, got {} bytes",
            labels.len()
        )));
    }
    Ok(Grouping {
        centroids: bytemuck::pod_collect_to_vec(centroids),
        labels: bytemuck::pod_collect_to_vec(labels),
    })
}
