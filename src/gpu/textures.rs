//! Volumes as 3-D textures of f32: uploaded over as many frames as they take, kept while they are shown.

use std::borrow::Cow;
use std::ops::Range;

use eframe::wgpu;

use super::Bounds;
use super::tiling::Tiling;
use crate::frame::{HEATMAPS, Layers, Look};
use crate::volume::Voxels;

const TEXEL_BYTES: usize = size_of::<f32>();

/// A volume on the GPU.
pub(super) struct Texture {
    pub(super) tiling: Tiling,
    pub(super) view: wgpu::TextureView,
    texels: wgpu::Texture,
    /// `[ni, nj, slices]`.
    shape: [usize; 3],
    /// Slices that are there.
    uploaded: usize,
}

struct Entry {
    /// Keeps the memory alive, so that its address names it.
    voxels: Voxels,
    shape: [usize; 3],
    /// Or why there is none, in words.
    texture: Result<Texture, String>,
}

/// The textures of the volumes that the last frame showed, and of no others: a scan or a run that is shown no more leaves
/// the GPU, and what is kept alive of it here, at the end of the first frame without it.
pub(super) struct Textures {
    bounds: Bounds,
    entries: Vec<Entry>,
}

impl Textures {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, entries: Vec::new() }
    }

    /// Lets go of all but what is `shown`, makes textures for what is new, and uploads a frame's worth of what they lack.
    pub(super) fn hold(&mut self, device: &wgpu::Device, queue: &wgpu::Queue, shown: &[&Layers]) {
        let wanted: Vec<_> = shown.iter().flat_map(|layers| volumes(layers)).collect();
        let held = self.entries.len();
        self.entries.retain(|entry| wanted.iter().any(|(voxels, shape)| entry.is(voxels, *shape)));
        let freeing = self.entries.len() < held;
        for (voxels, shape) in wanted {
            if self.find(voxels, shape).is_some() {
                continue;
            }
            let texture = match create(device, shape, self.bounds.side) {
                // The GPU may still be drawing from what was let go just now: the next frame tries again.
                Err(Refusal::Memory { .. }) if freeing => continue,
                made => made.map_err(|refusal| refusal.to_string()),
            };
            self.entries.push(Entry { voxels: voxels.clone(), shape, texture });
        }
        let mut bytes_left = self.bounds.bytes_per_frame;
        for Entry { voxels, texture, .. } in &mut self.entries {
            if let Ok(texture) = texture {
                bytes_left = texture.upload(queue, voxels, bytes_left);
            }
        }
    }

    /// The textures of scan, reconstruction and steps; `None` until those that the look needs are complete. An error says why
    /// one cannot be.
    pub(super) fn of(&self, layers: &Layers, look: &Look) -> Result<Option<[&Texture; 3]>, &str> {
        let mut found = Vec::new();
        let needed = if look.needs_shift() { usize::MAX } else { 1 };
        for (voxels, shape) in volumes(layers).take(needed) {
            let Some(entry) = self.find(voxels, shape) else { return Ok(None) };
            found.push(entry.texture.as_ref().map_err(String::as_str)?);
        }
        let complete = found.iter().all(|texture| texture.uploaded == texture.shape[2]);
        // What is not needed the shader does not read, and any texture may stand in its place.
        let any = |i: usize| found.get(i).or(found.first()).copied();
        Ok(any(0).zip(any(1)).zip(any(2)).filter(|_| complete).map(|((scan, base), steps)| [scan, base, steps]))
    }

    fn find(&self, voxels: &Voxels, shape: [usize; 3]) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.is(voxels, shape))
    }
}

impl Entry {
    fn is(&self, voxels: &Voxels, shape: [usize; 3]) -> bool {
        self.shape == shape && self.voxels.same(voxels)
    }
}

/// What layers are made of, each with its `[ni, nj, slices]`: the scan, then the reconstruction and the slabs behind one another.
fn volumes(layers: &Layers) -> impl Iterator<Item = (&Voxels, [usize; 3])> {
    let shifted = layers.shift.as_ref().map(|shift| {
        let [ni, nj, nk] = shift.reconstruction.grid.shape;
        let slabs = [ni, nj, shift.slab.len() * (shift.count() + HEATMAPS)];
        [(&shift.reconstruction.voxels, [ni, nj, nk]), (&shift.slabs, slabs)]
    });
    std::iter::once((&layers.scan.voxels, layers.scan.grid.shape)).chain(shifted.into_iter().flatten())
}

