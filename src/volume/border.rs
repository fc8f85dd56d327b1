//! Lines around voxels that belong together, in a plane: what a window draws over its pictures.

use std::ops::Range;

use glam::DVec3;

use super::Grid;
use super::orientation::axis_codes;

/// Lines around what `holds` in the plane of voxels through a place: ends in RAS+ millimetres, none where the box `within` is not met.
/// The plane is across the grid's axis that runs most from right to left (0), from back to front (1) or from foot to head (2). The work
/// is that of the box in the plane.
pub fn border(
    grid: &Grid,
    within: &[Range<usize>; 3],
    across: usize,
    place: DVec3,
    holds: impl Fn([usize; 3]) -> bool,
) -> Vec<[DVec3; 2]> {
    let Some(normal) = axis_codes(grid).0.iter().position(|(world, _)| *world == across) else { return Vec::new() };
    let (u, v) = ((normal + 1) % 3, (normal + 2) % 3);
    let through = grid.voxel_from_world().transform_point3(place)[normal];
    let slice = through.round();
    if slice < 0.0 || !within[normal].contains(&(slice as usize)) {
        return Vec::new();
    }
    let held = |a: Option<usize>, b: Option<usize>| {
        let mut voxel = [0; 3];
        voxel[normal] = slice as usize;
        let (Some(a), Some(b)) = (a, b) else { return false };
        [voxel[u], voxel[v]] = [a, b];
        holds(voxel)
    };
    // A point between voxels, at half steps.
    let point = |a: f64, b: f64| {
        let mut at = DVec3::ZERO;
        at[normal] = through;
        [at[u], at[v]] = [a - 0.5, b - 0.5];
        grid.world_from_voxel.transform_point3(at)
    };
    let [of_u, of_v] = [u, v].map(|axis| within[axis].clone());
    let along_u = edges(&of_u, &of_v, |a, b| held(Some(a), b)).map(|(b, [from, to])| [point(from, b), point(to, b)]);
    let along_v = edges(&of_v, &of_u, |b, a| held(a, Some(b))).map(|(a, [from, to])| [point(a, from), point(a, to)]);
    along_u.chain(along_v).collect()
}

/// Runs of edges between rows, where one of two neighbouring rows is held and the other is not: the edge's place across rows, and from
/// where to where it runs along them.
fn edges<'a>(
    along: &'a Range<usize>,
    rows: &'a Range<usize>,
    holds: impl Fn(usize, Option<usize>) -> bool + 'a,
) -> impl Iterator<Item = (f64, [f64; 2])> + 'a {
    (rows.start..=rows.end).flat_map(move |row| {
        let is_edge = |at: usize| holds(at, row.checked_sub(1)) != holds(at, Some(row));
        let mut runs = Vec::new();
        let mut began = None;
        for at in along.start..=along.end {
            match (at < along.end && is_edge(at), began) {
                (true, None) => began = Some(at),
                (false, Some(from)) => {
                    runs.push((row as f64, [from as f64, at as f64]));
                    began = None;
                }
                _ => {}
            }
        }
        runs
    })
}
