//! Numbers to colours. The same arithmetic stands in `shaders/color.wgsl`.

use super::{Overlay, Shade, Window};

/// Ends of the diverging map: a blue and an orange-red that red-green blind readers tell apart (ColorBrewer's RdBu, brightened).
pub const BELOW: [f32; 3] = [0.26, 0.58, 1.0];
pub const ABOVE: [f32; 3] = [1.0, 0.36, 0.2];

/// Red, green, blue, `0..=1`.
pub fn color(hu: f32, shade: Shade) -> [f32; 3] {
    match shade {
        Shade::Grey(window) => [grey(hu, window); 3],
        Shade::Inverted(window) => [1.0 - grey(hu, window); 3],
        Shade::Difference { scale_hu, threshold_hu } => {
            let share = share(hu, scale_hu, threshold_hu);
            end(share).map(|c| c * share.abs())
        }
    }
}

fn grey(hu: f32, window: Window) -> f32 {
    ((hu - window.center_hu) / window.width_hu.max(1e-6) + 0.5).clamp(0.0, 1.0)
}

/// A colour under the overlay of a difference.
pub fn overlaid(under: [f32; 3], hu: f32, overlay: Overlay) -> [f32; 3] {
    let share = share(hu, overlay.scale_hu, overlay.threshold_hu);
    let (end, dense) = (end(share), overlay.opacity * share.abs());
    std::array::from_fn(|i| under[i] + (end[i] - under[i]) * dense)
}

/// -1..=1 of the scale; 0 below the threshold.
fn share(hu: f32, scale_hu: f32, threshold_hu: f32) -> f32 {
    if hu.abs() < threshold_hu { 0.0 } else { (hu / scale_hu.max(1e-6)).clamp(-1.0, 1.0) }
}

fn end(share: f32) -> [f32; 3] {
    if share < 0.0 { BELOW } else { ABOVE }
}
