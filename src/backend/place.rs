//! Where a vector lies: what a hit carries in place of an id while its vector is still to be read.

/// A list and a slot in it. Places of one list are in the order of its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) list: usize,
    pub(crate) slot: usize,
}

impl Place {
    /// As a hit carries it.
    #[inline]
    pub(crate) fn to_id(self) -> i64 {
        (self.list as i64) << 32 | self.slot as i64
    }

    /// The place that a hit carries.
    #[inline]
    pub(crate) fn of_id(id: i64) -> Self {
        let number = |part: i64| usize::try_from(part).expect("invariant: a place is not negative");
        Self { list: number(id >> 32), slot: number(id & i64::from(u32::MAX)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_any_comes_back() {
        for (list, slot) in [(0, 0), (3, 7), ((1 << 28) - 1, u32::MAX as usize)] {
            let place = Place { list, slot };
            assert_eq!(Place::of_id(place.to_id()), place);
        }
    }
}
