//! How the patient lies in the scanner, and how it sees: field of view, kernel, dose, motion, streaks.

use glam::{DAffine3, DMat3, DVec3, Vec3};

use super::super::super::Grid;
use super::super::field::Segment;
use super::Raster;
use super::shapes::ramp;
use crate::random::Stream;

pub(super) struct Scanner {
    pub(super) raster: Raster,
    /// Of the table's middle from the patient's, the turn of the patient, radians, and how it leans along its axis.
    offset: [f32; 2],
    turn: f32,
    lean: [f32; 2],
    middle_z: f32,
    /// What is written outside the round field of view; none where the corners are reconstructed too.
    outside: Option<f32>,
    pub(super) kernel: Kernel,
    noise_hu: f32,
    /// How far the heart's edge moves while it is scanned.
    pub(super) motion_mm: f32,
    streaks: f32,
    shoulders_z: f32,
}

/// What the reconstruction does to edges and to noise; Gaussians in millimetres.
pub(super) struct Kernel {
    blur: f32,
    /// How much of a wider blur is taken away: edges overshoot.
    sharpen: f32,
    wide: f32,
    noise: [f32; 2],
    /// How much of the slow noise is taken away.
    band: f32,
}

impl Scanner {
    /// `raster` as asked for, or else one of the scanners'.
    pub(super) fn draw(seed: u64, raster: Option<Raster>, apex_z: f32, wide: f32) -> Self {
        let mut g = Stream::new(seed, "second scanner");
        let mut u = |low: f32, high: f32| g.within(low, high);
        let field = (2.0 * wide + u(-25.0, 45.0)).clamp(300.0, 500.0);
        let slice = [2.0, 2.5, 3.0][(u(0.0, 3.0) as usize).min(2)];
        let covered = apex_z + u(8.0, 28.0);
        let own = Raster {
            shape: [256, 256, (covered / slice) as usize],
            spacing_mm: [field as f64 / 256.0, field as f64 / 256.0, slice as f64],
        };
        let kernel = if u(0.0, 1.0) < 0.62 {
            Kernel {
                blur: u(0.62, 0.88),
                sharpen: u(0.0, 0.3),
                wide: 1.7,
                noise: [u(0.55, 0.8), u(1.5, 2.2)],
                band: u(0.5, 0.85),
            }
        } else {
            Kernel {
                blur: u(0.30, 0.42),
                sharpen: u(0.5, 1.1),
                wide: u(0.9, 1.2),
                noise: [u(0.22, 0.34), u(0.7, 1.0)],
                band: u(0.75, 0.98),
            }
        };
        let raster = raster.unwrap_or(own);
        let thin = (1.5 / raster.spacing_mm[2].clamp(0.5, 6.0) as f32).sqrt();
        let noise_hu = thin * if kernel.blur < 0.5 { u(28.0, 66.0) } else { u(9.0, 25.0) };
        Self {
            offset: [u(-7.0, 7.0), u(-14.0, 10.0)],
            turn: u(-0.06, 0.06),
            lean: [u(-0.04, 0.04), u(-0.03, 0.03)],
            middle_z: 0.5 * covered,
            outside: match u(0.0, 1.0) {
                p if p < 0.25 => Some(-1024.0),
                p if p < 0.45 => Some(-2000.0),
                _ => None,
            },
            kernel,
            noise_hu,
            motion_mm: u(0.0, 1.0).powi(2) * 4.5,
            streaks: u(0.3, 1.3),
            shoulders_z: apex_z - 45.0,
            raster,
        }
    }

    /// Columns run to the patient's left, rows to the back, slices to the head.
    pub(super) fn grid(&self) -> Grid {
        let [dx, dy, dz] = self.raster.spacing_mm;
        let matrix = DMat3::from_diagonal(DVec3::new(-dx, -dy, dz));
        let middle = DVec3::from_array(self.raster.shape.map(|n| (n as f64 - 1.0) / 2.0));
        Grid { shape: self.raster.shape, world_from_voxel: DAffine3::from_mat3_translation(matrix, -(matrix * middle)) }
    }

    /// Height of a slice, or of a part of it, `-0.5..0.5`.
    pub(super) fn height(&self, k: usize, part: f32) -> f32 {
        let middle = (self.raster.shape[2] as f32 - 1.0) / 2.0;
        self.middle_z + (k as f32 + part - middle) * self.raster.spacing_mm[2] as f32
    }

