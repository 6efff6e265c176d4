//! The header and the section table of our format, see [the format](super).

use bytemuck::{Pod, Zeroable};

use super::source::Source;
use crate::element::Element;
use crate::error::{Error, Result};

/// What our files begin with. As in PNG, the bytes beyond ASCII and the line ends show a file that was
/// treated as text on its way.
pub(super) const MAGIC: [u8; 8] = *b"\x89IVF\r\n\x1a\n";

/// The format version that is written, and the newest that is read.
pub(super) const VERSION: u32 = 1;

/// Every section starts on a multiple of this.
pub(super) const ALIGN: usize = 64;

/// More sections than any version will need.
const MAX_SECTIONS: u32 = 1024;

const REQUIRED: u32 = 1;

/// A section's name.
pub(super) type Tag = [u8; 4];

pub(super) const META: Tag = *b"META";
pub(super) const TRANSFORMS: Tag = *b"XFRM";
pub(super) const CENTROIDS: Tag = *b"CENT";
pub(super) const TREE: Tag = *b"TREE";
pub(super) const CODE: Tag = *b"CODE";
pub(super) const LISTS: Tag = *b"LIST";
pub(super) const BIAS: Tag = *b"BIAS";
pub(super) const IDS: Tag = *b"IDS ";
pub(super) const REFINE: Tag = *b"RFIN";
pub(super) const ROWS: Tag = *b"ROWS";
pub(super) const SOAR: Tag = *b"SOAR";
pub(super) const COPY_LISTS: Tag = *b"SLST";
pub(super) const COPY_BIAS: Tag = *b"SBIA";
pub(super) const COPY_IDS: Tag = *b"SIDS";
pub(super) const COPY_VECTORS: Tag = *b"SVEC";
/// May be passed over.
pub(super) const CURVE: Tag = *b"CURV";
/// Likewise: then every query visits as many lists.
pub(super) const SCALES: Tag = *b"CVPS";
/// Likewise: the lists are then no longer kept in order.
pub(super) const RANKS: Tag = *b"RANK";
/// Likewise.
pub(super) const K_FACTOR: Tag = *b"KFAC";

/// The sections that hold the vectors, one for each element type: a reader that does not know a type refuses
/// the file by its section.
pub(super) const VECTORS: [(Element, Tag); 4] =
    [(Element::F32, *b"VECS"), (Element::F16, *b"VF16"), (Element::Bf16, *b"VB16"), (Element::U8, *b"VU8 ")];

/// The section that holds vectors of `element`.
pub(super) fn vectors(element: Element) -> Tag {
    let known = VECTORS.iter().find(|(known, _)| *known == element);
    known.expect("invariant: every element type has a section").1
}

const KNOWN: [Tag; 19] = [
    META,
    TRANSFORMS,
    CENTROIDS,
    TREE,
    CODE,
    LISTS,
    BIAS,
    IDS,
    REFINE,
    ROWS,
    SOAR,
    COPY_LISTS,
    COPY_BIAS,
    COPY_IDS,
    COPY_VECTORS,
    VECTORS[0].1,
    VECTORS[1].1,
    VECTORS[2].1,
    VECTORS[3].1,
];

/// A tag as text.
pub(super) fn name(tag: Tag) -> String {
    tag.escape_ascii().to_string()
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    version: u32,
    sections: u32,
    length: u64,
    zeros: [u32; 9],
    checksum: u32,
}

/// Bytes of the header.
pub(super) const HEADER: usize = size_of::<Header>();

/// The length of the whole file, as a header of a version that we know declares it.
pub(super) fn declared_length(source: &Source<'_>) -> Result<u64> {
    Ok(Header::read(source)?.length)
}

impl Header {
    fn read(source: &Source<'_>) -> Result<Self> {
        let mut header = Self::zeroed();
        source.read(0, bytemuck::bytes_of_mut(&mut header))?;
        if header.version == 0 || header.version > VERSION {
            return Err(Error::Format(format!(
                "format version: expected 1 to {VERSION}, got {}; a newer libivf is needed if it wrote the file",
                header.version
            )));
        }
        Ok(header)
    }
}

