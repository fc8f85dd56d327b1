//! Volumes as 3-D textures. A texture has the numbers that its volume is kept in, i16 or f32; it is uploaded over as many frames as that
//! takes, and kept while it is shown.

use std::ops::Range;

use half::f16;

use super::Bounds;
use super::tiling::Tiling;
use crate::frame::{HEATMAPS, Layers, Look, Shift};
use crate::volume::Voxels;

/// A volume on the GPU.
pub(super) struct Texture {
    pub(super) tiling: Tiling,
    pub(super) view: wgpu::TextureView,
    texels: wgpu::Texture,
    /// `[ni, nj, slices]`.
    shape: [usize; 3],
    texel_bytes: usize,
    /// How many slices are uploaded.
    uploaded: usize,
}

/// The textures of scan, reconstruction, steps and map, as far as a look reads them.
pub(super) type Read<'a> = [Option<&'a Texture>; 4];

struct Entry {
    /// Keeps the memory alive, so that its address names it.
    voxels: Voxels,
    shape: [usize; 3],
    /// The texture, or in words why there is none.
    texture: Result<Texture, String>,
}

/// The textures of the volumes that the last frame showed, and of no others: a scan or a run that is shown no more leaves
/// the GPU, and what is kept alive of it here, at the end of the first frame without it.
pub(super) struct Textures {
    bounds: Bounds,
    entries: Vec<Entry>,
    uploaded_bytes: u64,
}

impl Textures {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, entries: Vec::new(), uploaded_bytes: 0 }
    }

    /// Lets go of all but what is `shown`, makes textures for what is new, and uploads a frame's worth of what they lack.
    pub(super) fn hold(&mut self, device: &wgpu::Device, queue: &wgpu::Queue, shown: &[&Layers]) {
        let wanted: Vec<_> = shown.iter().flat_map(|layers| volumes(layers)).flatten().collect();
        let held = self.entries.len();
        self.entries.retain(|entry| wanted.iter().any(|(voxels, shape)| entry.is(voxels, *shape)));
        let freeing = self.entries.len() < held;
        for (voxels, shape) in wanted {
            if self.find(voxels, shape).is_some() {
                continue;
            }
            let texture = match create(device, voxels, shape, self.bounds.side) {
                // The GPU may still be drawing from what was let go just now: the next frame tries again.
                Err(Refusal::Memory { .. }) if freeing => continue,
                made => made.map_err(|refusal| refusal.to_string()),
            };
            self.entries.push(Entry { voxels: voxels.clone(), shape, texture });
        }
        let mut bytes_left = self.bounds.bytes_per_frame;
        for Entry { voxels, texture, .. } in &mut self.entries {
            if let Ok(texture) = texture {
                let before = texture.uploaded;
                bytes_left = texture.upload(queue, voxels, bytes_left);
                self.uploaded_bytes += ((texture.uploaded - before) * texture.slice_bytes()) as u64;
            }
        }
    }

    /// What a look reads of layers; `None` until all of it is complete. An error says why one texture cannot be.
    pub(super) fn of(&self, layers: &Layers, look: &Look) -> Result<Option<Read<'_>>, &str> {
        let needed = [true, look.needs_shift(), look.needs_shift(), look.needs_map()];
        let mut read = [None; 4];
        for ((place, volume), needed) in read.iter_mut().zip(volumes(layers)).zip(needed) {
            let Some((voxels, shape)) = volume.filter(|_| needed) else { continue };
            let Some(entry) = self.find(voxels, shape) else { return Ok(None) };
            *place = Some(entry.texture.as_ref().map_err(String::as_str)?);
        }
        let complete = read.iter().flatten().all(|texture: &&Texture| texture.uploaded == texture.shape[2]);
        Ok(complete.then_some(read))
    }

    pub(super) fn uploaded_bytes(&self) -> u64 {
        self.uploaded_bytes
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

/// What layers are made of, each with its `[ni, nj, slices]`: the scan, the reconstruction, the slabs behind one another, and the map.
fn volumes(layers: &Layers) -> [Option<(&Voxels, [usize; 3])>; 4] {
    let shift = layers.shift.as_ref();
    let slabs = |shift: &Shift| {
        let [ni, nj, _] = shift.reconstruction.grid.shape;
        [ni, nj, shift.slab.len() * (shift.count() + HEATMAPS)]
    };
    [
        Some((&layers.scan.voxels, layers.scan.grid.shape)),
        shift.map(|shift| (&shift.reconstruction.voxels, shift.reconstruction.grid.shape)),
        shift.map(|shift| (&shift.slabs, slabs(shift))),
        layers.map.as_ref().map(|map| (&map.volume.voxels, map.volume.grid.shape)),
    ]
}

impl Texture {
    fn slice_bytes(&self) -> usize {
        self.shape[0] * self.shape[1] * self.texel_bytes
    }

    /// Uploads the next slices, whole ones: with `bytes_left`, no more than that or one slice; gives what is left after them.
    fn upload(&mut self, queue: &wgpu::Queue, voxels: &Voxels, mut bytes_left: usize) -> usize {
        let ([ni, nj, slices], slice_bytes) = (self.shape, self.slice_bytes());
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
                bytes(voxels, first * ni * nj..(first + run) * ni * nj),
                wgpu::TexelCopyBufferLayout {
                    offset: 0,
                    bytes_per_row: Some((ni * self.texel_bytes) as u32),
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

/// The format of a texture whose texels are the volume's numbers as they lie in memory.
fn texels(voxels: &Voxels) -> (wgpu::TextureFormat, usize) {
    match voxels {
        Voxels::I16(_) => (wgpu::TextureFormat::R16Sint, size_of::<i16>()),
        Voxels::F32(_) => (wgpu::TextureFormat::R32Float, size_of::<f32>()),
        Voxels::F16(_) => (wgpu::TextureFormat::R16Float, size_of::<f16>()),
    }
}

fn bytes(voxels: &Voxels, range: Range<usize>) -> &[u8] {
    match voxels {
        Voxels::I16(hu) => bytemuck::cast_slice(&hu[range]),
        Voxels::F32(hu) => bytemuck::cast_slice(&hu[range]),
        Voxels::F16(hu) => bytemuck::cast_slice(&hu[range]),
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
fn create(device: &wgpu::Device, voxels: &Voxels, shape: [usize; 3], side: usize) -> Result<Texture, Refusal> {
    let (format, texel_bytes) = texels(voxels);
    let tiling = Tiling::fit(shape, side).ok_or(Refusal::Side { shape, side })?;
    let [width, height, depth_or_array_layers] = tiling.extent(shape).map(|n| n as u32);
    let descriptor = wgpu::TextureDescriptor {
        label: Some("Volume"),
        size: wgpu::Extent3d { width, height, depth_or_array_layers },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D3,
        format,
        usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    };
    let made = attempt(device, || device.create_texture(&descriptor));
    let texels = made.map_err(|error| {
        let megabytes = tiling.extent(shape).iter().product::<usize>() * texel_bytes / 1_000_000;
        match error {
            wgpu::Error::OutOfMemory { .. } => Refusal::Memory { megabytes },
            other => Refusal::Driver { megabytes, driver: other.to_string() },
        }
    })?;
    let view = texels.create_view(&wgpu::TextureViewDescriptor::default());
    Ok(Texture { tiling, view, texels, shape, texel_bytes, uploaded: 0 })
}

/// Runs `work`, and gives as an error what wgpu would otherwise end the program for.
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
