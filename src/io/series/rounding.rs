//! Row that an exporter rounded: the straight line that rounding explains, and nothing else.

use glam::DVec3;

use super::row::Row;
use crate::io::Note;

/// What exporters round to, mm, the coarsest first. Hundredths are within what gaps may differ by.
const QUANTA_MM: [f64; 2] = [1.0, 0.1];
/// A coordinate this near to a multiple is one: an f32 of a metre has 3e-5 mm.
const LATTICE_MM: f64 = 2e-4;
/// What the rounding of ImageOrientationPatient moves the last slice by, along each axis.
const DIRECTION_MM: f64 = 1e-3;
/// A line this near to half a quantum beside a place is there because another place holds it: it is on the edge of what rounding
/// explains.
const TIE_MM: f64 = 1e-5;
/// Halvings in a search along one number: 2^-50 of where it begins.
const HALVINGS: usize = 50;
/// Steps of a search that keeps two thirds at each: 1e-12 of where it begins.
const THIRDS: usize = 70;
/// Without a tag that says how far slices are apart, a slice is missing at one of this many widest gaps, if at all.
const SUSPECTS: usize = 16;
/// A step of this many quanta or more leaves no doubt about which gaps are the widest.
const CLEAR_QUANTA: f64 = 2.0;
/// A tilted gantry moves slices sideways by this many quanta or more, or rounding would hide it.
const ASIDE_QUANTA: f64 = 2.0;
/// Rounding to whole millimetres makes both kinds of gap this often; a table that moved once makes one of them once.
const REPEATED: usize = 3;

/// A straight line through rounded positions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounded {
    pub(super) origin: DVec3,
    pub(super) step: DVec3,
    /// What the positions are rounded to.
    quantum_mm: f64,
    /// The tag that gave the step, where one did.
    said_by: Option<&'static str>,
}

impl Rounded {
    pub(super) fn note(&self, stack: &Row) -> Note {
        let off = |(k, position): (usize, &DVec3)| position.distance(self.origin + self.step * k as f64);
        let worst_mm = stack.positions.iter().enumerate().map(off).fold(0.0, f64::max);
        let source = self.said_by.map_or_else(|| "by the best line".to_owned(), |tag| format!("as {tag} says"));
        Note::caution(format!(
            "slice positions are rounded to {} mm: slices are laid evenly, {:.3} mm apart {source}, at most {worst_mm:.2} mm from where the files say",
            self.quantum_mm,
            self.step.dot(stack.normal)
        ))
    }
}

/// What all coordinates that vary are multiples of, where that is coarse.
pub(super) fn quantum(positions: &[DVec3]) -> Option<f64> {
    let is_multiple = |x: f64, quantum: f64| (x - (x / quantum).round() * quantum).abs() <= LATTICE_MM;
    let axes: Vec<Vec<f64>> = (0..3).map(|axis| along(positions, axis)).filter(|values| varies(values)).collect();
    let on = |quantum: &f64| axes.iter().flatten().all(|&x| is_multiple(x, *quantum));
    QUANTA_MM.into_iter().find(on).filter(|_| !axes.is_empty())
}

/// What positions are rounded to, where that leaves no gap as it was: whole millimetres along an oblique normal.
pub(super) fn blurs(stack: &Row) -> Option<f64> {
    let varying = (0..3).filter(|&axis| varies(&along(stack.positions, axis))).count();
    quantum(stack.positions).filter(|quantum| *quantum >= QUANTA_MM[0] && varying > 1)
}

/// In words, where rounding laid some slices onto others: positions then say neither how far apart they are nor their order.
///
/// `positions`: of all slices, in order along `normal`, several at one place included. `spacing_mm`: what a tag says.
pub(super) fn piled(positions: &[DVec3], normal: DVec3, spacing_mm: f64) -> Option<String> {
    let quantum_mm = quantum(positions).filter(|quantum| spacing_mm > 0.0 && spacing_mm < *quantum)?;
    let is_same = |a: &DVec3, b: &DVec3| (*b - *a).dot(normal).abs() < LATTICE_MM;
    let mut counts = positions.chunk_by(is_same).map(<[DVec3]>::len);
    let first = counts.next()?;
    // Two phases or kernels lie on each other at every place.
    let (least, most) = counts.fold((first, first), |(least, most), count| (least.min(count), most.max(count)));
    let fit = (quantum_mm / spacing_mm).ceil() as usize;
    (least < most && most <= fit).then(|| {
        format!(
            "slices are {spacing_mm} mm apart, but their positions are rounded to {quantum_mm} mm, so that up to {most} of them lie at one place; export the series again with all decimals"
        )
    })
}

