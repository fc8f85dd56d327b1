//! What is killed at any moment: the old file or the new one is there, never half of one, and what was left goes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use parallax::export::{Kind, names};
use parallax::session::action::Export;
use parallax::session::check_session;
use parallax::settings::{Settings, kept};

use crate::support::{Random, data, kills};
use crate::tiny_models::TinyModels;
use crate::window::without_window::{explained, until};

/// Where the child of these tests saves.
const FOLDER: &str = "PARALLAX_TEST_SAVES_INTO";
const SETTINGS: &str = "settings.json";
const SESSION: &str = "session.parallax";
/// Moments at which a child is killed: one that must compute before it saves, and one that computes little.
const SAVING: u64 = 15;
const EXPORTING: u64 = 25;
/// Longer than a start and a run of the tiny networks take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);
/// Several saves take this long.
const LATEST: Duration = Duration::from_millis(120);

#[test]
#[ignore = "the child that other tests start and kill"]
fn saves_again_and_again() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let models = TinyModels::new();
    let mut session = explained(&models);
    let mut settings = Settings::default();
    for number in 0.. {
        settings.remember(Path::new(&format!("scan {number}")));
        kept::save(&folder.join(SETTINGS), &settings).expect("saved");
        session.apply(Export::SaveSession { path: folder.join(SESSION), replace: true }.into());
        until(&mut session, "the session's file", |session| session.file.saved.running().is_none());
    }
}

/// The tests' own binary as a child that saves into a folder.
fn child(folder: &Path) -> Child {
    Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", "house::killed::saves_again_and_again", "--ignored"])
        .env(FOLDER, folder)
        .env("TMPDIR", folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs")
}

fn wait_for(what: &str, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Temporary files in a folder.
fn left(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path());
    entries.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".tmp-"))).collect()
}

#[test]
fn settings_and_sessions_of_a_program_that_is_killed_are_whole_and_what_it_left_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let [settings, session] = [SETTINGS, SESSION].map(|name| folder.path().join(name));
    let mut random = Random::new(7);
    for kill in 0..kills(SAVING) {
        let before = std::fs::metadata(&session).and_then(|about| about.modified()).ok();
        let mut child = child(folder.path());
        wait_for("a session's file", || std::fs::metadata(&session).and_then(|about| about.modified()).ok() != before);
        std::thread::sleep(LATEST.mul_f64(random.share()));
        child.kill().expect("killed");
        child.wait().expect("it ends");
        let read = kept::load(&settings).unwrap_or_else(|error| panic!("kill {kill}: {error:#}"));
        assert!(read.is_some_and(|read| !read.recent.is_empty()), "kill {kill}");
        check_session(&session).unwrap_or_else(|error| panic!("kill {kill}: {error:#}"));
    }
    // As if a minute had passed.
    let an_hour_ago = SystemTime::now() - Duration::from_hours(1);
    for path in left(folder.path()) {
        std::fs::File::options().write(true).open(path).expect("a file").set_modified(an_hour_ago).expect("set");
    }
    kept::save(&settings, &Settings::default()).expect("saved");
    assert_eq!(left(folder.path()), Vec::<PathBuf>::new());
}

#[test]
fn an_export_that_is_killed_at_any_moment_has_no_report_before_all_is_there_and_a_rerun_completes_it() {
    let models = TinyModels::new();
    let scan = models.stack(4);
    let run = |out: &Path| {
        let mut command = models.explain(&scan);
        command.args(["--target", "Fracture", "--range", "-4:0", "--steps", "2", "--threads", "1"]);
        command.args(["--export", "png,csv,nifti", "--overwrite", "--out"]).arg(out);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let whole = models.folder.path().join("whole");
    let began = Instant::now();
    assert!(run(&whole).status().expect("it runs").success());
    let length = began.elapsed();
    let kinds = [Kind::Png, Kind::Csv, Kind::Nifti];
    let mut random = Random::new(11);
    for kill in 0..kills(EXPORTING) {
        let out = models.folder.path().join(format!("out {kill}"));
        let mut child = run(&out).spawn().expect("it runs");
        // The files are made in the last third of a run.
        std::thread::sleep(length.mul_f64(0.6 + 0.45 * random.share()));
        child.kill().expect("killed, or ended already");
        child.wait().expect("it ends");
        let is_finished = out.join("result.json").exists();
        for name in names(&kinds).filter(|name| *name != "result.json" && *name != "panes.png") {
            let path = out.join(name);
            assert!(!is_finished || path.exists(), "kill {kill}: a report without {name}");
            if path.exists() {
                let [cut, whole] = [&path, &whole.join(name)].map(|path| std::fs::read(path).expect("readable"));
                assert!(cut == whole, "kill {kill}: {name} is not what a run writes");
            }
        }
        assert!(run(&out).status().expect("it runs").success(), "kill {kill}: the rerun");
        let mut there: Vec<String> = std::fs::read_dir(&out)
            .expect("a folder")
            .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
            .collect();
        let mut wanted: Vec<String> = names(&kinds).map(str::to_owned).collect();
        there.sort();
        wanted.sort();
        assert_eq!(there, wanted, "kill {kill}");
    }
}

/// A second signal may come too late: the run has ended by the first one then, and another try is made.
#[cfg(unix)]
#[test]
fn an_export_that_is_told_twice_to_end_leaves_nothing_hidden() {
    const TRIES: u64 = 60;
    const LATEST_MS: u64 = 9;
    const LEFT_AT_ONCE: i32 = 130;
    let models = TinyModels::new();
    let mut left_at_once = false;
    for attempt in 0..TRIES {
        let out = models.folder.path().join(format!("twice {attempt}/inner"));
        let mut command = models.explain(&data("nifti/syn_lps.nii.gz"));
        command.args([
            "--target",
            "Fracture",
            "--range",
            "-50:0",
            "--steps",
            "40",
            "--export",
            "png,csv,nifti,nrrd,gif,html",
            "--out",
        ]);
        let mut child = command.arg(&out).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        let staged = || std::fs::read_dir(&out).is_ok_and(|mut entries| entries.next().is_some());
        wait_for("a folder for files", staged);
        // Two that come at once may be one. The shell has `kill` within itself: starting a program takes longer than files to be written.
        let twice = "kill -TERM $0; sleep 0.00$1; kill -TERM $0";
        let [process, wait_ms] = [u64::from(child.id()), 1 + attempt % LATEST_MS].map(|number| number.to_string());
        Command::new("sh").args(["-c", twice, &process, &wait_ms]).stderr(Stdio::null()).status().expect("a shell");
        let status = child.wait().expect("it ends");
        let is_left = out.exists();
        left_at_once |= status.code() == Some(LEFT_AT_ONCE);
        if status.code() == Some(LEFT_AT_ONCE) {
            assert!(!is_left, "attempt {attempt}: {:?}", std::fs::read_dir(&out).map(Iterator::count));
            assert!(
                !models.folder.path().join(format!("twice {attempt}")).exists(),
                "the folders that were made go too"
            );
            break;
        }
    }
    assert!(left_at_once, "no second signal came in time");
}
