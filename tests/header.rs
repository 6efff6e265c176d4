//! include/ivf.h is what cbindgen makes of src/ffi, and what it says of itself is true.
#![expect(unsafe_code, reason = "strings of the C ABI")]

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::path::{Path, PathBuf};

use ivf::ffi;

/// src/ffi in the order of the header's sections.
const SECTIONS: [&str; 24] = [
    "status",
    "progress",
    "library",
    "device",
    "log",
    "context",
    "handle",
    "index",
    "data",
    "change",
    "readback",
    "filter",
    "stats",
    "search",
    "budget",
    "range",
    "tune",
    "persist",
    "cancellable",
    "stream",
    "kmeans",
    "knn",
    "typed",
    "vectors",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn header_path() -> PathBuf {
    root().join("include/ivf.h")
}

fn committed() -> String {
    let text = std::fs::read_to_string(header_path()).expect("include/ivf.h");
    // A checkout on Windows may have turned the line ends.
    text.replace("\r\n", "\n")
}

fn generated() -> String {
    let mut config = cbindgen::Config::from_file(root().join("cbindgen.toml")).expect("cbindgen.toml");
    let version = |part, number| format!("#define IVF_VERSION_{part} {number}\n");
    config.after_includes = Some(format!(
        "\n/* The header's version; `ivf_version` has the library's. */\n{}{}{}",
        version("MAJOR", env!("CARGO_PKG_VERSION_MAJOR")),
        version("MINOR", env!("CARGO_PKG_VERSION_MINOR")),
        version("PATCH", env!("CARGO_PKG_VERSION_PATCH")),
    ));
    let mut builder = cbindgen::Builder::new().with_config(config);
    for section in SECTIONS {
        builder = builder.with_src(root().join(format!("src/ffi/{section}.rs")));
    }
    let mut header = Vec::new();
    builder.generate().expect("src/ffi can be read").write(&mut header);
    // "struct" is needed where a type is made, and is noise where it is used.
    let header = String::from_utf8(header).expect("UTF-8");
    let line = |line: &str| match line.starts_with("typedef struct") {
        true => format!("{line}\n"),
        false => {
            // Not within a word: "reconstruct ivf_add".
            let line = format!(" {line}").replace(" struct ivf_", " ivf_").replace("(struct ivf_", "(ivf_");
            format!("{}\n", &line[1..])
        }
    };
    header.lines().map(line).collect()
}

/// The code of the header, without its comments.
fn code(header: &str) -> String {
    let (_, declarations) = header.split_once("*/").expect("the head's end");
    declarations.lines().map(|line| line.split("//").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// Names `ivf_...` that stand before an opening parenthesis.
fn functions(code: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    code.match_indices('(')
        .map(|(at, _)| &code[..at])
        .map(|before| &before[before.trim_end_matches(is_name).len()..])
        .filter(|name| name.starts_with("ivf_"))
        .collect()
}

#[test]
fn header_regenerated_is_the_committed_one() {
    let generated = generated();
    if std::env::var_os("IVF_WRITE_HEADER").is_some() {
        std::fs::write(header_path(), &generated).expect("include/ivf.h can be written");
    }
    let committed = committed();
    let (ours, theirs): (Vec<_>, Vec<_>) = (generated.lines().collect(), committed.lines().collect());
    let differ = (0..).find(|&line| ours.get(line) != theirs.get(line) || line > ours.len()).unwrap_or(0);
    assert!(
        generated == committed,
        "include/ivf.h differs from src/ffi at line {}: IVF_WRITE_HEADER=1 cargo test --test header\n\
         in the file: {:?}\nby src/ffi: {:?}",
        differ + 1,
        theirs.get(differ),
        ours.get(differ),
    );
}

#[test]
fn header_contents_name_every_function() {
    let header = committed();
    let (_, contents) = header.split_once("Contents\n").expect("a table of contents");
    let (contents, _) = contents.split_once("*/").expect("its end");
    let listed: BTreeSet<_> = contents.split_whitespace().filter(|word| word.starts_with("ivf_")).collect();
    assert_eq!(listed, functions(&code(&header)));
}

#[test]
fn header_functions_are_the_exported_ones() {
    let mut exported = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("src/ffi")).expect("src/ffi") {
        let source = std::fs::read_to_string(entry.expect("an entry").path()).expect("a source file");
        for function in source.split("#[unsafe(no_mangle)]").skip(1) {
            let name = function.split_once(" fn ").expect("a function").1;
            exported.insert(name.split_once('(').expect("its parameters").0.to_owned());
        }
    }
    let exported: BTreeSet<_> = exported.iter().map(String::as_str).collect();
    assert_eq!(exported, functions(&code(&committed())));
}

#[test]
fn header_status_codes_have_their_names() {
    let header = committed();
    let is_code = |line: &&str| line.starts_with("#define IVF_E_") || line.starts_with("#define IVF_OK ");
    let mut next = 0;
    for line in header.lines().filter(is_code) {
        let [_, name, number] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert_eq!(number.parse(), Ok(next), "codes rise without gaps: {line}");
        // SAFETY: never NULL, lives for ever.
        let known = unsafe { CStr::from_ptr(ffi::ivf_status_name(next)) };
        assert_eq!(known.to_str(), Ok(name));
        next += 1;
    }
    assert!(next >= 20, "{next}");
    for unknown in [-1, next, i32::MAX, i32::MIN] {
        // SAFETY: as above.
        assert_eq!(unsafe { CStr::from_ptr(ffi::ivf_status_name(unknown)) }, c"IVF_E_UNKNOWN");
    }
}

#[test]
fn header_every_declaration_is_documented() {
    let header = committed();
    let (_, declarations) = header.split_once("#define IVF_VERSION_PATCH").expect("the version");
    let (mut documented, mut open, mut seen) = (false, false, 0);
    for line in
        declarations.lines().skip(1).filter(|line| !line.starts_with('#') || line.starts_with("#define"))
    {
        let comment = line.trim_start().starts_with("//");
        // A declaration over several lines is documented above its first.
        if !comment && !open && line.chars().any(char::is_alphabetic) && !line.starts_with(['}', 'e']) {
            assert!(documented, "undocumented: {line}");
            seen += 1;
        }
        open = !comment && (open || line.contains('(')) && !line.contains(';');
        documented = comment;
    }
    assert!(seen > 100, "{seen}");
}

/// The program in the header's head, compiled as strict C99 and run with the shared library beside this test.
#[test]
#[cfg(target_os = "linux")]
fn header_example_compiles_and_finds_its_own_vector() {
    use std::process::Command;

    let library = library();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("header_example");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder for the test");
    let header = committed();
    let (_, example) = header.split_once("#include <ivf.h>").expect("the example");
    let (example, _) = example.split_once("\n *   }\n").expect("its end");
    let lines = example.lines().map(|line| line.strip_prefix(" *").unwrap_or(line));
    let program = format!("#include <ivf.h>{}\n}}\n", lines.collect::<Vec<_>>().join("\n"));
    std::fs::write(folder.join("example.c"), program).expect("written");
    // Whatever name the library gives itself, the program finds it.
    for name in ["libivf.so".to_owned(), format!("libivf.so.{}", ffi::ivf_abi_version())] {
        std::os::unix::fs::symlink(&library, folder.join(name)).expect("a link");
    }
    let compiled = Command::new("cc")
        .current_dir(&folder)
        .args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
        .arg(root().join("include"))
        .args(["example.c", "-o", "example", "-L.", "-livf"])
        .output()
        .expect("cc");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let ran =
        Command::new(folder.join("example")).env("LD_LIBRARY_PATH", &folder).output().expect("the example");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let out = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert_eq!((out.lines().next(), out.lines().count()), (Some("0 0"), 5), "{out}");
}

/// The shared library exports the header's functions and nothing else, to not collide with its host's names.
#[test]
#[cfg(target_os = "linux")]
fn library_exports_the_header_s_functions_only() {
    let listed = std::process::Command::new("nm")
        .args(["--dynamic", "--defined-only", "--format=just-symbols"])
        .arg(library())
        .output()
        .expect("nm of binutils, which cc needs too");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert_eq!(listed.lines().collect::<BTreeSet<_>>(), functions(&code(&committed())));
}

/// The shared library that cargo built for this test run.
#[cfg(target_os = "linux")]
fn library() -> PathBuf {
    let test = std::env::current_exe().expect("this test's own path");
    let library = test.with_file_name("libivf.so");
    assert!(library.exists(), "{} is built with the tests", library.display());
    library
}
