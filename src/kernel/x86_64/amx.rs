//! Products in whole numbers by Intel's matrix units (AMX): sixteen times as many a cycle as by VNNI. All else as AVX-512.
//!
//! Linux hands these units out by process, and makes the signal frames of threads that use them 8 KiB larger, for which
//! an alternative signal stack has to have room. That is the host program's business, so these kernels run only where
//! they are asked for by name.
#![expect(unsafe_code, reason = "assembly; entered only where the units were granted")]

use std::arch::asm;
use std::arch::x86_64::{__cpuid_count, _xgetbv};
use std::sync::OnceLock;

use super::dot::{finish, safe_avx512};
use crate::kernel::dot::{DotInput, GROUP};
use crate::kernel::{CHUNK, Kernels, MAX_QUERIES, TileOutput};
use crate::lists::block::{BLOCK, NARROW};

static KERNELS: Kernels =
    Kernels { name: "amx", dots: safe_dots, by_name: Some(is_granted), ..super::avx512::KERNELS };

/// The kernels, if the CPU has AMX for bytes and AVX-512 with VNNI.
pub(super) fn detect() -> Option<&'static Kernels> {
    let has = super::avx512::detect().is_some() && is_x86_feature_detected!("avx512vnni") && has_units();
    has.then_some(&KERNELS)
}

/// Whether CPU and operating system know the units.
fn has_units() -> bool {
    const TILES_AND_BYTES: u32 = 1 << 24 | 1 << 25;
    const TILE_STATES: u64 = 1 << 17 | 1 << 18;
    // The CPU has AVX-512, so it has this leaf and XGETBV.
    let leaf = __cpuid_count(7, 0);
    // SAFETY: AVX-512 was detected, so the operating system has enabled XSAVE.
    leaf.edx & TILES_AND_BYTES == TILES_AND_BYTES && unsafe { states() } & TILE_STATES == TILE_STATES
}

/// # Safety
/// The operating system must have enabled XSAVE.
#[target_feature(enable = "xsave")]
unsafe fn states() -> u64 {
    // SAFETY: register 0 is there wherever XSAVE is.
    unsafe { _xgetbv(0) }
}

/// Asks for the units, once a process.
fn is_granted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    static GRANTED: OnceLock<bool> = OnceLock::new();
    // SAFETY: a system call that takes two numbers.
    *GRANTED.get_or_init(|| unsafe {
        libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0
    })
}

fn safe_dots(input: DotInput<'_>, output: &mut TileOutput) -> u32 {
    // A few queries leave most of the units idle.
    if input.count < FEW || !is_granted() {
        return safe_avx512(input, output);
    }
    // SAFETY: `KERNELS` is only reached through `detect`, the units were granted, and `Kernels::dots` checked the shape.
    unsafe { tile(input, output) }
}

/// Queries from which on the units are faster.
const FEW: usize = 4;

/// Groups of dimensions that a tile register holds.
const DEEP: usize = 16;

/// Sums of a block.
#[repr(C, align(64))]
struct Sums([[i32; BLOCK]; MAX_QUERIES]);

/// The shapes of the eight tile registers: columns in bytes, and rows.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    columns: [u16; 16],
    rows: [u8; 16],
}

impl Shapes {
    /// 0 and 1: sums of 16 lanes each. 2: queries, 4 and 6: codes, of 16 groups. 3, 5 and 7: the same of the last `rest`.
    #[expect(clippy::cast_possible_truncation, reason = "at most 16")]
    fn of(count: usize, rest: usize) -> Self {
        let (full, part) = (DEEP_BYTES, (rest * GROUP) as u16);
        let (count, rest) = (count as u8, rest as u8);
        let lanes = DEEP_BYTES;
        let mut shapes =
            Self { palette: 1, start_row: 0, reserved: [0; 14], columns: [0; 16], rows: [0; 16] };
        shapes.columns[..8].copy_from_slice(&[lanes, lanes, full, part, lanes, lanes, lanes, lanes]);
        shapes.rows[..8].copy_from_slice(&[count, count, count, count, DEEP as u8, rest, DEEP as u8, rest]);
        if rest == 0 {
            // An unused register has neither.
            for unused in [3, 5, 7] {
                (shapes.columns[unused], shapes.rows[unused]) = (0, 0);
            }
        }
        shapes
    }
}

/// Bytes of 16 groups, and of the sums of 16 lanes.
const DEEP_BYTES: u16 = 64;

