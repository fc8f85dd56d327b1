//! Vessels and airways of the lungs: trees that divide a lobe's tissue among their branches until each reaches its own part of it.
//! After Kitaoka, Takaki and Suki 1999, "A three-dimensional model of the human airway tree".

use glam::Vec3;

use super::super::field::Segment;
use crate::random::Stream;

/// A branch ends this far on the way to the middle of what it supplies.
const SHARE: f32 = 0.42;
/// The exponent of Murray's law, a little less than the 3 of smooth flow. Source: Suwa 1963, for the pulmonary arteries.
const EXPONENT: f32 = 2.7;
/// Airways narrower than this are not seen.
const LEAST_AIRWAY_MM: f32 = 0.95;

/// One lobe's tissue as places to be reached, and where its tree begins.
pub(super) struct Supply {
    pub(super) root: Vec3,
    pub(super) places: Vec<Vec3>,
    pub(super) radius: f32,
}

/// A tree's branches, and for the arteries the airways that run beside them.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) branches: Vec<Segment>,
    pub(super) airways: Vec<Segment>,
}

/// Grows the tree of one lobe. `airway` is where its bronchus begins; veins have none.
pub(super) fn grow(supply: Supply, airway: Option<Vec3>, g: &mut Stream) -> Tree {
    let mut tree = Tree::default();
    let whole = supply.places.len().max(1) as f32;
    let width = |count: usize| (supply.radius * (count as f32 / whole).powf(EXPONENT.recip())).max(0.38);
    let mut todo = vec![(supply.root, airway, supply.places, supply.radius)];
    while let Some((from, airway, mut places, radius)) = todo.pop() {
        if places.is_empty() {
            continue;
        }
        let middle = places.iter().sum::<Vec3>() / places.len() as f32;
        let own = width(places.len()).min(radius);
        let length = (middle - from).length();
        let bend = Vec3::new(g.normal(), g.normal(), g.normal()) * (0.05 * length);
        let to = if places.len() == 1 { middle } else { from + (middle - from) * SHARE + bend };
        tree.branches.push(Segment { from, to, radii: [radius.min(own * 1.15), own * 0.94] });
        let lumen = 0.86 * own + 0.15;
        let airway = airway.filter(|_| lumen > LEAST_AIRWAY_MM).map(|start| {
            let beside = Vec3::new(-to.x.signum() * 0.75, 0.6, 0.3) * (own + 1.3 * lumen);
            tree.airways.push(Segment { from: start, to: to + beside, radii: [lumen * 1.05, lumen * 0.95] });
            to + beside
        });
        if places.len() == 1 {
            continue;
        }
        let half = divide(&mut places, g);
        todo.push((to, airway, half, own));
        todo.push((to, airway, places, own));
    }
    tree
}

/// Takes about half of the places away: those on one side, across their longest direction.
fn divide(places: &mut Vec<Vec3>, g: &mut Stream) -> Vec<Vec3> {
    let (low, high) = places.iter().fold((places[0], places[0]), |(low, high), at| (low.min(*at), high.max(*at)));
    let size = high - low;
    let tilt = Vec3::new(g.normal(), g.normal(), g.normal()) * (0.25 * size.max_element());
    let axis = match size.max_position() {
        0 => Vec3::X,
        1 => Vec3::Y,
        _ => Vec3::Z,
    } * size.max_element()
        + tilt;
    let share = g.within(0.34, 0.66);
    let cut = ((places.len() as f32 * share) as usize).clamp(1, places.len() - 1);
    places.select_nth_unstable_by(cut, |a, b| a.dot(axis).total_cmp(&b.dot(axis)));
    places.split_off(cut)
}
