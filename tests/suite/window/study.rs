//! Reader studies: what a study file may say, the order, the answers, and where a reader goes on. No network, no picture.

mod analysis;
mod blinded;
mod page;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parallax::frame::Plane;
use parallax::study::{Answer, COLUMNS, Mark, Moment, Pane, Reading, Study, order};

/// A minute after the other, in milliseconds.
const MINUTE: u64 = 60_000;
/// 30 November 2026, 3 in the morning.
const BEGINNING: u64 = 1_796_007_600_000;

const FILE: &str = r#"
name = "Trial"
cases = "results"
seed = 1
[[question]]
name = "realistic"
ask = "Could it be?"
kind = "five-point"
[[question]]
name = "finding"
ask = "Is it there?"
kind = "yes-no"
[[question]]
name = "where"
ask = "Mark it"
kind = "region"
optional = true
[[question]]
name = "remarks"
ask = "What else?"
kind = "text"
optional = true
"#;

/// Names of sessions that no test of this module opens; one is a formula to a spreadsheet.
const CASES: [&str; 3] = ["=a.parallax", "b, the second.parallax", "c.parallax"];

/// A folder with a study of these cases.
fn folder(text: &str, cases: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("results")).expect("a folder");
    for case in cases {
        std::fs::write(folder.path().join("results").join(case), b"").expect("written");
    }
    std::fs::write(folder.path().join("study.toml"), text).expect("written");
    folder
}

fn study(folder: &tempfile::TempDir) -> Arc<Study> {
    Arc::new(Study::open(folder.path()).expect("a study"))
}

fn begun(study: &Arc<Study>, reader: &str, seed: u64) -> anyhow::Result<Reading> {
    Reading::begin(Arc::clone(study), reader, seed, &BTreeSet::new())
}

fn at(minute: u64) -> Moment {
    Moment(BEGINNING + minute * MINUTE)
}

/// The rows of a file of answers, each as its cells by the columns' order.
fn rows(path: &Path) -> Vec<Vec<String>> {
    let mut table = csv::Reader::from_path(path).expect("a table");
    assert_eq!(table.headers().expect("names").iter().collect::<Vec<_>>(), COLUMNS);
    table.records().map(|row| row.expect("a row").iter().map(str::to_owned).collect()).collect()
}

fn cell<'a>(row: &'a [String], column: &str) -> &'a str {
    &row[COLUMNS.iter().position(|name| *name == column).expect("a column")]
}

fn mark() -> Mark {
    let half_axes_mm = [[3.5, 0.0, 0.0], [0.0, -2.0, 0.0]];
    Mark { pane: Pane::Counterfactual, plane: Plane::Axial, middle_mm: [-1.5, 0.25, 7.0], half_axes_mm }
}

/// Reads all of a study: the case at `position` is given `position` of five.
fn read_all(reading: &mut Reading) {
    let mut minute = 0;
    while reading.case().is_some() {
        let position = reading.position()[0] as u64;
        reading.show(at(minute));
        reading.answer(0, Answer::Rating(position.min(5) as u8), at(minute + 1)).expect("written");
        reading.turn(Pane::Difference, at(minute + 1)).expect("written");
        reading.answer(1, Answer::YesNo(position.is_multiple_of(2)), at(minute + 3)).expect("written");
        reading.next(at(minute + 4)).expect("written");
        minute += 10;
    }
}

#[test]
fn the_order_of_a_seed_is_the_same_everywhere() {
    // As another program in Python has them, by FNV-1a of "reader study", SplitMix64 and the high half of a product.
    assert_eq!(order(3, 1), [0, 2, 1]);
    assert_eq!(order(8, 1), [7, 0, 6, 1, 5, 2, 4, 3]);
    assert_eq!(order(8, 2026), [3, 6, 5, 7, 2, 1, 4, 0]);
    assert_eq!(order(4, 7), [1, 2, 0, 3]);
}

