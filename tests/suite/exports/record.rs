//! `result.json` as a record, through the real binary: it obeys its published schema, and a run is repeated by it alone.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::schema::breaches;
use crate::tiny_models::{LABELS, TinyModels};

fn path(path: &Path) -> &str {
    path.to_str().expect("plain names")
}

/// `explain` on a stack with the tiny classifier.
fn explain(models: &TinyModels, stack: &Path, more: &[&str]) -> Output {
    models.explain(stack).args(more).output().expect("the binary runs")
}

fn report(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON on standard output")
}

fn fails(output: &Output, code: i32, words: &str) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "no {words:?}: {said}");
    said
}

fn save(models: &TinyModels, record: &Value) -> PathBuf {
    let file = models.folder.path().join("record.json");
    std::fs::write(&file, record.to_string()).expect("written");
    file
}

/// Two weighted classes and an offset, a slab, and no option as it is by default.
const TOLD: [&str; 16] = [
    "--target",
    "Fracture",
    "--target",
    "Pleurisy; pleural effusion=-0.5",
    "--offset=0.25",
    "--slab",
    "3:6",
    "--search=aim",
    "--steps=3",
    "--drop=0.1",
    "--floor=0.01",
    "--max-lambda=900",
    "--step-size=5",
    "--max-change=0.2",
    "--heatmap=max",
    "--outside=scan",
];

