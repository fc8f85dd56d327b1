//! Numbers to colours. The same arithmetic stands in `shaders/color.wgsl`.

use super::{Ends, Map, Overlay, Shade, Window};

/// Ends of the diverging map: a blue and an orange-red that red-green blind readers tell apart (ColorBrewer's RdBu, brightened).
pub const BELOW: [f32; 3] = [0.26, 0.58, 1.0];
pub const ABOVE: [f32; 3] = [1.0, 0.36, 0.2];
/// Lower end, middle and upper end of Moreland's cool-warm map ("Diverging Color Maps for Scientific Visualization", 2009).
const COOL: [f32; 3] = [0.230, 0.299, 0.754];
const NEITHER: [f32; 3] = [0.865, 0.865, 0.865];
const WARM: [f32; 3] = [0.706, 0.016, 0.150];
/// Viridis as a polynomial of degree 6, the constant first (fitted by M. Zucker); within 0.01 of matplotlib's table.
const VIRIDIS: [[f32; 3]; 7] = [
    [0.277_727_33, 0.005_407_344_5, 0.334_099_8],
    [0.105_093_04, 1.404_613_5, 1.384_590_1],
    [-0.330_861_84, 0.214_847_56, 0.095_095_165],
    [-4.634_230_6, -5.799_101, -19.332_441],
    [6.228_27, 14.179_933, 56.690_55],
    [4.776_385, -13.745_145, -65.353_035],
    [-5.435_456, 4.645_852_6, 26.312_435],
];

/// Red, green, blue, `0..=1`.
pub fn color(hu: f32, shade: Shade) -> [f32; 3] {
    match shade {
        Shade::Window { window, map, inverted } => {
            let place = place(hu, window);
            mapped(if inverted { 1.0 - place } else { place }, map)
        }
        Shade::Difference { scale_hu, threshold_hu, ends } => {
            let share = share(hu, scale_hu, threshold_hu);
            match ends {
                Ends::BlueRed => end(share).map(|c| c * share.abs()),
                Ends::CoolWarm => between(NEITHER, if share < 0.0 { COOL } else { WARM }, share.abs()),
            }
        }
    }
}

/// The colour of a number of a window, `0..=1` from its lower to its upper end.
fn place(hu: f32, window: Window) -> f32 {
    ((hu - window.center_hu) / window.width_hu.max(1e-6) + 0.5).clamp(0.0, 1.0)
}

fn mapped(place: f32, map: Map) -> [f32; 3] {
    match map {
        Map::Grey => [place; 3],
        Map::Viridis => std::array::from_fn(|i| {
            VIRIDIS.iter().rev().fold(0.0, |sum: f32, term| sum * place + term[i]).clamp(0.0, 1.0)
        }),
        Map::Hot => [0.0, 1.0, 2.0].map(|third| (3.0 * place - third).clamp(0.0, 1.0)),
    }
}

fn between(from: [f32; 3], to: [f32; 3], share: f32) -> [f32; 3] {
    std::array::from_fn(|i| from[i] + (to[i] - from[i]) * share)
}

/// A colour under the overlay of a difference.
pub fn overlaid(under: [f32; 3], hu: f32, overlay: Overlay) -> [f32; 3] {
    let share = share(hu, overlay.scale_hu, overlay.threshold_hu);
    between(under, end(share), overlay.opacity * share.abs())
}

/// A difference as a share of the scale, `-1..=1`; 0 below the threshold.
fn share(hu: f32, scale_hu: f32, threshold_hu: f32) -> f32 {
    if hu.abs() < threshold_hu { 0.0 } else { (hu / scale_hu.max(1e-6)).clamp(-1.0, 1.0) }
}

fn end(share: f32) -> [f32; 3] {
    if share < 0.0 { BELOW } else { ABOVE }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How far the polynomial may be from the table.
    const NEAR: f32 = 0.015;
    const ROUNDING: f32 = 1e-6;

    fn is_near(found: [f32; 3], wanted: [f32; 3], by: f32) -> bool {
        found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < by)
    }

    #[test]
    fn maps_have_the_colours_of_their_names() {
        // From matplotlib's table, at 0, 1/2 and 1.
        let viridis = [[0.267, 0.005, 0.329], [0.128, 0.567, 0.551], [0.993, 0.906, 0.144]];
        for (place, wanted) in [0.0, 0.5, 1.0].into_iter().zip(viridis) {
            let found = mapped(place, Map::Viridis);
            assert!(is_near(found, wanted, NEAR), "{place}: {found:?}");
        }
        assert_eq!([0.0, 1.0].map(|place| mapped(place, Map::Hot)), [[0.0; 3], [1.0; 3]]);
        let shade = Shade::Difference { scale_hu: 10.0, threshold_hu: 1.0, ends: Ends::CoolWarm };
        for (hu, wanted) in [(-10.0, COOL), (0.5, NEITHER), (20.0, WARM)] {
            assert!(is_near(color(hu, shade), wanted, ROUNDING), "{hu}: {:?}", color(hu, shade));
        }
    }
}
