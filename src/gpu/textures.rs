//! Volumes as 3-D textures of f32, uploaded once and kept while they are shown.

use eframe::wgpu;

use crate::frame::Layers;
use crate::volume::Voxels;

/// Volumes kept on the GPU: those of two scans, with their steps.
const KEPT: usize = 6;

struct Entry {
    /// Keeps the memory alive, so that its address names it.
    voxels: Voxels,
    view: wgpu::TextureView,
    /// Slices behind one another.
    depth: usize,
}

/// Textures, the latest used last.
#[derive(Default)]
pub(super) struct Textures(Vec<Entry>);

impl Textures {
    /// Base, steps and the depth of the steps' texture; `None` where the GPU has no texture that large.
    pub(super) fn of(
        &mut self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        layers: &Layers,
    ) -> Option<(&wgpu::TextureView, &wgpu::TextureView, usize)> {
        let [ni, nj, nk] = layers.base.grid.shape;
        self.ensure(device, queue, &layers.base.voxels, [ni, nj, nk])?;
        let rows = layers.slab.len() * layers.count();
        if rows > 0 {
            self.ensure(device, queue, &layers.steps, [ni, nj, rows])?;
        }
        let find = |voxels: &Voxels| self.0.iter().find(|entry| entry.voxels.same(voxels));
        let base = find(&layers.base.voxels)?;
        let steps = find(&layers.steps).unwrap_or(base);
        Some((&base.view, &steps.view, steps.depth))
    }

    /// Uploads a volume that is not there, and marks it as used.
    fn ensure(&mut self, device: &wgpu::Device, queue: &wgpu::Queue, voxels: &Voxels, shape: [usize; 3]) -> Option<()> {
        if let Some(at) = self.0.iter().position(|entry| entry.voxels.same(voxels)) {
            let entry = self.0.remove(at);
            self.0.push(entry);
            return Some(());
        }
        let entry = upload(device, queue, voxels, shape)?;
        if self.0.len() >= KEPT {
            self.0.remove(0);
        }
        self.0.push(entry);
        Some(())
    }
}

/// Slice by slice, so that no staging buffer holds a whole volume. Slices beyond the depth limit go beside the first ones.
fn upload(device: &wgpu::Device, queue: &wgpu::Queue, voxels: &Voxels, [ni, nj, rows]: [usize; 3]) -> Option<Entry> {
    let limit = device.limits().max_texture_dimension_3d as usize;
    let depth = rows.min(limit).max(1);
    let tiles = rows.div_ceil(depth).max(1);
    if ni * tiles > limit || nj > limit || ni * nj == 0 {
        return None;
    }
    let texture = device.create_texture(&wgpu::TextureDescriptor {
        label: Some("Volume"),
        size: wgpu::Extent3d { width: (ni * tiles) as u32, height: nj as u32, depth_or_array_layers: depth as u32 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D3,
        format: wgpu::TextureFormat::R32Float,
        usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    });
    let mut slice = vec![0.0_f32; ni * nj];
    for row in 0..rows {
        for (i, value) in slice.iter_mut().enumerate() {
            *value = voxels.at(row * ni * nj + i);
        }
        queue.write_texture(
            wgpu::TexelCopyTextureInfo {
                texture: &texture,
                mip_level: 0,
                origin: wgpu::Origin3d { x: (row / depth * ni) as u32, y: 0, z: (row % depth) as u32 },
                aspect: wgpu::TextureAspect::All,
            },
            bytemuck::cast_slice(&slice),
            wgpu::TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(4 * ni as u32),
                rows_per_image: Some(nj as u32),
            },
            wgpu::Extent3d { width: ni as u32, height: nj as u32, depth_or_array_layers: 1 },
        );
    }
    let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
    Some(Entry { voxels: voxels.clone(), view, depth })
}
