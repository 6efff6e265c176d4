//! Memory of a list: aligned and growable when owned, borrowed from a file map when not.

use std::ops::Deref;
use std::sync::Arc;

use bytemuck::{Pod, Zeroable};

use crate::backend::Version;
use crate::error::{Error, Result};

/// Asked now and then whether to go on.
pub(crate) type Check<'a> = &'a dyn Fn() -> Result<()>;

/// Lines written between two such questions: 8 MB.
const LINES_A_STEP: usize = 1 << 17;

/// One cache line, the unit of allocation: what makes every list start on a 64-byte boundary.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// A growable array that starts on a 64-byte boundary and whose growth can fail without a panic.
pub(crate) struct AlignedVec<T> {
    lines: Vec<Line>,
    len: usize,
    element: std::marker::PhantomData<T>,
}

impl<T: Pod> AlignedVec<T> {
    const PER_LINE: usize = size_of::<Line>() / size_of::<T>();

    pub(crate) const fn new() -> Self {
        Self { lines: Vec::new(), len: 0, element: std::marker::PhantomData }
    }

    /// Elements that fit without another allocation.
    pub(crate) fn capacity(&self) -> usize {
        self.lines.capacity() * Self::PER_LINE
    }

    /// The addresses of all that is allocated.
    pub(crate) fn allocation(&self) -> std::ops::Range<usize> {
        let start = self.lines.as_ptr().addr();
        start..start + self.lines.capacity() * size_of::<Line>()
    }

    /// Makes room for `capacity` elements in all.
    pub(crate) fn reserve_exact(&mut self, capacity: usize) -> Result<()> {
        let lines = capacity.div_ceil(Self::PER_LINE);
        let more = lines.saturating_sub(self.lines.len());
        self.lines
            .try_reserve_exact(more)
            .map_err(|_| Error::Memory { what: "inverted lists", bytes: (lines * size_of::<Line>()) as u64 })
    }

    /// The same, asking `check` every so many bytes that are moved whether to go on.
    pub(crate) fn reserve_in_steps(&mut self, capacity: usize, check: Check<'_>) -> Result<()> {
        if self.lines.is_empty() {
            return self.reserve_exact(capacity);
        }
        let mut moved = Self::new();
        moved.reserve_exact(capacity.max(self.len))?;
        moved.extend_in_steps(self, check)?;
        *self = moved;
        Ok(())
    }

    /// Appends elements to none, asking `check` now and then.
    fn extend_in_steps(&mut self, elements: &[T], check: Check<'_>) -> Result<()> {
        for part in elements.chunks(LINES_A_STEP * Self::PER_LINE) {
            let from = self.len;
            self.resize(from + part.len())?;
            self.as_mut_slice()[from..].copy_from_slice(part);
            check()?;
        }
        Ok(())
    }

    /// Sets the length; new elements are zero. Allocates nothing within the capacity.
    pub(crate) fn resize(&mut self, len: usize) -> Result<()> {
        self.reserve_exact(len)?;
        self.lines.resize(len.div_ceil(Self::PER_LINE), Line([0; 64]));
        let old = std::mem::replace(&mut self.len, len);
        if len > old {
            // The last line may hold what was cut off by an earlier, shorter length; later ones are new.
            let line = old.next_multiple_of(Self::PER_LINE).min(len);
            self.as_mut_slice()[old..line].fill(T::zeroed());
        }
        Ok(())
    }

    /// The same, asking `check` every so many bytes whether to go on.
    pub(crate) fn resize_in_steps(&mut self, len: usize, check: Check<'_>) -> Result<()> {
        self.reserve_exact(len)?;
        while self.len < len {
            self.resize(len.min(self.len + LINES_A_STEP * Self::PER_LINE))?;
            check()?;
        }
        Ok(())
    }

    /// Gives back what is allocated beyond the length.
    pub(crate) fn shrink(&mut self) {
        self.lines.shrink_to_fit();
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.len]
    }
}

impl<T: Pod> Deref for AlignedVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &bytemuck::cast_slice(&self.lines)[..self.len]
    }
}

/// Bytes that lists may borrow from: a mapped file.
pub(crate) trait Region: Send + Sync {
    fn bytes(&self) -> &[u8];
}

/// Elements that a list owns, or that lie in a shared [`Region`] until they are first written to.
///
/// Whoever may write gets a new version, so that a copy elsewhere (a GPU's) knows whether it is still one.
pub(crate) struct Storage<T> {
    place: Place<T>,
    version: Version,
}