    fn middle(&self, z: f32) -> [f32; 2] {
        let up = z - self.middle_z;
        [self.offset[0] + self.lean[0] * up, self.offset[1] + self.lean[1] * up]
    }

    /// A pixel's place in the patient's own frame, and its distance from the middle of the field of view.
    pub(super) fn place(&self, i: usize, j: usize, z: f32) -> (Vec3, f32) {
        let [ni, nj, _] = self.raster.shape.map(|n| n as f32);
        let [dx, dy, _] = self.raster.spacing_mm.map(|mm| mm as f32);
        let [mx, my] = self.middle(z);
        let (u, v) = ((i as f32 - (ni - 1.0) / 2.0) * dx, (j as f32 - (nj - 1.0) / 2.0) * dy);
        let (x, y) = (u - mx, v - my);
        let (sin, cos) = self.turn.sin_cos();
        (Vec3::new(cos * x + sin * y, cos * y - sin * x, z), u.hypot(v))
    }

    /// The pixels, columns then rows, that a segment may touch at a height.
    pub(super) fn touched(&self, segment: &Segment, z: f32, reach: f32) -> [std::ops::Range<usize>; 2] {
        let (sin, cos) = self.turn.sin_cos();
        let [mx, my] = self.middle(z);
        // Only the part of the segment near this height.
        let along = segment.to - segment.from;
        let clip = |edge: f32| {
            if along.z.abs() < 1e-3 { 0.5 } else { ((z + edge - segment.from.z) / along.z).clamp(0.0, 1.0) }
        };
        let (first, last) = if along.z.abs() < 1e-3 { (0.0, 1.0) } else { (clip(-reach), clip(reach)) };
        let pixel = |p: Vec3| {
            let at = [cos * p.x - sin * p.y + mx, sin * p.x + cos * p.y + my];
            [0, 1].map(|axis| {
                let n = self.raster.shape[axis] as f32;
                at[axis] / self.raster.spacing_mm[axis] as f32 + (n - 1.0) / 2.0
            })
        };
        let (a, b) = (pixel(segment.from + along * first), pixel(segment.from + along * last));
        [0, 1].map(|axis| {
            let reach = reach / self.raster.spacing_mm[axis] as f32;
            let (low, high) = (a[axis].min(b[axis]) - reach, a[axis].max(b[axis]) + reach);
            let n = self.raster.shape[axis];
            (low.max(0.0).ceil() as usize).min(n)..((high + 1.0).max(0.0) as usize).min(n)
        })
    }

    /// What the scanner makes of a slice as it is: edges, noise, field of view. `depth` is how deep in the body each pixel lies.
    pub(super) fn see(&self, seed: u64, k: usize, hu: &mut [f32], depth: &[f32]) {
        let shape = [self.raster.shape[0], self.raster.shape[1]];
        let spacing = [self.raster.spacing_mm[0] as f32, self.raster.spacing_mm[1] as f32];
        self.kernel.respond(hu, shape, spacing);
        let z = self.height(k, 0.0);
        let mut g = Stream::new(seed ^ (k as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15), "second noise");
        let noise = self.kernel.noise(&mut g, shape, spacing);
        let shoulders = 0.6 * ramp(self.shoulders_z - 25.0, self.shoulders_z + 40.0, z);
        let level = |depth: f32| 0.40 + 0.60 * ramp(-15.0, 95.0, depth) + 0.5 * shoulders * ramp(0.0, 40.0, depth);
        hu.iter_mut()
            .zip(&noise)
            .zip(depth)
            .for_each(|((hu, noise), depth)| *hu += self.noise_hu * level(*depth) * noise);
        if shoulders > 0.02 {
            let mut streaks: Vec<f32> = (0..hu.len()).map(|_| g.normal()).collect();
            blur(&mut streaks, shape, [28.0 / spacing[0], 0.55 / spacing[1]]);
            let gain =
                0.6 * self.streaks * shoulders * self.noise_hu * (2.0 * 1.77 * 28.0 / spacing[0]).sqrt().min(12.0);
            hu.iter_mut()
                .zip(&streaks)
                .zip(depth)
                .for_each(|((hu, s), depth)| *hu += gain * s * ramp(-2.0, 25.0, *depth));
        }
        if let Some(outside) = self.outside {
            let radius = 0.5 * (shape[0] as f32 * spacing[0]).min(shape[1] as f32 * spacing[1]);
            hu.iter_mut().enumerate().for_each(|(i, hu)| {
                if self.place(i % shape[0], i / shape[0], z).1 > radius {
                    *hu = outside;
                }
            });
        }
    }
}

