//! `parallax doctor`, and what the window says where it cannot open: on a machine without display, home folder, network or GPU.

use std::process::{Command, Output};

fn without_anything(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_parallax")).args(args).env_clear().output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn doctor_says_what_is_missing_where_there_is_nothing() {
    let output = without_anything(&["doctor"]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "what drivers print is not told");
    for words in [env!("CARGO_PKG_VERSION"), "computes on", "memory", "graphics", "To report a fault"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    #[cfg(target_os = "linux")]
    for words in ["none: the window cannot open, all commands work", "none: the system names no home folder"] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn doctor_tells_programs_the_same_and_names_no_user() {
    let output = Command::new(env!("CARGO_BIN_EXE_parallax"))
        .args(["doctor", "--json"])
        .env_clear()
        .env("HOME", "/home/jane-doe")
        .output()
        .expect("the binary runs");
    let said = text(&output.stdout);
    let report: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert!(["AVX-512", "AVX2", "portable"].map(Some).contains(&report["kernels"].as_str()), "{said}");
    assert!(report["graphics"].is_array() && report["processors"].as_u64().is_some_and(|n| n > 0), "{said}");
    assert!(report["folders"].is_object() && !said.contains("jane-doe"), "{said}");
    #[cfg(target_os = "linux")]
    assert_eq!(report["folders"]["data"]["path"], "~/.local/share/parallax");
}

#[cfg(target_os = "linux")]
#[test]
fn a_window_that_cannot_open_says_what_is_missing_and_what_works() {
    for (display, words) in [(None, "names no display"), (Some(":no-such-display"), "the X11 display")] {
        let mut window = Command::new(env!("CARGO_BIN_EXE_parallax"));
        window.env_clear().envs(display.map(|display| ("DISPLAY", display)));
        let output = window.output().expect("the binary runs");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        for words in [words, "parallax demo --out DIR", "parallax doctor"] {
            assert!(said.contains(words), "{words}: {said}");
        }
        assert!(!said.contains(".rs:"), "it names a place in a source: {said}");
    }
}
