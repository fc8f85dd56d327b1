//! The list of the scans of a cohort: read from a table, or made of the files of a folder or of a pattern.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::cells::{self, Line};
use super::id;
use crate::files;
use crate::io::Which;
use crate::pacs::Address;

/// The columns that mean something here, in the order in which a kept manifest has them.
pub(super) const KNOWN: [&str; 6] = ["id", "scan", "series", "target", "slab", "mask"];
/// A hundred thousand rows of a thousand letters.
const MOST_BYTES: u64 = 100 << 20;
/// More scans than any cohort has.
const MOST_ROWS: usize = 100_000;
/// A refusal tells as many faults of a manifest as this.
const MOST_TOLD: usize = 20;
/// How files that hold one scan each end.
const ENDINGS: [&str; 12] =
    [".nii.gz", ".nii", ".hdr", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm", ".ima", ".zip", ".safetensors", ".img.gz"];

/// One case: a scan, and what is asked of it alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The name of the case and of its folder.
    pub id: String,
    pub scan: PathBuf,
    pub series: Option<Which>,
    /// A class of the classifier, in place of the one that all cases have.
    pub target: Option<String>,
    pub slab: Option<RowSlab>,
    pub mask: Option<PathBuf>,
    /// The cells of the further columns.
    pub further: Vec<String>,
    /// The line of the row in its table, counted from 1; the place by name where a folder was given.
    pub line: u64,
}

/// The slices that may change, where a row says them; `None` is all.
pub type RowSlab = Option<Range<usize>>;

/// All cases of a cohort, by ascending id.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The names of the further columns.
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
}

/// "20:28" or "all" as the slices that may change.
pub fn slab(text: &str) -> Result<RowSlab, String> {
    if text == "all" {
        return Ok(None);
    }
    let (start, end) = text.split_once(':').ok_or("want A:B or all")?;
    let number =
        |s: &str| s.parse::<usize>().map_err(|_no_number| format!("{s:?} is no whole number; want A:B or all"));
    Ok(Some(number(start)?..number(end)?))
}

