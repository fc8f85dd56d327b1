//! Numbers to colours. The same arithmetic stands in `shaders/color.wgsl`.

use super::Shade;

/// Ends of the diverging map: a blue and an orange-red that red-green blind readers tell apart (ColorBrewer's RdBu, brightened).
pub const BELOW: [f32; 3] = [0.26, 0.58, 1.0];
pub const ABOVE: [f32; 3] = [1.0, 0.36, 0.2];

/// Red, green, blue, `0..=1`.
pub fn color(hu: f32, shade: Shade) -> [f32; 3] {
    match shade {
        Shade::Grey(window) => {
            let grey = (hu - window.center_hu) / window.width_hu.max(1e-6) + 0.5;
            [grey.clamp(0.0, 1.0); 3]
        }
        Shade::Difference { scale_hu } => {
            let share = (hu / scale_hu.max(1e-6)).clamp(-1.0, 1.0);
            let end = if share < 0.0 { BELOW } else { ABOVE };
            end.map(|c| c * share.abs())
        }
    }
}
