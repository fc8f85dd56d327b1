//! Noise that repeats in space: computed once on a small cube, then read at any place at any scale.

use glam::Vec3;

use crate::random::Stream;
use crate::volume::smoothing::normalize;

/// Samples along each side; a power of two.
const SIDE: usize = 64;
/// Cells along each side of the cube of lobules.
const CELLS: usize = 5;

/// A cube of samples that repeats in all directions.
pub(super) struct Tile(Vec<f32>);

impl Tile {
    /// Smooth noise of mean 0 and deviation 1, whose grains are about three samples wide.
    pub(super) fn grain(stream: &mut Stream) -> Self {
        let mut values: Vec<f32> = (0..SIDE.pow(3)).map(|_| stream.normal()).collect();
        for stride in [1, SIDE, SIDE * SIDE] {
            let source = values.clone();
            values.iter_mut().enumerate().for_each(|(i, value)| {
                let along = i / stride % SIDE;
                let at = |step: usize| source[i - along * stride + ((along + step) % SIDE) * stride];
                *value = 0.375 * at(0) + 0.25 * (at(1) + at(SIDE - 1)) + 0.0625 * (at(2) + at(SIDE - 2));
            });
        }
        normalize(&mut values);
        Self(values)
    }

    /// How near the wall between two lobules is, in lobules: 0 on a wall. After Worley 1996, "A cellular texture basis function".
    pub(super) fn lobules(stream: &mut Stream) -> Self {
        let seeds: Vec<Vec3> = (0..CELLS.pow(3))
            .map(|_| Vec3::new(stream.within(0.1, 0.9), stream.within(0.1, 0.9), stream.within(0.1, 0.9)))
            .collect();
        let scale = CELLS as f32 / SIDE as f32;
        let wall = |i: usize| {
            let at = Vec3::new((i % SIDE) as f32, (i / SIDE % SIDE) as f32, (i / SIDE / SIDE) as f32) * scale;
            let cell = at.floor();
            let (mut first, mut second) = (9.0_f32, 9.0_f32);
            for n in 0..27 {
                let there = cell + Vec3::new((n % 3) as f32, (n / 3 % 3) as f32, (n / 9) as f32) - Vec3::ONE;
                let wrapped = there.rem_euclid(Vec3::splat(CELLS as f32));
                let seed = seeds[wrapped.x as usize + CELLS * (wrapped.y as usize + CELLS * wrapped.z as usize)];
                let distance = (there + seed - at).length();
                if distance < first {
                    (first, second) = (distance, first);
                } else {
                    second = second.min(distance);
                }
            }
            second - first
        };
        Self((0..SIDE.pow(3)).map(wall).collect())
    }

    /// The value at a place in samples, linear between them.
    pub(super) fn at(&self, place: Vec3) -> f32 {
        let low = place.floor();
        let f = place - low;
        let wrap = |v: f32| (v as i32 as usize) & (SIDE - 1);
        let (x, y, z) = (wrap(low.x), wrap(low.y), wrap(low.z));
        let (x1, y1, z1) = ((x + 1) & (SIDE - 1), (y + 1) & (SIDE - 1), (z + 1) & (SIDE - 1));
        let v = |x: usize, y: usize, z: usize| self.0[x + SIDE * (y + SIDE * z)];
        let row = |y: usize, z: usize| v(x, y, z) + f.x * (v(x1, y, z) - v(x, y, z));
        let plane = |z: usize| row(y, z) + f.y * (row(y1, z) - row(y, z));
        plane(z) + f.z * (plane(z1) - plane(z))
    }
}

/// The noises of one patient.
pub(super) struct Texture {
    grain: Tile,
    lobules: Tile,
}

impl Texture {
    pub(super) fn draw(seed: u64) -> Self {
        Self {
            grain: Tile::grain(&mut Stream::new(seed, "second grain")),
            lobules: Tile::lobules(&mut Stream::new(seed, "second lobules")),
        }
    }

    /// Deviation 1, grains of about `size_mm`.
    pub(super) fn grain(&self, at: Vec3, size_mm: f32) -> f32 {
        // Off the axes, so that no slice runs along the samples.
        let turned = Vec3::new(0.8 * at.x - 0.6 * at.y + 0.31 * at.z, 0.6 * at.x + 0.8 * at.y + 0.17 * at.z, at.z);
        self.grain.at(turned * (3.0 / size_mm) + Vec3::new(7.3, 21.9, 43.1))
    }

    /// Of a few sizes at once, from `size_mm` down.
    pub(super) fn rough(&self, at: Vec3, size_mm: f32) -> f32 {
        0.8 * self.grain(at, size_mm) + 0.5 * self.grain(at, 0.45 * size_mm) + 0.3 * self.grain(at, 0.2 * size_mm)
    }

    /// Distance to the nearest wall between secondary lobules, which are about `size_mm` wide.
    pub(super) fn septum(&self, at: Vec3, size_mm: f32) -> f32 {
        self.lobules.at(at * (SIDE as f32 / CELLS as f32 / size_mm)) * 0.5 * size_mm
    }
}