impl Manifest {
    /// Reads a table (`.csv`), or lists the scans of a folder, or of a pattern such as `scans/*.nii.gz`. Nothing is opened but the table.
    pub fn open(path: &Path) -> Result<Self> {
        let is_table = path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("csv"));
        let network = path.to_str().map_or(Ok(()), |said| refuse_network("scan", said));
        let made = if let Err(error) = network {
            Err(error)
        } else if path.is_dir() {
            in_folder(path).and_then(Self::of_scans)
        } else if path.exists() || is_table {
            let folder = path.parent().unwrap_or(Path::new(""));
            table(path).and_then(|text| Self::read(&text, &std::path::absolute(folder.join("."))?))
        } else {
            matching(path).and_then(Self::of_scans)
        };
        made.with_context(|| format!("no cohort can be made of {}", path.display()))
    }

    /// Reads a table. Relative paths are of `folder`. All that is wrong is told at once, each by its line.
    pub fn read(text: &str, folder: &Path) -> Result<Self> {
        let has = |cells: &[String]| ["id", "scan"].iter().all(|name| cells.iter().any(|cell| cell == name));
        let (lines, mut wrong) = cells::lines(text, has)?;
        let of_head = wrong.iter().find(|fault| fault.starts_with("line 1:"));
        let (None, Some((head, lines))) = (of_head, lines.split_first()) else {
            bail!("{}", of_head.or(wrong.first()).map_or("line 1: it names no columns", String::as_str));
        };
        let places = Places::of(&head.cells)?;
        let columns: Vec<String> = places.further.iter().map(|at| head.cells[*at].clone()).collect();
        ensure!(lines.len() <= MOST_ROWS, "it has more than {MOST_ROWS} rows; make several cohorts of it");
        let mut rows = Vec::new();
        let mut seen = BTreeMap::<String, (String, u64)>::new();
        for Line { number: line, cells } in lines {
            match places.row(cells, *line, folder) {
                Ok(row) => {
                    // Some file systems tell a from A, and some do not.
                    if let Some((first, at)) = seen.insert(row.id.to_ascii_lowercase(), (row.id.clone(), *line)) {
                        let id = &row.id;
                        wrong.push(if first == *id {
                            format!("line {line}: the id {id:?} stands in line {at} already")
                        } else {
                            format!(
                                "line {line}: the id {id:?} is {first:?} of line {at} but for capitals, and folders of both names would be one on some disks; change one"
                            )
                        });
                    }
                    rows.push(row);
                }
                Err(why) => wrong.push(format!("line {line}: {why}")),
            }
        }
        refuse(&wrong)?;
        Self::sorted(columns, rows)
    }

    /// One case of each path, named after its file.
    fn of_scans(paths: Vec<PathBuf>) -> Result<Self> {
        let (mut seen, mut wrong) = (BTreeMap::<String, PathBuf>::new(), Vec::new());
        let mut rows = Vec::new();
        for (line, path) in (1..).zip(paths) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let id = id::made_of(stem(&name));
            if let Some(other) = seen.insert(id.to_ascii_lowercase(), path.clone()) {
                wrong.push(format!("{} and {} both become the id {id:?}", other.display(), path.display()));
            }
            let scan = std::path::absolute(&path)?;
            rows.push(Row { id, scan, series: None, target: None, slab: None, mask: None, further: Vec::new(), line });
        }
        if !wrong.is_empty() {
            wrong.push("name them in a table with the columns id and scan".to_owned());
        }
        refuse(&wrong)?;
        Self::sorted(Vec::new(), rows)
    }

    fn sorted(columns: Vec<String>, mut rows: Vec<Row>) -> Result<Self> {
        ensure!(!rows.is_empty(), "it holds no scan");
        rows.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(Self { columns, rows })
    }

    /// The table that reads as this manifest, with whole paths.
    pub fn csv(&self) -> Result<Vec<u8>> {
        let mut table = csv::Writer::from_writer(Vec::new());
        table.write_record(KNOWN.into_iter().chain(self.columns.iter().map(String::as_str)))?;
        for row in &self.rows {
            let path = |path: &Path| {
                path.to_str().map(str::to_owned).with_context(|| format!("no text in UTF-8: {}", path.display()))
            };
            let series = match &row.series {
                None => String::new(),
                Some(Which::Number(number)) => number.to_string(),
                Some(Which::Uid(uid)) => uid.clone(),
            };
            let slab = match &row.slab {
                None => String::new(),
                Some(None) => "all".to_owned(),
                Some(Some(slab)) => format!("{}:{}", slab.start, slab.end),
            };
            let mask = row.mask.as_deref().map(path).transpose()?.unwrap_or_default();
            let known = [row.id.clone(), path(&row.scan)?, series, row.target.clone().unwrap_or_default(), slab, mask];
            table.write_record(known.iter().chain(&row.further))?;
        }
        Ok(table.into_inner()?)
    }
}

/// Where a table has each column.
struct Places {
    columns: usize,
    known: [Option<usize>; KNOWN.len()],
    further: Vec<usize>,
}

