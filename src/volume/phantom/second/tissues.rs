//! Hounsfield units of one patient, by contrast phase and age.

use crate::random::Stream;

/// When the contrast agent was where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Plain,
    /// In the pulmonary arteries.
    Pulmonary,
    Arterial,
    Venous,
}

pub(super) struct Tissues {
    pub(super) phase: Phase,
    pub(super) skin: f32,
    pub(super) fat: f32,
    pub(super) muscle: f32,
    pub(super) gland: f32,
    /// Of the superior vena cava, the right heart and the pulmonary arteries, the left heart, the aorta, the veins of the belly.
    pub(super) cava: f32,
    pub(super) right: f32,
    pub(super) left: f32,
    pub(super) aorta: f32,
    pub(super) portal: f32,
    pub(super) myocardium: f32,
    pub(super) liver: f32,
    pub(super) spleen: f32,
    pub(super) cortex: f32,
    pub(super) marrow: f32,
    pub(super) cartilage: f32,
    pub(super) lung: f32,
    /// How much denser the lung is at the back.
    pub(super) gravity: f32,
}

impl Tissues {
    pub(super) fn draw(seed: u64, age: f32) -> Self {
        let mut g = Stream::new(seed, "second tissues");
        let mut u = |low: f32, high: f32| g.within(low, high);
        let phase = match u(0.0, 1.0) {
            p if p < 0.42 => Phase::Plain,
            p if p < 0.56 => Phase::Pulmonary,
            p if p < 0.74 => Phase::Arterial,
            _ => Phase::Venous,
        };
        let blood = u(36.0, 50.0);
        let [cava, right, left, aorta, portal, muscle_gain] = match phase {
            Phase::Plain => [blood; 6],
            Phase::Pulmonary => {
                let right = u(320.0, 480.0);
                [right + u(60.0, 350.0), right, right * u(0.45, 0.8), right * u(0.35, 0.7), blood + 8.0, 8.0]
            }
            Phase::Arterial => {
                let aorta = u(260.0, 420.0);
                [aorta + u(0.0, 280.0), aorta * u(0.7, 1.05), aorta * u(0.95, 1.05), aorta, blood + u(15.0, 45.0), 10.0]
            }
            Phase::Venous => {
                let pool = u(125.0, 185.0);
                [pool + u(0.0, 30.0), pool, pool, pool + u(-5.0, 8.0), pool + u(-5.0, 20.0), 15.0]
            }
        };
        let gain = if phase == Phase::Plain { 0.0 } else { muscle_gain };
        let [liver, spleen] = match phase {
            Phase::Plain => [u(42.0, 66.0), u(42.0, 52.0)],
            Phase::Pulmonary => [u(55.0, 70.0), u(60.0, 95.0)],
            Phase::Arterial => [u(60.0, 80.0), u(90.0, 140.0)],
            Phase::Venous => [u(95.0, 125.0), u(110.0, 135.0)],
        };
        let old = ((age - 30.0) / 60.0).clamp(0.0, 1.0);
        Self {
            phase,
            skin: u(-5.0, 35.0),
            fat: u(-112.0, -96.0),
            muscle: u(48.0, 60.0) - 12.0 * old + 0.5 * gain,
            gland: u(15.0, 45.0) + gain,
            cava,
            right,
            left,
            aorta,
            portal,
            myocardium: if phase == Phase::Plain { blood + u(-2.0, 8.0) } else { u(85.0, 120.0) },
            liver,
            spleen,
            cortex: u(650.0, 950.0) - 180.0 * old,
            marrow: u(190.0, 270.0) - 120.0 * old,
            cartilage: u(85.0, 120.0),
            lung: u(-885.0, -830.0),
            gravity: u(25.0, 75.0),
        }
    }
}