#[test]
fn every_report_obeys_the_published_schema() {
    let schema: Value = serde_json::from_str(include_str!("../../../assets/result.schema.json")).expect("JSON");
    let models = TinyModels::new();
    let stack = models.stack(10);
    let segmenter = Command::new(env!("CARGO_BIN_EXE_parallax"))
        .args(["explain", path(&stack), "--autoencoder", path(&models.card("autoencoder"))])
        .args(["--segmenter", path(&models.card("segmenter")), "--objective", "lung-size"])
        .args(["--slab", "3:6", "--range", "-5:5", "--steps", "2", "--json"])
        .output()
        .expect("the binary runs");
    let searched = report(&explain(&models, &stack, &[TOLD.as_slice(), &["--json"]].concat()));
    for report in [&searched, &report(&segmenter)] {
        let wrong = breaches(&schema, report);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
    // It is no schema that anything obeys.
    for field in searched.as_object().expect("an object").keys() {
        let mut less = searched.clone();
        less.as_object_mut().expect("an object").remove(field);
        assert_eq!(breaches(&schema, &less).len(), 1, "without {field}");
    }
    let changes = [
        ("/version", json!(1)),
        ("/input/sha256", json!("none")),
        ("/terms/0/weight", json!("one")),
        ("/options/search", json!("guess")),
        ("/options/outside", json!("air")),
        ("/slab", json!([3, 6, 9])),
        ("/input/warnings", json!([7])),
        ("/input", json!({"path": "/home"})),
    ];
    for (field, value) in changes {
        let mut other = searched.clone();
        *other.pointer_mut(field).expect(field) = value;
        assert!(breaches(&schema, &other)[0].starts_with(field), "{field}: {:?}", breaches(&schema, &other));
    }
}

#[test]
fn a_run_is_repeated_by_its_report_alone() {
    let models = TinyModels::new();
    let stack = models.stack(10);
    let out = models.folder.path().join("out");
    let first = explain(&models, &stack, &[TOLD.as_slice(), &["--export", "csv", "--out", path(&out)]].concat());
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let record = out.join("result.json");
    let again = explain(&models, &stack, &["--replay", path(&record)]);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert!(String::from_utf8_lossy(&again.stdout).contains("the same scores and lambdas"));
    // It was told the same, not something else that comes to the same.
    let then: Value = serde_json::from_slice(&std::fs::read(&record).expect("a file")).expect("JSON");
    let now = report(&explain(&models, &stack, &["--replay", path(&record), "--json"]));
    for field in ["terms", "offset", "slab", "options", "target", "stop"] {
        assert_eq!(now[field], then[field], "{field}");
    }
    assert_eq!(then["terms"], json!([{"label": LABELS[2], "weight": 1.0}, {"label": LABELS[1], "weight": -0.5}]));
    assert_eq!((&then["offset"], &then["slab"]), (&json!(0.25), &json!([3, 6])));
    assert_eq!(then["options"]["heatmap"], "max");
}

#[test]
fn other_numbers_another_scan_and_other_networks_are_told_apart() {
    let models = TinyModels::new();
    let stack = models.stack(10);
    let record = report(&explain(&models, &stack, &[TOLD.as_slice(), &["--json"]].concat()));
    let with = |changes: &[(&str, Value)]| {
        let mut record = record.clone();
        for (field, value) in changes {
            *record.pointer_mut(field).expect(field) = value.clone();
        }
        save(&models, &record)
    };
    let replay = |file: &Path| explain(&models, &stack, &["--replay", path(file)]);
    // A thousandth is far above what counts as the same.
    let score = record["sweep_scores"][1].as_f64().expect("a score") + 1e-3;
    let said = fails(
        &replay(&with(&[("/sweep_scores/1", json!(score))])),
        1,
        "scores along lambda: the first to differ is number 1",
    );
    assert!(!said.contains("lambdas:") && !said.contains("score of"), "{said}");
    fails(&replay(&with(&[("/offset", json!(0.3))])), 1, "score of the scan: was");
    fails(&replay(&with(&[("/options/steps", json!(4))])), 1, "lambdas: were 3, are 4");

    let none = json!("0".repeat(64));
    let said = fails(
        &replay(&with(&[("/input/sha256", none.clone()), ("/autoencoder/sha256", none)])),
        3,
        "the scan's voxels: SHA-256 was 0000",
    );
    assert!(said.contains("the autoencoder: SHA-256 was 0000") && !said.contains("gives the score"), "{said}");
    assert!(!said.contains("encoding"), "nothing is computed: {said}");
    let file = save(&models, &record);
    fails(&explain(&models, &models.stack(11), &["--replay", path(&file)]), 3, "the scan's voxels: SHA-256 was");
    // Another classifier, without the classes that were scored.
    let others = TinyModels::sure(["A", "B", "C", "D", "E"], 1.0);
    let said =
        fails(&explain(&others, &stack, &["--replay", path(&file)]), 3, "the network that gives the score: SHA-256");
    assert!(!said.contains("the autoencoder: SHA-256") && !said.contains("voxels"), "{said}");
}

#[test]
fn a_card_that_was_edited_since_is_named_by_what_it_says_otherwise() {
    let models = TinyModels::new();
    let stack = models.stack(10);
    let record = report(&explain(&models, &stack, &[TOLD.as_slice(), &["--json"]].concat()));
    for network in ["autoencoder", "scored_by"] {
        assert_eq!(record[network]["recipe"]["hu"], json!([-1000.0, 1000.0]), "{record}");
    }
    let file = save(&models, &record);
    let card = models.card("classifier");
    let text = std::fs::read_to_string(&card).expect("a card");
    std::fs::write(&card, format!("{text}[recipe]\nspacing_mm = [1.5, 1.5, 2]\nhu = [-1000, 900]\n")).expect("written");
    let said = fails(
        &explain(&models, &stack, &["--replay", path(&file)]),
        3,
        "the recipe of the network that gives the score: ",
    );
    assert!(
        said.contains("hu was [-1000.0,1000.0], is [-1000.0,900.0], spacing_mm was [1.5,1.5,3.0], is [1.5,1.5,2.0]"),
        "{said}"
    );
    assert!(!said.contains("SHA-256") && !said.contains("encoding"), "{said}");
    // A record of an older version does not say, and is repeated.
    std::fs::write(&card, text).expect("written");
    let mut older = record.clone();
    older["version"] = json!(7);
    for network in ["autoencoder", "scored_by"] {
        older[network].as_object_mut().expect("an object").remove("recipe");
    }
    let again = explain(&models, &stack, &["--replay", path(&save(&models, &older))]);
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
}

#[test]
fn what_is_no_record_of_a_whole_run_is_refused_in_words() {
    let models = TinyModels::new();
    let stack = models.stack(10);
    let record = report(&explain(&models, &stack, &[TOLD.as_slice(), &["--json"]].concat()));
    let cases = [
        ("/format", json!("another"), "its format is \"another\""),
        ("/version", json!(1), "it is of version 1"),
        ("/complete", json!(false), "the run was cancelled"),
        ("/lambdas", json!("many"), "it is damaged"),
        ("/options/search", json!("guess"), "there is no search \"guess\""),
        ("/options/step_size", json!(0.0), "the step size must be a number above 0"),
        ("/options/range", json!([2.0, 1.0]), "2 is above 1"),
        ("/terms/0/label", json!("Gout"), "no class \"Gout\""),
        ("/terms", json!([]), "names no class"),
        ("/slab", json!([6, 3]), "slab 6:3 does not fit"),
    ];
    for (field, value, words) in cases {
        let mut record = record.clone();
        *record.pointer_mut(field).expect(field) = value;
        fails(&explain(&models, &stack, &["--replay", path(&save(&models, &record))]), 3, words);
    }
    let notes = models.folder.path().join("notes.json");
    std::fs::write(&notes, "these are notes").expect("written");
    fails(&explain(&models, &stack, &["--replay", path(&notes)]), 3, "it is no result.json");
    fails(&explain(&models, &stack, &["--replay", "/no/such/file"]), 3, "cannot read /no/such/file");
    let file = save(&models, &record);
    for flag in TOLD.iter().chain(&["--range=0:1"]).filter(|flag| flag.starts_with("--")) {
        let value: &[&str] = match *flag {
            "--target" => &["1"],
            "--slab" => &["all"],
            _ => &[],
        };
        let told = [&["--replay", path(&file), *flag], value].concat();
        fails(&explain(&models, &stack, &told), 2, "cannot be used with");
    }
    fails(&explain(&models, &stack, &["--slab", "3:6"]), 2, "--target");
}
