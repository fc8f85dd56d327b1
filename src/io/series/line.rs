//! Where the slices of a stack lie: evenly on a straight line, unevenly on one, or refused in words.

use glam::DVec3;

use super::rounding;
use super::row::Row;
use crate::io::Note;

/// Slices nearer than this along the normal lie on each other.
const SAME_PLACE_MM: f64 = 1e-3;
/// Places this near to a straight line need no second look. Three decimals of a millimetre are written by every scanner.
const EXACT_MM: f64 = 2e-3;
/// Gaps may differ by this share of their median, or by rounding in the files.
const GAP_SHARE: f64 = 0.02;
const GAP_MM: f64 = 0.02;
/// A slice may lie off the straight line through the others by this share of a pixel: more would be seen.
const OFF_LINE_PIXELS: f64 = 0.5;
/// From this share of its neighbours' gaps on, a gap is a place where a slice is missing.
const MISSING_SHARE: f64 = 1.5;
/// Down to this share of the median gap, two slices are of two series.
const CROWDED_SHARE: f64 = 0.5;
/// How many gaps to either side a gap is compared with.
const NEIGHBOURS: usize = 3;
/// This many gaps in a row, wide and narrow in turn, are two series in one comb. Tables do not move like that.
const ALTERNATING_GAPS: usize = 4;
/// How many gaps a note lists.
const LISTED: usize = 3;

/// How slices stack.
#[derive(Debug, Clone)]
pub(super) enum Line {
    /// Slice `k` lies at `origin + step * k`; the note says where that is not what the files say.
    Even { origin: DVec3, step: DVec3, note: Option<Note> },
    /// Slices lie on a straight line, with gaps that differ: `evened::even_out` makes them even.
    Uneven(Uneven),
}

/// Slices on a straight line with gaps that differ by less than a slice.
#[derive(Debug, Clone)]
pub(super) struct Uneven {
    /// Of the first slice.
    pub(super) origin: DVec3,
    /// From the first slice on, for each millimetre along the normal. It is the normal itself where no gantry was tilted.
    pub(super) direction: DVec3,
    /// Of each slice above the first, along the normal; the first is 0, and they rise.
    pub(super) heights_mm: Vec<f64>,
    /// The median gap: what the even grid has.
    pub(super) spacing_mm: f64,
}

impl Uneven {
    /// The step of the even grid.
    pub(super) fn step(&self) -> DVec3 {
        self.direction * self.spacing_mm
    }
}

/// Why slices do not stack, and which slice it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misfit {
    /// Index of the slice that does not fit, or of the one before the gap.
    pub(super) slice: usize,
    before: String,
    after: String,
}

impl Misfit {
    /// In words, with a name for the slice: a file's name, or "slice 7".
    pub(super) fn words(&self, name: &str) -> String {
        format!("{} ({name}){}", self.before, self.after)
    }
}

/// Where the slices lie. Row that an exporter rounded stack where rounding explains them; everything else is taken at its
/// word.
pub(super) fn of(stack: &Row) -> Result<Line, Misfit> {
    let (Some(&first), Some(&last)) = (stack.positions.first(), stack.positions.last()) else {
        return Err(unplaced());
    };
    if stack.positions.len() < 2 || !stack.positions.iter().all(|position| position.is_finite()) {
        return Err(unplaced());
    }
    let step = (last - first) / (stack.positions.len() - 1) as f64;
    let off = |k: usize| stack.positions[k].distance(first + step * k as f64);
    let worst_mm = (0..stack.positions.len()).map(off).fold(0.0, f64::max);
    let even = Ok(Line::Even { origin: first, step, note: None });
    let gaps = Gaps::of(stack);
    gaps.overlap(stack)?;
    if worst_mm <= EXACT_MM {
        return even;
    }
    if let Some(rounded) = rounding::line(stack, gaps.alternate().is_some()) {
        let note = Some(rounded.note(stack));
        return Ok(Line::Even { origin: rounded.origin, step: rounded.step, note });
    }
    let [dx, dy] = stack.pixel_mm;
    let limit_mm = OFF_LINE_PIXELS * dx.max(dy);
    if gaps.most - gaps.least <= (GAP_SHARE * gaps.median).max(GAP_MM) {
        sideways(stack, limit_mm)?;
        if worst_mm <= limit_mm {
            return even;
        }
    }
    gaps.acceptable(stack)?;
    sideways(stack, limit_mm)?;
    let height = |position: &DVec3| (*position - first).dot(stack.normal);
    Ok(Line::Uneven(Uneven {
        origin: first,
        direction: (last - first) / height(&last),
        heights_mm: stack.positions.iter().map(height).collect(),
        spacing_mm: gaps.median,
    }))
}

