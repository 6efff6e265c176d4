//! Who may know whom: a module imports from its own layer or from those after it, never from one before.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The layers, from the outermost to the innermost. A path of two parts stands apart from the rest of its module.
const LAYERS: &[&[&str]] = &[
    &["ffi"],
    &["index"],
    // Reads index strings; what an index is made of is for `index` to say.
    &["factory"],
    &["persist"],
    &["coarse", "codec", "transform", "lists", "filter", "curve"],
    &["kmeans"],
    // A context owns its backends, and a backend runs on its context's threads.
    &["context", "backend"],
    &["kernel"],
    // The layout of a block is what lists, backends and kernels share.
    &[
        "budget",
        "lists::block",
        "element",
        "output",
        "collect",
        "topk",
        "pool",
        "rows",
        "vector_file",
        "matrix",
        "metric",
        "progress",
        "random",
        "log",
        "error",
    ],
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of src") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The paths behind `crate::`, two parts at most: `lists::block`, `error`.
fn imports(source: &str) -> BTreeSet<String> {
    let code: String = source
        .lines()
        .map(|line| line.split("//").next().unwrap_or(line))
        .flat_map(|line| line.chars().filter(|c| !c.is_whitespace()).chain(['\n']))
        .collect();
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let two = |text: &str| {
        let first = name(text);
        let second = text[first.len()..].strip_prefix("::").map(name).unwrap_or_default();
        if second.is_empty() { first } else { format!("{first}::{second}") }
    };
    let mut paths = BTreeSet::new();
    for (at, found) in code.match_indices("crate::") {
        let rest = &code[at + found.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            paths.insert(two(rest));
            continue;
        };
        // crate::{a, b::{c, d}}: each part of the outer braces.
        let (mut depth, mut start) = (0, 0);
        for (i, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                ',' | '}' if depth == 0 => {
                    paths.insert(two(group[start..i].trim_start()));
                    start = i + 1;
                    if c == '}' {
                        break;
                    }
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    paths.remove("");
    paths
}

/// The place of a path in [`LAYERS`].
fn layer(path: &str) -> Option<usize> {
    let of = |wanted: &str| LAYERS.iter().position(|layer| layer.contains(&wanted));
    of(path).or_else(|| of(path.split("::").next().unwrap_or(path)))
}

/// The path of a source file's module, two parts at most; `None` for lib.rs.
fn module(path: &Path) -> Option<String> {
    let path = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("below src");
    let parts: Vec<_> =
        path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    match &parts[..] {
        [lib] if lib == "lib" => None,
        [first] => Some(first.clone()),
        [first, second, ..] => Some(format!("{first}::{second}")),
        [] => None,
    }
}

#[test]
fn imports_go_inwards_only() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    assert!(files.len() > 30, "{}", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let Some(from) = module(&file) else { continue };
        let own = layer(&from).unwrap_or_else(|| panic!("{from} has no layer yet: give it one in LAYERS"));
        let source = std::fs::read_to_string(&file).expect("a source file");
        for to in imports(&source) {
            let other = layer(&to).unwrap_or_else(|| panic!("{from} imports {to}, which has no layer"));
            if other < own {
                wrong.push(format!("{from} imports {to}"));
            }
        }
    }
    assert!(wrong.is_empty(), "imports that go outwards:\n{}", wrong.join("\n"));
}

#[test]
fn imports_of_every_form_are_found() {
    let source = "use crate::error::{Error, Result}; // crate::comment\n\
                  use crate::{\n    matrix::MatrixRef,\n    lists::{block::BLOCK, List},\n    topk,\n};\n\
                  /// [`crate::doc`]\nfn f() { crate::backend::device::check(); $crate::ffi::options::x() }";
    let found: Vec<_> = imports(source).into_iter().collect();
    assert_eq!(found, ["backend::device", "error", "ffi::options", "lists", "matrix::MatrixRef", "topk"]);
}
