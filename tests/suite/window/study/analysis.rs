//! The page on reader studies: its study file opens, and its analysis runs on answers.
//!
//! The Python is that of `PARALLAX_PYTHON`, else `python3`. Where it lacks pandas nothing is analysed, which is said on the error output.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use parallax::study::{Answer, AnswerKind, Moment};

use super::{MINUTE, at, begun, folder, mark, study};

const PAGE: &str = "docs/reader-study.md";

/// The first block of the page in this language.
fn block(language: &str) -> String {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE)).expect("the page");
    let (_, rest) = page.split_once(&format!("\n```{language}\n")).expect("a block");
    let (block, _) = rest.split_once("\n```").expect("its end");
    format!("{block}\n")
}

/// A Python that has pandas.
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("PARALLAX_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let has = Command::new(&python).args(["-c", "import pandas"]).output().is_ok_and(|output| output.status.success());
    if !has {
        let name = python.display();
        // A closed pipe leaves no one to tell.
        writeln!(
            std::io::stderr(),
            "NOT TESTED: the analysis of {PAGE}; {name} has no pandas, name another with PARALLAX_PYTHON"
        )
        .ok();
    }
    has.then_some(python)
}

#[test]
fn the_study_file_of_the_page_opens_and_its_analysis_gives_the_means_of_the_answers() {
    let folder = folder(&block("toml"), &["a.parallax", "b.parallax", "c.parallax", "d.parallax"]);
    let study = study(&folder);
    assert_eq!((study.seed, study.cases.len(), study.questions.len()), (2026, 4, 4));
    assert!(
        matches!(&study.questions[0].kind, AnswerKind::FivePoint { low, high } if low == "surely not" && high == "surely")
    );
    for (reader, seed, ratings) in [("01", 2026, [1, 2, 3, 4]), ("R2", 7, [5, 5, 3, 5])] {
        let mut reading = begun(&study, reader, seed).expect("it begins");
        for (case, rating) in (0..).zip(ratings) {
            let now = |minutes: u64| Moment(at(10 * case).0 + minutes * MINUTE);
            reading.show(now(0));
            for rating in [6 - rating, rating] {
                reading.answer(0, Answer::Rating(rating), now(1)).expect("written"); // the last one counts
            }
            reading.answer(1, Answer::YesNo(rating > 3), now(1)).expect("written");
            reading.answer(2, Answer::Region(mark()), now(2)).expect("written");
            reading.next(now(3)).expect("written");
        }
    }
    let Some(python) = python() else { return };
    let program = block("python");
    assert!(
        program.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', 'i'])).count() <= 10,
        "ten lines"
    );
    std::fs::write(folder.path().join("analyse.py"), program).expect("written");
    let output = Command::new(python).arg("analyse.py").current_dir(folder.path()).output().expect("it runs");
    let [said, errors] = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned());
    assert!(output.status.success(), "{errors}");
    let words: Vec<Vec<&str>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
    for row in [["01", "2.5", "180.0", "0.0"], ["R2", "4.5", "180.0", "0.0"]] {
        assert!(words.iter().any(|words| *words == row), "{row:?} in {said}");
    }
    // "no": 1, 2, 3 and 3; "yes": 4, 5, 5 and 5.
    for (word, count, mean) in [("no", "4", "2.25"), ("yes", "4", "4.75")] {
        assert!(words.iter().any(|words| words.starts_with(&[word, count, mean])), "{word} in {said}");
    }
}
