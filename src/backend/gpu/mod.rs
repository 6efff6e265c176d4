//! GPUs, through wgpu: Vulkan, Metal, DX12. No type of wgpu's leaves this module.
//!
//! Results are the CPU's, bit by bit: the device finds what may be among the best, and the CPU's own arithmetic
//! decides ([`exact`]). Whatever the device cannot do, or fails to do, the CPU does.
//!
//! A job goes in [`rounds`], which a crew of threads ([`crew`]) plans, sends and judges while the device works on others.
//! Searches of plain lists have both steps done [`at_once`] instead: the device plans their scan by what its own coarse step found.

mod adapter;
mod arithmetic;
mod assign;
mod at_once;
mod auto;
mod beside;
mod bounds;
mod call;
mod choice;
mod cost;
mod crew;
mod device;
mod encode;
mod engine;
mod exact;
mod forms;
mod health;
mod held;
mod keep;
mod labels;
mod land;
mod map;
mod pieces;
mod pipelines;
mod planner;
mod probe;
mod rescan;
mod resident;
mod round;
mod rounds;
mod sample;
mod scan;
mod scratch;
mod sinks;
mod staging;
mod sums;
mod upload;
mod verify;
mod workload;

pub(crate) use adapter::infos;
pub(crate) use choice::Choice;
pub(crate) use keep::KeptRows;
pub(crate) use resident::Resident;
