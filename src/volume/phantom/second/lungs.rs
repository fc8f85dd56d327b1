//! The lungs: their surface, lobes, fissures, and the tissue between the vessels.

use glam::Vec3;

use super::super::field::smooth_max;
use super::frame::Frame;
use super::noise::Texture;
use super::shapes::{bell, ramp};
use super::tissues::Tissues;
use crate::random::Stream;

pub(super) struct Lungs {
    /// Tops, right and left.
    apex: [f32; 2],
    size: f32,
    /// Height of the major fissures at the axis, right and left, how steep they are, and the minor one's height.
    major: [f32; 2],
    steep: [f32; 2],
    minor: f32,
    bumps: f32,
    /// How wide a secondary lobule is, and how much its walls show.
    lobule_mm: f32,
    septa_hu: f32,
    patchy_hu: f32,
    /// How much of the minor fissure there is.
    minor_front: f32,
}

/// Which lobe a place belongs to.
pub(super) const LOBES: usize = 5;

impl Lungs {
    pub(super) fn draw(seed: u64, frame: &Frame) -> Self {
        let mut g = Stream::new(seed, "second lungs");
        let mut u = |low: f32, high: f32| g.within(low, high);
        let carina = frame.carina_z;
        Self {
            apex: [frame.apex_z + u(-6.0, 0.0), frame.apex_z + u(-6.0, 0.0)],
            size: frame.size,
            major: [carina - 72.0 * frame.size + u(-9.0, 9.0), carina - 66.0 * frame.size + u(-9.0, 9.0)],
            steep: [u(0.95, 1.25), u(1.0, 1.3)],
            minor: carina - 42.0 * frame.size + u(-8.0, 8.0),
            bumps: u(2.0, 6.0),
            lobule_mm: u(13.0, 20.0),
            septa_hu: u(8.0, 32.0),
            patchy_hu: u(6.0, 16.0),
            minor_front: u(-20.0, 15.0),
        }
    }

    /// The lungs, from the cage, what lies between them and what lies below.
    pub(super) fn surface(&self, at: Vec3, cage: f32, middle: f32, below: f32) -> f32 {
        let side = usize::from(at.x > 0.0);
        let (dx, dy) = ((at.x.abs() - 44.0 * self.size) / 46.0, (at.y - 12.0) / 50.0);
        let top = (at.z - self.apex[side] + 34.0 * self.size * (dx * dx + dy * dy).min(4.0)) * 0.6;
        let chest = smooth_max(smooth_max(cage, top, 12.0), below, 4.0);
        smooth_max(chest, -middle, 4.0)
    }

    pub(super) fn is_right(at: Vec3) -> bool {
        at.x < 0.0
    }

    /// Signed distances to the major and the minor fissure; the lower lobe, and what is under the minor one, are negative.
    fn fissures(&self, at: Vec3, texture: &Texture) -> [f32; 2] {
        let side = usize::from(!Self::is_right(at));
        let bump = self.bumps * texture.grain(Vec3::new(at.x, at.y, 60.0 * side as f32), 75.0);
        let steep = self.steep[side];
        let bent = 10.0 * bell(at.x.abs() - 55.0, 40.0) - 6.0;
        let major = (at.z - self.major[side] - steep * at.y - bent - bump) / (1.0 + steep * steep).sqrt();
        let minor = at.z - self.minor + 0.12 * (at.x.abs() - 60.0) - 0.002 * (at.y + 20.0).powi(2) + 0.6 * bump;
        [major, minor]
    }

    /// Right upper, middle, lower, left upper, lower.
    pub(super) fn lobe(&self, at: Vec3, texture: &Texture) -> usize {
        let [major, minor] = self.fissures(at, texture);
        match (Self::is_right(at), major < 0.0, minor < 0.0) {
            (true, true, _) => 2,
            (true, false, true) => 1,
            (true, false, false) => 0,
            (false, true, _) => 4,
            (false, false, _) => 3,
        }
    }

    /// HU of the tissue, by depth under the surface, for voxels this wide.
    pub(super) fn hu(&self, at: Vec3, depth: f32, tissues: &Tissues, texture: &Texture, wide: f32) -> f32 {
        let [major, minor] = self.fissures(at, texture);
        let line = |distance: f32| (1.0 - distance.abs() / wide.max(1.0)).max(0.0) * (0.9 / wide.max(0.9));
        let mut fissure = line(major);
        if Self::is_right(at) && major > 0.0 && at.y < self.minor_front {
            fissure = fissure.max(0.8 * line(minor));
        }
        let gravity = tissues.gravity * (at.y / 85.0).clamp(-1.0, 1.1);
        let septum = texture.septum(at, self.lobule_mm);
        let septa = self.septa_hu * (1.0 - septum / wide.max(1.1)).max(0.0) * (1.1 / wide.max(1.1));
        let patchy = self.patchy_hu * texture.grain(at, 26.0);
        let fine = 11.0 * texture.grain(at, 5.0) * (3.0 / wide.max(3.0));
        // What is too small to be seen lies thicker near the large vessels, and thinner under the pleura.
        let inner = 18.0 * ramp(4.0, 45.0, depth);
        let dependent = 60.0 * bell(depth - 2.0, 4.0) * ramp(55.0, 85.0, at.y);
        tissues.lung + gravity + septa + patchy + fine + inner + dependent + 210.0 * fissure
    }
}