fn unplaced() -> Misfit {
    let before = "a stack needs two slices that say where they lie; see ImagePositionPatient".into();
    Misfit { slice: 0, before, after: String::new() }
}

/// What lies between slices, along the normal, mm.
struct Gaps {
    all: Vec<f64>,
    least: f64,
    /// The lower one of two.
    median: f64,
    most: f64,
}

impl Gaps {
    /// Of two slices or more.
    fn of(stack: &Row) -> Self {
        let all: Vec<f64> = stack.positions.windows(2).map(|pair| (pair[1] - pair[0]).dot(stack.normal)).collect();
        let least = all.iter().copied().fold(f64::INFINITY, f64::min);
        let most = all.iter().copied().fold(0.0, f64::max);
        Self { median: median(&all), all, least, most }
    }

    /// An error where two slices lie at one place.
    fn overlap(&self, stack: &Row) -> Result<(), Misfit> {
        let Some(slice) = self.all.iter().position(|gap| *gap < SAME_PLACE_MM) else { return Ok(()) };
        let before = format!("the slice at {:.1} mm", height(stack, slice));
        let after = ": the next one lies at the same place; choose one complete series".into();
        Err(Misfit { slice, before, after })
    }

    /// An error where a gap is no unevenness but a hole, or one series in another.
    fn acceptable(&self, stack: &Row) -> Result<(), Misfit> {
        let varies = format!("slice spacing varies from {:.2} to {:.2} mm", self.least, self.most);
        let misfit = |slice: usize, why: &str| Misfit {
            slice,
            before: format!("{varies}, after {:.1} mm", height(stack, slice)),
            after: format!(": {why}"),
        };
        let choose = "choose one complete series";
        if let Some(slice) = self.all.iter().position(|gap| *gap <= CROWDED_SHARE * self.median) {
            let gap = format!("a gap of {:.2} mm, where the median is {:.2} mm", self.all[slice], self.median);
            return Err(misfit(slice, &format!("{gap}: two series are mixed, or the spacing changes; {choose}")));
        }
        let wide = (0..self.all.len()).find(|&k| self.all[k] >= MISSING_SHARE * self.around(k));
        if let Some(slice) = wide {
            let rounded = rounding::quantum(stack.positions).map_or_else(String::new, |quantum| {
                format!(", or an exporter rounded their positions to {quantum} mm and must write all decimals")
            });
            let gap = format!(
                "a gap of {:.2} mm, where slices around it are {:.2} mm apart",
                self.all[slice],
                self.around(slice)
            );
            return Err(misfit(
                slice,
                &format!("{gap}: slices are missing, or two series are mixed{rounded}; {choose}"),
            ));
        }
        if let Some(quantum) = rounding::blurs(stack) {
            let slice = self.all.iter().position(|gap| *gap == self.most).unwrap_or(0);
            let why = format!("positions are rounded to {quantum} mm, which does not explain it");
            return Err(misfit(slice, &format!("{why}; export the series again with all decimals")));
        }
        if let Some(slice) = self.alternate() {
            let why = "wide and narrow gaps in turn, as of two series or passes in one";
            return Err(misfit(slice, &format!("{why}; {choose}")));
        }
        Ok(())
    }

    /// What a gap is held against: the least of the median of all, of those before and of those after it. A spacing that
    /// changes within the stack hides no hole in its finer part.
    fn around(&self, k: usize) -> f64 {
        let before = k.checked_sub(NEIGHBOURS).map(|from| median(&self.all[from..k]));
        let after = self.all.get(k + 1..k + 1 + NEIGHBOURS).map(median);
        before.into_iter().chain(after).fold(self.median, f64::min)
    }

