//! Counterfactual alignment: for every target, by how much each other output of the classifier moves on the way to the counterfactual
//! (Cohen et al. 2023, "Identifying Spurious Correlations using Counterfactual Alignment", arXiv 2312.02186).

use std::collections::BTreeMap;

use anyhow::Result;

use super::bootstrap::{Estimate, Ratio, Weights};
use super::cluster::{Tree, tree};
use crate::cohort::numbers::Numbers;
use crate::export::as_text;

/// Rows and columns that a figure has at most.
pub(super) const MOST_SHOWN: usize = 40;

/// What becomes of the outputs when one target is moved.
#[derive(Default)]
struct Moved {
    cases: usize,
    /// For each output, by its name: its change, and its change for each unit that the target moves.
    outputs: BTreeMap<String, [Ratio; 2]>,
}

/// The outputs that move with each target, over all cases.
#[derive(Default)]
pub(super) struct Alignment {
    targets: BTreeMap<String, Moved>,
}

/// How one output moves with one target.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub(super) target: String,
    pub(super) output: String,
    /// The change of the output's score.
    pub(super) change: Estimate,
    /// The mean change of the output over the mean change of the target's score: 1 for one that moves as much.
    pub(super) relative: Option<Estimate>,
}

/// The pairs that a figure shows, in the order of their trees. A cell is `None` where nothing is known.
pub(super) struct Matrix {
    pub(super) targets: Vec<String>,
    pub(super) outputs: Vec<String>,
    /// `[target][output]`.
    pub(super) cells: Vec<Vec<Option<Estimate>>>,
    pub(super) target_tree: Tree,
    pub(super) output_tree: Tree,
}

impl Alignment {
    pub(super) fn add(&mut self, numbers: &Numbers, weights: &Weights) {
        let Some(drift) = &numbers.drift else { return };
        let moved = self.targets.entry(numbers.target.clone()).or_default();
        moved.cases += 1;
        for output in drift {
            let [Some(before), Some(after)] = output.scores else { continue };
            let [change, relative] = moved.outputs.entry(output.name.clone()).or_default();
            change.add(after - before, weights);
            relative.add_ratio(after - before, numbers.score_change, weights);
        }
    }

    /// Every pair, by target and output.
    pub(super) fn pairs(&self) -> impl Iterator<Item = Pair> {
        self.targets.iter().flat_map(|(target, moved)| {
            moved.outputs.iter().filter_map(|(output, [change, relative])| {
                let (target, output) = (target.clone(), output.clone());
                Some(Pair { target, output, change: change.estimate()?, relative: relative.estimate() })
            })
        })
    }

    /// A row per pair.
    pub(super) fn csv(&self) -> Result<Vec<u8>> {
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
        writer.write_record([
            "target",
            "output",
            "cases",
            "change",
            "change_low",
            "change_high",
            "relative",
            "relative_low",
            "relative_high",
        ])?;
        for Pair { target, output, change, relative } in self.pairs() {
            let cells = |of: Option<Estimate>| {
                let ends = of.and_then(|of| of.interval);
                let numbers = [of.map(|of| of.mean), ends.map(|[low, _]| low), ends.map(|[_, high]| high)];
                numbers.map(|number| number.map_or(String::new(), |number| number.to_string()))
            };
            let known = [as_text(&target), as_text(&output), change.cases.to_string()];
            writer.write_record(known.into_iter().chain(cells(Some(change))).chain(cells(relative)))?;
        }
        Ok(writer.into_inner()?)
    }

    /// The targets of most cases, and the outputs that move most with any of them; nothing where no classifier gave the score.
    pub(super) fn matrix(&self) -> Option<Matrix> {
        let mut targets: Vec<(&String, &Moved)> = self.targets.iter().collect();
        targets.sort_by_key(|(_, moved)| std::cmp::Reverse(moved.cases));
        targets.truncate(MOST_SHOWN);
        let relative = |moved: &Moved, output: &str| moved.outputs.get(output).and_then(|[_, ratio]| ratio.estimate());
        let mut largest: BTreeMap<&String, f64> = BTreeMap::new();
        for (_, moved) in &targets {
            for output in moved.outputs.keys() {
                let size = relative(moved, output).map_or(0.0, |of| of.mean.abs());
                let largest = largest.entry(output).or_default();
                *largest = largest.max(size);
            }
        }
        let mut outputs: Vec<(&String, f64)> = largest.into_iter().collect();
        // Stable: those that move alike stay by name.
        outputs.sort_by(|a, b| b.1.total_cmp(&a.1));
        outputs.truncate(MOST_SHOWN);
        let cells: Vec<Vec<Option<Estimate>>> = targets
            .iter()
            .map(|(_, moved)| outputs.iter().map(|(output, _)| relative(moved, output)).collect())
            .collect();
        // An output that is itself the target moves as much as itself.
        let number = |row: usize, column: usize| {
            let itself = if targets[row].0 == outputs[column].0 { 1.0 } else { 0.0 };
            cells[row][column].map_or(itself, |of| of.mean.clamp(-1.0, 1.0))
        };
        let rows: Vec<Vec<f64>> =
            (0..targets.len()).map(|row| (0..outputs.len()).map(|column| number(row, column)).collect()).collect();
        let columns: Vec<Vec<f64>> =
            (0..outputs.len()).map(|column| rows.iter().map(|row| row[column]).collect()).collect();
        let (target_tree, output_tree) = (tree(&rows), tree(&columns));
        let in_order = |row: &usize| output_tree.order.iter().map(|column| cells[*row][*column]).collect();
        let ordered = target_tree.order.iter().map(in_order).collect();
        (!outputs.is_empty()).then(|| Matrix {
            targets: target_tree.order.iter().map(|row| targets[*row].0.clone()).collect(),
            outputs: output_tree.order.iter().map(|column| outputs[*column].0.clone()).collect(),
            cells: ordered,
            target_tree,
            output_tree,
        })
    }
}