impl Kernel {
    fn respond(&self, hu: &mut [f32], shape: [usize; 2], spacing: [f32; 2]) {
        let mut slow = if self.sharpen > 0.0 { hu.to_vec() } else { Vec::new() };
        blur(hu, shape, spacing.map(|mm| self.blur / mm));
        if self.sharpen > 0.0 {
            blur(&mut slow, shape, spacing.map(|mm| self.wide / mm));
            hu.iter_mut().zip(&slow).for_each(|(hu, slow)| *hu += self.sharpen * (*hu - slow));
        }
    }

    /// Deviation 1, away from the edges.
    fn noise(&self, g: &mut Stream, shape: [usize; 2], spacing: [f32; 2]) -> Vec<f32> {
        let mut fast: Vec<f32> = (0..shape[0] * shape[1]).map(|_| g.normal()).collect();
        let mut slow = fast.clone();
        let [narrow, wide] = self.noise.map(|sigma| spacing.map(|mm| sigma / mm));
        blur(&mut fast, shape, narrow);
        blur(&mut slow, shape, wide);
        let power =
            |a: [f32; 2], b: [f32; 2]| (0..2).map(|axis| overlap(&taps(a[axis]), &taps(b[axis]))).product::<f32>();
        let variance =
            power(narrow, narrow) + self.band.powi(2) * power(wide, wide) - 2.0 * self.band * power(narrow, wide);
        let scale = variance.max(1e-9).sqrt().recip();
        fast.iter_mut().zip(&slow).for_each(|(fast, slow)| *fast = (*fast - self.band * slow) * scale);
        fast
    }
}

/// Half of a Gaussian's samples from its middle on, of sum 1 with its mirror; a single 1 where it is narrower than a pixel.
fn taps(sigma: f32) -> Vec<f32> {
    let reach = if sigma < 0.25 { 0 } else { (3.0 * sigma).ceil() as usize };
    let half: Vec<f32> = (0..=reach).map(|i| (-0.5 * (i as f32 / sigma.max(0.1)).powi(2)).exp()).collect();
    let sum = 2.0 * half.iter().sum::<f32>() - half[0];
    half.into_iter().map(|tap| tap / sum).collect()
}

/// Sum of the products of two such kernels.
fn overlap(a: &[f32], b: &[f32]) -> f32 {
    2.0 * a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>() - a[0] * b[0]
}

/// A Gaussian along columns and rows; the edges go on beyond the picture.
fn blur(values: &mut [f32], [ni, nj]: [usize; 2], sigma: [f32; 2]) {
    let across = taps(sigma[0]);
    if across.len() > 1 {
        let reach = across.len() - 1;
        let mut line = vec![0.0; ni + 2 * reach];
        for row in values.chunks_exact_mut(ni) {
            line[..reach].fill(row[0]);
            line[reach..reach + ni].copy_from_slice(row);
            line[reach + ni..].fill(row[ni - 1]);
            row.copy_from_slice(&line[reach..reach + ni]);
            for value in &mut *row {
                *value *= across[0];
            }
            for (step, tap) in across.iter().enumerate().skip(1) {
                let (before, after) = (&line[reach - step..], &line[reach + step..]);
                row.iter_mut().zip(before).zip(after).for_each(|((out, a), b)| *out += tap * (a + b));
            }
        }
    }
    let down = taps(sigma[1]);
    if down.len() > 1 {
        let source = values.to_vec();
        let row = |j: i64| {
            let j = j.clamp(0, nj as i64 - 1) as usize;
            &source[j * ni..(j + 1) * ni]
        };
        for (j, out) in values.chunks_exact_mut(ni).enumerate() {
            for value in &mut *out {
                *value *= down[0];
            }
            for (step, tap) in down.iter().enumerate().skip(1) {
                let (before, after) = (row(j as i64 - step as i64), row(j as i64 + step as i64));
                out.iter_mut().zip(before).zip(after).for_each(|((out, a), b)| *out += tap * (a + b));
            }
        }
    }
}