enum Place<T> {
    Owned(AlignedVec<T>),
    Shared { region: Arc<dyn Region>, start: usize, len: usize },
}

impl<T: Pod> Storage<T> {
    pub(crate) const fn new() -> Self {
        Self { place: Place::Owned(AlignedVec::new()), version: Version::EMPTY }
    }

    /// `len` elements at byte `start` of `region`; fails if they lie outside or are not aligned.
    pub(crate) fn shared(region: Arc<dyn Region>, start: usize, len: usize) -> Result<Self> {
        let slice = len
            .checked_mul(size_of::<T>())
            .and_then(|bytes| start.checked_add(bytes))
            .and_then(|end| region.bytes().get(start..end))
            .ok_or_else(|| Error::corrupt("a list lies outside its file"))?;
        bytemuck::try_cast_slice::<u8, T>(slice)
            .map_err(|_| Error::corrupt("a list is not aligned in its file"))?;
        Ok(Self { place: Place::Shared { region, start, len }, version: Version::new() })
    }

    /// The state of the elements.
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// The owned elements, to be changed in any way; copied out of the region if need be.
    pub(crate) fn to_mut(&mut self) -> Result<&mut AlignedVec<T>> {
        self.version = Version::new();
        self.own()
    }

    /// The owned elements, to be added to; of what is there only the last block may change.
    pub(crate) fn grow(&mut self) -> Result<&mut AlignedVec<T>> {
        self.version.now = Version::new().now;
        self.own()
    }

    /// The owned elements, not to be changed: their capacity may be.
    pub(crate) fn own(&mut self) -> Result<&mut AlignedVec<T>> {
        self.own_in_steps(&|| Ok(()))
    }

    /// The same, asking `check` now and then whether to go on.
    fn own_in_steps(&mut self, check: Check<'_>) -> Result<&mut AlignedVec<T>> {
        if let Place::Shared { .. } = self.place {
            let mut own = AlignedVec::new();
            own.reserve_exact(self.len())?;
            own.extend_in_steps(self, check)?;
            self.place = Place::Owned(own);
        }
        match &mut self.place {
            Place::Owned(own) => Ok(own),
            Place::Shared { .. } => unreachable!("invariant: copied above"),
        }
    }

    /// Makes room for `len` elements, or where that takes an allocation for as many as `room` says. Asks `check` now
    /// and then whether to go on.
    pub(crate) fn reserve(&mut self, len: usize, room: usize, check: Check<'_>) -> Result<()> {
        let own = self.own_in_steps(check)?;
        if own.capacity() < len { own.reserve_in_steps(room, check) } else { Ok(()) }
    }

    /// None of these elements, but memory for them; those in a region stay there, and are shared.
    pub(crate) fn room(&self) -> Result<Self> {
        let place = match &self.place {
            Place::Owned(own) => {
                let mut room = AlignedVec::new();
                room.reserve_exact(own.len())?;
                Place::Owned(room)
            }
            Place::Shared { region, start, len } => {
                Place::Shared { region: region.clone(), start: *start, len: *len }
            }
        };
        Ok(Self { place, version: Version::new() })
    }

    /// Copies the elements of `from`, whose [`Storage::room`] this is. Asks `check` now and then whether to go on.
    pub(crate) fn fill(&mut self, from: &Self, check: Check<'_>) -> Result<()> {
        match &mut self.place {
            Place::Owned(own) => own.extend_in_steps(from, check),
            Place::Shared { .. } => Ok(()),
        }
    }

    /// The addresses of what is owned; none where it is borrowed from a region.
    pub(crate) fn allocation(&self) -> std::ops::Range<usize> {
        match &self.place {
            Place::Owned(own) => own.allocation(),
            Place::Shared { .. } => 0..0,
        }
    }

    /// Gives back what is allocated beyond the length.
    pub(crate) fn shrink(&mut self) {
        if let Place::Owned(own) = &mut self.place {
            own.shrink();
        }
    }

    /// Bytes held in memory of our own (a mapped file's pages belong to the system).
    pub(crate) fn memory_bytes(&self) -> usize {
        match &self.place {
            Place::Owned(own) => own.capacity() * size_of::<T>(),
            Place::Shared { .. } => 0,
        }
    }
}

impl<T: Pod> Deref for Storage<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.place {
            Place::Owned(own) => own,
            Place::Shared { region, start, len } => {
                bytemuck::cast_slice(&region.bytes()[*start..*start + *len * size_of::<T>()])
            }
        }
    }
}
