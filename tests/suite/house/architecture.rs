//! The shape of the program, held: who may use whom, which crate lives where, and how long a file may grow.

mod circles;
mod paths;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use self::paths::{Named, named};

/// Modules by layer; each may use only what stands in a layer above its own. `files`, `machine`, `job`, `random`, `reach`, `volume` and `nn` stand on nothing.
const LAYERS: [&[&str]; 12] = [
    &["files", "machine", "job", "random", "reach", "volume", "nn"],
    &["insertion", "io", "graph", "preprocess", "weights", "catalogue"],
    &["exchange"],
    &["models"],
    &["latent_shift"],
    &["pipeline", "quality"],
    &["frame", "audit", "demo", "fit", "stability"],
    &["export", "gpu"],
    &["pacs"],
    &["settings", "study", "cohort"],
    &["session"],
    &["cli", "ui"],
];

/// `(module, module)` of one layer where the first may use the second all the same, with the reason.
const BESIDE: [(&str, &str, &str); 6] = [
    ("reach", "files", "addresses of servers are printed as names of files are"),
    ("nn", "random", "its tests draw numbers"),
    ("volume", "random", "phantoms are drawn by seed"),
    ("volume", "job", "resampling reports progress and can be cancelled"),
    ("cohort", "study", "moments are told alike"),
    ("cli", "ui", "the command line opens the window when no command is named"),
];

/// Crates and the modules that may name them; each of these does.
const FENCES: [(&str, &[&str]); 42] = [
    ("candle_core", &["nn", "graph", "weights", "exchange", "models", "latent_shift", "pipeline"]),
    ("candle_nn", &["graph", "weights", "models", "latent_shift"]),
    ("rayon", &["volume", "nn", "graph", "io", "insertion"]),
    ("libc", &["nn"]),
    ("safetensors", &["weights", "export", "cohort"]),
    ("zip", &["io", "weights", "catalogue"]),
    ("rten_onnx", &["exchange"]),
    ("ureq", &["catalogue", "pacs", "reach"]),
    ("rustls", &["pacs", "reach"]),
    ("fs4", &["catalogue"]),
    ("eframe", &["gpu", "ui"]),
    ("egui", &["gpu", "ui"]),
    ("wgpu", &["gpu"]),
    ("rfd", &["ui"]),
    ("open", &["session"]),
    ("flate2", &["io", "export"]),
    ("dicom_core", &["io", "export", "pacs"]),
    ("dicom_dictionary_std", &["io", "export", "pacs"]),
    ("dicom_object", &["export", "pacs"]),
    ("dicom_ul", &["pacs"]),
    ("keyring", &["pacs"]),
    ("memchr", &["pacs"]),
    ("rustls_platform_verifier", &["pacs"]),
    ("console", &["cli"]),
    ("dicom_encoding", &["io"]),
    ("charls", &["io"]),
    ("jpeg2k", &["io"]),
    ("turbojpeg_sys", &["io"]),
    ("image", &["frame", "export", "session", "ui", "cohort"]),
    ("base64", &["export", "cohort", "pacs"]),
    ("gif", &["export"]),
    ("glob", &["cohort"]),
    ("parquet", &["cohort"]),
    ("csv", &["audit", "export", "study", "cohort"]),
    ("muxide", &["export"]),
    ("openh264", &["export"]),
    ("png", &["export"]),
    ("ab_glyph", &["export"]),
    ("tempfile", &["export", "files", "catalogue", "pacs", "session", "cohort", "study"]),
    ("clap", &["cli"]),
    ("indicatif", &["cli"]),
    ("ctrlc", &["cli"]),
];

