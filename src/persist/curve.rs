//! The sections of the operating curve.

use bytemuck::{Pod, Zeroable};

use crate::curve::{Curve, CurvePoint};
use crate::error::{Error, Result};

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Head {
    k: u64,
    queries: u64,
    count: u64,
    changed: u64,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Point {
    nprobe: u64,
    recall: f64,
    low: f64,
    cost: f64,
    k_factor: f64,
}

pub(super) fn encode(curve: &Curve) -> Vec<u8> {
    let head = Head {
        k: curve.k as u64,
        queries: curve.queries as u64,
        count: curve.count as u64,
        changed: curve.changed as u64,
    };
    let points = curve.points.iter().map(|point| Point {
        nprobe: point.nprobe as u64,
        recall: point.recall,
        low: point.low,
        cost: point.cost,
        k_factor: point.k_factor.into(),
    });
    let mut bytes = bytemuck::bytes_of(&head).to_vec();
    points.for_each(|point| bytes.extend_from_slice(bytemuck::bytes_of(&point)));
    bytes
}

/// The scale of each point; empty if there is none.
pub(super) fn scales(curve: &Curve) -> Vec<f32> {
    let scales: Vec<f32> = curve.points.iter().map(|point| point.probe_scale).collect();
    if scales.iter().all(|&scale| scale == 0.0) { Vec::new() } else { scales }
}

/// Gives the points of a curve, as many, their scales.
pub(super) fn set_scales(curve: &mut Curve, scales: &[f32]) -> Result<()> {
    for (point, &scale) in curve.points.iter_mut().zip(scales) {
        if !(scale >= 0.0 && scale.is_finite()) {
            return Err(Error::corrupt(format!("section CVPS: expected scales of 0 or more, got {scale}")));
        }
        point.probe_scale = scale;
    }
    Ok(())
}

pub(super) fn decode(bytes: &[u8]) -> Result<Curve> {
    let fail = |text: &str| Error::corrupt(format!("section CURV: {text}"));
    let (head, points) = match bytes.split_at_checked(size_of::<Head>()) {
        Some((head, points)) if !points.is_empty() && points.len() % size_of::<Point>() == 0 => {
            (head, points)
        }
        _ => return Err(fail(&format!("expected a head and points, got {} bytes", bytes.len()))),
    };
    let head: Head = bytemuck::pod_read_unaligned(head);
    let to_usize = |value: u64| {
        usize::try_from(value).map_err(|_| fail(&format!("expected a number of this machine, got {value}")))
    };
    let mut curve = Curve {
        k: to_usize(head.k)?,
        queries: to_usize(head.queries)?,
        count: to_usize(head.count)?,
        changed: to_usize(head.changed)?,
        points: Vec::with_capacity(points.len() / size_of::<Point>()),
    };
    if curve.k == 0 || curve.queries == 0 || curve.count < curve.k {
        return Err(fail(&format!(
            "expected k, queries and as many vectors, got {}, {} and {}",
            curve.k, curve.queries, curve.count
        )));
    }
    let mut last = 1;
    for point in points.chunks_exact(size_of::<Point>()) {
        let point: Point = bytemuck::pod_read_unaligned(point);
        let shares = 0.0 <= point.low && point.low <= point.recall && point.recall <= 1.0;
        #[expect(clippy::cast_possible_truncation, reason = "it was written from one")]
        let k_factor = point.k_factor as f32;
        let factor = k_factor == 0.0 || (k_factor >= 1.0 && k_factor.is_finite());
        if point.nprobe < last || !shares || !point.cost.is_finite() || !factor {
            return Err(fail(
                "expected points of rising nprobe from 1 on with recalls from 0 to 1 and factors of 1 or more, got others",
            ));
        }
        last = point.nprobe;
        let nprobe = to_usize(point.nprobe)?;
        curve.points.push(CurvePoint {
            nprobe,
            probe_scale: 0.0,
            k_factor,
            recall: point.recall,
            low: point.low,
            cost: point.cost,
        });
    }
    Ok(curve)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_what_was_encoded_comes_back_and_nonsense_is_refused() {
        let point = |nprobe, k_factor, recall, low| {
            let cost = 7.5;
            CurvePoint { nprobe, probe_scale: 0.0, k_factor, recall, low, cost }
        };
        let points = vec![point(1, 0.0, 0.5, 0.25), point(2, 1.5, 0.75, 0.5)];
        let curve = Curve { k: 10, queries: 3, count: 40, changed: 5, points };
        let bytes = encode(&curve);
        assert_eq!(decode(&bytes).unwrap(), curve);
        for len in (0..bytes.len()).filter(|len| *len != bytes.len() - size_of::<Point>()) {
            assert!(decode(&bytes[..len]).is_err(), "{len}");
        }
        let changed = |change: fn(&mut Curve)| {
            let mut curve = curve.clone();
            change(&mut curve);
            decode(&encode(&curve))
        };
        assert!(changed(|curve| curve.k = 0).is_err());
        assert!(changed(|curve| curve.k = 41).is_err());
        assert!(changed(|curve| curve.points[1].nprobe = 1).is_ok());
        assert!(changed(|curve| curve.points[0].nprobe = 3).is_err());
        assert!(changed(|curve| curve.points[0].nprobe = 0).is_err());
        assert!(changed(|curve| curve.points[1].recall = 1.5).is_err());
        assert!(changed(|curve| curve.points[1].low = f64::NAN).is_err());
        assert!(changed(|curve| curve.points[0].low = 0.6).is_err());
        assert!(changed(|curve| curve.points[0].k_factor = 0.5).is_err());
        assert!(changed(|curve| curve.points[0].k_factor = f32::NAN).is_err());
        assert!(changed(|curve| curve.points[0].cost = f64::INFINITY).is_err());
    }

    #[test]
    fn scales_of_a_curve_come_back_and_nonsense_is_refused() {
        let point = |nprobe| CurvePoint {
            nprobe,
            probe_scale: 0.0,
            k_factor: 0.0,
            recall: 0.5,
            low: 0.25,
            cost: 7.5,
        };
        let plain = Curve { k: 10, queries: 3, count: 40, changed: 5, points: vec![point(1), point(2)] };
        assert!(scales(&plain).is_empty());
        let mut adaptive = plain.clone();
        adaptive.points[0].probe_scale = 0.25;
        let mut again = decode(&encode(&adaptive)).unwrap();
        assert_eq!(again, plain);
        set_scales(&mut again, &scales(&adaptive)).unwrap();
        assert_eq!(again, adaptive);
        for nonsense in [-1.0, f32::NAN, f32::INFINITY] {
            assert!(set_scales(&mut again, &[0.0, nonsense]).is_err());
        }
    }
}
