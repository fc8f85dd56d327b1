//! Files and machines that mean ill, or are only odd: each is a sentence within seconds, and nothing hangs, dies or is half-written.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor};
use parallax::models::{Card, Network};
use parallax::session::check_session;
use parallax::weights::Checkpoint;

use crate::house::mutations::parsers;
use crate::support;
use crate::tiny_models::TinyModels;

/// No sentence takes longer, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a command that must end by itself.
fn ended(command: &mut Command) -> Output {
    let began = Instant::now();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    while child.try_wait().expect("it is ours").is_none() {
        if began.elapsed() > PATIENCE {
            child.kill().expect("it runs");
            panic!("{command:?} goes on after {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().expect("it has ended")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn assert_refused(command: &mut Command, code: i32, words: &str) {
    let output = ended(command);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(code), "{command:?}: {said}");
    assert!(said.contains(words), "{command:?}: {said}");
    assert!(!said.contains("panicked"), "{command:?}: {said}");
}

fn parallax(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parallax"));
    command.args(args);
    command
}

/// By the shell, which sets limits that the program then runs under.
#[cfg(unix)]
fn limited(limit: &str, args: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{limit}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_parallax")]).args(args);
    command
}

fn text(path: &Path) -> &str {
    path.to_str().expect("plain names")
}

fn written(models: &TinyModels, name: &str, words: &str) -> PathBuf {
    let path = models.folder.path().join(name);
    std::fs::write(&path, words).expect("written");
    path
}

/// A stack of two grey levels: one alone shows nothing, and is not scored.
fn stack(models: &TinyModels, shape: [usize; 4]) -> PathBuf {
    let path = models.folder.path().join(format!("stack_{shape:?}.safetensors"));
    let grey = (0..shape.iter().product()).map(|i: usize| if i.is_multiple_of(3) { 0.4_f32 } else { 0.5 });
    let stack = Tensor::from_iter(grey, &Device::Cpu).and_then(|grey| grey.reshape(&shape)).expect("a stack");
    candle_core::safetensors::save(&[("stack", stack)].into(), &path).expect("written");
    path
}

/// Why a card, or the network that it describes, is refused.
fn refusal(card: &Path) -> String {
    let outcome = Card::open(card).and_then(|card| Network::load(&card, &Device::Cpu));
    outcome.err().unwrap_or_else(|| panic!("{} is taken", card.display())).to_string()
}

#[test]
fn a_configs_sizes_are_checked_before_they_are_multiplied() {
    let models = TinyModels::new();
    let config = std::fs::read_to_string(support::data("hostile/config.yaml")).expect("a config");
    let with = |from: &str, to: &str| {
        assert!(config.contains(from));
        written(&models, "config.yaml", &config.replace(from, to));
        let card = "kind = \"vqgan\"\nweights = \"autoencoder.safetensors\"\nconfig = \"config.yaml\"\n";
        written(&models, "card.toml", card)
    };
    Network::load(&Card::open(&with("ch: 32", "ch: 32")).expect("a card"), &Device::Cpu).map(drop).expect("its config");
    for (from, to, why) in [
        ("      - 1\n", "      - 9223372036854775808\n".to_owned(), "ch * ch_mult = 32 * 9223372036854775808"),
        ("      - 1\n", "      - 2\n".repeat(64), "128 levels (ch_mult), where a network has at most 16"),
        ("resolution: 32", "resolution: 18446744073709551616".to_owned(), "its config cannot be read"),
        ("embed_dim: 4", "embed_dim: 5".to_owned(), "embed_dim = 5, the checkpoint's tensors say 4"),
    ] {
        let error = refusal(&with(from, &to));
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_network_without_output_at_a_size_is_refused_and_one_with_it_computes() {
    let models = TinyModels::new();
    let card = |kind: &str, weights: &str| {
        let card = written(&models, &format!("{kind}.toml"), &format!("kind = {kind:?}\nweights = {weights:?}\n"));
        Network::load(&Card::open(&card).expect("a card"), &Device::Cpu).expect("a network").network
    };
    let pixel = Tensor::full(0.5_f32, (1, 1, 1, 1), &Device::Cpu).expect("a stack");
    let Network::Autoencoder(autoencoder) = card("vqgan", "autoencoder.safetensors") else { panic!("a VQGAN") };
    let Network::Segmenter(segmenter) = card("lung-unet", "segmenter.safetensors") else { panic!("a U-Net") };
    let encoded = autoencoder.encode(&pixel, &support::unchecked).map(drop).map_err(|error| error.to_string());
    let segmented = segmenter.plan(pixel.dims()).map(drop).map_err(|error| error.to_string());
    for error in [encoded, segmented].map(|outcome| outcome.expect_err("a pixel is not halved")) {
        assert!(error.contains("needs 2 x 2 pixels, where it was given 1 x 1"), "{error}");
    }
    // Every one of its strides leaves a pixel.
    written(&models, "whole.toml", "kind = \"i3resnet\"\nweights = \"classifier.safetensors\"\n");
    let whole = models.folder.path().join("whole.toml");
    let output = ended(&mut parallax(&["predict", text(&stack(&models, [2, 1, 1, 1])), "--classifier", text(&whole)]));
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn a_side_beyond_any_network_is_refused_in_the_card() {
    let models = TinyModels::new();
    for side in [0, 4097, 100_000] {
        let lines = format!("kind = \"vqgan\"\nweights = \"autoencoder.safetensors\"\nside = {side}\n");
        let error = refusal(&written(&models, "card.toml", &lines));
        assert!(error.contains(&format!("side = {side}; a slice has 1..=4096 pixels a side")), "{error}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn too_little_memory_is_said_before_it_is_taken() {
    let models = TinyModels::new();
    let lines = "kind = \"vqgan\"\nweights = \"autoencoder.safetensors\"\nside = 4096\n";
    let card = written(&models, "large.toml", lines);
    let (scan, classifier) = (stack(&models, [8, 1, 16, 16]), models.card("classifier"));
    let args = ["explain", text(&scan), "--autoencoder", text(&card), "--classifier", text(&classifier)];
    let args = [&args[..], &["--target", "0"]].concat();
    assert_refused(&mut limited("ulimit -v 3000000", &args), 1, "and this process can have 3.1 GB");
    // What fits runs as it does without a limit.
    let args = ["predict", text(&scan), "--classifier", text(&classifier)];
    let output = ended(&mut limited("ulimit -v 3000000", &args));
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn labels_are_told_apart_and_steer_nothing() {
    let models = TinyModels::new();
    let long = "x".repeat(201);
    for (odd, why) in [
        ("A", "labels 0 and 3 are both \"A\""),
        (" ", "label 3 is empty"),
        ("\\u001b[2J", "label 3, \"\\u001b[2J\", holds a control character"),
        ("a\\nb", "label 3, \"a\\u000ab\", holds"),
        ("\\u202eA", "label 3, \"\\u202eA\", holds"),
        (&long, "has more than 200 letters"),
    ] {
        let lines = format!(
            "kind = \"i3resnet\"\nweights = \"classifier.safetensors\"\nlabels = [\"A\", \"B\", \"C\", \"{odd}\", \"E\"]\n"
        );
        let error = refusal(&written(&models, "card.toml", &lines));
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn names_of_tensors_steer_no_terminal() {
    let models = TinyModels::new();
    let path = models.folder.path().join("odd.safetensors");
    let tensor = Tensor::zeros(1, DType::F32, &Device::Cpu).expect("a zero");
    candle_core::safetensors::save(&[("a\u{1b}[2J\n\u{202e}b", tensor)].into(), &path).expect("written");
    for json in [false, true] {
        let output = ended(parallax(&["info", text(&path)]).args(json.then_some("--json")));
        let shown = String::from_utf8(output.stdout.clone()).expect("text");
        assert!(output.status.success() && !shown.contains(['\u{1b}', '\u{202e}']), "{shown:?}");
        let name = if json { "\"a\\u001b[2J\\n\\u202eb\"" } else { "  a\\u001b[2J\\u000a\\u202eb  [1]" };
        assert!(shown.contains(name), "{shown}");
    }
}

#[test]
fn threads_are_as_many_as_the_machine_has_use_for() {
    let models = TinyModels::new();
    let (scan, classifier) = (stack(&models, [2, 1, 16, 16]), models.card("classifier"));
    let args = ["predict", text(&scan), "--classifier", text(&classifier), "--threads"];
    assert_refused(parallax(&args).arg("100000"), 2, "--threads 100000: this machine has");
    let output = ended(parallax(&args).arg("3"));
    assert!(output.status.success(), "{}", said(&output));
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_named_wherever_a_file_is_wanted() {
    let models = TinyModels::new();
    let folder = models.folder.path();
    let pipe = |name: &str| {
        let path = folder.join(name);
        assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo runs").success());
        path
    };
    let (scan, classifier) = (stack(&models, [2, 1, 16, 16]), models.card("classifier"));
    let with = |classifier: &Path| parallax(&["predict", text(&scan), "--classifier", text(classifier)]);
    for name in ["card.toml", "weights.pt", "weights.safetensors"] {
        assert_refused(&mut with(&pipe(name)), 3, "it is a pipe, where a file is wanted");
    }
    assert_refused(&mut with(Path::new("/dev/zero")), 3, "it is a device, where a file is wanted");
    assert_refused(&mut with(folder), 3, "it is a folder, where a file is wanted");
    let lines = "kind = \"vqgan\"\nweights = \"autoencoder.safetensors\"\nconfig = \"/dev/zero\"\n";
    let error = refusal(&written(&models, "zero.toml", lines));
    assert_eq!(error.matches("it is a device").count(), 1, "{error}");
    let lines = "kind = \"i3resnet\"\nweights = \"pipe.pt\"\n";
    pipe("pipe.pt");
    assert_refused(&mut with(&written(&models, "piped.toml", lines)), 3, "it is a pipe");
    let args = ["explain", text(&scan), "--autoencoder", "a", "--classifier", text(&classifier), "--replay"];
    assert_refused(parallax(&args).arg(pipe("result.json")), 3, "it is a pipe");
    let error = format!("{:#}", check_session(&pipe("saved.parallax")).expect_err("a pipe"));
    assert!(error.contains("it is a pipe"), "{error}");
}

#[test]
fn a_text_without_end_is_read_to_its_limit() {
    let models = TinyModels::new();
    let path = written(&models, "long.toml", &"# nothing\n".repeat(1 << 19));
    assert!(refusal(&path).contains("longer than the 4194304 bytes it may have"));
}

/// A session's document, with so many measurements.
fn session_with(models: &TinyModels, measurements: usize) -> PathBuf {
    let document = std::fs::read(support::data("hostile/session.json")).expect("a document");
    let mut document: serde_json::Value = serde_json::from_slice(&document).expect("JSON");
    let list = document["view"]["measurements"].as_array_mut().expect("a list");
    *list = (0..measurements).map(|n| list[n % list.len()].clone()).collect();
    parsers::feed("session")(models.folder.path(), document.to_string().as_bytes());
    models.folder.path().join("saved.parallax")
}

#[test]
fn a_session_holds_as_many_measurements_as_a_window_can_show() {
    let models = TinyModels::new();
    check_session(&session_with(&models, 500)).expect("a session");
    for many in [501, 20_000] {
        let error = format!("{:#}", check_session(&session_with(&models, many)).expect_err("too many"));
        assert!(error.contains(&format!("it holds {many} measurements; there may be 500 at most")), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_nothing_half_written() {
    let models = TinyModels::new();
    let (scan, out) = (support::data("nifti/syn_lps.nii.gz"), models.folder.path().join("out"));
    std::fs::create_dir(&out).expect("a folder");
    let stack = out.join("stack.safetensors");
    // Files end at 100 blocks of 512 or 1024 bytes, and with the signal ignored writing more is an error, as on a full disk.
    let limit = "trap '' XFSZ; ulimit -f 100";
    assert_refused(&mut limited(limit, &["prepare", text(&scan), "--out", text(&stack)]), 1, "cannot write");
    assert_eq!(std::fs::read_dir(&out).expect("a folder").count(), 0, "nothing is left");
}

#[cfg(unix)]
#[test]
fn few_open_files_and_no_home_are_enough() {
    let models = TinyModels::new();
    let (scan, classifier) = (models.stack(8), models.card("classifier"));
    let args = ["predict", text(&scan), "--classifier", text(&classifier)];
    let output = ended(limited("ulimit -n 32", &args).env_remove("HOME").env_remove("XDG_DATA_HOME"));
    assert!(output.status.success(), "{}", said(&output));
}

/// A zip file of torch's: `{"t0": tensor, "t1": tensor, …}`, all of one storage, whose entry has a long name; and shapes of so
/// many axes.
fn many_tensors(tensors: usize, name_bytes: usize, axes: usize) -> Vec<u8> {
    use std::io::Write;

    let key = "k".repeat(name_bytes);
    let mut pickle = b"\x80\x02}(".to_vec();
    let text = |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    // Kept once: the function, the storage, the shape.
    pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\nq\x000(");
    pickle.extend(
        [text("storage"), b"ctorch\nFloatStorage\n".to_vec(), text(&key), text("cpu"), b"K\x01tQq\x010".to_vec()]
            .concat(),
    );
    pickle.extend([&b"("[..], &b"K\x01".repeat(axes), b"tq\x020"].concat());
    for n in 0..tensors {
        pickle.extend(text(&format!("t{n}")));
        pickle.extend(b"h\x00(h\x01K\x00h\x02h\x02tR");
    }
    pickle.extend(b"u.");
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (name, bytes) in [("a/data.pkl".to_owned(), pickle), (format!("a/data/{key}"), vec![0; 4])] {
        archive.start_file(name, options).expect("an entry");
        archive.write_all(&bytes).expect("written");
    }
    archive.finish().expect("a zip file").into_inner()
}

#[test]
fn small_checkpoints_that_claim_much_are_read_or_refused_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("weights.pt");
    let mut zip_ends = b"PK\x03\x04".to_vec();
    zip_ends.extend(b"PK\x05\x06".repeat(25_000));
    let inputs = [
        ("many tensors of one long name", many_tensors(4000, 60_000, 1), true),
        ("shapes of many axes", many_tensors(4000, 1, 20_000), false),
        ("ends of zip files", zip_ends, false),
        ("nested JSON", [&100_000_u64.to_le_bytes()[..], b"{\"a\":", &b"[".repeat(100_000)].concat(), false),
    ];
    for (what, bytes, good) in inputs {
        std::fs::write(&path, &bytes).expect("written");
        let began = Instant::now();
        let outcome = Checkpoint::open(&path);
        assert_eq!(outcome.is_ok(), good, "{what}: {:?}", outcome.map(|checkpoint| checkpoint.describe()));
        // A tenth of it on a machine that does nothing else.
        assert!(began.elapsed() < Duration::from_secs(3), "{what}: {:?}", began.elapsed());
    }
}