    /// Where gaps begin to be wide and narrow in turn.
    fn alternate(&self) -> Option<usize> {
        let tolerance = (GAP_SHARE * self.median).max(GAP_MM);
        let turns = |w: &[f64]| {
            let differ = w.windows(2).all(|pair| (pair[1] - pair[0]).abs() > tolerance);
            differ && w.windows(3).all(|three| (three[2] - three[0]).abs() <= tolerance)
        };
        self.all.windows(ALTERNATING_GAPS).position(turns)
    }
}

/// The lower one of two.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

fn height(stack: &Row, k: usize) -> f64 {
    stack.positions.get(k).map_or(0.0, |position| position.dot(stack.normal))
}

/// An error where a slice lies beside the straight line through the others, whatever its height.
fn sideways(stack: &Row, limit_mm: f64) -> Result<(), Misfit> {
    let all: Vec<usize> = (0..stack.positions.len()).collect();
    let (worst, off_mm) = farthest(stack, &all);
    if off_mm <= limit_mm {
        return Ok(());
    }
    // A line through the slice that does not fit puts others off it: without that slice all others fit.
    let mut found = (worst, off_mm);
    for odd in [worst, 0, all.len() - 1] {
        let others: Vec<usize> = all.iter().copied().filter(|k| *k != odd).collect();
        if others.len() > 2 && farthest(stack, &others).1 <= limit_mm {
            found = (odd, distance(stack, &others, odd));
            break;
        }
    }
    let (slice, off_mm) = found;
    Err(Misfit {
        slice,
        before: format!("the slice at {:.1} mm", height(stack, slice)),
        after: format!(
            " lies {off_mm:.1} mm off the straight line through the others: two series are mixed, or the table moved; choose one complete series"
        ),
    })
}

/// Of some slices, the one farthest from the line through the first and the last of them, and how far it is.
fn farthest(stack: &Row, some: &[usize]) -> (usize, f64) {
    let farther = |best: (usize, f64), &k: &usize| {
        let off_mm = distance(stack, some, k);
        if off_mm > best.1 { (k, off_mm) } else { best }
    };
    some.iter().fold((0, 0.0), farther)
}

/// How far a slice lies beside the line through the first and the last of some, at its own height.
fn distance(stack: &Row, some: &[usize], k: usize) -> f64 {
    let (Some(&first), Some(&last)) = (some.first(), some.last()) else { return 0.0 };
    let (first, last) = (stack.positions[first], stack.positions[last]);
    let rise = (last - first).dot(stack.normal);
    let slope = if rise.abs() < SAME_PLACE_MM { stack.normal } else { (last - first) / rise };
    let from_first = stack.positions[k] - first;
    (from_first - slope * from_first.dot(stack.normal)).length()
}