#[test]
fn every_answer_is_a_row_with_its_times_and_no_cell_is_a_formula() {
    let folder = folder(FILE, &CASES);
    let study = study(&folder);
    let mut reading = begun(&study, "R1", study.seed).expect("it begins");
    let path = study.answers_of("R1");
    assert_eq!((path.as_path(), rows(&path).len()), (reading.answers_path(), 0));
    let early = reading.answer(0, Answer::Rating(1), at(0)).expect_err("the case is not shown yet");
    assert!(early.to_string().contains("not on the screen yet"), "{early}");
    reading.show(at(0));
    reading.answer(0, Answer::Rating(2), at(1)).expect("written");
    assert_eq!(rows(&path).len(), 1, "at once");
    reading.turn(Pane::Difference, at(2)).expect("written");
    reading.turn(Pane::Original, at(3)).expect("put away");
    reading.answer(3, Answer::Text("=1+1, \"quoted\"\nand so on".to_owned()), at(4)).expect("written");
    reading.answer(2, Answer::Region(mark()), at(4)).expect("written");
    assert_eq!(reading.missing().map(|question| question.name.as_str()), Some("finding"));
    assert!(reading.next(at(5)).expect_err("a question is open").to_string().contains("\"finding\""));
    reading.answer(0, Answer::Rating(5), at(5)).expect("again");
    reading.answer(1, Answer::YesNo(true), at(5)).expect("written");
    reading.next(at(6)).expect("written");
    let (rows, seed) = (rows(&path), study.seed.to_string());
    let first = &CASES[order(3, 1)[0]];
    for row in &rows {
        let key = ["study", "seed", "reader", "position", "case", "shown_at"].map(|column| cell(row, column));
        assert_eq!(key, [study.mark.as_str(), &seed, "R1", "1", &format!("'{first}"), "2026-11-30T03:00:00.000Z"]);
    }
    let told = |row: &Vec<String>| ["event", "question", "answer"].map(|column| cell(row, column).to_owned()).join(" ");
    let mark = serde_json::to_string(&mark()).expect("JSON");
    let all = [
        "answer realistic 2".to_owned(),
        "difference  shown".to_owned(),
        "answer remarks '=1+1, \"quoted\" and so on".to_owned(),
        format!("answer where {mark}"),
        "answer realistic 5".to_owned(),
        "answer finding yes".to_owned(),
        "done  ".to_owned(),
    ];
    assert_eq!(rows.iter().map(told).collect::<Vec<_>>(), all);
    let done = rows.last().expect("a row");
    let secs = ["at", "seconds", "seconds_original", "seconds_counterfactual", "seconds_difference"];
    let wanted = ["2026-11-30T03:06:00.000Z", "360.000", "180.000", "360.000", "240.000"];
    assert_eq!(secs.map(|column| cell(done, column)), wanted);
    assert!(std::fs::read(&path).expect("bytes").ends_with(b"\r\n"));
}

#[cfg(unix)]
#[test]
fn no_other_user_may_read_answers_and_no_other_window_may_write_them() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = folder(FILE, &CASES);
    let study = study(&folder);
    let reading = begun(&study, "R1", 1).expect("it begins");
    let mode = reading.answers_path().metadata().expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let second = begun(&study, "R1", 1).err().expect("a refusal");
    assert!(format!("{second:#}").contains("another window writes these answers"), "{second:#}");
    drop(reading);
    begun(&study, "R1", 1).expect("it is free again");
}

#[test]
fn a_reader_goes_on_behind_the_last_whole_row_wherever_the_file_was_cut() {
    let folder = folder(FILE, &CASES);
    let study = study(&folder);
    let mut reading = begun(&study, "R1", 1).expect("it begins");
    read_all(&mut reading);
    drop(reading);
    let path = study.answers_of("R1");
    let whole = std::fs::read(&path).expect("bytes");
    let all = rows(&path);
    assert_eq!(all.len(), 12, "four of each case");
    let ends: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == b'\n').map(|at| at + 1).collect();
    for cut in 0..=whole.len() {
        std::fs::write(&path, &whole[..cut]).expect("written");
        let reading = begun(&study, "R1", 1).unwrap_or_else(|error| panic!("cut at {cut}: {error:#}"));
        let kept = ends.iter().filter(|end| **end <= cut).count().saturating_sub(1);
        let is_cut = cut > 0 && !ends.contains(&cut);
        assert_eq!(reading.notes.iter().any(|note| note.contains("cut short")), is_cut, "{cut}: {:?}", reading.notes);
        assert_eq!(reading.position()[0], 1 + kept / 4, "cut at {cut}");
        let answered = [kept % 4 > 0, kept % 4 > 2];
        assert_eq!([0, 1].map(|question| reading.answer_to(question).is_some()), answered, "cut at {cut}");
        drop(reading);
        let now = std::fs::read(&path).expect("bytes");
        assert!(whole.starts_with(&now) && now.len() == ends[kept], "nothing but whole rows, cut at {cut}");
    }
    // What is written then is as if nothing had happened.
    std::fs::write(&path, &whole[..ends[6] + 9]).expect("written");
    let mut reading = begun(&study, "R1", 1).expect("it goes on");
    read_all(&mut reading);
    let again = rows(&path);
    let told = |row: &Vec<String>| ["event", "case", "question", "answer"].map(|column| cell(row, column).to_owned());
    let mut seen: Vec<_> = all.iter().map(told).collect();
    let mut now: Vec<_> = again.iter().map(told).collect();
    seen.sort();
    now.sort();
    seen.dedup();
    now.dedup();
    assert_eq!(now, seen);
}