/// One section of a file.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Section {
    pub(super) tag: Tag,
    flags: u32,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) checksum: u32,
    zeros: u32,
}

/// The fixed part of `META`; the description follows.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Meta {
    pub(super) dim: u32,
    pub(super) metric: u32,
    pub(super) nprobe: u64,
    pub(super) next_id: i64,
    pub(super) flags: u32,
    pub(super) description: u32,
}

pub(super) const TRAINED: u32 = 1;
pub(super) const DUPLICATE_IDS: u32 = 2;

/// One list's entry in `LIST`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(super) struct ListEntry {
    pub(super) len: u64,
    pub(super) dead: u64,
}

/// The sections of a file, in file order.
pub(super) struct Table(pub(super) Vec<Section>);

impl Table {
    /// Lays out sections of these lengths one after another; their checksums are still to come.
    pub(super) fn new(sections: &[(Tag, u64)]) -> Result<Self> {
        let mut offset = (size_of::<Header>() + size_of::<Section>() * sections.len()) as u64;
        let mut table = Vec::with_capacity(sections.len());
        for &(tag, length) in sections {
            offset = offset.next_multiple_of(ALIGN as u64);
            let flags = if [CURVE, SCALES, K_FACTOR, RANKS].contains(&tag) { 0 } else { REQUIRED };
            table.push(Section { tag, flags, offset, length, checksum: 0, zeros: 0 });
            offset = offset.checked_add(length).ok_or_else(|| Error::argument("index too large to save"))?;
        }
        Ok(Self(table))
    }

    /// The length of the whole file.
    pub(super) fn file_length(&self) -> u64 {
        self.0.last().map_or(size_of::<Header>() as u64, |last| last.offset + last.length)
    }

    /// The header and the table as they are written.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut header = Header {
            magic: MAGIC,
            version: VERSION,
            sections: u32::try_from(self.0.len()).expect("invariant: a handful of sections"),
            length: self.file_length(),
            zeros: [0; 9],
            checksum: 0,
        };
        header.checksum = checksum(&header, &self.0);
        [bytemuck::bytes_of(&header), bytemuck::cast_slice(&self.0)].concat()
    }

    /// Reads and checks header and table: afterwards every section lies inside the file, and none that this
    /// version must know is unknown.
    pub(super) fn decode(source: &Source<'_>) -> Result<Self> {
        let header = Header::read(source)?;
        if header.sections > MAX_SECTIONS {
            return Err(Error::corrupt(format!(
                "number of sections: expected at most {MAX_SECTIONS}, got {}",
                header.sections
            )));
        }
        let mut table = vec![Section::zeroed(); header.sections as usize];
        source.read(size_of::<Header>() as u64, bytemuck::cast_slice_mut(&mut table))?;
        let expected = checksum(&header, &table);
        if header.checksum != expected {
            return Err(Error::corrupt(format!(
                "header checksum: expected {expected:#010x}, got {:#010x}",
                header.checksum
            )));
        }
        if header.length != source.len() {
            let fault = if source.len() < header.length { "truncated" } else { "something was appended" };
            return Err(Error::corrupt(format!(
                "{fault}: expected {} bytes, got {}",
                header.length,
                source.len()
            )));
        }
        for (place, section) in table.iter().enumerate() {
            section.check(header.length)?;
            if table[..place].iter().any(|other| other.tag == section.tag) {
                return Err(Error::corrupt(format!(
                    "section {}: expected one, got two: the file is damaged",
                    name(section.tag)
                )));
            }
        }
        Ok(Self(table))
    }

    /// The section of this tag, if there is one.
    pub(super) fn get(&self, tag: Tag) -> Option<&Section> {
        self.0.iter().find(|section| section.tag == tag)
    }

    /// The section of this tag.
    pub(super) fn need(&self, tag: Tag) -> Result<&Section> {
        self.get(tag).ok_or_else(|| {
            Error::corrupt(format!("section {}: expected one, got none: the file is damaged", name(tag)))
        })
    }
}

