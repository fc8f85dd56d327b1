//! What a merge says of a cohort, against the cases themselves, reckoned by hand.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use parallax::cohort::Aligned;
use serde_json::Value;

use super::{Trial, ended, json};

/// Sums in another order.
const ROUNDING: f64 = 1e-12;

fn merge(trial: &Trial, more: &[&str], code: i32) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parallax"));
    command.args(["cohort", "merge"]).arg(trial.out()).args(more);
    ended(&command.output().expect("the binary runs"), code)
}

/// The rows of a table by the names of their columns.
fn rows(path: &Path) -> Vec<std::collections::HashMap<String, String>> {
    let mut table = csv::Reader::from_path(path).expect("a table");
    table.deserialize().map(|row| row.expect("a row")).collect()
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|e| panic!("{text:?}: {e}"))
}

#[test]
fn a_merge_says_what_the_cases_say() {
    let trial = Trial::new();
    let mut table = "id,scan,site,score_scan\n".to_owned();
    for (n, slices) in [3, 4, 5, 6, 3, 4, 5, 6, 7, 8].into_iter().enumerate() {
        let site = if n % 2 == 0 { "=A()" } else { "<b>B</b>" };
        writeln!(table, "c{n},{},{site},{n}", trial.models.stack(slices).display()).expect("a String takes all");
    }
    table += "lost,/none/such.nii.gz,=A(),\n";
    let manifest = trial.table(&table);
    ended(&trial.run(&manifest, &[]), 1);
    let said = merge(&trial, &["--by", "site"], 0);
    assert!(said.contains("10 of 11 cases merged, 1 failed, 0 missing"), "{said}");
    let merged = trial.out().join("merged");

    let found = rows(&merged.join("table.csv"));
    assert_eq!(found.len(), 11);
    let results: Vec<Value> = (0..10).map(|n| json(&trial.case(&format!("c{n}")).join("result.json"))).collect();
    for (n, (row, result)) in found.iter().zip(&results).enumerate() {
        assert_eq!((row["id"].as_str(), row["status"].as_str()), (format!("c{n}").as_str(), "done"));
        assert_eq!(number(&row["score_scan"]), result["scores"]["scan"].as_f64().expect("a number"));
        assert_eq!(
            row["manifest_score_scan"],
            n.to_string(),
            "a further column keeps its cells under a name of its own"
        );
        assert_eq!(row["scan_sha256"], result["input"]["sha256"].as_str().expect("a hash"));
        let shares: f64 =
            ["change_in_lungs", "change_in_body", "change_around"].iter().map(|share| number(&row[*share])).sum();
        assert!((shares - 1.0).abs() < 1e-9, "{shares}");
    }
    assert_eq!(found[0]["site"], "'=A()", "a spreadsheet computes nothing");
    assert_eq!((found[10]["status"].as_str(), found[10]["score_scan"].as_str()), ("failed", ""));
    assert!(found[10]["error"].contains("such.nii.gz"));

    alignment(&merged, &results);
    atlas(&trial, &merged);

    let page = std::fs::read_to_string(merged.join("report.html")).expect("a report");
    for words in ["Research use only. Not for diagnosis.", "&lt;b&gt;B&lt;/b&gt;", "such.nii.gz", "By site"] {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("<b>B") && !page.contains("<script") && !page.contains("http-equiv"));
    let loads = regex::Regex::new(r#"(src|href)="([^"]*)""#).expect("a pattern");
    for found in loads.captures_iter(&page) {
        assert!(found[2].starts_with("data:") || found[2].starts_with("../cases/c"), "{}", &found[2]);
    }

    // The same cases give the same bytes, and atlases that are no longer asked for go.
    let same = ["table.csv", "alignment.csv", "report.html", "atlas.png", "atlas.safetensors"];
    let before = same.map(|name| std::fs::read(merged.join(name)).expect(name));
    assert!(merged.join("atlas_site_1__b_B__b_.png").exists());
    merge(&trial, &["--by", "site"], 0);
    assert!(same.map(|name| std::fs::read(merged.join(name)).expect(name)) == before);
    merge(&trial, &[], 0);
    assert!(!merged.join("atlas_site_1__b_B__b_.png").exists() && merged.join("atlas.png").exists());
    let said = merge(&trial, &["--by", "sex"], 1);
    assert!(said.contains("no further column \"sex\"") && said.contains("site"), "{said}");
}

/// The means of the outputs' changes, and their shares of the target's.
fn alignment(merged: &Path, results: &[Value]) {
    let pairs = rows(&merged.join("alignment.csv"));
    assert_eq!(pairs.len(), 4, "four outputs beside the one that was explained");
    for pair in &pairs {
        let change = |result: &Value| {
            let drift = result["drift"].as_array().expect("outputs");
            let output = drift.iter().find(|drift| drift["name"] == pair["output"].as_str()).expect("the output");
            output["scores"][1].as_f64().expect("a number") - output["scores"][0].as_f64().expect("a number")
        };
        let sum: f64 = results.iter().map(change).sum();
        let of_target: f64 = results.iter().map(|result| result["score_change"].as_f64().expect("a number")).sum();
        let (mean, relative) = (number(&pair["change"]), number(&pair["relative"]));
        assert!((mean - sum / 10.0).abs() < ROUNDING, "{}: {mean}", pair["output"]);
        assert!((relative - sum / of_target).abs() < 1e-9 * relative.abs().max(1.0), "{}: {relative}", pair["output"]);
        let ends = ["change_low", "change_high"].map(|end| number(&pair[end]));
        assert!(ends[0] <= mean && mean <= ends[1], "{ends:?} around {mean}");
    }
}

/// The mean of all cases at every place.
fn atlas(trial: &Trial, merged: &Path) {
    let read = |path: &Path| Aligned::read(&std::fs::read(path).expect("a file")).expect("an aligned change");
    let cases: Vec<Aligned> =
        (0..10).map(|n| read(&trial.case(&format!("c{n}")).join("aligned.safetensors"))).collect();
    let mean = read(&merged.join("atlas.safetensors"));
    let mut seen = 0;
    for (at, value) in mean.size.iter().enumerate() {
        let known: Vec<f64> = cases.iter().map(|case| f64::from(case.size[at])).filter(|x| !x.is_nan()).collect();
        assert_eq!(known.is_empty(), value.is_nan(), "at {at}");
        if !known.is_empty() {
            let by_hand = known.iter().sum::<f64>() / known.len() as f64;
            assert!((f64::from(*value) - by_hand).abs() <= 1e-6 * by_hand, "{value} is not {by_hand} at {at}");
            seen += 1;
        }
    }
    assert!(seen > 1000, "{seen} places are seen");
}
