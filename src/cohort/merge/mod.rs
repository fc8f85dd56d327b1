//! What a cohort tells that a case cannot: read case by case, so that memory grows with the cases by their rows alone.

mod alignment;
mod atlas;
mod bootstrap;
mod cluster;
mod figures;
mod groups;
mod outliers;
mod parquet;
mod pictures;
mod report;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use self::alignment::Alignment;
use self::bootstrap::Weights;
use self::groups::{Column, Group};
use self::outliers::Far;
use self::table::{Cell, Table};
use super::aligned::Aligned;
use super::case::{ALIGNED, Failure};
use super::id;
use super::manifest::{Manifest, Row};
use super::place::CohortFolder;
use super::record;
use super::sound::{self, Sound};
use crate::export::File;
use crate::export::write::{Set, make_private_folder};
use crate::job::Monitor;

/// The folder within that of a cohort.
const FOLDER: &str = "merged";
/// A merge tells as many damaged cases in words as this.
const MOST_TOLD: usize = 20;
/// How the names of atlases begin.
const ATLAS: &str = "atlas";

/// All cases of a cohort, summed.
struct Merged {
    manifest: Manifest,
    table: Table,
    times: Table,
    /// The number of each row that stands out, in the order of the table.
    far: Vec<Option<Far>>,
    failed: Vec<(String, String)>,
    missing: usize,
    /// A case whose files are lost, cut or of another run: its id, and why.
    damaged: Vec<(String, String)>,
    stops: std::collections::BTreeMap<String, usize>,
    alignment: Alignment,
    all: Group,
    columns: Vec<Column>,
}

/// Merges the cases that are done; `by` names columns of the manifest whose values are held against each other. Writes into `merged` of the
/// cohort's folder, and gives that folder and what was found, in words. Where no case is done, nothing is written.
pub fn merge(place: &CohortFolder, by: &[String], monitor: &Monitor) -> Result<(PathBuf, String)> {
    let (_, manifest) = record::open(place)?;
    let columns = by.iter().map(|name| Column::of(&manifest, name)).collect::<Result<Vec<_>>>()?;
    let merged = Merged::read(place, manifest, columns, monitor)?;
    ensure!(
        merged.done() > 0,
        "nothing is merged, since no case is done: {}: {}",
        merged.words(),
        place.root().display()
    );
    let folder = place.root().join(FOLDER);
    make_private_folder(&folder)?;
    let files = merged.files(place)?;
    let mut set = Set::open(&folder, files.iter().map(|file| file.name.as_str()), |_| true)?;
    files.iter().try_for_each(|file| set.put(file))?;
    monitor.check()?;
    let names = set.finish()?;
    sweep_atlases(&folder, &names)?;
    Ok((folder, merged.words()))
}

/// Deletes the atlases of columns that an earlier merge was asked for.
fn sweep_atlases(folder: &Path, names: &[String]) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(ATLAS) && !names.contains(&name) {
            std::fs::remove_file(entry.path()).with_context(|| format!("cannot delete {}", entry.path().display()))?;
        }
    }
    Ok(())
}

impl Merged {
    fn read(place: &CohortFolder, manifest: Manifest, columns: Vec<Column>, monitor: &Monitor) -> Result<Self> {
        let mut merged = Self {
            table: Table::new(&manifest.columns),
            times: table::times(),
            manifest,
            far: Vec::new(),
            failed: Vec::new(),
            missing: 0,
            damaged: Vec::new(),
            stops: std::collections::BTreeMap::new(),
            alignment: Alignment::default(),
            all: Group::default(),
            columns,
        };
        let rows = std::mem::take(&mut merged.manifest.rows);
        for (at, row) in rows.iter().enumerate() {
            monitor.step("merging cases", at, rows.len())?;
            let folder = place.case(&row.id);
            if let Some(Failure { reason, .. }) = Failure::open(&folder) {
                merged.table.add_undone(row, "failed", &reason);
                merged.failed.push((row.id.clone(), reason));
                continue;
            }
            let (status, why) = match sound::read(&folder) {
                Ok(None) => {
                    merged.missing += 1;
                    ("missing", String::new())
                }
                Ok(Some(sound)) => match merged.add(row, &sound, &folder) {
                    Ok(()) => continue,
                    Err(error) => ("damaged", format!("{error:#}")),
                },
                Err(unsound) => ("damaged", unsound.words()),
            };
            merged.table.add_undone(row, status, &why);
            if status == "damaged" {
                merged.damaged.push((row.id.clone(), why));
            }
        }
        merged.manifest.rows = rows;
        merged.find_outliers();
        Ok(merged)
    }

    fn add(&mut self, row: &Row, Sound { kept, numbers }: &Sound, folder: &Path) -> Result<()> {
        let bytes = std::fs::read(folder.join(ALIGNED)).with_context(|| format!("its {ALIGNED} cannot be read"))?;
        let aligned = Aligned::read(&bytes).with_context(|| format!("its {ALIGNED} is damaged"))?;
        let weights = Weights::of(&row.id);
        self.table.add(row, kept, numbers);
        self.times.rows.push(table::time_row(kept, numbers));
        *self.stops.entry(without_numbers(&numbers.stop)).or_default() += 1;
        self.alignment.add(numbers, &weights);
        // Nothing changed in a case that has no shares: it does not look anywhere.
        let seen = kept.shares.is_some().then_some(&aligned);
        self.all.add((kept, numbers), seen, &weights);
        for column in &mut self.columns {
            if let Some(group) = column.group(&row.further) {
                group.add((kept, numbers), seen, &weights);
            }
        }
        Ok(())
    }

