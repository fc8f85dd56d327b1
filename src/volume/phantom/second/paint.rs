//! HU of a place from its distances, painted from the outside in. Edges are blended over a voxel, as in a real scan.

use glam::Vec3;

use super::super::field::smooth_max;
use super::contour::Polar;
use super::patient::{Place, Section};
use super::shapes::{FAR_MM, bell, mix, ramp};
use super::skeleton::{Bone, Skeleton};
use super::tissues::Phase;

/// What of the vessels and airways of the lungs is in a voxel, as shares of it.
#[derive(Clone, Copy, Default)]
pub(super) struct Branches {
    pub(super) artery: f32,
    pub(super) vein: f32,
    pub(super) wall: f32,
    pub(super) lumen: f32,
}

/// The value of one voxel as it is painted.
struct Voxel {
    hu: f32,
    wide: f32,
}

impl Voxel {
    fn blend(&mut self, distance: f32, hu: f32) {
        self.share(0.5 - distance / self.wide, hu);
    }

    /// Over an edge that moves.
    fn blurred(&mut self, distance: f32, hu: f32, motion: f32) {
        self.share(0.5 - distance / (self.wide + motion), hu);
    }

    fn share(&mut self, share: f32, hu: f32) {
        self.hu += (hu - self.hu) * share.clamp(0.0, 1.0);
    }

    fn bone(&mut self, bone: Bone, cortex: f32, marrow: f32) {
        if bone.distance < self.wide {
            self.blend(bone.distance, cortex);
            self.blend(bone.distance + bone.cortex, marrow * bone.marrow);
        }
    }
}