impl Section {
    fn check(&self, file: u64) -> Result<()> {
        let name = name(self.tag);
        if self.flags & REQUIRED != 0 && !KNOWN.contains(&self.tag) {
            return Err(Error::Unsupported(format!("section {name}: a newer libivf is needed to read it")));
        }
        let inside = self.offset.checked_add(self.length).is_some_and(|end| end <= file);
        if !inside || !self.offset.is_multiple_of(ALIGN as u64) {
            return Err(Error::corrupt(format!(
                "section {name}: expected a place within {file} bytes on a multiple of {ALIGN}, got {} bytes at {}",
                self.length, self.offset
            )));
        }
        Ok(())
    }

    /// Fails unless the section is as long as what is known of its content asks for.
    pub(super) fn check_length(&self, expected: u64) -> Result<()> {
        if self.length == expected {
            return Ok(());
        }
        let name = name(self.tag);
        Err(Error::corrupt(format!("section {name}: expected {expected} bytes, got {}", self.length)))
    }

    /// Fails unless `got` is the section's checksum.
    pub(super) fn check_sum(&self, got: u32) -> Result<()> {
        if self.checksum == got {
            return Ok(());
        }
        Err(Error::corrupt(format!(
            "section {}: expected the checksum {:#010x}, got {got:#010x}: the file is damaged",
            name(self.tag),
            self.checksum
        )))
    }
}

/// The checksum of a header, its own field apart, and a table.
fn checksum(header: &Header, table: &[Section]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytemuck::bytes_of(header)[..size_of::<Header>() - size_of::<u32>()]);
    hasher.update(bytemuck::cast_slice(table));
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Result<Table> {
        Table::decode(&Source::Bytes(bytes))
    }

    fn file(table: &Table) -> Vec<u8> {
        let mut bytes = table.encode();
        bytes.resize(usize::try_from(table.file_length()).expect("small"), 0);
        bytes
    }

    #[test]
    fn table_encoded_decodes_to_itself() {
        let table = Table::new(&[(META, 5), (IDS, 0), (BIAS, 64)]).expect("small");
        let decoded = decode(&file(&table)).expect("sound");
        assert_eq!(decoded.0, table.0);
        assert!(table.0.iter().all(|section| section.offset.is_multiple_of(ALIGN as u64)));
    }

    #[test]
    fn table_optional_unknown_section_is_passed_over() {
        let mut table = Table::new(&[(META, 5), (*b"TUNE", 8)]).expect("small");
        table.0[1].flags = 0;
        assert!(decode(&file(&table)).expect("sound").get(META).is_some());
    }

    #[test]
    fn table_required_unknown_section_is_unsupported_by_name() {
        let table = Table::new(&[(META, 5), (*b"PQCB", 8)]).expect("small");
        let error = decode(&file(&table)).err().expect("refused");
        assert!(matches!(&error, Error::Unsupported(text) if text.contains("PQCB")), "{error}");
    }

    #[test]
    fn table_same_tag_twice_is_corrupt() {
        let table = Table::new(&[(META, 5), (META, 5)]).expect("small");
        assert!(matches!(decode(&file(&table)), Err(Error::Corrupt(text)) if text.contains("two")));
    }

    #[test]
    fn table_section_outside_file_is_corrupt() {
        let mut table = Table::new(&[(META, 5), (IDS, 8)]).expect("small");
        table.0[0].length = u64::MAX;
        let bytes = file(&table);
        assert!(matches!(decode(&bytes), Err(Error::Corrupt(text)) if text.contains("META")));
    }

    #[test]
    fn table_of_newer_version_is_a_format_error() {
        let mut bytes = file(&Table::new(&[(META, 5)]).expect("small"));
        bytes[8] = 2;
        assert!(matches!(decode(&bytes), Err(Error::Format(text)) if text.contains("got 2")));
    }
}
