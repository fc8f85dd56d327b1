//! One picture of a whole sweep: where it changed. `LatentShift.attribute`, `heatmap_method`.

use super::{HeatmapMethod, Step};

/// The heatmap of the slab, decoded units, `[slab, height, width]`. `reconstruction` is the slab at lambda 0.
/// Zero outside the slab, where no step differs.
pub fn heatmap(method: HeatmapMethod, steps: &[Step], reconstruction: &[f32]) -> Vec<f32> {
    let distance = |a: &[f32], b: &[f32], into: &mut [f32], fold: fn(f32, f32) -> f32| {
        for ((out, a), b) in into.iter_mut().zip(a).zip(b) {
            *out = fold(*out, (a - b).abs());
        }
    };
    let mut heat = vec![0.0; reconstruction.len()];
    match method {
        HeatmapMethod::Int => {
            for pair in steps.windows(2) {
                distance(&pair[0].slab, &pair[1].slab, &mut heat, |sum, d| sum + d);
            }
            scale(&mut heat, steps.len().saturating_sub(1));
        }
        HeatmapMethod::MinMax => {
            if let [first, .., last] = steps {
                distance(&first.slab, &last.slab, &mut heat, |_, d| d);
            }
        }
        HeatmapMethod::Mean => {
            for step in steps {
                distance(reconstruction, &step.slab, &mut heat, |sum, d| sum + d);
            }
            scale(&mut heat, steps.len());
        }
        HeatmapMethod::Max => {
            for step in steps {
                distance(reconstruction, &step.slab, &mut heat, f32::max);
            }
        }
    }
    heat
}

fn scale(heat: &mut [f32], count: usize) {
    for value in heat {
        *value /= count.max(1) as f32;
    }
}