const LONGEST_FILE: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn files(folder: &str, extensions: &[&str]) -> Vec<PathBuf> {
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

/// `["io", "nifti"]` for `src/io/nifti.rs`, `["io"]` for `src/io/mod.rs`, `["main"]` for `src/main.rs`.
fn module_of(path: &Path) -> Vec<String> {
    let inside = path.strip_prefix(root().join("src")).expect("a file of src").with_extension("");
    let names = inside.components().map(|name| name.as_os_str().to_string_lossy().into_owned());
    names.filter(|name| name != "mod").collect()
}

/// Every source file with its top-level module and the paths it names. The crate's root is no module of its own.
fn sources() -> Vec<(PathBuf, String, Vec<Named>)> {
    let read = |path: PathBuf| {
        let module = module_of(&path);
        let at = if ["lib", "main"].contains(&module[0].as_str()) { &[] } else { module.as_slice() };
        let found = named(&std::fs::read_to_string(&path).expect("readable"), at);
        (path, module[0].clone(), found)
    };
    files("src", &["rs"]).into_iter().map(read).collect()
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

#[test]
fn modules_use_only_what_stands_above_them() {
    let (mut wrong, mut beside) = (Vec::new(), BTreeSet::new());
    for (path, module, found) in sources() {
        let Some(layer) = layer_of(&module) else {
            assert!(["lib", "main"].contains(&module.as_str()), "{module} has no layer: give it one");
            continue;
        };
        for used in found.iter().filter_map(Named::ours) {
            let Some(other) = layer_of(used) else {
                wrong.push(format!("{} uses {used}, which is no module", path.display()));
                continue;
            };
            if *used == module || other < layer {
                continue;
            }
            match BESIDE.iter().find(|(a, b, _)| *a == module && b == used) {
                Some((a, b, _)) => {
                    beside.insert((*a, *b));
                }
                None => wrong.push(format!("{} uses {used}", path.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let idle: Vec<_> = BESIDE.iter().filter(|(a, b, _)| !beside.contains(&(a, b))).collect();
    assert!(idle.is_empty(), "exceptions that nothing uses: {idle:?}");
}

#[test]
fn the_crates_root_names_the_same_modules_in_the_same_layers() {
    let text = std::fs::read_to_string(root().join("src/lib.rs")).expect("readable");
    // `//! | 3 | [`models`] the networks and their cards |`
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | ")?.split_once(" | "));
    let links = |row: &str| -> BTreeSet<String> {
        row.split("[`").skip(1).filter_map(|rest| Some(rest.split_once("`]")?.0.to_owned())).collect()
    };
    let drawn: Vec<_> = rows.filter_map(|(number, row)| Some((number.parse::<usize>().ok()?, links(row)))).collect();
    let held: Vec<_> = LAYERS.iter().map(|layer| layer.iter().map(|&name| name.to_owned()).collect()).collect();
    assert_eq!(drawn, (1..).zip(held).collect::<Vec<_>>());
    // Nothing else stands there: a name that the root passed on would hide which module it comes from.
    let code: Vec<_> = text.lines().filter(|line| !line.starts_with("//") && !line.is_empty()).collect();
    let modules: BTreeSet<_> = LAYERS.concat().into_iter().map(|name| format!("pub mod {name};")).collect();
    assert_eq!(code, modules.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn crates_stay_behind_their_fences() {
    let mut wrong = Vec::new();
    let mut at_home = BTreeSet::new();
    for (path, module, found) in sources() {
        for name in found.iter().filter_map(Named::krate) {
            let Some((fenced, homes)) = FENCES.iter().find(|(fenced, _)| *fenced == name) else { continue };
            match homes.iter().find(|home| **home == module) {
                Some(home) => {
                    at_home.insert((*fenced, *home));
                }
                None => wrong.push(format!("{} uses {name}", path.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let all = FENCES.iter().flat_map(|(name, homes)| homes.iter().map(move |home| (*name, *home)));
    let idle: Vec<_> = all.filter(|pair| !at_home.contains(pair)).collect();
    assert!(idle.is_empty(), "homes that use nothing of their crate: {idle:?}");
}

#[test]
fn threads_start_in_job_alone() {
    let starts = |path: &Named| {
        let pairs = path.segments.windows(2);
        pairs.into_iter().any(|p| p[0] == "thread" && ["Builder", "scope", "spawn", "*"].contains(&p[1].as_str()))
    };
    let strays: Vec<_> = sources()
        .into_iter()
        // A unit test may watch from a thread of its own.
        .filter(|(_, module, found)| module != "job" && found.iter().any(|path| starts(path) && !path.in_tests()))
        .map(|(path, ..)| path)
        .collect();
    assert!(strays.is_empty(), "{strays:?}");
}

#[test]
fn unsafe_code_stays_in_nn_the_first_line_of_main_and_the_call_of_libjpeg_turbo() {
    let allowed = |path: &Path| {
        let beside = ["src/io/codec/turbojpeg.rs", "src/main.rs"];
        module_of(path)[0] == "nn" || beside.iter().any(|file| path.ends_with(file))
    };
    let strays: Vec<_> = files("src", &["rs"])
        .into_iter()
        .filter(|path| !allowed(path))
        .filter(|path| paths::words(&std::fs::read_to_string(path).expect("readable")).contains(&"unsafe".to_owned()))
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