#[test]
fn answers_of_another_study_seed_or_reader_are_refused_with_the_field_and_its_value() {
    let folder = folder(FILE, &CASES);
    let one = study(&folder);
    let mut reading = begun(&one, "R1", 1).expect("it begins");
    read_all(&mut reading);
    drop(reading);
    let refusal = |study: &Arc<Study>, reader: &str, seed: u64| {
        format!("{:#}", begun(study, reader, seed).err().expect("a refusal"))
    };
    let said = refusal(&one, "R1", 2);
    assert!(said.contains("seed is \"1\", where \"2\" was given") && said.contains("R1.csv"), "{said}");
    std::fs::copy(one.answers_of("R1"), one.answers_of("R2")).expect("copied");
    let said = refusal(&one, "R2", 1);
    assert!(said.contains("reader is \"R1\", where \"R2\" was given"), "{said}");
    std::fs::write(folder.path().join("results/d.parallax"), b"").expect("written");
    let other = study(&folder);
    let said = refusal(&other, "R1", 1);
    assert!(said.contains(&format!("study is {:?}, where {:?} was given", one.mark, other.mark)), "{said}");
    std::fs::write(other.answers_of("R3"), "a,b\r\n1,2\r\n").expect("written");
    assert!(refusal(&other, "R3", 1).contains("does not name the columns of answers"));
    let row = std::fs::read_to_string(one.answers_of("R1")).expect("text");
    std::fs::write(one.answers_of("R4"), row.replace("R1", "R4").replace("R4,answer,", "R4,guess,")).expect("written");
    assert!(refusal(&one, "R4", 1).contains("line 2: event is \"guess\", which is none"));
    for code in ["", "Jane Doe", "../R1", "-R1", "é", &"x".repeat(33)] {
        let said = refusal(&one, code, 1);
        assert!(said.contains(&format!("the reader's code is {code:?}")) && said.contains("no name"), "{said}");
    }
}

#[test]
fn a_folder_that_takes_no_answers_is_found_before_the_first_case() {
    let folder = folder(&format!("answers = \"none\"\n{FILE}"), &CASES);
    let refusal = || format!("{:#}", begun(&study(&folder), "R1", 1).err().expect("a refusal"));
    assert!(refusal().contains("answers: there is no such folder"), "{}", refusal());
    let file = folder.path().join("none/study-answers-R1.csv");
    std::fs::create_dir_all(&file).expect("a folder in the place of the file");
    assert!(refusal().contains("cannot write the answers") && refusal().contains("it is a folder"), "{}", refusal());
}