fn along(positions: &[DVec3], axis: usize) -> Vec<f64> {
    positions.iter().map(|position| position[axis]).collect()
}

fn varies(values: &[f64]) -> bool {
    values.iter().any(|value| (value - values[0]).abs() > LATTICE_MM)
}

/// The straight line whose places round to the positions, where there is one and a missing slice would not look alike.
///
/// The step is what a tag says, where rounding allows it, or the middle of what rounding allows. `alternates`: gaps are wide and
/// narrow in turn, as of two series in one.
pub(super) fn line(stack: &Row, alternates: bool) -> Option<Rounded> {
    let quantum_mm = quantum(stack.positions)?;
    let half = quantum_mm / 2.0 + LATTICE_MM;
    let axes = [0, 1, 2].map(|axis| along(stack.positions, axis));
    let mut middle = DVec3::ZERO;
    for (axis, values) in axes.iter().enumerate() {
        let [least, most] = slopes(values, |k| k as f64, half)?;
        middle[axis] = least.midpoint(most);
    }
    let said = [("SpacingBetweenSlices", stack.spacing_mm), ("SliceThickness", stack.thickness_mm)];
    let said = said.into_iter().filter_map(|(tag, mm)| Some((Some(tag), mm.filter(|mm| mm.is_finite() && *mm > 0.0)?)));
    let allowed = |step: DVec3| {
        let spread = |axis: usize| spread(&axes[axis], |k| k as f64, step[axis]);
        (0..3).all(|axis| spread(axis) <= 2.0 * (half + DIRECTION_MM))
    };
    // At a right angle if rounding allows it. A slice that lies beside the others must not bend the line by a millimetre.
    let straight_or_tilted = |mm: f64| {
        let tilted = middle * (mm / middle.dot(stack.normal));
        let aside_mm = (tilted - stack.normal * mm).length() * (stack.positions.len() - 1) as f64;
        let is_tilted = quantum_mm < QUANTA_MM[0] || aside_mm >= ASIDE_QUANTA * quantum_mm;
        [Some(stack.normal * mm), is_tilted.then_some(tilted)].into_iter().flatten().find(|step| allowed(*step))
    };
    let mut heights = said.chain([(None, middle.dot(stack.normal))]);
    let (said_by, step) = heights.find_map(|(tag, mm)| Some((tag, straight_or_tilted(mm)?)))?;
    let reach = step.abs().max_element();
    let ambiguous = if said_by.is_some() {
        reach <= quantum_mm || hides_a_hole(&axes, step, half)
    } else {
        let vague = quantum_mm >= QUANTA_MM[0] && (alternates || !repeats(stack));
        vague || reach <= CLEAR_QUANTA * quantum_mm || could_hide_a_hole(stack, &axes, half)
    };
    let origin = DVec3::from_array([0, 1, 2].map(|axis| {
        let (least, most) = extent(&axes[axis], |k| k as f64, step[axis]);
        least.midpoint(most)
    }));
    let is_by_rule = |axis: usize| quantum_mm < QUANTA_MM[0] || ties(&axes[axis], origin[axis], step[axis]);
    (!ambiguous && (0..3).all(is_by_rule)).then_some(Rounded { origin, step, quantum_mm, said_by })
}

/// Whether whole numbers that lie half a one beside a line were rounded there by one rule. A slice that was moved by one was not.
fn ties(values: &[f64], origin: f64, slope: f64) -> bool {
    let rules: [fn(f64) -> f64; 5] = [f64::round_ties_even, f64::round, f64::ceil, f64::floor, f64::trunc];
    let places = values.iter().enumerate().map(|(k, value)| (value, origin + slope * k as f64));
    let tied: Vec<_> = places.filter(|(value, place)| (*value - place).abs() >= 0.5 - TIE_MM).collect();
    let half = |place: f64| (place * 2.0).round() / 2.0;
    rules.iter().any(|rule| tied.iter().all(|(value, place)| (**value - rule(half(*place))).abs() <= LATTICE_MM))
}