/// # Safety
/// The process must have the units, the CPU AVX-512, and `input` the shape that [`DotInput`] tells.
#[target_feature(enable = "avx512f")]
unsafe fn tile(input: DotInput<'_>, output: &mut TileOutput) -> u32 {
    let DotInput { count, groups, .. } = input;
    let width = input.bias.len().min(BLOCK);
    let rest = groups % DEEP;
    let shapes = Shapes::of(count, rest);
    let mut sums = Sums([[0; BLOCK]; MAX_QUERIES]);
    let mut any = 0;
    // SAFETY: 64 bytes; the compiler's own code leaves tile registers alone. A group of a block is `width` lanes of four
    // bytes, and rows of queries are `CHUNK` words apart.
    unsafe {
        asm!("ldtilecfg [{}]", in(reg) &raw const shapes, options(nostack, readonly));
        for block in 0..input.bias.len() / width {
            let (codes, _) = input.block(block, width);
            asm!("tilezero tmm0", "tilezero tmm1", options(nostack, nomem));
            for from in (0..groups).step_by(CHUNK) {
                let queries = input.queries.as_ptr().add(from * count);
                let here = (groups - from).min(CHUNK);
                multiply(queries, codes.as_ptr().add(from * width * GROUP), width, here / DEEP, here % DEEP);
            }
            asm!(
                "tilestored [{sums} + {stride}], tmm0",
                sums = in(reg) &raw mut sums, stride = in(reg) BLOCK * size_of::<i32>(), options(nostack),
            );
            if width == BLOCK {
                asm!(
                    "tilestored [{sums} + {stride} + 64], tmm1",
                    sums = in(reg) &raw mut sums, stride = in(reg) BLOCK * size_of::<i32>(), options(nostack),
                );
            }
            for (query, sums) in sums.0[..count].iter().enumerate() {
                any |= finish(&input, block, query, &sums[..width], output);
            }
        }
        asm!("tilerelease", options(nostack, nomem));
    }
    any
}

/// Adds the products of queries with the codes of a block to registers 0 and 1: of `deep` times 16 groups, and of `rest`.
///
/// # Safety
/// The registers must have their shapes, the queries so many groups in rows of `CHUNK` words, and the codes in rows of
/// `width` lanes, 16 or 32.
unsafe fn multiply(queries: *const i32, codes: *const u8, width: usize, deep: usize, rest: usize) {
    let row = width * GROUP;
    // SAFETY: as for this function.
    unsafe {
        if width == NARROW {
            asm!(
                "test {deep}, {deep}", "jz 3f",
                "2:",
                "tileloadd tmm2, [{queries} + {apart}]",
                "tileloadd tmm4, [{codes} + {row}]",
                "tdpbsud tmm0, tmm2, tmm4",
                "add {queries}, 64", "add {codes}, {step}",
                "dec {deep}", "jnz 2b",
                "3:",
                "test {rest}, {rest}", "jz 4f",
                "tileloadd tmm3, [{queries} + {apart}]",
                "tileloadd tmm5, [{codes} + {row}]",
                "tdpbsud tmm0, tmm3, tmm5",
                "4:",
                queries = inout(reg) queries => _, codes = inout(reg) codes => _, deep = inout(reg) deep => _,
                rest = in(reg) rest, apart = in(reg) CHUNK * size_of::<i32>(), row = in(reg) row,
                step = in(reg) row * DEEP, options(nostack, readonly),
            );
        } else {
            asm!(
                "test {deep}, {deep}", "jz 3f",
                "2:",
                "tileloadd tmm2, [{queries} + {apart}]",
                "tileloadd tmm4, [{codes} + {row}]",
                "tdpbsud tmm0, tmm2, tmm4",
                "tileloadd tmm6, [{codes} + {row} + 64]",
                "tdpbsud tmm1, tmm2, tmm6",
                "add {queries}, 64", "add {codes}, {step}",
                "dec {deep}", "jnz 2b",
                "3:",
                "test {rest}, {rest}", "jz 4f",
                "tileloadd tmm3, [{queries} + {apart}]",
                "tileloadd tmm5, [{codes} + {row}]",
                "tdpbsud tmm0, tmm3, tmm5",
                "tileloadd tmm7, [{codes} + {row} + 64]",
                "tdpbsud tmm1, tmm3, tmm7",
                "4:",
                queries = inout(reg) queries => _, codes = inout(reg) codes => _, deep = inout(reg) deep => _,
                rest = in(reg) rest, apart = in(reg) CHUNK * size_of::<i32>(), row = in(reg) row,
                step = in(reg) row * DEEP, options(nostack, readonly),
            );
        }
    }
}
