//! Gives the shared library the name that programs ask for at run time: its number is that of the ABI.

use std::env;

/// `ivf_abi_version()`, and `IVF_ABI_VERSION` in CMakeLists.txt; the C tests compare them.
const ABI_VERSION: u32 = 1;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    match env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("windows") => {}
        Ok("macos" | "ios") => {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libivf.{ABI_VERSION}.dylib");
        }
        _ => println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libivf.so.{ABI_VERSION}"),
    }
}