/// The least and the most of values less a line through 0.
fn extent(values: &[f64], place: impl Fn(usize) -> f64, slope: f64) -> (f64, f64) {
    let offset = |(k, value): (usize, &f64)| value - slope * place(k);
    values.iter().enumerate().map(offset).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, m), x| (l.min(x), m.max(x)))
}

/// How far values lie apart along a slope.
fn spread(values: &[f64], place: impl Fn(usize) -> f64, slope: f64) -> f64 {
    let (least, most) = extent(values, place, slope);
    most - least
}

/// The slopes of all lines that pass within `half` of each value, where there are any. How far values lie apart along a slope
/// is a convex function of it.
fn slopes(values: &[f64], place: impl Fn(usize) -> f64, half: f64) -> Option<[f64; 2]> {
    let end = place(values.len().checked_sub(1)?);
    let excess = |slope: f64| spread(values, &place, slope) - 2.0 * half;
    let rise = values[values.len() - 1] - values[0];
    // The first and the last value bound the slope.
    let (from, to) = ((rise - 2.0 * half) / end, (rise + 2.0 * half) / end);
    let (mut low, mut high) = (from, to);
    let mut inside = None;
    for _ in 0..THIRDS {
        let (a, b) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
        let (at_a, at_b) = (excess(a), excess(b));
        if at_a <= 0.0 || at_b <= 0.0 {
            inside = Some(if at_a <= 0.0 { a } else { b });
            break;
        }
        if at_a < at_b { high = b } else { low = a }
    }
    let inside = inside?;
    let edge = |mut good: f64, mut bad: f64| {
        for _ in 0..HALVINGS {
            let middle = good.midpoint(bad);
            if excess(middle) <= 0.0 { good = middle } else { bad = middle }
        }
        good
    };
    Some([edge(inside, from), edge(inside, to)])
}

/// Whether positions would also round from a stack of this very step that lacks one slice.
fn hides_a_hole(axes: &[Vec<f64>; 3], step: DVec3, half: f64) -> bool {
    let count = axes[0].len();
    let mut suspects = vec![true; count.saturating_sub(1)];
    for (axis, values) in axes.iter().enumerate() {
        let slope = step[axis];
        let offsets: Vec<f64> = values.iter().enumerate().map(|(k, value)| value - slope * k as f64).collect();
        // What lies above the hole is one step lower on the line.
        let mut above = vec![(f64::INFINITY, f64::NEG_INFINITY); count];
        let mut so_far = (f64::INFINITY, f64::NEG_INFINITY);
        for (k, offset) in offsets.iter().enumerate().rev() {
            so_far = (so_far.0.min(offset - slope), so_far.1.max(offset - slope));
            above[k] = so_far;
        }
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for (k, suspect) in suspects.iter_mut().enumerate() {
            least = least.min(offsets[k]);
            most = most.max(offsets[k]);
            *suspect &= most.max(above[k + 1].1) - least.min(above[k + 1].0) <= 2.0 * half;
        }
    }
    suspects.contains(&true)
}

/// Whether positions would also round from a stack of any step that lacks one slice.
fn could_hide_a_hole(stack: &Row, axes: &[Vec<f64>; 3], half: f64) -> bool {
    let gap = |k: usize| (stack.positions[k + 1] - stack.positions[k]).dot(stack.normal);
    let mut widest: Vec<usize> = (0..stack.positions.len() - 1).collect();
    widest.sort_by(|a, b| gap(*b).total_cmp(&gap(*a)));
    widest.iter().take(SUSPECTS).any(|&hole| {
        let place = |k: usize| (k + usize::from(k > hole)) as f64;
        axes.iter().all(|values| slopes(values, place, half).is_some())
    })
}

/// Whether gaps above and below their mean both come again and again.
fn repeats(stack: &Row) -> bool {
    let gaps: Vec<f64> = stack.positions.windows(2).map(|pair| (pair[1] - pair[0]).dot(stack.normal)).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let wide = gaps.iter().filter(|gap| **gap > mean).count();
    wide.min(gaps.len() - wide) >= REPEATED
}

