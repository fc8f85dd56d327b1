//! Which voxels hang together: those that share a face and whose changes have one sign.

use crate::job::{Cancelled, Monitor};

/// Connected components of a box of voxels.
pub(super) struct Components {
    /// For each voxel, `i` fastest: 0 where nothing changed, else the number of its component, from 1.
    pub(super) labels: Vec<u32>,
    /// How many there are. They are numbered by their first voxels.
    pub(super) count: usize,
}

/// The sign of a change beyond a threshold: -1, 1, or 0 of what is none, or no number.
pub(super) fn sign(hu: f32, threshold_hu: f32) -> i8 {
    match hu.is_finite() && hu.abs() > threshold_hu {
        true if hu > 0.0 => 1,
        true => -1,
        false => 0,
    }
}

/// Components by union-find over one pass and one of relabelling (Rosenfeld and Pfaltz 1966, J. ACM 13:471). Voxels hang together by
/// their six faces: over edges and corners as well, what blurs into each other would become one.
///
/// Beside the labels it takes 4 bytes for each provisional label, at most one for two voxels. A slab has less than 2^31 voxels: its
/// steps' pixels have a limit in bytes.
pub(super) fn components(
    hu: &[f32],
    shape: [usize; 3],
    threshold_hu: f32,
    monitor: &Monitor,
) -> Result<Components, Cancelled> {
    let [ni, nj, nk] = shape;
    let mut labels = vec![0_u32; hu.len()];
    // parents[label] <= label; equal for roots. Label 0 is nothing.
    let mut parents = vec![0_u32];
    for k in 0..nk {
        monitor.step("finding the changed regions", k, nk)?;
        for j in 0..nj {
            for i in 0..ni {
                let at = i + ni * (j + nj * k);
                let wanted = sign(hu[at], threshold_hu);
                if wanted == 0 {
                    continue;
                }
                let before = [(i > 0, 1), (j > 0, ni), (k > 0, ni * nj)];
                let mut label = 0;
                for (is_there, back) in before {
                    if is_there && sign(hu[at - back], threshold_hu) == wanted {
                        let root = root(&mut parents, labels[at - back]);
                        label = if label == 0 { root } else { joined(&mut parents, label, root) };
                    }
                }
                if label == 0 {
                    label = parents.len() as u32;
                    parents.push(label);
                }
                labels[at] = label;
            }
        }
    }
    let count = numbered(&mut parents);
    for label in &mut labels {
        *label = parents[*label as usize];
    }
    Ok(Components { labels, count })
}

/// The root of a label; its path is halved on the way.
fn root(parents: &mut [u32], mut label: u32) -> u32 {
    while parents[label as usize] != label {
        let above = parents[parents[label as usize] as usize];
        parents[label as usize] = above;
        label = above;
    }
    label
}

/// Joins two roots under the smaller one.
fn joined(parents: &mut [u32], a: u32, b: u32) -> u32 {
    let (small, large) = (a.min(b), a.max(b));
    parents[large as usize] = small;
    small
}

/// Makes numbers from 1 without a gap of parents; gives how many roots there are.
fn numbered(parents: &mut [u32]) -> usize {
    let mut count = 0;
    for label in 1..parents.len() {
        let parent = parents[label] as usize;
        parents[label] = if parent == label {
            count += 1;
            count
        } else {
            // It stands before its children, and is numbered already.
            parents[parent]
        };
    }
    count as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Labels of a picture of `+`, `-` and `.`, slices by blank rows.
    fn labels(rows: &[&str], shape: [usize; 3]) -> (Vec<u32>, usize) {
        let hu: Vec<f32> = rows
            .concat()
            .bytes()
            .map(|c| match c {
                b'+' => 50.0,
                b'-' => -50.0,
                _ => 3.0,
            })
            .collect();
        let found = components(&hu, shape, 10.0, &Monitor::default()).unwrap();
        (found.labels, found.count)
    }

    #[test]
    fn voxels_hang_together_by_faces_and_by_their_sign() {
        // Corners do not join; nor do opposite signs.
        #[rustfmt::skip]
        let (found, count) = labels(&[
            "++..",
            "..+-",
            "+++-",
        ], [4, 3, 1]);
        assert_eq!(count, 3);
        assert_eq!(found, [1, 1, 0, 0, 0, 0, 2, 3, 2, 2, 2, 3]);
    }

    #[test]
    fn arms_that_meet_late_are_one_region() {
        // A comb whose teeth join in its last row, and over slices.
        let (found, count) = labels(&["+.+.+", "+.+.+", "+++++", ".....", ".....", "+...."], [5, 3, 2]);
        assert_eq!(count, 1);
        assert!(found.iter().all(|label| *label <= 1));
        assert_eq!(labels(&["+", ".", "+"], [1, 1, 3]).1, 2, "a slice between parts them");
    }

    #[test]
    fn what_is_no_number_and_what_lies_at_the_threshold_is_no_change() {
        let found = components(&[f32::NAN, f32::INFINITY, 10.0, -10.0], [4, 1, 1], 10.0, &Monitor::default()).unwrap();
        assert_eq!((found.labels, found.count), (vec![0; 4], 0));
    }

    #[test]
    fn work_that_is_cancelled_ends() {
        let monitor = Monitor::default();
        monitor.cancel();
        assert!(components(&[0.0; 8], [2, 2, 2], 10.0, &monitor).is_err());
    }
}