    fn find_outliers(&mut self) {
        let columns: Vec<Vec<Cell>> = outliers::MEASURES.iter().map(|name| self.column(name)).collect();
        self.far = outliers::far(&columns);
        if self.done() < bootstrap::FEWEST {
            self.far.fill(None); // among so few none stands apart
        }
        let deviations: Vec<Option<f64>> = self.far.iter().map(|far| far.map(|far| far.deviations)).collect();
        self.table.set_outliers(&deviations);
    }

    /// The cells of a column of the table.
    fn column(&self, name: &str) -> Vec<Cell> {
        let at = self.table.columns.iter().position(|(column, _)| column == name);
        at.map_or_else(Vec::new, |at| self.table.rows.iter().map(|row| row[at].clone()).collect())
    }

    fn numbers(&self, name: &str) -> Vec<f64> {
        let number = |cell: Cell| if let Cell::Number(number) = cell { Some(number) } else { None };
        self.column(name).into_iter().filter_map(number).collect()
    }

    fn done(&self) -> usize {
        self.times.rows.len()
    }

    fn line(&self) -> String {
        let mut line = format!(
            "{} of {} cases merged, {} failed, {} missing",
            self.done(),
            self.manifest.rows.len(),
            self.failed.len(),
            self.missing
        );
        if !self.damaged.is_empty() {
            line.extend([", ", &self.damaged.len().to_string(), " damaged"]);
        }
        line
    }

    /// The line, and every damaged case with what is wrong with it.
    fn words(&self) -> String {
        let mut words = self.line();
        for (id, why) in self.damaged.iter().take(MOST_TOLD) {
            words.extend(["\ndamaged: ", id, ": ", why, "; run the cohort again"]);
        }
        let more = self.damaged.len().saturating_sub(MOST_TOLD);
        if more > 0 {
            words.extend(["\nand ", &more.to_string(), " more; `parallax cohort status --json` has them all"]);
        }
        words
    }

    fn files(&self, place: &CohortFolder) -> Result<Vec<File>> {
        let file = |name: &str, bytes: Vec<u8>| File { name: name.to_owned(), bytes };
        let mut files = vec![
            file("table.csv", self.table.csv()?),
            file("table.parquet", parquet::bytes(&self.table)?),
            file("times.csv", self.times.csv()?),
            file("alignment.csv", self.alignment.csv()?),
        ];
        let mut drawings = Vec::new();
        if let Some(matrix) = self.alignment.matrix() {
            drawings.push(figures::matrix(&matrix));
            files.push(file("alignment.svg", figures::matrix(&matrix).into_bytes()));
        }
        let mut pictures = Vec::new();
        if self.all.atlas.cases > 0 {
            let mean = self.all.atlas.mean();
            let picture = pictures::mean(&mean, None)?;
            files.push(file("atlas.safetensors", mean.bytes()?));
            files.push(file("atlas.png", picture.png.clone()));
            pictures.push(report::Seen {
                title: "All cases".to_owned(),
                cases: self.all.atlas.cases,
                picture,
                difference: None,
            });
            for column in &self.columns {
                self.add_groups(column, &mut files, &mut pictures)?;
            }
        }
        let page = report::html(self, place, &drawings, &pictures);
        files.push(file("report.html", page.into_bytes()));
        Ok(files)
    }

    /// The atlases of the groups of a column, all on the scale of the strongest.
    fn add_groups(&self, column: &Column, files: &mut Vec<File>, pictures: &mut Vec<report::Seen>) -> Result<()> {
        let seen = || column.groups.iter().filter(|(_, group)| group.atlas.cases > 0);
        let mut scale_hu = f32::MIN_POSITIVE;
        for (_, group) in seen() {
            scale_hu = scale_hu.max(pictures::mean(&group.atlas.mean(), None)?.scale_hu);
        }
        for (number, (value, group)) in (1..).zip(seen()) {
            let mean = group.atlas.mean();
            // The number tells values apart that become one name.
            let name = format!("{ATLAS}_{}_{number}_{}", id::made_of(&column.name), id::made_of(value));
            let picture = pictures::mean(&mean, Some(scale_hu))?;
            let difference = pictures::difference(&group.atlas, &self.all.atlas)?;
            files.push(File { name: format!("{name}.safetensors"), bytes: mean.bytes()? });
            files.push(File { name: format!("{name}.png"), bytes: picture.png.clone() });
            if let Some(difference) = &difference {
                files.push(File { name: format!("{name}_beyond_the_rest.png"), bytes: difference.png.clone() });
            }
            let title = format!("{}: {}", column.name, groups::shown(value));
            pictures.push(report::Seen { title, cases: group.atlas.cases, picture, difference });
        }
        Ok(())
    }
}

/// A reason to stop, without the numbers of its case.
fn without_numbers(stop: &str) -> String {
    let is_number = |word: &&str| word.trim_end_matches([',', '.']).parse::<f64>().is_ok();
    let words: Vec<&str> = stop.split(' ').map(|word| if is_number(&word) { "…" } else { word }).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_to_stop_are_counted_whatever_their_numbers_are() {
        assert_eq!(without_numbers("the score reached its goal of 0.0500"), "the score reached its goal of …");
        assert_eq!(without_numbers("the score rose, from 0.1 to 2e-3"), "the score rose, from … to …");
    }
}