#[cfg(test)]
mod tests {
    use super::super::line::{self, Line};
    use super::*;
    use crate::random::Stream;

    /// Each coordinate of the line lies within half a quantum of the truth, as the truth does of what is written.
    const BOUND_QUANTA: f64 = 0.87;
    /// Fewer positions leave a doubt, and are refused or stay within one quantum.
    const FEWEST: u64 = 8;

    fn within(stream: &mut Stream, from: f64, to: f64) -> f64 {
        from + (to - from) * stream.share()
    }

    #[test]
    fn random_rounded_stacks_lie_within_half_a_quantum_of_the_truth_and_without_a_slice_are_refused() {
        let mut stream = Stream::seeded(18);
        for trial in 0..600 {
            let quantum = [0.1, 1.0][trial % 2];
            let spacing = [0.625, 0.7, 1.25, 1.5, 2.5, 3.27][trial / 2 % 6];
            let (spacing, tag) = if quantum >= 1.0 { (spacing + 1.0, true) } else { (spacing, trial % 3 == 0) };
            let lean = within(&mut stream, 0.0, 0.5) * f64::from(u8::from(trial % 5 != 0));
            let normal = DVec3::new(lean * within(&mut stream, -1.0, 1.0), lean, 1.0).normalize();
            let origin = DVec3::new(
                within(&mut stream, -250.0, 0.0),
                within(&mut stream, -250.0, 0.0),
                within(&mut stream, -900.0, 0.0),
            );
            let truth = |k: usize| origin + normal * spacing * k as f64;
            let count = (FEWEST + stream.bits() % 200) as usize;
            let rounded = |k: usize| (truth(k) / quantum).round() * quantum;
            let mut positions: Vec<DVec3> = (0..count).map(rounded).collect();
            let run = |positions: &[DVec3]| {
                let thickness_mm = tag.then_some(spacing);
                line::of(&Row { positions, normal, pixel_mm: [0.7, 0.7], spacing_mm: None, thickness_mm })
            };
            let said =
                format!("trial {trial}: {count} slices, {spacing} mm to {quantum} mm, tag {tag}, along {normal}");
            let Ok(Line::Even { origin, step, .. }) = run(&positions) else { panic!("{said}: {:?}", run(&positions)) };
            for k in [0, count - 1] {
                let off = (origin + step * k as f64).distance(truth(k));
                assert!(off < BOUND_QUANTA * quantum, "{said}: slice {k} is off by {off}");
            }
            positions.remove(1 + (stream.bits() as usize) % (count - 2));
            assert!(run(&positions).is_err(), "{said}: without a slice {:?}", run(&positions));
        }
    }

    #[test]
    fn any_positions_are_a_line_or_an_error() {
        let mut stream = Stream::seeded(4);
        for _ in 0..20_000 {
            let scale = [1e-3, 1.0, 1e3, 1e9, 1e300][(stream.bits() % 5) as usize];
            let snap = [0.0, 0.1, 1.0][(stream.bits() % 3) as usize];
            let count = stream.bits() % 12;
            let mut number = || {
                let x = within(&mut stream, -scale, scale);
                let odd = [f64::NAN, f64::INFINITY, 0.0, -0.0];
                if stream.bits().is_multiple_of(40) {
                    odd[(stream.bits() % 4) as usize]
                } else if snap > 0.0 {
                    (x / snap).round() * snap
                } else {
                    x
                }
            };
            let mut positions: Vec<DVec3> = (0..count).map(|_| DVec3::new(number(), number(), number())).collect();
            positions.sort_by(|a, b| a.z.total_cmp(&b.z));
            let (spacing_mm, thickness_mm) = (Some(number()), Some(number()));
            let stack =
                Row { positions: &positions, normal: DVec3::Z, pixel_mm: [number(), 0.7], spacing_mm, thickness_mm };
            match line::of(&stack) {
                Ok(Line::Uneven(uneven)) => assert!(line::uneven_note(&uneven).text.contains("mm")),
                Ok(Line::Even { .. }) => {}
                Err(misfit) => assert!(!misfit.words("k").is_empty() && (misfit.slice < 12)),
            }
        }
    }
}
