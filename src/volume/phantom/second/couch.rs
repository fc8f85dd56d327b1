//! What lies around the patient: the table with its mattress, a blanket, clothes.

use glam::Vec3;

use super::frame::Frame;
use super::noise::Texture;
use super::shapes::{FAR_MM, ramp};
use crate::random::Stream;

pub(super) struct Couch {
    top_y: f32,
    curve: f32,
    mattress: f32,
    shell_hu: f32,
    core_hu: f32,
    /// How far a blanket and clothes stand off the skin; below 0 there are none.
    blanket: f32,
    clothes: f32,
    cloth_hu: f32,
}

impl Couch {
    pub(super) fn draw(seed: u64, frame: &Frame) -> Self {
        let mut g = Stream::new(seed, "second couch");
        let mut u = |low: f32, high: f32| g.within(low, high);
        let middle = frame.outline(0.55 * frame.apex_z);
        let mattress = if u(0.0, 1.0) < 0.6 { u(8.0, 22.0) } else { 1.5 };
        Self {
            top_y: middle.body.radius(std::f32::consts::PI).max(middle.body.radius(2.6) * 0.857) + mattress - 1.0,
            curve: u(0.0004, 0.0016),
            mattress,
            shell_hu: u(-380.0, -100.0),
            core_hu: u(-975.0, -900.0),
            blanket: if u(0.0, 1.0) < 0.45 { u(7.0, 16.0) } else { -1.0 },
            clothes: if u(0.0, 1.0) < 0.35 { u(2.0, 4.0) } else { -1.0 },
            cloth_hu: u(-850.0, -450.0),
        }
    }

    /// Paints what is there at a place `skin` millimetres off the patient.
    pub(super) fn paint(&self, at: Vec3, skin: f32, texture: &Texture, mut paint: impl FnMut(f32, f32)) {
        // The table is a shell around a light core; its top is hollow.
        let side = at.x.abs() - 205.0;
        let depth = at.y - self.top_y + self.curve * at.x * at.x;
        if depth > -self.mattress - 4.0 && side < 4.0 {
            let bottom = depth - 58.0 + 0.0012 * at.x * at.x;
            let table = (-depth).max(bottom).max(side);
            paint((-depth - self.mattress).max(depth).max(side + 12.0), -955.0 + 12.0 * texture.grain(at, 9.0));
            paint(table, self.shell_hu);
            paint(table + 1.6, self.core_hu);
        }
        if at.y < self.top_y - 30.0 && skin < 45.0 {
            let cloth = |off: f32, thick: f32, wave: f32| {
                let folds = texture.grain(Vec3::new(at.x, at.y, 0.25 * at.z), 34.0);
                if off < 0.0 {
                    FAR_MM
                } else {
                    (skin - off - wave * folds * ramp(0.0, 30.0, self.top_y - 30.0 - at.y)).abs() - thick
                }
            };
            paint(cloth(self.blanket, 1.6, 4.0), 0.5 * (self.cloth_hu - 1000.0));
            paint(cloth(self.clothes, 0.5, 1.6), self.cloth_hu);
        }
    }
}
