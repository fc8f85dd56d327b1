//! Draws a view on the CPU: the twin of `shaders/slice.wgsl`, and what exported pictures are made of.

use glam::{DAffine3, DVec3};
use image::{Rgba, RgbaImage};

use super::{Content, Layers, View, colormap};

/// Half a voxel beyond the outermost centres a voxel ends.
const REACH: f32 = 0.5;

pub fn paint(view: &View, layers: &Layers) -> RgbaImage {
    let voxel_from_pixel = layers.base.grid.voxel_from_world() * view.world_from_pixel;
    RgbaImage::from_fn(view.size[0], view.size[1], |x, y| {
        let value = sample(layers, view.content, voxel_from_pixel, x, y);
        let [r, g, b] = value.map_or([0.0; 3], |hu| colormap::color(hu, view.shade)).map(|c| (c * 255.0 + 0.5) as u8);
        Rgba([r, g, b, 255])
    })
}

/// Trilinear, in f32 as the shader; `None` outside the volume.
fn sample(layers: &Layers, content: Content, voxel_from_pixel: DAffine3, x: u32, y: u32) -> Option<f32> {
    let at = voxel_from_pixel.transform_point3(DVec3::new(f64::from(x), f64::from(y), 0.0)).as_vec3().to_array();
    let shape = layers.base.grid.shape;
    let mut low = [0; 3];
    let mut share = [0.0; 3];
    for axis in 0..3 {
        let last = shape[axis] as f32 - 1.0;
        if at[axis] < -REACH || at[axis] > last + REACH {
            return None;
        }
        let inside = at[axis].clamp(0.0, last);
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
            sum += weight * layers.value(voxel, content);
        }
    }
    Some(sum)
}
