//! Draws a view on the CPU, as `shaders/slice.wgsl` does on the screen. Exported pictures come from here.

use glam::{DAffine3, DVec3, Vec3};
use image::{Rgba, RgbaImage};

use super::{Content, Layers, Look, Overlaid, Sampling, Shift, SizeMap, View, colormap};
use crate::latent_shift::HeatmapMethod;
use crate::volume::Grid;

/// How far a volume reaches beyond the centres of its outermost voxels, in voxels.
const REACH: f32 = 0.5;

pub fn paint(view: &View, layers: &Layers) -> RgbaImage {
    let place = Mapping::new(view, layers);
    let [width, height] = view.size;
    RgbaImage::from_fn(width, height, |x, y| {
        let [r, g, b] = color(&view.look, layers, &place, x, y).map(|c| (c * 255.0 + 0.5) as u8);
        Rgba([r, g, b, 255])
    })
}

/// The number at a place in world space, as a picture of this content shows it there; `None` where it shows none. What the networks
/// made where the scan shows nothing is no anatomy: no picture shows it.
pub fn probe(layers: &Layers, content: Content, step: f32, world: DVec3) -> Option<f32> {
    let near = |grid: &Grid| grid.voxel_from_world().transform_point3(world).as_vec3();
    let in_scan = near(&layers.scan.grid);
    let in_shift = layers.shift.as_ref().map_or(in_scan, |shift| near(&shift.reconstruction.grid));
    nearest(layers, content, step, in_scan, in_shift)
}

/// What a map has at a place in world space, as a share of its scale; `None` beyond it.
pub fn probe_map(map: &SizeMap, world: DVec3) -> Option<f32> {
    let near = map.volume.grid.voxel_from_world().transform_point3(world).as_vec3();
    map_at(map, near, Sampling::Nearest)
}

/// The number at a place in voxels of the scan's grid, which is `in_shift` in voxels of the networks'.
pub(super) fn nearest(layers: &Layers, content: Content, step: f32, in_scan: Vec3, in_shift: Vec3) -> Option<f32> {
    let scan = || scan_at(layers, in_scan, Sampling::Nearest);
    let is_scanned = within(layers.scan.grid.shape, in_scan);
    let shift = |number| {
        let shift = layers.shift.as_ref().filter(|_| is_scanned)?;
        shift_at(shift, in_shift, Sampling::Nearest, number, step)
    };
    match content {
        Content::Scan => scan(),
        Content::Reconstruction => shift(Number::Reconstructed),
        Content::Decoded => shift(Number::Decoded),
        Content::DetailKept => Some(scan()? + shift(Number::Difference).unwrap_or(0.0)),
        Content::Difference | Content::Projection => shift(Number::Difference),
        Content::Heatmap(method) => shift(Number::Heat(method)),
    }
}

/// What is read on the networks' grid.
#[derive(Clone, Copy)]
enum Number {
    Reconstructed,
    Decoded,
    Difference,
    Heat(HeatmapMethod),
}

/// From pixels to voxels of the scan, of what the networks made, and of the map.
#[expect(clippy::struct_field_names, reason = "maps between spaces are called b_from_a")]
struct Mapping {
    scan_from_pixel: DAffine3,
    shift_from_pixel: DAffine3,
    /// From pixels to voxels of the map; `None` where there is no map.
    map_from_pixel: Option<DAffine3>,
}

impl Mapping {
    fn new(view: &View, layers: &Layers) -> Self {
        let from_pixel = |grid: &Grid| grid.voxel_from_world() * view.world_from_pixel;
        Self {
            scan_from_pixel: from_pixel(&layers.scan.grid),
            shift_from_pixel: from_pixel(layers.shift.as_ref().map_or(&layers.scan.grid, |s| &s.reconstruction.grid)),
            map_from_pixel: layers.map.as_ref().map(|map| from_pixel(&map.volume.grid)),
        }
    }
}

