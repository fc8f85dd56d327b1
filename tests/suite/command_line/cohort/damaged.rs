//! Cases whose files are lost, cut or of another run, and folders that hold no cohort: told alike by status, rerun and merge.

use std::path::Path;
use std::process::Command;

use super::{Trial, ended, json, text};

/// `parallax cohort COMMAND FOLDER`: its exit code and its words.
fn cohort(command: &str, folder: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_parallax")).args(["cohort", command]).arg(folder).output();
    let output = output.expect("the binary runs");
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn a_damaged_case_is_told_by_status_and_merge_and_is_done_again() {
    let trial = Trial::new();
    let manifest = trial.manifest(&[("a", 3), ("b", 4)]);
    ended(&trial.run(&manifest, &[]), 0);
    let [result, case, aligned] =
        ["result.json", "case.json", "aligned.safetensors"].map(|name| trial.case("a").join(name));
    let cut = |path: &Path| {
        let bytes = std::fs::read(path).expect("a file");
        std::fs::write(path, &bytes[..bytes.len() / 2]).expect("written");
    };
    let other = |path: &Path, network: &str| {
        let mut read = json(path);
        read[network]["sha256"] = "0".repeat(64).into();
        std::fs::write(path, read.to_string()).expect("written");
    };
    let damages: [(&dyn Fn(), &str); 8] = [
        (&|| cut(&result), "its result.json ends in the middle"),
        (&|| std::fs::write(&result, "").expect("written"), "its result.json ends in the middle"),
        (&|| std::fs::write(&result, b"\xff\xfe").expect("written"), "its result.json cannot be read"),
        (&|| std::fs::write(&result, "{}").expect("written"), "its result.json has no \"input\""),
        (&|| std::fs::remove_file(&result).expect("removed"), "its result.json is missing"),
        (&|| other(&result, "autoencoder"), "its result.json is of another autoencoder"),
        (&|| cut(&case), "its case.json ends in the middle"),
        (&|| cut(&aligned), "its aligned.safetensors has"),
    ];
    for (damage, why) in damages {
        damage();
        let status = trial.status();
        assert_eq!((status["done"].as_u64(), status["damaged"][0]["id"].as_str()), (Some(1), Some("a")), "{why}");
        assert_eq!(status["shards"][0]["damaged"], 1);
        let (code, said) = cohort("status", &trial.out());
        let line = format!("damaged: a: {why}");
        assert!(code == Some(0) && said.contains(&line) && said.contains("1 damaged"), "{said}");
        let (code, said) = cohort("merge", &trial.out());
        assert!(code == Some(0) && said.contains("1 of 2 cases merged") && said.contains(&line), "{said}");
        let table = std::fs::read_to_string(trial.out().join("merged/table.csv")).expect("a table");
        assert!(table.contains("\na,damaged,") && table.contains(&why.replace('"', "\"\"")), "{table}");
        let before = trial.written("b");
        let said = ended(&trial.run(&manifest, &[]), 0);
        assert!(
            said.contains(&format!("a: it was damaged ({why}")) && said.contains("1 done, 1 done before"),
            "{said}"
        );
        assert_eq!(trial.written("b"), before);
        assert_eq!(trial.status()["done"], 2, "{why}");
    }
    // One that fails when it is done again says so in place of what was damaged.
    cut(&result);
    let lost = trial.table(&format!("id,scan\na,/none/such.nii.gz\nb,{}\n", trial.models.stack(4).display()));
    let said = ended(&trial.run(&lost, &[]), 1);
    assert!(said.contains("a: failed") && trial.case("a").join("error.json").is_file(), "{said}");
}

#[test]
fn a_case_of_another_version_is_left_as_it_is() {
    let trial = Trial::new();
    let manifest = trial.manifest(&[("a", 3)]);
    ended(&trial.run(&manifest, &[]), 0);
    let path = trial.case("a").join("case.json");
    std::fs::write(&path, "{\"format\": \"parallax case\", \"version\": 2, \"news\": []}").expect("written");
    let said = ended(&trial.run(&manifest, &[]), 1);
    assert!(said.contains("\"parallax case 2\"") && said.contains("--overwrite"), "{said}");
    assert!(std::fs::read_to_string(&path).expect("a file").contains("news"));
}

#[test]
fn a_folder_that_holds_no_cohort_is_told_in_one_sentence_and_by_one_exit_code() {
    let trial = Trial::new();
    let manifest = trial.manifest(&[("a", 3)]);
    ended(&trial.run(&manifest, &[]), 0);
    let other = trial.folder.path().join("other");
    std::fs::create_dir(&other).expect("a folder");
    let begun = trial.folder.path().join("begun");
    for name in ["cases", "shards", "manifests"] {
        std::fs::create_dir_all(begun.join(name)).expect("a folder");
    }
    for (folder, words) in [
        (trial.folder.path().join("none"), "there is no such folder; name the one that --out named"),
        (other, "no cohort lies here: it has no folder \"cases\""),
        (manifest, "a cohort is a folder, and this is a file"),
        (trial.case("a"), "this lies within the cohort of"),
        (trial.out().join("cases"), "this lies within the cohort of"),
        (begun, "no shard has begun here; run `parallax cohort` first"),
    ] {
        let both = ["status", "merge"].map(|command| cohort(command, &folder));
        assert_eq!(both[0], both[1], "{}", folder.display());
        let (code, said) = &both[0];
        assert!(*code == Some(3) && said.contains(words), "{said}");
        assert!(!said.contains("No such file") && said.trim_end().ends_with(&folder.display().to_string()), "{said}");
    }
    let record = trial.out().join("shards/1-of-1.json");
    std::fs::write(&record, "{").expect("written");
    let both = ["status", "merge"].map(|command| cohort(command, &trial.out()));
    assert!(both[0] == both[1] && both[0].0 == Some(3), "{both:?}");
    assert!(
        both[0].1.contains("the record of a shard ends in the middle") && both[0].1.contains("1-of-1.json"),
        "{both:?}"
    );
}

#[test]
fn a_merge_of_nothing_says_why_and_writes_nothing() {
    let trial = Trial::new();
    let lost = trial.table("id,scan\na,/none/such.nii.gz\n");
    ended(&trial.run(&lost, &[]), 1);
    let (code, said) = cohort("merge", &trial.out());
    assert!(code == Some(1) && said.contains("nothing is merged, since no case is done"), "{said}");
    assert!(said.contains("1 failed, 0 missing") && !trial.out().join("merged").exists(), "{said}");
}

#[test]
fn what_is_refused_leaves_no_trace() {
    let trial = Trial::new();
    let manifest = trial.manifest(&[("a", 3)]);
    let in_archive = trial.folder.path().join("archive.csv");
    std::fs::write(&in_archive, "id,scan\na,pacs:ward/1.2/3.4\n").expect("written");
    for (manifest, more, code, words) in [
        (&manifest, &["--target", "Gout"][..], 3, "Gout"),
        (&manifest, &["--lungs", "/none/such.toml"], 3, "--lungs"),
        (&in_archive, &[], 3, "line 2: the scan lies in an archive"),
    ] {
        let said = ended(&trial.run(manifest, more), code);
        assert!(said.contains(words) && !trial.out().exists(), "{said}");
    }
    std::fs::write(trial.out(), "a file").expect("written");
    let said = ended(&trial.run(&manifest, &[]), 1);
    assert!(said.contains("this is a file, and --out names a folder"), "{said}");
    std::fs::remove_file(trial.out()).expect("removed");
    let mut explain = Command::new(env!("CARGO_BIN_EXE_parallax"));
    explain.arg("explain").arg(trial.models.stack(3)).arg("--out").arg(trial.out());
    explain.arg("--autoencoder").arg(trial.models.card("autoencoder"));
    explain.arg("--classifier").arg(trial.models.card("classifier")).args(["--target", "Gout"]);
    ended(&explain.output().expect("the binary runs"), 3);
    assert!(!trial.out().exists());
}

#[cfg(unix)]
#[test]
fn all_that_a_cohort_writes_is_the_users_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    fn all(folder: &Path, seen: &mut usize) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let found = entry.metadata().expect("there");
            let wanted = if found.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(found.permissions().mode() & 0o777, wanted, "{}", entry.path().display());
            *seen += 1;
            if found.is_dir() {
                all(&entry.path(), seen);
            }
        }
    }
    let trial = Trial::new();
    let manifest = trial.manifest(&[("a", 3)]);
    ended(&trial.run(&manifest, &["--export", "png,csv,nifti,html"]), 0);
    assert_eq!(cohort("merge", &trial.out()).0, Some(0));
    let mut seen = 0;
    all(&trial.out(), &mut seen);
    assert!(seen > 15, "{seen}");
}
