//! Files of vectors, read a piece at a time: `.npy` (NumPy), `.fvecs` and `.bvecs` (the corpora of Jégou et al.: an
//! int32 with the number of columns before each row).
//!
//! Sizes are compared with the file's own length before anything is allocated.

mod npy;

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::element::{Element, Values, f16};
use crate::error::{Error, Result};
use crate::rows::RowsRef;

/// An open file of vectors.
pub(crate) struct VectorFile {
    path: PathBuf,
    file: File,
    element: Element,
    rows: usize,
    dim: usize,
    /// Where the first row begins.
    start: u64,
    /// Bytes before each row's values: the number of columns, or none.
    before: usize,
}

/// Rows that were read, in the file's own type.
#[derive(Default)]
pub(crate) struct Buffer {
    raw: Vec<u8>,
    f32: Vec<f32>,
    f16: Vec<f16>,
    u8: Vec<u8>,
}

impl VectorFile {
    /// Opens a file: `.npy` by its first bytes, `.fvecs` and `.bvecs` by the ends of their names.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let failed = |source| Error::Io { action: "opening", path: path.to_path_buf(), source };
        let mut file = File::open(path).map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        let mut magic = [0u8; 6];
        let magic = match file.read_exact(&mut magic) {
            Ok(()) => magic,
            Err(_) => [0; 6],
        };
        file.rewind().map_err(failed)?;
        let (element, rows, dim, start, before) = if magic == *b"\x93NUMPY" {
            let header = npy::read(&mut BufReader::new(&file))?;
            (header.element, header.rows, header.dim, header.start, 0)
        } else {
            let name = path.extension().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
            let element = match &*name {
                "fvecs" => Element::F32,
                "bvecs" => Element::U8,
                _ => {
                    return Err(Error::Format(format!(
                        "{}: expected a file of vectors: .npy, .fvecs or .bvecs",
                        path.display()
                    )));
                }
            };
            let (rows, dim) = vecs(&mut file, len, element, &name)?;
            (element, rows, dim, 0, size_of::<i32>())
        };
        let large = || Error::Overflow { what: "file", rows, dim };
        let (rows, dim) =
            (usize::try_from(rows).map_err(|_| large())?, usize::try_from(dim).map_err(|_| large())?);
        if dim == 0 || dim > i32::MAX as usize {
            return Err(Error::Format(format!(
                "{}: expected rows of 1 column or more, got {dim}",
                path.display()
            )));
        }
        let file = Self { path: path.to_path_buf(), file, element, rows, dim, start, before };
        let expected = (rows as u64)
            .checked_mul(file.row_bytes() as u64)
            .and_then(|bytes| bytes.checked_add(start))
            .ok_or_else(large)?;
        if expected != len {
            return Err(Error::corrupt(format!(
                "{}: expected {expected} bytes for {rows} rows of {dim} columns, got {len}: the file is truncated or damaged",
                path.display()
            )));
        }
        Ok(file)
    }

    /// How many vectors there are.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of each.
    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    fn row_bytes(&self) -> usize {
        self.before + self.dim * self.element.size()
    }

    /// Reads the rows `from..to`.
    pub(crate) fn read<'b>(&mut self, from: usize, to: usize, buffer: &'b mut Buffer) -> Result<RowsRef<'b>> {
        buffer.resize(self.element, (to - from) * self.dim)?;
        self.fill(from, to - from, 0, buffer)?;
        self.rows_of(buffer, to - from)
    }

    /// Reads rows of these numbers, ascending.
    pub(crate) fn read_some<'b>(
        &mut self,
        numbers: &[usize],
        buffer: &'b mut Buffer,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<RowsRef<'b>> {
        buffer.resize(self.element, numbers.len() * self.dim)?;
        let mut done = 0;
        while done < numbers.len() {
            // Neighbours are read at once.
            let run = (done + 1..numbers.len()).take_while(|&i| numbers[i] == numbers[i - 1] + 1).count() + 1;
            let run = run.min((1 << 24) / self.row_bytes() + 1);
            self.fill(numbers[done], run, done, buffer)?;
            done += run;
            check()?;
        }
        self.rows_of(buffer, numbers.len())
    }

    fn rows_of<'b>(&self, buffer: &'b Buffer, rows: usize) -> Result<RowsRef<'b>> {
        let values = match self.element {
            Element::F16 => Values::F16(&buffer.f16),
            Element::U8 => Values::U8(&buffer.u8),
            _ => Values::F32(&buffer.f32),
        };
        RowsRef::new("rows", values, rows, self.dim)
    }

    /// Reads `count` rows from `from` on to the places from `place` on.
    fn fill(&mut self, from: usize, count: usize, place: usize, buffer: &mut Buffer) -> Result<()> {
        let path = &self.path;
        let failed = |source| Error::Io { action: "reading", path: path.clone(), source };
        let row_bytes = self.row_bytes();
        let width = self.dim * self.element.size();
        self.file.seek(SeekFrom::Start(self.start + (from * row_bytes) as u64)).map_err(failed)?;
        let Buffer { raw, f32, f16, u8 } = buffer;
        let values: &mut [u8] = match self.element {
            Element::F16 => bytemuck::cast_slice_mut(f16),
            Element::U8 => u8,
            _ => bytemuck::cast_slice_mut(f32),
        };
        let values = &mut values[place * width..(place + count) * width];
        if self.before == 0 {
            return self.file.read_exact(values).map_err(failed);
        }
        raw.resize(count * row_bytes, 0);
        self.file.read_exact(raw).map_err(failed)?;
        for (i, (row, to)) in raw.chunks_exact(row_bytes).zip(values.chunks_exact_mut(width)).enumerate() {
            let (columns, row) = row.split_at(self.before);
            let got = i32::from_le_bytes([columns[0], columns[1], columns[2], columns[3]]);
            if usize::try_from(got) != Ok(self.dim) {
                return Err(Error::corrupt(format!(
                    "{}: row {}: expected {} columns as in the first row, got {got}",
                    path.display(),
                    from + i,
                    self.dim
                )));
            }
            to.copy_from_slice(row);
        }
        Ok(())
    }
}

impl Buffer {
    fn resize(&mut self, element: Element, values: usize) -> Result<()> {
        fn grow<T: Copy + Default>(vec: &mut Vec<T>, len: usize) -> Result<()> {
            vec.try_reserve_exact(len.saturating_sub(vec.len())).map_err(|_| Error::Memory {
                what: "rows of a file",
                bytes: (len * size_of::<T>()) as u64,
            })?;
            vec.resize(len, T::default());
            Ok(())
        }
        match element {
            Element::F16 => grow(&mut self.f16, values),
            Element::U8 => grow(&mut self.u8, values),
            _ => grow(&mut self.f32, values),
        }
    }
}

/// Rows and columns of a `.fvecs` or `.bvecs` file of `len` bytes.
fn vecs(file: &mut File, len: u64, element: Element, name: &str) -> Result<(u64, u64)> {
    let mut columns = [0u8; 4];
    file.read_exact(&mut columns).map_err(|_| {
        Error::corrupt(format!(".{name}: expected the number of columns first, got {len} bytes"))
    })?;
    let dim = i32::from_le_bytes(columns);
    let dim = u64::try_from(dim)
        .map_err(|_| Error::Format(format!(".{name}: expected rows of 1 column or more, got {dim}")))?;
    // Rounded up: a rest is then found missing.
    Ok((len.div_ceil(4 + dim * element.size() as u64), dim))
}
