//! No command opens a socket unless it is asked to reach another machine.

use std::path::Path;
use std::process::Command;

use crate::support;
use crate::tiny_models::TinyModels;

/// The calls for sockets that a command makes, as strace sees them; those by which a program asks its own machine are among them.
fn sockets(arguments: &[&str], folder: &Path) -> Vec<String> {
    let log = folder.join("calls");
    let output = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=network", "-o"])
        .arg(&log)
        .arg(env!("CARGO_BIN_EXE_parallax"))
        .args(arguments)
        .env("HOME", folder)
        .output()
        .expect("strace runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let calls = std::fs::read_to_string(log).expect("strace writes");
    calls.lines().filter(|line| line.contains('(')).map(str::to_owned).collect()
}

#[test]
fn no_command_that_needs_no_other_machine_opens_a_socket() {
    let Some(_) = support::strace() else { return };
    let models = TinyModels::new();
    let folder = models.folder.path();
    let text = |path: &Path| path.to_str().expect("a plain path").to_owned();
    let scan = text(&support::data("nifti/syn_lps.nii.gz"));
    let [autoencoder, classifier] = ["autoencoder", "classifier"].map(|name| text(&models.card(name)));
    let out = text(&folder.join("out"));
    let stack = text(&folder.join("stack.safetensors"));
    let phantom = text(&folder.join("phantom.nii.gz"));
    let explain =
        ["explain", &scan, "--autoencoder", &autoencoder, "--classifier", &classifier, "--target", "Fracture"];
    let run = ["--slab", "9:12", "--range", "-50:0", "--steps", "2", "--export", "png,html,csv", "--out", &out];
    let whole: Vec<&str> = explain.into_iter().chain(run).collect();
    let commands: [&[&str]; 8] = [
        &["info", &scan],
        &["info", &classifier],
        &["predict", &scan, "--classifier", &classifier],
        &["fit", &scan, &autoencoder, &classifier],
        &["prepare", &scan, "--out", &stack],
        &["phantom", "--seed", "1", "--out", &phantom],
        &["models"],
        &whole,
    ];
    for command in commands {
        assert_eq!(sockets(command, folder), Vec::<String>::new(), "{command:?}");
    }
}
