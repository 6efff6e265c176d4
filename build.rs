//! Gives the shared library the name that programs ask for at run time: its number is that of the ABI. And makes of each
//! shader what the library holds: the same without comments and indents, a third less.

use std::path::Path;
use std::{env, fs, io};

/// `ivf_abi_version()`, and `IVF_ABI_VERSION` in CMakeLists.txt; the C tests compare them.
const ABI_VERSION: u32 = 1;

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=shaders");
    shrink_shaders(Path::new(&env::var_os("OUT_DIR").unwrap_or_default()))?;
    match env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("windows") => {}
        Ok("macos" | "ios") => {
            println!("cargo:rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libivf.{ABI_VERSION}.dylib");
        }
        _ => println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libivf.so.{ABI_VERSION}"),
    }
    Ok(())
}

/// Writes every shader to this folder, without comments and indents.
fn shrink_shaders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir("shaders")? {
        let entry = entry?;
        let text = fs::read_to_string(entry.path())?;
        let code = |line: &str| line.split("//").next().unwrap_or_default().trim().to_owned() + "\n";
        let lines: String = text.lines().map(code).filter(|line| line.trim() != "").collect();
        fs::write(folder.join(entry.file_name()), lines)?;
    }
    Ok(())
}
