//! The shape of the program, held: who may use whom, which crate lives where, and how long a file may grow.

use std::path::{Path, PathBuf};

/// Modules by layer; each may use only what stands in a layer above its own. `job`, `volume` and `nn` stand on nothing.
const LAYERS: [&[&str]; 9] = [
    &["job", "volume", "nn"],
    &["io", "preprocess", "weights"],
    &["models"],
    &["latent_shift"],
    &["pipeline"],
    &["frame"],
    &["export", "gpu"],
    &["settings"],
    &["cli", "ui"],
];

/// `(module, module)` of one layer where the first may use the second all the same, with the reason.
const BESIDE: [(&str, &str, &str); 2] = [
    ("volume", "job", "resampling reports progress and can be cancelled"),
    ("cli", "ui", "the command line opens the window when no command is named"),
];

/// Crates and the modules that may name them.
const FENCES: [(&str, &[&str]); 8] = [
    ("candle_core", &["nn", "weights", "models", "latent_shift", "pipeline"]),
    ("candle_nn", &["nn", "weights", "models", "latent_shift", "pipeline"]),
    ("eframe", &["gpu", "ui"]),
    ("nifti", &["io", "export"]),
    ("dicom_object", &["io"]),
    ("clap", &["cli"]),
    ("rfd", &["ui"]),
    ("indicatif", &["cli"]),
];

const LONGEST_FILE: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| extensions.iter().any(|e| ext == *e)) {
                found.push(path);
            }
        }
    }
    found
}

/// The top-level module that a file of `src` belongs to.
fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).expect("a file of src");
    let first = inside.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// Code without its line comments: a doc link is no dependency.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("readable");
    text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Names that follow `crate::`, single or in braces: only the first of each path.
fn used_modules(code: &str) -> Vec<String> {
    let name =
        |text: &str| -> String { text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let mut used = Vec::new();
    for (at, found) in code.match_indices("crate::") {
        let rest = &code[at + found.len()..];
        let Some(inside) = rest.strip_prefix('{') else {
            used.push(name(rest));
            continue;
        };
        let (mut depth, mut start) = (0, 0);
        for (i, c) in inside.char_indices() {
            match c {
                '{' => depth += 1,
                ',' if depth == 0 => {
                    used.push(name(&inside[start..i]));
                    start = i + 1;
                }
                '}' if depth == 0 => {
                    used.push(name(&inside[start..i]));
                    break;
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    used
}

#[test]
fn modules_use_only_what_stands_above_them() {
    let mut wrong = Vec::new();
    for path in files("src", &["rs"]) {
        let module = module_of(&path);
        let Some(layer) = layer_of(&module) else {
            assert!(["lib", "main"].contains(&module.as_str()), "{module} has no layer: give it one");
            continue;
        };
        for used in used_modules(&code(&path)) {
            let Some(other) = layer_of(&used) else { continue };
            let beside = BESIDE.iter().any(|(a, b, _)| *a == module && *b == used);
            if used != module && other >= layer && !beside {
                wrong.push(format!("{} uses {used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn crates_stay_behind_their_fences() {
    let mut wrong = Vec::new();
    for path in files("src", &["rs"]) {
        let (module, code) = (module_of(&path), code(&path));
        for (name, homes) in FENCES {
            let named = [format!("{name}::"), format!("use {name};")];
            let uses = named.iter().any(|n| {
                code.match_indices(n.as_str()).any(|(at, _)| {
                    // `crate::export::nifti::` is ours, `nifti::` the crate.
                    !code[..at].ends_with("::") && !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
                })
            });
            let own_module = code.contains(&format!("mod {name};")) || code.contains(&format!("{{{name},"));
            if uses && !homes.contains(&module.as_str()) && !own_module && module != "cli" {
                wrong.push(format!("{} uses {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn threads_start_in_job_alone() {
    let strays: Vec<_> = files("src", &["rs"])
        .into_iter()
        .filter(|path| module_of(path) != "job" && code(path).contains("thread::Builder"))
        .collect();
    assert!(strays.is_empty(), "{strays:?}");
}

#[test]
fn unsafe_code_stays_in_nn() {
    let strays: Vec<_> = files("src", &["rs"])
        .into_iter()
        .filter(|path| module_of(path) != "nn" && code(path).contains("unsafe "))
        .collect();
    assert!(strays.is_empty(), "{strays:?}");
}

#[test]
fn no_file_is_longer_than_a_reader_can_hold() {
    let mut long = Vec::new();
    for folder in ["src", "tests", "shaders"] {
        for path in files(folder, &["rs", "wgsl"]) {
            let lines = std::fs::read_to_string(&path).expect("readable").lines().count();
            if lines > LONGEST_FILE {
                long.push(format!("{}: {lines} lines", path.display()));
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn every_source_file_says_what_it_answers_for() {
    let silent: Vec<_> = files("src", &["rs"])
        .into_iter()
        .filter(|path| !std::fs::read_to_string(path).expect("readable").starts_with("//! "))
        .collect();
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn the_module_reader_sees_single_and_braced_names() {
    let code = "use crate::io::{self, Scan};\nuse crate::{job::Monitor, volume};\nlet x = crate::nn::conv();";
    assert_eq!(used_modules(code), ["io", "job", "volume", "nn"]);
}