#[test]
fn what_is_wrong_with_a_study_is_said_with_its_field_and_value_and_what_to_do() {
    let question = "[[question]]\nname = \"a\"\nask = \"Is it?\"\nkind = \"yes-no\"\n";
    let with = |lines: &str| format!("cases = \"results\"\n{lines}{question}");
    for (text, cases, said) in [
        (with(""), &[][..], vec!["the folder holds no result; save sessions (.parallax) into it", "results"]),
        (
            with("").replace("yes-no", "likert"),
            &CASES[..],
            vec![
                "question \"a\": kind = \"likert\", which is none",
                "write \"five-point\", \"yes-no\", \"text\" or \"region\"",
            ],
        ),
        (with("") + question, &CASES[..], vec!["two questions have the name \"a\"; give each a name of its own"]),
        (
            with("").replace("Is it?", " "),
            &CASES[..],
            vec!["question \"a\": ask = \" \"; write what the reader is asked"],
        ),
        (with("") + "low = \"no\"\n", &CASES[..], vec!["question \"a\": low and high belong to kind = \"five-point\""]),
        ("cases = \"results\"\n".to_owned(), &CASES[..], vec!["it asks nothing; add a [[question]]"]),
        (with("show_scores = true\n"), &CASES[..], vec!["line 2", "unknown field `show_scores`", "`show_score`"]),
        (with("seed = -1\n"), &CASES[..], vec!["line 2", "-1"]),
        (with("first_slice = \"top\"\n"), &CASES[..], vec!["line 2", "`top`", "`most-changed`", "`middle`"]),
        (with("").replace("\"results\"", "3"), &CASES[..], vec!["cases is the path of a folder or a table"]),
        (with("").replace("\"results\"", "[]"), &CASES[..], vec!["cases: 0 results"]),
        (
            with("").replace("\"results\"", "[\"a.parallax\", \"a.parallax\"]"),
            &CASES[..],
            vec!["cases: \"a.parallax\" is named twice; name each result once"],
        ),
        (with("").replace("\"results\"", "\"study.toml\""), &CASES[..], vec!["no column \"session\""]),
    ] {
        let folder = folder(&text, cases);
        let path = folder.path().join("study.toml");
        let error = format!("{:#}", Study::open(&path).expect_err("a refusal"));
        let begins = error.starts_with(&format!("cannot open the study {}", path.display()));
        assert!(begins && said.iter().all(|part| error.contains(part)), "{said:?}: {error}");
    }
}

#[test]
fn a_folder_and_a_table_alone_are_studies_with_the_usual_questions() {
    let folder = folder("", &CASES);
    let names = |study: &Study| study.cases.iter().map(|case| case.name.clone()).collect::<Vec<_>>();
    let of_folder = Study::open(&folder.path().join("results")).expect("a study");
    assert_eq!(names(&of_folder), CASES);
    assert!(!of_folder.show_score && !of_folder.show_target && !of_folder.skip_unreadable);
    assert_eq!(of_folder.answers, folder.path().join("results"));
    let table = folder.path().join("list.csv");
    std::fs::write(&table, "site,session\r\nA,results/c.parallax\r\nB,\"results/b, the second.parallax\"\r\n")
        .expect("written");
    let of_table = Study::open(&table).expect("a study");
    assert_eq!(names(&of_table), ["results/c.parallax", "results/b, the second.parallax"]);
    assert!(of_table.cases.iter().all(|case| case.session.is_file()));
    assert_eq!(of_table.answers_of("R1"), folder.path().join("list-answers-R1.csv"));
    assert_ne!(of_folder.mark, of_table.mark);
    for (name, text, said) in [
        ("none.csv", "path\r\nc.parallax\r\n", "has no column \"session\""),
        ("hole.csv", "session,site\r\n,A\r\n", "an empty session in row 1"),
        ("empty.csv", "session\r\n", "has no row"),
        ("notes.txt", "", "it ends in neither .toml nor .csv"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        let error = format!("{:#}", Study::open(&path).expect_err("a refusal"));
        assert!(error.contains(said) && error.contains(name), "{error}");
    }
    let gone = Study::open(&PathBuf::from("/no/such/study")).expect_err("a refusal");
    assert!(format!("{gone:#}").contains("there is no such file or folder"), "{gone:#}");
}

#[test]
fn a_case_that_cannot_be_read_is_passed_by_and_the_others_keep_their_places() {
    let folder = folder(FILE, &CASES);
    let study = study(&folder);
    let order = order(3, 1);
    let unreadable = BTreeSet::from([order[1]]);
    let mut reading = Reading::begin(Arc::clone(&study), "R1", 1, &unreadable).expect("it begins");
    read_all(&mut reading);
    let positions: BTreeSet<_> =
        rows(reading.answers_path()).iter().map(|row| cell(row, "position").to_owned()).collect();
    assert_eq!(positions, ["1", "3"].map(str::to_owned).into());
    drop(reading);
    // It can be read later on: then it is what is left.
    let reading = begun(&study, "R1", 1).expect("it goes on");
    assert_eq!(reading.position(), [2, 3]);
}
