//! Two results of one scan side by side: the panes, and how lambda goes along both.

use super::Viewer;
use super::arrange::{Arrangement, Picture};
use crate::frame::display::{Changes, Shown};
use crate::frame::{Layers, Overlaid, Shade};
use crate::session::explained::Explained;
use crate::session::open_scan::OpenScan;

/// What tells two results apart, in a few words of each: the targets, or how they were searched, or where.
pub fn words(a: &Explained, b: &Explained) -> [String; 2] {
    let of = |run: &Explained| {
        let options = &run.asked().options;
        let way =
            options.range.map_or_else(|| options.search.name().to_owned(), |[from, to]| format!("{from} to {to}"));
        [
            run.asked().target.clone(),
            way,
            slab_words(run),
            run.asked().autoencoder.name.clone(),
            run.asked().scored_by.name.clone(),
        ]
    };
    let [of_a, of_b] = [of(a), of(b)];
    let differs: Vec<usize> = (1..of_a.len()).filter(|&i| of_a[i] != of_b[i]).collect();
    [of_a, of_b].map(|words| {
        let others = differs.iter().map(|&i| words[i].as_str());
        std::iter::once(words[0].as_str()).chain(others).collect::<Vec<_>>().join(", ")
    })
}

/// The slices that may change, as the viewer counts them.
fn slab_words(run: &Explained) -> String {
    let slab = &run.result().slab;
    if slab.len() == run.scan.stack_slices() {
        return "all slices".to_owned();
    }
    let [first, last] = [slab.start, slab.end - 1].map(|k| run.scan.axial(k).number);
    format!("slices {} to {}", first.min(last), first.max(last))
}

/// Why two results cannot stand side by side, in words; nothing where they can.
pub fn refusal(a: &Explained, b: &Explained) -> Option<String> {
    let [ours, theirs] = [a, b].map(|run| run.scan.input.scan.as_ref());
    let is_one = ours.zip(theirs).is_some_and(|(ours, theirs)| std::sync::Arc::ptr_eq(ours, theirs));
    if !is_one && a.scan.input.sha256() != b.scan.input.sha256() {
        return Some("it is of another scan; only results of one scan can be compared".to_owned());
    }
    let [of_a, of_b] = [a, b].map(|run| run.result().grid);
    if of_a == of_b {
        return None;
    }
    let size = |grid: crate::volume::Grid| {
        let ([ni, nj, nk], [di, dj, dk]) = (grid.shape, grid.spacing_mm());
        format!("{ni} x {nj} x {nk} voxels of {di:.2} x {dj:.2} x {dk:.2} mm")
    };
    Some(format!(
        "its networks see the scan as {}, those of the result shown as {}; only results on one grid can be compared",
        size(of_b),
        size(of_a)
    ))
}

/// Whether a picture is of a result: two that are compared stand side by side, and the scan is either's.
pub fn is_of(picture: &Picture, run: &Explained) -> bool {
    let slabs = |layers: &Layers| layers.shift.as_ref().map(|shift| shift.slabs.clone());
    slabs(&picture.layers).zip(slabs(&run.layers)).is_some_and(|(its, ours)| its.same(&ours))
}

/// The place along the steps of `b` that is as far on the way to its counterfactual as `step` is on that of `a`.
pub fn step_beside(step: f32, a: &Explained, b: &Explained) -> f32 {
    let end = |run: &Explained| run.result().steps[run.result().chosen].lambda;
    if step == a.result().chosen as f32 {
        return b.result().chosen as f32; // whatever rounding does
    }
    let share = if end(a) == 0.0 { 0.0 } else { a.lambda_at(step) / end(a) };
    b.step_at(share * end(b))
}

impl Viewer {
    /// Original, and the counterfactual of either result; below each what the autoencoder makes of the scan, and the difference of either.
    pub fn arrange_pair(&self, scan: &OpenScan, a: &Explained, b: &Explained) -> Arrangement {
        let [of_a, of_b] = words(a, b);
        let plane = self.plane;
        let single = |run: &Explained, shown: Shown, step: f32, name: &str| {
            let picture = self.picture(scan, run, (plane, shown), step);
            let mut picture = Picture { title: format!("{} {name}", picture.title).into(), ..picture };
            self.share_scale(&mut picture, a, b);
            picture
        };
        let (here, there) = (self.step, step_beside(self.step, a, b));
        let [original, again] =
            [(a, here), (b, there)].map(|(run, step)| self.picture(scan, run, (plane, Shown::Original), step));
        let score = original.score.zip(again.score).map(|(a, b)| if a == b { a } else { format!("A: {a}, B: {b}") });
        let original = Picture { score, ..original };
        let (of_a, of_b) = (format!("A: {of_a}"), format!("B: {of_b}"));
        let pictures = vec![
            original,
            single(a, Shown::Counterfactual, here, &of_a),
            single(b, Shown::Counterfactual, there, &of_b),
            single(a, Shown::Reconstruction, here, "A"),
            single(a, Shown::Difference, here, &of_a),
            single(b, Shown::Difference, there, &of_b),
        ];
        Arrangement { pictures, columns: 3 }
    }

    /// Gives the colours of a difference one scale for both results: what is equally large looks alike.
    fn share_scale(&self, picture: &mut Picture, a: &Explained, b: &Explained) {
        let scale = |run: &Explained| match self.display.changes {
            Changes::Heatmap(method) => run.heat_scales_hu[method as usize],
            Changes::Slice | Changes::Projection => run.scale_hu,
        };
        if let Shade::Difference { scale_hu, .. } = &mut picture.look.shade {
            *scale_hu = scale(a).max(scale(b));
        }
        if let Some(overlay) = picture.look.overlay.as_mut().filter(|overlay| overlay.of == Overlaid::Difference) {
            overlay.scale_hu = a.scale_hu.max(b.scale_hu);
        }
    }
}