impl Places {
    fn of(names: &[String]) -> Result<Self> {
        let mut seen = BTreeSet::new();
        // Spreadsheets write empty cells behind the last one.
        let names = &names[..names.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1)];
        for name in names {
            ensure!(seen.insert(name), "line 1: two columns have the name {name:?}; give each a name of its own");
            ensure!(!name.is_empty(), "line 1: a column has no name; give it one");
            ensure!(name.chars().all(files::is_plain), "line 1: the name of a column has letters that no one sees");
        }
        let known = KNOWN.map(|known| names.iter().position(|name| name == known));
        for (name, place) in KNOWN.iter().zip(known).take(2) {
            let other = names.iter().find(|other| other.eq_ignore_ascii_case(name));
            let other = other.map_or_else(String::new, |other| format!(" ({other:?} is written otherwise)"));
            ensure!(place.is_some(), "line 1: there is no column {name:?}{other}; the columns id and scan are needed");
        }
        let further = (0..names.len()).filter(|at| !known.contains(&Some(*at))).collect();
        Ok(Self { columns: names.len(), known, further })
    }

    fn row(&self, cells: &[String], line: u64, folder: &Path) -> Result<Row> {
        let columns = self.columns;
        let beyond = cells.iter().skip(columns).any(|cell| !cell.is_empty());
        ensure!(
            cells.len() >= columns && !beyond,
            "it has {} cells, where the first line names {columns}",
            cells.len()
        );
        let text = |at: usize| cells.get(at).map_or("", String::as_str);
        let cell = |known: usize| self.known[known].map(text).filter(|text| !text.is_empty());
        let id = cell(0).context("the id is empty")?;
        id::check(id).map_err(|why| anyhow!("the id {id:?} {why}"))?;
        let scan = cell(1).context("the scan is empty")?;
        for (what, said) in [("scan", Some(scan)), ("mask", cell(5))] {
            said.map_or(Ok(()), |said| refuse_network(what, said))?;
        }
        let series = cell(2).map(str::parse::<Which>).transpose().map_err(|why| anyhow!("series: {why}"))?;
        let slab = cell(4).map(slab).transpose().map_err(|why| anyhow!("slab: {why}"))?;
        if let Some(Some(empty)) = slab.as_ref().filter(|slab| slab.as_ref().is_some_and(Range::is_empty)) {
            bail!("slab: {}:{} holds no slice", empty.start, empty.end);
        }
        let further: Vec<String> = self.further.iter().map(|at| text(*at).to_owned()).collect();
        ensure!(
            further.iter().all(|cell| cell.chars().all(files::is_plain)),
            "a cell has letters that no one sees; take them out"
        );
        Ok(Row {
            id: id.to_owned(),
            scan: folder.join(scan),
            series,
            target: cell(3).map(str::to_owned),
            slab,
            mask: cell(5).map(|mask| folder.join(mask)),
            further,
            line,
        })
    }
}

/// A table's text, where the file is one.
fn table(path: &Path) -> Result<String> {
    if is_scan(path) {
        bail!(
            "it is a scan, and a cohort is a table, a folder, or a pattern in quotes; `parallax explain` takes one scan"
        );
    }
    cells::read(path, MOST_BYTES)
}

/// Refuses what would have to be fetched: a cohort uses no network.
pub fn refuse_network(what: &str, said: &str) -> Result<()> {
    if let Some(address) = Address::of_scan(Path::new(said)) {
        let get = address.map_or_else(
            |_unfit| "`parallax pacs get`".to_owned(),
            |Address { source, study_uid, series_uid }| {
                let series = series_uid.map_or_else(String::new, |uid| format!("/{uid}"));
                format!("`parallax pacs get {source} {study_uid}{series} --out DIR`")
            },
        );
        bail!(
            "the {what} lies in an archive, and a cohort uses no network; fetch it first, {get}, and name its folder"
        );
    }
    let is_address =
        said.split_once("://").is_some_and(|(scheme, _)| scheme.chars().all(|c| c.is_ascii_alphanumeric()));
    ensure!(!is_address, "the {what} is an address, and a cohort uses no network; fetch it first, and name its file");
    Ok(())
}

fn refuse(wrong: &[String]) -> Result<()> {
    let more = wrong.len().saturating_sub(MOST_TOLD);
    let mut told = wrong.iter().take(MOST_TOLD).map(String::as_str).collect::<Vec<_>>().join("\n  ");
    if more > 0 {
        told.extend(["\n  and ", &more.to_string(), " more"]);
    }
    if wrong.is_empty() { Ok(()) } else { Err(anyhow!("\n  {told}")) }
}

/// The name of a file without what tells its format.
fn stem(name: &str) -> &str {
    let lower = name.to_ascii_lowercase();
    let ending = ENDINGS.iter().find(|ending| lower.ends_with(*ending));
    ending.map_or(name, |ending| &name[..name.len() - ending.len()])
}

fn is_scan(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    !name.starts_with('.') && (path.is_dir() || ENDINGS.iter().any(|ending| name.ends_with(ending)))
}

/// The scans that lie in a folder: files, and folders of a series each.
fn in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if is_scan(&path) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The scans whose paths match a pattern.
fn matching(pattern: &Path) -> Result<Vec<PathBuf>> {
    let text = pattern.to_str().context("it is no text in UTF-8")?;
    ensure!(text.contains(['*', '?', '[']), "there is no such file or folder");
    let found = glob::glob(text).context("the pattern cannot be read; want for example 'scans/*.nii.gz'")?;
    let mut paths = Vec::new();
    for path in found {
        let path = path?;
        if is_scan(&path) {
            paths.push(path);
        }
    }
    Ok(paths)
}