impl Texture {
    /// Uploads the next slices, whole ones: with `bytes_left`, no more than that or one slice; gives what is left after them.
    fn upload(&mut self, queue: &wgpu::Queue, voxels: &Voxels, mut bytes_left: usize) -> usize {
        let [ni, nj, slices] = self.shape;
        let slice_bytes = ni * nj * TEXEL_BYTES;
        while self.uploaded < slices && bytes_left > 0 {
            let first = self.uploaded;
            // A run of slices that lie behind one another.
            let depth = (self.tiling.depth - first % self.tiling.depth).min(slices - first);
            let run = depth.min((bytes_left / slice_bytes).max(1));
            let [x, y, z] = self.tiling.origin(self.shape, first).map(|n| n as u32);
            queue.write_texture(
                wgpu::TexelCopyTextureInfo {
                    texture: &self.texels,
                    mip_level: 0,
                    origin: wgpu::Origin3d { x, y, z },
                    aspect: wgpu::TextureAspect::All,
                },
                bytemuck::cast_slice(&floats(voxels, first * ni * nj..(first + run) * ni * nj)),
                wgpu::TexelCopyBufferLayout {
                    offset: 0,
                    bytes_per_row: Some((ni * TEXEL_BYTES) as u32),
                    rows_per_image: Some(nj as u32),
                },
                wgpu::Extent3d { width: ni as u32, height: nj as u32, depth_or_array_layers: run as u32 },
            );
            self.uploaded += run;
            bytes_left = bytes_left.saturating_sub(run * slice_bytes);
        }
        bytes_left
    }
}

fn floats(voxels: &Voxels, range: Range<usize>) -> Cow<'_, [f32]> {
    match voxels {
        Voxels::I16(hu) => hu[range].iter().map(|&hu| f32::from(hu)).collect(),
        Voxels::F32(hu) => hu[range].into(),
    }
}

/// Why a volume has no texture, for people.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(
        "These {0} × {1} × {2} voxels are too many for this graphics driver, whose textures have at most {side} a side; saved pictures still show them",
        shape[0], shape[1], shape[2]
    )]
    Side { shape: [usize; 3], side: usize },
    #[error(
        "The graphics memory is too small for these {megabytes} MB of voxels; close other programs that use it, then open the scan or run again; saved pictures still show them"
    )]
    Memory { megabytes: usize },
    #[error(
        "The graphics driver refuses these {megabytes} MB of voxels; saved pictures still show them; it says: {driver}"
    )]
    Driver { megabytes: usize, driver: String },
}

/// A texture of a volume, with nothing uploaded yet.
fn create(device: &wgpu::Device, shape: [usize; 3], side: usize) -> Result<Texture, Refusal> {
    let tiling = Tiling::fit(shape, side).ok_or(Refusal::Side { shape, side })?;
    let [width, height, depth_or_array_layers] = tiling.extent(shape).map(|n| n as u32);
    let descriptor = wgpu::TextureDescriptor {
        label: Some("Volume"),
        size: wgpu::Extent3d { width, height, depth_or_array_layers },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D3,
        format: wgpu::TextureFormat::R32Float,
        usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    };
    let made = attempt(device, || device.create_texture(&descriptor));
    let texels = made.map_err(|error| {
        let megabytes = tiling.extent(shape).iter().product::<usize>() * TEXEL_BYTES / 1_000_000;
        match error {
            wgpu::Error::OutOfMemory { .. } => Refusal::Memory { megabytes },
            other => Refusal::Driver { megabytes, driver: other.to_string() },
        }
    })?;
    let view = texels.create_view(&wgpu::TextureViewDescriptor::default());
    Ok(Texture { tiling, view, texels, shape, uploaded: 0 })
}

/// What wgpu would otherwise end the program for, as an error: it reports none where it happens.
fn attempt<T>(device: &wgpu::Device, make: impl FnOnce() -> T) -> Result<T, wgpu::Error> {
    use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
    let scopes = [OutOfMemory, Validation, Internal].map(|filter| device.push_error_scope(filter));
    let made = make();
    // Off the web the answer is there at once; scopes end in reverse.
    let errors = scopes.into_iter().rev().map(|scope| pollster::block_on(scope.pop()));
    match errors.fold(None, |first: Option<wgpu::Error>, error| first.or(error)) {
        Some(error) => Err(error),
        None => Ok(made),
    }
}
