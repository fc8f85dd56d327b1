//! The pages that people read: their commands run, their options exist, their links lead somewhere, and none is too long.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::CommandFactory as _;
use parallax::cli::{self, Arguments};

use crate::house::guide;
use crate::support::needed;
use crate::support::pages::{Block, blocks, pages, prose, root, text};

const README: &str = "README.md";
const COMMAND_LINE: &str = "docs/command-line.md";
/// What a radiologist reads in two minutes.
const MOST_LINES_OF_README: usize = 150;
const MOST_LINES: usize = 200;
/// The page of the command line grows with each command.
const MOST_LINES_OF_COMMAND_LINE: usize = 400;
/// Options of other programs that pages name.
const OF_OTHERS: [&str; 3] = ["--bench", "--no-default-features", "--python"];

fn is_shell(block: &Block) -> bool {
    block.language == "sh"
}

#[test]
fn no_page_is_longer_than_people_read() {
    for page in pages() {
        let (lines, most) = match page.as_str() {
            README => (text(&page).lines().count(), MOST_LINES_OF_README),
            COMMAND_LINE => (text(&page).lines().count(), MOST_LINES_OF_COMMAND_LINE),
            _ => (text(&page).lines().count(), MOST_LINES),
        };
        assert!(lines <= most, "{page} has {lines} lines; {most} at most");
    }
}

/// A block is run by this test, by the guide's, or by the test that a comment names, `<!-- run by: tests/suite/pacs.rs -->`; or a
/// comment says why nothing runs it: `<!-- not run: it builds for a quarter of an hour -->`.
#[cfg(unix)]
#[test]
fn every_command_of_every_page_is_run_or_says_why_not() {
    use crate::support::pages::{place, run};

    let mut ran = 0;
    for page in pages().iter().filter(|page| !guide::PAGES.contains(&page.as_str())) {
        let blocks = blocks(page);
        let open = blocks.iter().filter(|block| is_shell(block)).filter(|block| {
            if let Some(test) = block.said("run by") {
                assert!(root().join(test).exists(), "{page}: there is no {test}");
                return false;
            }
            block.said("not run").is_none_or(|reason| reason.len() < 5)
        });
        let folder = tempfile::tempdir().expect("a folder");
        let path = place(folder.path(), None);
        for block in open {
            run(block, folder.path(), &path);
            ran += 1;
        }
    }
    assert!(ran >= 6, "{ran} blocks of commands");
}

/// The command that these words lead to, as far as they are names of commands.
fn command_of<'a>(words: &[&str], program: &'a clap::Command) -> &'a clap::Command {
    let mut at = program;
    for word in words {
        match at.find_subcommand(word) {
            Some(inner) => at = inner,
            None => break,
        }
    }
    at
}

fn knows(command: &clap::Command, flag: &str) -> bool {
    command.get_arguments().any(|arg| arg.get_long().is_some_and(|long| flag.strip_prefix("--") == Some(long)))
}

/// What stands between backquotes, or is a line of a block.
fn spans(page: &str) -> Vec<String> {
    let prose = prose(page);
    let quoted = prose.split('`').skip(1).step_by(2).map(str::to_owned);
    let blocks = blocks(page);
    let lines = blocks.iter().filter(|block| is_shell(block)).map(|block| block.text.replace("\\\n", " "));
    let lines = lines.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    quoted.chain(lines).collect()
}

#[test]
fn every_command_and_option_that_a_page_names_exists() {
    let mut program = Arguments::command();
    program.build();
    let all: Vec<&clap::Command> = std::iter::once(&program)
        .chain(program.get_subcommands())
        .chain(program.get_subcommands().flat_map(clap::Command::get_subcommands))
        .collect();
    for page in pages() {
        for span in spans(&page) {
            let words: Vec<&str> = span.split_whitespace().collect();
            let flag = |word: &str| word.split('=').next().unwrap_or_default().to_owned();
            match words.as_slice() {
                ["parallax", rest @ ..] => {
                    let command = command_of(rest, &program);
                    for word in rest.iter().filter(|word| word.starts_with("--")) {
                        let name = command.get_name();
                        assert!(knows(command, &flag(word)), "{page}: {span:?}: {name} has no {word}");
                    }
                    let first = rest.first().copied().unwrap_or_default();
                    let is_word = !first.is_empty() && first.chars().all(|c| c.is_ascii_lowercase());
                    let known = ["help"].contains(&first) || program.find_subcommand(first).is_some();
                    assert!(!is_word || known, "{page}: {span:?}: there is no command {first}");
                }
                [first, ..] if first.starts_with("--") => {
                    let known = OF_OTHERS.contains(first) || all.iter().any(|command| knows(command, &flag(first)));
                    assert!(known, "{page}: no command has {first}");
                }
                _ => {}
            }
        }
    }
}

/// `## What a run writes` as links name it.
fn anchor(heading: &str) -> String {
    let kept = heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c))
        .collect::<String>();
    kept.replace(' ', "-")
}

fn anchors(page: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
    text.lines().filter(|line| line.starts_with('#')).map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

#[test]
fn every_link_and_picture_of_a_page_is_there() {
    let mut found = 0;
    for page in pages() {
        let folder = root().join(&page).parent().expect("a folder").to_owned();
        for link in prose(&page).split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, place) = link.split_once('#').map_or((link.as_str(), None), |(file, place)| (file, Some(place)));
            let path = if file.is_empty() { root().join(&page) } else { folder.join(file) };
            assert!(path.exists(), "{page}: {link} leads nowhere");
            if let Some(place) = place {
                assert!(anchors(&path).contains(place), "{page}: {link}: there is no such heading");
            }
            found += 1;
        }
    }
    assert!(found >= 20, "{found} links");
}

#[test]
fn the_page_of_the_command_line_is_what_the_program_says() {
    assert!(
        text(COMMAND_LINE).trim_end() == cli::reference().trim_end(),
        "{COMMAND_LINE} is another than the program's; make it again: cargo run --locked -- reference > {COMMAND_LINE}"
    );
    let output = Command::new(env!("CARGO_BIN_EXE_parallax")).arg("reference").output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), cli::reference().trim_end());
}

#[test]
fn the_version_is_the_same_wherever_it_stands() {
    let version = env!("CARGO_PKG_VERSION");
    assert!(text("CHANGELOG.md").contains(&format!("\n## {version}\n")), "CHANGELOG.md has nothing of {version}");
    let citation = text("CITATION.cff");
    assert!(citation.contains(&format!("\nversion: {version}\n")), "CITATION.cff is of another version than {version}");
}

/// Cargo builds the examples beside the program wherever it builds all tests.
fn example(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_BIN_EXE_parallax")).parent().expect("a folder");
    let path = beside.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION);
    needed(Some(path).filter(|path| path.is_file()), &format!("the example {name} (cargo build --example {name})"))
}

#[test]
fn the_examples_do_what_they_say() {
    if let Some(program) = example("new_network") {
        let output = Command::new(program).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("gradient [1, 1, 8, 16, 16]"));
    }
    let Some(program) = example("explain") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(program).arg("out").current_dir(folder.path()).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for name in ["result.json", "panes.png", "difference.nii.gz"] {
        assert!(folder.path().join("out").join(name).is_file(), "{name} is missing");
    }
}
