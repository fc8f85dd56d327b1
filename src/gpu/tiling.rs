//! How the slices of a volume lie in a 3-D texture: behind one another, and those beyond the texture's depth beside the
//! first ones, then below them.

/// Tiles across and down, each of `depth` slices behind one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tiling {
    pub(super) across: usize,
    pub(super) down: usize,
    pub(super) depth: usize,
}

impl Tiling {
    /// The tiling of a volume that is not there, and is not read.
    pub(super) const NONE: Self = Self { across: 1, down: 1, depth: 1 };

    /// The smallest tiling that holds `[ni, nj, slices]` in a texture of at most `side` texels a side; `None` where nothing does.
    pub(super) fn fit([ni, nj, slices]: [usize; 3], side: usize) -> Option<Self> {
        if ni == 0 || nj == 0 || slices == 0 {
            return None;
        }
        let (columns, lines) = (side / ni, side / nj);
        if columns == 0 || lines == 0 {
            return None;
        }
        let tiles = slices.div_ceil(side);
        if tiles > columns.saturating_mul(lines) {
            return None;
        }
        let across = tiles.min(columns);
        let down = tiles.div_ceil(across);
        // As even as can be: filled to the brim, 2049 slices of 2048 would take the memory of 4096.
        Some(Self { across, down, depth: slices.div_ceil(across * down) })
    }

    /// The texture's own width, height and depth.
    pub(super) fn extent(self, [ni, nj, _]: [usize; 3]) -> [usize; 3] {
        [ni * self.across, nj * self.down, self.depth]
    }

    /// Where the first texel of a slice lies; `place` of `shaders/slice.wgsl` computes it on the GPU.
    pub(super) fn origin(self, [ni, nj, _]: [usize; 3], slice: usize) -> [usize; 3] {
        let tile = slice / self.depth;
        [tile % self.across * ni, tile / self.across * nj, slice % self.depth]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_slice_has_a_place_of_its_own_inside_the_texture() {
        for side in 1..=9 {
            for shape in (1..=side).flat_map(|ni| (1..=side).flat_map(move |nj| (1..=60).map(move |n| [ni, nj, n]))) {
                let [ni, nj, slices] = shape;
                let room = (side / ni) * (side / nj) * side;
                let Some(tiling) = Tiling::fit(shape, side) else {
                    assert!(slices > room, "{shape:?} has room in {side}");
                    continue;
                };
                let extent = tiling.extent(shape);
                assert!(slices <= room && extent.iter().all(|&n| n <= side), "{shape:?} in {side}: {extent:?}");
                let origins: HashSet<_> = (0..slices).map(|slice| tiling.origin(shape, slice)).collect();
                assert_eq!(origins.len(), slices, "{shape:?} in {side}: {tiling:?}");
                for [x, y, z] in origins {
                    assert!(x % ni == 0 && y % nj == 0, "{x} and {y} lie between tiles of {shape:?}");
                    assert!(x + ni <= extent[0] && y + nj <= extent[1] && z < extent[2], "{x} {y} {z} in {extent:?}");
                }
            }
        }
    }

    #[test]
    fn a_volume_that_fits_as_it_is_is_not_tiled() {
        assert_eq!(Tiling::fit([512, 512, 2048], 2048), Some(Tiling { across: 1, down: 1, depth: 2048 }));
    }

    #[test]
    fn slices_beyond_the_depth_lie_beside_and_below_and_waste_little() {
        assert_eq!(Tiling::fit([512, 512, 2049], 2048), Some(Tiling { across: 2, down: 1, depth: 1025 }));
        assert_eq!(Tiling::fit([700, 700, 6000], 2048), Some(Tiling { across: 2, down: 2, depth: 1500 }));
    }

    #[test]
    fn what_no_texture_holds_is_said() {
        assert_eq!(Tiling::fit([2049, 8, 8], 2048), None);
        assert_eq!(Tiling::fit([8, 2049, 8], 2048), None);
        assert_eq!(Tiling::fit([1100, 1100, 2049], 2048), None);
        assert_eq!(Tiling::fit([512, 512, 16 * 2048 + 1], 2048), None);
        assert_eq!(Tiling::fit([1, 1, usize::MAX], 2048), None);
        assert_eq!(Tiling::fit([0, 4, 4], 2048), None);
        assert_eq!(Tiling::fit([4, 4, 4], 0), None);
    }
}
