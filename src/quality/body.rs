//! Where the patient is: all that the air around does not reach.

use crate::volume::Volume;

/// Halfway between air and water.
const AIR_BELOW_HU: f32 = -500.0;

/// The body with all it encloses, lungs too; of a scan in HU, slice by slice. What lies about it, a table or clothes, counts as
/// body; a slice without air is body all over.
pub fn body(scan_hu: &Volume) -> Vec<bool> {
    let [width, height, _] = scan_hu.grid.shape;
    let is_air: Vec<bool> = scan_hu.voxels.iter().map(|hu| hu < AIR_BELOW_HU).collect();
    is_air.chunks(width * height).flat_map(|slice| unreached(slice, width)).collect()
}

/// What a flood through the air from the borders of a slice does not reach.
fn unreached(is_air: &[bool], width: usize) -> Vec<bool> {
    let height = is_air.len() / width;
    let mut is_dry = vec![true; is_air.len()];
    let borders = (0..height).flat_map(|y| {
        let step = if y == 0 || y + 1 == height { 1 } else { (width - 1).max(1) };
        (0..width).step_by(step).map(move |x| y * width + x)
    });
    let mut front: Vec<usize> = borders.collect();
    while let Some(at) = front.pop() {
        if !is_air[at] || !std::mem::replace(&mut is_dry[at], false) {
            continue;
        }
        let (x, y) = (at % width, at / width);
        front.extend((x > 0).then(|| at - 1));
        front.extend((x + 1 < width).then_some(at + 1));
        front.extend((y > 0).then(|| at - width));
        front.extend((y + 1 < height).then_some(at + width));
    }
    is_dry
}

#[cfg(test)]
mod tests {
    use glam::DAffine3;

    use super::*;
    use crate::volume::Grid;

    #[test]
    fn the_lungs_belong_to_the_body_and_the_air_around_does_not() {
        #[rustfmt::skip]
        let picture = [
            ".......",
            ".#####.",
            ".#...#.",
            ".#####.",
            "....##.",
        ];
        let hu = |c: u8| if c == b'#' { 40.0 } else { -950.0 };
        let slice: Vec<f32> = picture.iter().flat_map(|row| row.bytes().map(hu)).collect();
        // The slice above has no air at all.
        let voxels: Vec<f32> = slice.iter().copied().chain(std::iter::repeat_n(40.0, slice.len())).collect();
        let grid = Grid { shape: [7, 5, 2], world_from_voxel: DAffine3::IDENTITY };
        let body = body(&Volume::from_f32(grid, voxels));
        let drawn: Vec<bool> = picture.iter().flat_map(|row| row.bytes().map(|c| c == b'#')).collect();
        for (at, is_body) in body[..35].iter().enumerate() {
            let is_lung = at / 7 == 2 && (2..5).contains(&(at % 7));
            assert_eq!(*is_body, drawn[at] || is_lung, "voxel {at}");
        }
        assert!(body[35..].iter().all(|is_body| *is_body));
    }
}
