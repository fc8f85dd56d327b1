//! A table as text: which letters it is written in, what stands between its cells, and whether its quotes say what they seem to.

use std::borrow::Cow;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::files;

/// What may stand between cells, the one of the standard first (RFC 4180): spreadsheets of some countries write the second.
const SEPARATORS: [char; 3] = [',', ';', '\t'];
/// What files begin with that are no tables: what they are, and what helps.
const OTHERS: [(&[u8], &str); 7] = [
    (b"PK\x03\x04", "it is a zip archive, as spreadsheets are; save the table as CSV"),
    (b"\xd0\xcf\x11\xe0", "it is a spreadsheet of an old kind; save the table as CSV"),
    (b"PAR1", "it is a Parquet file; save the table as CSV"),
    (b"%PDF", "it is a PDF; save the table as CSV"),
    (b"{\\rtf", "it is a text with a layout; save the table as CSV"),
    (b"\x1f\x8b", "it is packed, as scans are; name a table, a folder, or a pattern in quotes"),
    (b"NRRD", "it is a scan; name a table, a folder, or a pattern in quotes"),
];

/// Reads a table's text.
pub(super) fn read(path: &Path, most_bytes: u64) -> Result<String> {
    let mut bytes = Vec::new();
    files::open(path)?.take(most_bytes + 1).read_to_end(&mut bytes)?;
    if let Some((_, what)) = OTHERS.iter().find(|(mark, _)| bytes.starts_with(mark)) {
        bail!("{what}");
    }
    ensure!(bytes.get(128..132) != Some(b"DICM"), "it is a DICOM file; name a table, a folder, or a pattern in quotes");
    ensure!(bytes.len() as u64 <= most_bytes, "it is longer than the {most_bytes} bytes that a table may have");
    Ok(text(&bytes)?.into_owned())
}

/// The letters of a table: UTF-8, or UTF-16 that begins with its mark.
fn text(bytes: &[u8]) -> Result<Cow<'_, str>> {
    let units = |of: fn([u8; 2]) -> u16| -> Result<Cow<'_, str>> {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().skip(1).map(|pair| of(*pair)).collect();
        let text = if rest.is_empty() { String::from_utf16(&units).ok() } else { None };
        Ok(text.context("it begins as UTF-16 and is none; save it as CSV in UTF-8")?.into())
    };
    match bytes {
        [0xff, 0xfe, ..] => units(u16::from_le_bytes),
        [0xfe, 0xff, ..] => units(u16::from_be_bytes),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.into()),
            Err(error) => {
                let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
                bail!("line {line}: it is no text in UTF-8; save the table as CSV in UTF-8")
            }
        },
    }
}

/// One line of a table, and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: u64,
    /// Without the blanks around each.
    pub(super) cells: Vec<String>,
}

/// All lines of a table that hold something; `is_head` tells what the first of them should be, by which the separator is found. What is
/// wrong with single lines is told beside them.
pub(super) fn lines(text: &str, is_head: impl Fn(&[String]) -> bool) -> Result<(Vec<Line>, Vec<String>)> {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
    ensure!(
        !text.trim().is_empty(),
        "it is empty; a table has a line of names, with id and scan, and a line for each case"
    );
    if let Some(at) = text.find('\0') {
        let line = text[..at].matches('\n').count() + 1;
        bail!("line {line}: it holds bytes that are no letters; save it as CSV in UTF-8");
    }
    let mut first = None;
    for separator in SEPARATORS {
        let (lines, wrong) = cut(&text, separator);
        if lines.first().is_some_and(|line| is_head(&line.cells)) {
            return Ok((lines, wrong));
        }
        first = first.or(Some((lines, wrong)));
    }
    first.context("it is empty")
}

/// Where the reading of a cell stands.
enum At {
    /// Nothing of the cell has come but blanks.
    Begin,
    Plain,
    /// Within quotes, which were opened in this line.
    Quoted(u64),
    /// Behind closed quotes.
    Closed,
}