/// What a reader should know of slices that were made even.
pub(super) fn uneven_note(uneven: &Uneven) -> Note {
    let gaps: Vec<f64> = uneven.heights_mm.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let (least, most) = gaps.iter().fold((f64::INFINITY, 0.0_f64), |(l, m), gap| (l.min(*gap), m.max(*gap)));
    let tolerance = (GAP_SHARE * uneven.spacing_mm).max(GAP_MM);
    let mut odd: Vec<usize> = (0..gaps.len()).filter(|&k| (gaps[k] - uneven.spacing_mm).abs() > tolerance).collect();
    let count = odd.len();
    odd.truncate(LISTED);
    let foot = uneven.origin.dot(uneven.direction) / uneven.direction.length_squared();
    let listed: Vec<String> =
        odd.iter().map(|&k| format!("{:.2} mm after {:.1} mm", gaps[k], foot + uneven.heights_mm[k])).collect();
    let more = if count > LISTED { format!(" and {} more", count - LISTED) } else { String::new() };
    let places = if listed.is_empty() { String::new() } else { format!(" ({}{more})", listed.join(", ")) };
    Note::caution(format!(
        "slice spacing varies from {least:.2} to {most:.2} mm{places}: slices were resampled by their positions to {:.2} mm, and values between them are interpolated; whole HU stay whole",
        uneven.spacing_mm
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places 0.625 mm apart from -100 mm on, in tenths. Not all halves are rounded one way: binary numbers lie beside them.
    const ROUNDED_Z: [f64; 16] = [
        -100.0, -99.4, -98.7, -98.1, -97.5, -96.9, -96.2, -95.6, -95.0, -94.4, -93.7, -93.1, -92.5, -91.9, -91.2, -90.6,
    ];
    /// What a grid may be off by at its corners.
    const GRID_MM: f64 = 0.05;

    fn upward(heights: impl IntoIterator<Item = f64>) -> Vec<DVec3> {
        heights.into_iter().map(|z| DVec3::new(30.0, 25.0, z)).collect()
    }

    fn stack(positions: &[DVec3], thickness_mm: Option<f64>) -> Row<'_> {
        Row { positions, normal: DVec3::Z, pixel_mm: [0.75, 0.75], spacing_mm: None, thickness_mm }
    }

    fn line(heights: &[f64]) -> Result<Line, Misfit> {
        of(&stack(&upward(heights.iter().copied()), None))
    }

    fn after(gaps: &[f64]) -> Vec<f64> {
        let ends = gaps.iter().scan(0.0, |height, gap| {
            *height += gap;
            Some(*height)
        });
        [0.0].into_iter().chain(ends).map(|height| height - 100.123).collect()
    }

    #[test]
    fn positions_rounded_to_tenths_stack_by_what_the_tag_says_or_by_the_best_line() {
        let positions = upward(ROUNDED_Z);
        for tag in [Some(0.625), None, Some(1.25)] {
            let Ok(Line::Even { origin, step, note: Some(note) }) = of(&stack(&positions, tag)) else {
                panic!("{tag:?}")
            };
            for (k, z) in [(0.0, -100.0), (15.0, -90.625)] {
                let off = (origin + step * k).distance(DVec3::new(30.0, 25.0, z));
                assert!(off < GRID_MM, "{tag:?}: slice {k} is off by {off}");
            }
            assert!(note.text.contains("rounded to 0.1 mm") && note.text.contains("0.625 mm apart"), "{}", note.text);
            assert_eq!(note.text.contains("SliceThickness"), tag == Some(0.625), "{}", note.text);
        }
    }

    #[test]
    fn a_slice_missing_from_rounded_positions_is_no_rounding_wherever_it_was() {
        for (spacing, quantum) in [(0.625_f64, 0.1), (1.25, 0.1), (1.25, 1.0), (2.5, 0.1), (2.5, 1.0), (3.27, 1.0)] {
            for missing in 1..29 {
                let all =
                    (0..30).filter(|k| *k != missing).map(|k| (f64::from(k) * spacing / quantum).round() * quantum);
                let positions = upward(all);
                for tag in [Some(spacing), None] {
                    let line = of(&stack(&positions, tag));
                    assert!(line.is_err(), "{spacing} mm to {quantum} mm without {missing}, tag {tag:?}: {line:?}");
                }
            }
        }
    }

    #[test]
    fn a_slice_moved_by_a_whole_millimetre_is_no_rounding() {
        for moved in 0..12 {
            let mut aside = upward((0..12).map(|k| f64::from(k) * 5.0));
            aside[moved].x += 1.0;
            let misfit = of(&stack(&aside, Some(5.0))).expect_err("a slice beside the line");
            assert_eq!(misfit.slice, moved, "{}", misfit.words("k"));
            let mut above = upward((0..12).map(|k| f64::from(k) * 5.0));
            above[moved].z += 1.0;
            assert!(matches!(of(&stack(&above, Some(5.0))), Ok(Line::Uneven(_))), "slice {moved}");
        }
        // Halves that are rounded to even numbers are: 4 and 6 mm in turn.
        let halves = upward((0..12).map(|k| (f64::from(k) * 5.0 + 0.5).round_ties_even()));
        assert!(matches!(of(&stack(&halves, Some(5.0))), Ok(Line::Even { note: Some(_), .. })));
    }

    #[test]
    fn slices_that_rounding_laid_onto_each_other_are_no_copies() {
        let piled = |positions: &[DVec3]| rounding::piled(positions, DVec3::Z, 0.625);
        let words = piled(&upward((0..20).map(|k| (f64::from(k) * 0.625).round()))).expect("0.625 mm in whole ones");
        assert!(words.contains("up to 2 of them lie at one place"), "{words}");
        let phases = (0..20).map(|k| f64::from(k / 2));
        assert_eq!(piled(&upward(phases)), None);
        assert_eq!(piled(&upward((0..20).map(|k| f64::from(k) * 0.625))), None);
    }

    #[test]
    fn whole_millimetres_stack_where_a_tag_says_how_far_apart_and_are_refused_otherwise() {
        let positions = upward((0..60).map(|k| (f64::from(k) * 1.25 - 100.0).round()));
        let Ok(Line::Even { origin, step, note }) = of(&stack(&positions, Some(1.25))) else { panic!("a line") };
        assert!(note.is_some() && step == DVec3::Z * 1.25 && (origin.z + 100.0).abs() <= 0.25, "{origin} {step}");
        let words = of(&stack(&positions, None)).expect_err("1.25 mm, or holes").words("seven");
        assert!(words.contains("rounded their positions to 1 mm") && words.contains("(seven)"), "{words}");
    }

    #[test]
    fn gaps_that_differ_by_less_than_half_are_uneven_and_their_places_are_said() {
        let Ok(Line::Uneven(uneven)) = line(&after(&[3.0, 3.0, 3.5, 3.0, 3.0, 3.5, 3.0])) else { panic!("uneven") };
        assert!((uneven.spacing_mm - 3.0).abs() < 1e-9 && uneven.step().distance(DVec3::Z * 3.0) < 1e-9);
        assert!((uneven.heights_mm[7] - 22.0).abs() < 1e-9, "{:?}", uneven.heights_mm);
        let text = uneven_note(&uneven).text;
        assert!(text.contains("3.00 to 3.50 mm (3.50 mm after -94.1 mm, 3.50 mm after -84.6 mm)"), "{text}");
        assert!(matches!(line(&after(&[5.0, 5.0, 5.0, 5.0, 7.0, 7.0, 7.0, 7.0, 7.0])), Ok(Line::Uneven(_))));
    }

    #[test]
    fn holes_and_mixed_series_are_refused_with_the_slice_before_them() {
        let cases: [(&[f64], usize, &str); 6] = [
            (&[3.0, 3.0, 6.0, 3.0], 2, "3.00 to 6.00 mm, after -94.1 mm (k): a gap of 6.00 mm"),
            (&[5.0, 5.0, 5.0, 10.0, 7.0, 7.0, 7.0, 7.0, 7.0], 3, "slices around it are 5.00 mm apart"),
            (&[5.0, 5.0, 5.0, 5.0, 10.0, 10.0, 10.0], 4, "slices are missing"),
            (&[3.0, 3.0, 1.3, 1.7, 1.3, 1.7, 3.0, 3.0, 3.0, 3.0], 2, "two series are mixed"),
            (&[1.4, 1.6, 1.4, 1.6, 1.4, 1.6], 0, "wide and narrow gaps in turn"),
            (&[3.0, 0.0, 3.0], 1, "lies at the same place"),
        ];
        for (gaps, slice, words) in cases {
            let misfit = line(&after(gaps)).expect_err(words);
            assert!(misfit.slice == slice && misfit.words("k").contains(words), "{gaps:?}: {}", misfit.words("k"));
        }
    }

    #[test]
    fn a_slice_beside_the_line_is_named_be_it_the_first_or_the_last() {
        for tilt in [0.0, 0.2] {
            for odd in 0..7 {
                let mut positions = upward(after(&[2.5; 6]));
                positions.iter_mut().enumerate().for_each(|(k, position)| position.y += tilt * 2.5 * k as f64);
                assert!(matches!(of(&stack(&positions, None)), Ok(Line::Even { note: None, .. })));
                positions[odd].x += 3.3;
                let misfit = of(&stack(&positions, None)).expect_err("a slice off the line");
                let words = misfit.words("k");
                assert!(misfit.slice == odd && words.contains("3.3 mm off the straight line"), "{odd}: {words}");
            }
        }
    }
}
