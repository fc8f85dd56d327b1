//! The pictures' layers with a map over them, made once for each map.

use std::sync::Arc;

use glam::DVec3;

use super::Viewer;
use crate::frame::paint::probe_map;
use crate::frame::{Layers, SizeMap};

impl Viewer {
    /// Lays a map over the layers that are shown; nothing where there is no map.
    pub fn lay(&mut self, layers: Option<&Layers>, map: Option<&SizeMap>) {
        let Some((layers, map)) = layers.zip(map) else {
            self.mapped = None;
            return;
        };
        let is_made = self.mapped.as_ref().is_some_and(|mapped| same(mapped, layers, map));
        if !is_made {
            self.mapped = Some(Arc::new(Layers { map: Some(map.clone()), ..layers.clone() }));
        }
    }

    /// What lies over a place, RAS+ millimetres, in words: "Runs that agree: 90 % of all 10 runs".
    pub fn laid_at(&self, place: DVec3) -> Option<String> {
        let map = self.mapped.as_ref()?.map.as_ref()?;
        let percent = 100.0 * probe_map(map, place)?;
        Some(format!("{}: {percent:.0} % of {}", self.display.laid.title(), map.top))
    }
}

fn same(mapped: &Layers, layers: &Layers, map: &SizeMap) -> bool {
    let slabs = |layers: &Layers| layers.shift.as_ref().map(|shift| shift.slabs.clone());
    let same_shift = match (slabs(mapped), slabs(layers)) {
        (Some(a), Some(b)) => a.same(&b),
        (None, None) => true,
        _ => false,
    };
    let same_map = mapped.map.as_ref().is_some_and(|before| before.volume.voxels.same(&map.volume.voxels));
    same_shift && same_map && mapped.scan.voxels.same(&layers.scan.voxels)
}
