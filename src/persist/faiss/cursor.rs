//! Reading packed numbers one after another, never beyond the end, never allocating more than what is left.

use bytemuck::Pod;

use super::Code;
use crate::error::{Error, Result};
use crate::persist::source::Source;

/// A place in a file.
pub(super) struct Cursor<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) at: u64,
}

impl Cursor<'_> {
    fn plain<T: Pod>(&mut self) -> Result<T> {
        let mut value = T::zeroed();
        self.source.read(self.at, bytemuck::bytes_of_mut(&mut value))?;
        self.at += size_of::<T>() as u64;
        Ok(value)
    }

    pub(super) fn code(&mut self) -> Result<Code> {
        self.plain()
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        self.plain()
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.plain()
    }

    pub(super) fn f32(&mut self) -> Result<f32> {
        self.plain()
    }

    pub(super) fn i32(&mut self) -> Result<i32> {
        self.plain()
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.plain()
    }

    pub(super) fn i64(&mut self) -> Result<i64> {
        self.plain()
    }

    /// A byte that can only be 0 or 1.
    pub(super) fn bool(&mut self, what: &str) -> Result<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            got => Err(Error::corrupt(format!("faiss index: {what}: expected 0 or 1, got {got}"))),
        }
    }

    /// Passes over `count` items of `each` bytes and tells where they begin.
    pub(super) fn skip(&mut self, what: &str, count: u64, each: u64) -> Result<u64> {
        let start = self.at;
        self.at = count
            .checked_mul(each)
            .and_then(|bytes| start.checked_add(bytes))
            .filter(|&end| end <= self.source.len())
            .ok_or_else(|| self.too_few(what, count, each))?;
        Ok(start)
    }

    /// `count` values.
    pub(super) fn array<T: Pod>(&mut self, what: &str, count: u64) -> Result<Vec<T>> {
        let start = self.skip(what, count, size_of::<T>() as u64)?;
        let memory = || Error::Memory { what: "loading a faiss index", bytes: self.at - start };
        let count = usize::try_from(count).map_err(|_| memory())?;
        let mut values = Vec::new();
        values.try_reserve_exact(count).map_err(|_| memory())?;
        values.resize(count, T::zeroed());
        self.source.read(start, bytemuck::cast_slice_mut(&mut values))?;
        Ok(values)
    }

    /// A count and as many values.
    pub(super) fn vector<T: Pod>(&mut self, what: &str) -> Result<Vec<T>> {
        let count = self.u64()?;
        self.array(what, count)
    }

    fn too_few(&self, what: &str, count: u64, each: u64) -> Error {
        Error::corrupt(format!(
            "faiss index: {what}: expected {count} times {each} bytes at {}, got {} to the end: truncated or damaged",
            self.at,
            self.source.len() - self.at
        ))
    }
}