/// In f32, as the shader.
fn color(look: &Look, layers: &Layers, place: &Mapping, x: u32, y: u32) -> [f32; 3] {
    let pixel = DVec3::new(f64::from(x), f64::from(y), 0.0);
    let in_scan = place.scan_from_pixel.transform_point3(pixel).as_vec3();
    let in_shift = place.shift_from_pixel.transform_point3(pixel).as_vec3();
    let shift = layers.shift.as_ref();
    let is_scanned = within(layers.scan.grid.shape, in_scan);
    let read = |number| {
        let shift = shift.filter(|_| is_scanned)?;
        shift_at(shift, in_shift, look.sampling, number, look.step)
    };
    let difference = || read(Number::Difference);
    let value = match look.content {
        Content::Scan => scan_at(layers, in_scan, look.sampling),
        Content::Reconstruction => read(Number::Reconstructed),
        Content::Decoded => read(Number::Decoded),
        Content::DetailKept => scan_at(layers, in_scan, look.sampling).map(|value| value + difference().unwrap_or(0.0)),
        Content::Difference => difference(),
        Content::Heatmap(method) => read(Number::Heat(method)),
        Content::Projection => {
            let along = |from_pixel: DAffine3| from_pixel.transform_vector3(DVec3::Z).as_vec3();
            let in_shift = Ray { at: in_shift, along: along(place.shift_from_pixel) };
            let in_scan = Ray { at: in_scan, along: along(place.scan_from_pixel) };
            shift.and_then(|shift| projection(shift, &in_shift, (layers.scan.grid.shape, &in_scan), look))
        }
    };
    let color = value.map_or([0.0; 3], |hu| colormap::color(hu, look.shade));
    let laid_over = look.overlay.and_then(|overlay| match overlay.of {
        Overlaid::Difference => Some((difference()?, overlay)),
        Overlaid::Map => {
            let in_map = place.map_from_pixel.filter(|_| is_scanned)?.transform_point3(pixel).as_vec3();
            Some((map_at(layers.map.as_ref()?, in_map, look.sampling)?, overlay))
        }
    });
    laid_over.map_or(color, |(number, overlay)| colormap::overlaid(color, number, overlay))
}

fn map_at(map: &SizeMap, at: Vec3, sampling: Sampling) -> Option<f32> {
    let [ni, nj, _] = map.volume.grid.shape;
    sample(map.volume.grid.shape, at, sampling, |[i, j, k]| map.volume.voxels.at(i + ni * (j + nj * k)))
}

fn scan_at(layers: &Layers, at: Vec3, sampling: Sampling) -> Option<f32> {
    let [ni, nj, _] = layers.scan.grid.shape;
    sample(layers.scan.grid.shape, at, sampling, |[i, j, k]| layers.scan.voxels.at(i + ni * (j + nj * k)))
}

fn shift_at(shift: &Shift, at: Vec3, sampling: Sampling, number: Number, step: f32) -> Option<f32> {
    sample(shift.reconstruction.grid.shape, at, sampling, |voxel| match number {
        Number::Reconstructed => shift.reconstructed(voxel),
        Number::Decoded => shift.decoded(voxel, step),
        Number::Difference => shift.difference(voxel, step),
        Number::Heat(method) => shift.heat(voxel, method),
    })
}

/// The line of sight through a pixel, in voxels of a grid.
struct Ray {
    at: Vec3,
    along: Vec3,
}

/// The largest difference on a line, read where it passes the slices that it crosses most steeply, as far as the scan reaches.
fn projection(shift: &Shift, line: &Ray, (scan, in_scan): ([usize; 3], &Ray), look: &Look) -> Option<f32> {
    let steepest = line.along.abs().max_position();
    let mut largest: Option<f32> = None;
    for slice in 0..shift.reconstruction.grid.shape[steepest] {
        let distance = (slice as f32 - line.at[steepest]) / line.along[steepest];
        let mut here = line.at + line.along * distance;
        here[steepest] = slice as f32;
        if within(scan, in_scan.at + in_scan.along * distance)
            && let Some(value) = shift_at(shift, here, look.sampling, Number::Difference, look.step)
            && largest.is_none_or(|largest| value.abs() > largest.abs())
        {
            largest = Some(value);
        }
    }
    largest
}

/// Whether a place lies in a volume of that shape.
fn within(shape: [usize; 3], at: Vec3) -> bool {
    (0..3).all(|axis| at[axis] >= -REACH && at[axis] <= shape[axis] as f32 - 1.0 + REACH)
}

/// The number at a place between voxels, whose own numbers `value` gives; `None` outside the volume.
fn sample(shape: [usize; 3], at: Vec3, sampling: Sampling, value: impl Fn([usize; 3]) -> f32) -> Option<f32> {
    if !within(shape, at) {
        return None;
    }
    let mut low = [0; 3];
    let mut share = [0.0; 3];
    for axis in 0..3 {
        let last = shape[axis] as f32 - 1.0;
        let place = if sampling == Sampling::Nearest { (at[axis] + 0.5).floor() } else { at[axis] };
        let inside = place.clamp(0.0, last);
        low[axis] = inside as usize;
        share[axis] = inside - low[axis] as f32;
    }
    let mut sum = 0.0;
    for corner in 0..8_usize {
        let mut voxel = low;
        let mut weight = 1.0;
        for axis in 0..3 {
            let upper = corner >> axis & 1 == 1;
            voxel[axis] = (low[axis] + usize::from(upper)).min(shape[axis] - 1);
            weight *= if upper { share[axis] } else { 1.0 - share[axis] };
        }
        if weight > 0.0 {
            sum += weight * value(voxel);
        }
    }
    Some(sum)
}