/// Cuts a text into lines of cells. A line whose quotes are wrong is told, and left out.
fn cut(text: &str, separator: char) -> (Vec<Line>, Vec<String>) {
    let (mut lines, mut wrong): (Vec<Line>, Vec<String>) = (Vec::new(), Vec::new());
    let (mut number, mut at) = (1, At::Begin);
    let mut line = Line { number, cells: Vec::new() };
    let (mut cell, mut fault) = (String::new(), None);
    let mut letters = text.chars().chain((!text.ends_with('\n')).then_some('\n')).peekable();
    while let Some(letter) = letters.next() {
        match at {
            // One quote in place of two stands for itself; a line's end in quotes means that they were never closed.
            At::Quoted(_) if letter == '"' && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
                continue;
            }
            At::Quoted(_) if letter == '"' => {
                at = At::Closed;
                continue;
            }
            At::Quoted(opened) if letter == '\n' => {
                fault = fault.or(Some(format!("line {opened}: a quote is opened, and not closed in its line")));
            }
            At::Quoted(_) => {
                cell.push(letter);
                continue;
            }
            _ => {}
        }
        if letter == separator || letter == '\n' {
            line.cells.push(cell.trim().to_owned());
            cell.clear();
            at = At::Begin;
            if letter == '\n' {
                number += 1;
                let ended = std::mem::replace(&mut line, Line { number, cells: Vec::new() });
                match fault.take() {
                    Some(fault) => wrong.push(fault),
                    None if ended.cells.iter().all(String::is_empty) => {} // spreadsheets leave such lines
                    None => lines.push(ended),
                }
            }
            continue;
        }
        match (&at, letter) {
            (At::Begin, '"') => {
                cell.clear();
                at = At::Quoted(number);
            }
            (At::Closed, letter) if letter.is_whitespace() => {}
            (At::Closed, _) => {
                fault = fault
                    .or(Some(format!("line {number}: letters stand behind a closed quote; they belong within it")));
            }
            (At::Plain, '"') => {
                let what =
                    "a quote stands within a cell; put the whole cell in quotes, and write each quote in it twice";
                fault = fault.or(Some(format!("line {number}: {what}")));
            }
            (_, letter) => {
                at = if letter.is_whitespace() && matches!(at, At::Begin) { At::Begin } else { At::Plain };
                cell.push(letter);
            }
        }
    }
    (lines, wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(text: &str) -> Vec<Vec<String>> {
        let (lines, wrong) = lines(text, |_| true).unwrap();
        assert_eq!(wrong, [""; 0], "{text:?}");
        lines.into_iter().map(|line| line.cells).collect()
    }

    #[test]
    fn cells_are_cut_as_the_standard_says() {
        assert_eq!(cells("a, b ,\"c, \"\"d\"\"\"\r\n\" e \" ,,f"), [["a", "b", "c, \"d\""], ["e", "", "f"]]);
        assert_eq!(cells("\u{feff}a\rb\r\n\n , ,\nc"), [["a"], ["b"], ["c"]], "lines of nothing are passed over");
        assert_eq!(lines("x\n\n\ny", |_| true).unwrap().0[1].number, 4);
    }

    #[test]
    fn quotes_that_are_wrong_are_told_by_their_line() {
        for (text, said) in [
            ("a,b\n\"c,d\ne,f", "line 2: a quote is opened, and not closed"),
            ("a,b\nc,\"d", "line 2: a quote is opened, and not closed"),
            ("a,b\n\"c\".nii.gz,d", "line 2: letters stand behind a closed quote"),
            ("a,b\nc\"d,e", "line 2: a quote stands within a cell"),
        ] {
            let (_, wrong) = lines(text, |_| true).unwrap();
            assert!(wrong.len() == 1 && wrong[0].starts_with(said), "{text:?}: {wrong:?}");
        }
        let (lines, wrong) = lines("a\n\"b\nc", |_| true).unwrap();
        assert_eq!((lines.len(), wrong.len()), (2, 1), "the lines after it are read");
    }

    #[test]
    fn letters_of_any_spreadsheet_are_read_and_what_is_no_text_is_told() {
        let of = |text: &str, big: bool| -> Vec<u8> {
            let unit = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
            "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(unit).collect()
        };
        for big in [false, true] {
            assert_eq!(text(&of("id\tM\u{fc}ller", big)).unwrap(), "id\tM\u{fc}ller");
            let odd = [of("id", big), vec![0]].concat();
            assert!(text(&odd).unwrap_err().to_string().contains("UTF-16"));
        }
        assert!(text(b"a\nb\xff").unwrap_err().to_string().starts_with("line 2: it is no text in UTF-8"));
        for (text, said) in [("", "it is empty"), (" \n\n", "it is empty"), ("a\nb\0", "line 2: it holds bytes")] {
            let error = lines(text, |_| true).unwrap_err().to_string();
            assert!(error.starts_with(said), "{text:?}: {error}");
        }
    }
}