impl Section<'_> {
    /// HU where the patient is not: air, table, blanket.
    pub(super) fn surroundings(&self, at: Vec3, skin: f32, wide: f32) -> f32 {
        let mut voxel = Voxel { hu: -1000.0, wide };
        self.patient.couch.paint(at, skin, &self.patient.texture, |distance, hu| voxel.blend(distance, hu));
        voxel.hu
    }

    /// HU of a place without its findings, for voxels this wide. `motion` blurs the heart's edge.
    pub(super) fn paint(&self, p: &Place, branches: Branches, wide: f32, motion: f32) -> f32 {
        let deep = p.cage < -wide - 2.0;
        let hu = if deep { self.patient.tissues.fat } else { self.surroundings(p.at, p.skin, wide) };
        let mut voxel = Voxel { hu, wide };
        if p.skin > wide {
            return voxel.hu;
        }
        if p.lung > -wide - motion - 2.0 {
            if !deep {
                self.wall(&mut voxel, p);
            }
            if p.cage < wide + 1.0 || p.at.z > self.patient.frame.apex_z - 15.0 {
                self.inside(&mut voxel, p);
            }
            self.bones(&mut voxel, p);
        }
        self.lung(&mut voxel, p, branches, motion);
        voxel.hu
    }

    /// Skin, fat, breasts, muscles.
    fn wall(&self, voxel: &mut Voxel, p: &Place) {
        let (hu, texture) = (&self.patient.tissues, &self.patient.texture);
        voxel.blend(p.skin, hu.skin);
        let strand = (texture.grain(p.at, 11.0).abs() * 6.0 + 0.2).max(0.3);
        voxel.blend(p.skin + 1.7, hu.fat + 5.0 * texture.grain(p.at, 4.0) + 26.0 * (1.0 - strand).max(0.0));
        let glands = self.outline.glands(p.at);
        if glands < 0.0 {
            let tissue = (0.25 - texture.rough(p.at, 24.0)) * 6.0;
            voxel.blend(smooth_max(glands, tissue, 3.0), hu.gland + 10.0 * texture.grain(p.at, 5.0));
        }
        if p.muscles < voxel.wide {
            let muscle = self.muscle(p).max(p.muscles);
            let fibres = texture.grain(Vec3::new(p.at.x, p.at.y, 0.4 * p.at.z), 6.5);
            let streak = -55.0 * ramp(1.2, 2.2, fibres);
            voxel.blend(muscle, hu.muscle + streak + 5.0 * texture.grain(p.at, 3.0));
        }
    }

    /// Distance to the muscles of the trunk, with the fat between them.
    fn muscle(&self, p: &Place) -> f32 {
        let frame = &self.patient.frame;
        let texture = &self.patient.texture;
        let back = (0.5 - 0.5 * p.polar.theta.cos()).powi(2);
        let female = if frame.is_female { 0.7 } else { 1.0 };
        let sheet = mix(11.0 * female, 14.0, back) + 2.5 * texture.grain(p.at, 40.0);
        let outer = (p.muscles + 0.5 * sheet).abs() - 0.5 * sheet;
        let inner = (p.ring - 5.5).abs() - 6.0 - 1.5 * texture.grain(p.at, 30.0);
        let s = frame.size;
        let beside = p.at.x.abs() - 29.0 * s;
        let behind = p.at.y - self.spine[1] - 45.0 * s;
        let erector = ((beside / 23.0).hypot(behind / 18.0) - 1.0) * 18.0 * s;
        let bones = self.bone(p).distance;
        let limb = bones - if p.ring > 40.0 { 26.0 } else { 10.0 };
        // The lower wall has no armpit: its muscles lie close.
        let low = (p.ring - 22.0).max(0.0) + if p.at.z < 0.42 * frame.apex_z { 0.0 } else { FAR_MM };
        let gap = 0.9 * texture.grain(p.at, 13.0) - 0.6;
        let nape = (p.at.x.hypot(p.at.y - self.spine[1]) - 32.0 * s).max(frame.apex_z - 12.0 - p.at.z);
        (outer.min(inner).min(erector).min(limb).min(nape) + gap).min(low + 1.5)
    }

    fn bone(&self, p: &Place) -> Bone {
        self.patient.skeleton.outer(&self.bones, p.at, p.ring, p.polar, &self.outline)
    }

    /// Fat within the cage, the organs below the diaphragm, vessels, heart.
    fn inside(&self, voxel: &mut Voxel, p: &Place) {
        let (patient, hu) = (self.patient, &self.patient.tissues);
        let strand = patient.texture.grain(p.at, 7.0);
        voxel.blend(p.cage + 0.5, hu.fat + 8.0 + 7.0 * strand + 30.0 * ramp(1.0, 2.4, strand));
        // Beside the arches of the vertebrae lie muscles.
        let deep = p.at.y - self.spine[1] - 8.0;
        if deep > 0.0 {
            let fibres = 6.0 * strand - 40.0 * ramp(1.3, 2.2, strand);
            voxel.blend((p.spine + 1.5).max(2.0 - deep), hu.muscle + fibres);
        }
        if p.below > -6.0 {
            self.belly(voxel, p);
        }
        if p.heart.envelope < 4.0 {
            self.heart(voxel, p);
        }
        let g = &p.great;
        voxel.blend(g.nodes, 35.0);
        voxel.blend(g.esophagus, 38.0 + 6.0 * strand);
        voxel.blend(g.esophagus + mix(6.5, 3.0, patient.mediastinum.swallowed), -900.0);
        let outside = 0.5 - p.heart.envelope;
        voxel.blend(g.cava.max(outside), hu.cava + 14.0 * strand * if hu.cava > 300.0 { 3.0 } else { 0.2 });
        voxel.blend(g.lung_veins.max(outside), hu.left);
        voxel.blend(g.pulmonary.max(outside), hu.right);
        voxel.blend(g.aorta, hu.aorta);
        let plaque = patient.texture.grain(p.at, 12.0) - 2.9 + 1.3 * patient.skeleton.calcified;
        if plaque > 0.0 {
            voxel.blend(g.aorta.abs() - 1.1, 600.0);
        }
        self.streaks(voxel, p);
        if g.airways < 4.0 {
            voxel.blend(g.airways - 1.5, 40.0);
            voxel.blend(g.airways, -990.0);
        }
    }

    fn belly(&self, voxel: &mut Voxel, p: &Place) {
        let (patient, hu) = (self.patient, &self.patient.tissues);
        let grain = patient.texture.grain(p.at, 7.0);
        voxel.blend((p.below - 1.3).abs().max(p.cage) - 1.6, hu.muscle);
        if p.below < -voxel.wide {
            return;
        }
        let organs = patient.abdomen.organs(&self.liver_veins, p.at, p.cage, p.below, grain);
        voxel.blend(organs.crura, hu.muscle);
        voxel.blend(organs.kidneys, if hu.phase == Phase::Plain { 32.0 } else { hu.spleen + 30.0 });
        voxel.blend(organs.liver, hu.liver + 3.0 * grain);
        voxel.blend(organs.veins, mix(hu.liver, hu.portal, 0.75));
        let mottled = if hu.phase == Phase::Arterial { 16.0 * patient.texture.grain(p.at, 12.0) } else { 2.0 * grain };
        voxel.blend(organs.spleen, hu.spleen + mottled);
        voxel.blend(organs.colon, 40.0);
        voxel.blend(organs.colon + 2.4, if grain > 0.6 { -150.0 } else { -930.0 });
        voxel.blend(organs.stomach, 48.0);
        voxel.blend(organs.stomach + 3.6 + grain, patient.abdomen.food(grain));
        voxel.blend(organs.gas, -960.0);
    }

    fn heart(&self, voxel: &mut Voxel, p: &Place) {
        let (patient, hu, parts) = (self.patient, &self.patient.tissues, &p.heart);
        let fat = hu.fat + 12.0 + 6.0 * patient.texture.grain(p.at, 6.0);
        voxel.blend(parts.envelope - 1.2, 15.0);
        voxel.blend(parts.envelope, fat);
        let within = parts.envelope + 1.0;
        voxel.blurred(parts.muscle.max(within), hu.myocardium, 0.6);
        voxel.blurred(parts.right.max(within + 1.0), hu.right, 0.8);
        voxel.blurred(parts.left.max(within + 1.0), hu.left, 0.8);
        let clear = 1.4 - parts.right.min(parts.left);
        voxel.blend((parts.coronaries - 2.4).max(clear), fat);
        voxel.blend(parts.coronaries.max(clear), mix(hu.muscle, hu.aorta, 0.7));
        if patient.heart.calcified + patient.texture.grain(p.at, 9.0) > 1.3 {
            voxel.blend((parts.coronaries + 0.8).max(clear), 520.0);
        }
    }

    /// Dark and bright rays around a vein that is full of contrast agent.
    fn streaks(&self, voxel: &mut Voxel, p: &Place) {
        let strength = 0.16 * (self.patient.tissues.cava - 420.0).max(0.0);
        if strength > 0.0 && p.great.cava < 40.0 {
            let (x, y) = (p.at.x + 27.0, p.at.y + 20.0);
            let high = bell(p.at.z - self.patient.frame.carina_z - 10.0, 50.0);
            let rays = (9.0 * y.atan2(x) + 0.11 * p.at.z).sin() + 0.6 * (17.0 * y.atan2(x) - 0.23 * p.at.z).sin();
            voxel.hu += strength * high * rays * (-p.great.cava.max(0.0) / 16.0).exp();
        }
    }

    /// Spine with its canal, ribs, and the bones of the shoulders.
    fn bones(&self, voxel: &mut Voxel, p: &Place) {
        let (skeleton, hu, texture) = (&self.patient.skeleton, &self.patient.tissues, &self.patient.texture);
        let at = p.at;
        if p.spine < 40.0 && at.x.abs() < 60.0 {
            let marrow = hu.marrow * (1.0 + 0.28 * texture.rough(at, 4.5));
            let (body, into_disc) = skeleton.vertebra(at, self.spine);
            if body < voxel.wide {
                voxel.blend(body - 0.5, mix(hu.cortex * 0.72, 75.0, ramp(-0.5, 0.6, into_disc)));
                let plate = mix(marrow, hu.cortex * 0.55, ramp(-2.2, -1.2, into_disc));
                voxel.blend(body + 1.0, mix(plate, 85.0, ramp(-0.5, 0.6, into_disc)));
            }
            voxel.bone(Skeleton::processes(&self.bones, at), hu.cortex * 0.85, marrow);
            let canal = skeleton.canal(at, self.spine);
            if canal < voxel.wide {
                voxel.blend(canal, hu.fat * 0.2);
                voxel.blend(canal + 1.3, 12.0);
                voxel.blend(canal + 3.2, 38.0);
            }
        }
        if p.ring < 16.0 {
            let (rib, cartilage) = skeleton.rib(at, p.ring, p.polar, p.polar.rho);
            if rib.distance < voxel.wide {
                let rim = mix(hu.cartilage + 25.0, 320.0, skeleton.calcified * ramp(0.3, 1.2, texture.grain(at, 9.0)));
                let spongy = hu.marrow * 0.6 + 45.0 + 25.0 * texture.grain(at, 4.0);
                let inside = mix(spongy, hu.cartilage, cartilage);
                voxel.bone(Bone { marrow: 1.0, ..rib }, mix(hu.cortex, rim, cartilage), inside);
            }
        }
        if p.skin < 0.0 && p.ring > 0.0 {
            voxel.bone(self.bone(p), hu.cortex, hu.marrow + 25.0 * texture.grain(at, 4.0));
        }
    }

    /// The lungs with their vessels and airways, and the fluid film that no one sees.
    fn lung(&self, voxel: &mut Voxel, p: &Place, branches: Branches, motion: f32) {
        let (patient, hu) = (self.patient, &self.patient.tissues);
        let moves = if p.heart.envelope.abs() < 8.0 { motion } else { 0.0 };
        if p.lung > 0.5 * (voxel.wide + moves) {
            return;
        }
        let tissue = patient.lungs.hu(p.at, -p.lung, hu, &patient.texture, voxel.wide);
        voxel.blurred(p.lung, tissue, moves);
        let there = (0.5 - (p.lung - 0.4) / voxel.wide).clamp(0.0, 1.0);
        voxel.share(branches.vein * there, mix(40.0, hu.left, 0.9));
        voxel.share(branches.artery * there, mix(40.0, hu.right, 0.9));
        voxel.share(branches.wall * there, 25.0);
        voxel.share(branches.lumen * there, -985.0);
    }
}

/// The angle and distance of a place from the axis of the outlines.
pub(super) fn polar(at: Vec3) -> Polar {
    Polar::of(at.x, at.y)
}
