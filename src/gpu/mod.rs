//! Draws the pictures of [`crate::frame`] on the screen. [`SliceRenderer`] holds layout, pipeline and textures, and lives as long as the
//! window. [`PaintSlice`] is one pane of one frame.

mod adapters;
mod limits;
mod pane;
mod textures;
mod tiling;

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::Arc;

use bytemuck::{Pod, Zeroable};

use crate::frame::{Content, Layers, Overlaid, Sampling, Shade, Shift, View};
use crate::volume::{Grid, Voxels};
pub use adapters::{Adapter, adapters};
pub use limits::{Bounds, raise_limits};
pub use pane::{PaintSlice, words};
use textures::{Read, Textures};
use tiling::Tiling;

/// Both shaders: WGSL has no imports, so a shader is its parts joined.
pub const SHADER: &str = concat!(include_str!("../../shaders/color.wgsl"), include_str!("../../shaders/slice.wgsl"));

/// `Slice` of `shaders/slice.wgsl`; a test holds the two layouts equal.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub struct SliceUniforms {
    pub scan_from_x: [f32; 4],
    pub scan_from_y: [f32; 4],
    pub scan_from_z: [f32; 4],
    pub scan_origin: [f32; 4],
    pub shift_from_x: [f32; 4],
    pub shift_from_y: [f32; 4],
    pub shift_from_z: [f32; 4],
    pub shift_origin: [f32; 4],
    pub scan_shape: [i32; 4],
    pub shift_shape: [i32; 4],
    pub slab: [i32; 4],
    pub tiles: [i32; 4],
    pub step_tiles: [i32; 4],
    pub frame: [f32; 4],
    pub kind: [i32; 4],
    pub shade: [f32; 4],
    pub overlay: [f32; 4],
    pub map_from_x: [f32; 4],
    pub map_from_y: [f32; 4],
    pub map_origin: [f32; 4],
    pub map_shape: [i32; 4],
    pub map_tiles: [i32; 4],
}

impl SliceUniforms {
    /// The tilings are those of scan, reconstruction, steps and map in their textures, as far as they are read.
    fn new(view: &View, layers: &Layers, tilings: [Option<Tiling>; 4]) -> Self {
        let [scan, reconstruction, steps, map] = tilings.map(|tiling| tiling.unwrap_or(Tiling::NONE));
        let View { size, world_from_pixel, look } = view;
        let vector = |v: glam::DVec3| [v.x as f32, v.y as f32, v.z as f32, 0.0];
        let shape = |grid: &Grid| {
            let [ni, nj, nk] = grid.shape.map(|n| n as i32);
            [ni, nj, nk, 0]
        };
        let shift = layers.shift.as_ref();
        let grid = shift.map_or(layers.scan.grid, |shift| shift.reconstruction.grid);
        let from_scan = layers.scan.grid.voxel_from_world() * *world_from_pixel;
        let from_shift = grid.voxel_from_world() * *world_from_pixel;
        let map_grid = layers.map.as_ref().map(|map| map.volume.grid);
        let from_map = map_grid.unwrap_or(layers.scan.grid).voxel_from_world() * *world_from_pixel;
        let content = match look.content {
            Content::Scan => 0,
            Content::Decoded => 1,
            Content::DetailKept => 2,
            Content::Difference => 3,
            Content::Projection => 4,
            Content::Reconstruction => 5,
            Content::Heatmap(_) => 6,
        };
        let (kind, shade) = match look.shade {
            Shade::Window { window, map, .. } => (map as i32, [window.center_hu, window.width_hu, 1.0, 0.0]),
            Shade::Difference { scale_hu, threshold_hu, ends } => (3 + ends as i32, [0.0, 1.0, scale_hu, threshold_hu]),
        };
        let inverted = matches!(look.shade, Shade::Window { inverted: true, .. });
        let heat_slab = |shift: &Shift| match look.content {
            Content::Heatmap(method) => shift.heat_slab(method),
            _ => 0,
        };
        let nearest = i32::from(look.sampling == Sampling::Nearest);
        let overlay = look.overlay.map_or([0.0; 4], |o| [o.scale_hu, o.threshold_hu, o.opacity, 0.0]);
        let overlaid = match look.overlay.map(|overlay| overlay.of) {
            None => 0,
            Some(Overlaid::Difference) => 1,
            Some(Overlaid::Map) => i32::from(map_grid.is_some()) * 2,
        };
        let whole = i32::from(matches!(layers.scan.voxels, Voxels::I16(_)));
        let along = from_shift.matrix3.z_axis.as_vec3().abs().max_position();
        Self {
            scan_from_x: vector(from_scan.matrix3.x_axis),
            scan_from_y: vector(from_scan.matrix3.y_axis),
            scan_from_z: vector(from_scan.matrix3.z_axis),
            scan_origin: vector(from_scan.translation),
            shift_from_x: vector(from_shift.matrix3.x_axis),
            shift_from_y: vector(from_shift.matrix3.y_axis),
            shift_from_z: vector(from_shift.matrix3.z_axis),
            shift_origin: vector(from_shift.translation),
            scan_shape: shape(&layers.scan.grid),
            shift_shape: shape(&grid),
            slab: shift.map_or([0; 4], |s| [s.slab.start, s.slab.len(), s.count(), heat_slab(s)].map(|n| n as i32)),
            tiles: [scan.across, scan.depth, reconstruction.across, reconstruction.depth].map(|n| n as i32),
            step_tiles: [steps.across as i32, steps.depth as i32, along as i32, whole],
            frame: [size[0] as f32, size[1] as f32, look.step, f32::from(inverted)],
            kind: [content, kind, nearest, overlaid],
            shade,
            overlay,
            map_from_x: vector(from_map.matrix3.x_axis),
            map_from_y: vector(from_map.matrix3.y_axis),
            map_origin: vector(from_map.translation),
            map_shape: map_grid.as_ref().map_or([0; 4], shape),
            map_tiles: [map.across as i32, map.depth as i32, 0, 0],
        }
    }
}

/// How much of a pane's picture there is.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    Picture,
    /// Nothing is drawn yet: a part of the volumes is not on the GPU, and the next frames bring it.
    Loading,
    /// Nothing is drawn, for the reason given in words.
    Refused(String),
}

/// What one pane shows.
struct Asked {
    pane: u64,
    view: View,
    layers: Arc<Layers>,
}

/// Layout, pipeline and textures; kept in egui's callback resources. In each frame panes `ask`, `finish` readies them all,
/// `paint` draws them.
pub struct SliceRenderer {
    layout: wgpu::BindGroupLayout,
    pipeline: wgpu::RenderPipeline,
    textures: Textures,
    /// Empty textures, of floats and of whole numbers, bound where the shader reads nothing.
    blanks: [wgpu::TextureView; 2],
    /// What the panes of the unfinished frame have asked for.
    asked: Vec<Asked>,
    /// What each pane of the finished frame shows, and is bound to where it is drawn.
    panes: HashMap<u64, (Shown, Option<wgpu::BindGroup>)>,
}

impl SliceRenderer {
    pub fn new(device: &wgpu::Device, target: wgpu::TextureFormat) -> Self {
        Self::with_bounds(device, target, Bounds::of(device))
    }

    /// A renderer with smaller textures or uploads than the device allows.
    pub fn with_bounds(device: &wgpu::Device, target: wgpu::TextureFormat, bounds: Bounds) -> Self {
        let shader = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("slice.wgsl"),
            source: wgpu::ShaderSource::Wgsl(SHADER.into()),
        });
        let texture = |binding, sample_type| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::FRAGMENT,
            ty: wgpu::BindingType::Texture {
                sample_type,
                view_dimension: wgpu::TextureViewDimension::D3,
                multisampled: false,
            },
            count: None,
        };
        let uniforms = wgpu::BindGroupLayoutEntry {
            binding: 0,
            visibility: wgpu::ShaderStages::FRAGMENT,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Uniform,
                has_dynamic_offset: false,
                min_binding_size: NonZeroU64::new(size_of::<SliceUniforms>() as u64),
            },
            count: None,
        };
        let (floats, whole) = (wgpu::TextureSampleType::Float { filterable: false }, wgpu::TextureSampleType::Sint);
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("SliceRenderer"),
            entries: &[
                uniforms,
                texture(1, floats),
                texture(2, floats),
                texture(3, floats),
                texture(4, whole),
                texture(5, floats),
            ],
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("SliceRenderer"),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let entry = if target.is_srgb() { "fragment_linear" } else { "fragment_gamma" };
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("SliceRenderer"),
            layout: Some(&pipeline_layout),
            vertex: wgpu::VertexState {
                module: &shader,
                entry_point: Some("vertex"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                buffers: &[],
            },
            primitive: wgpu::PrimitiveState::default(),
            depth_stencil: None,
            multisample: wgpu::MultisampleState::default(),
            fragment: Some(wgpu::FragmentState {
                module: &shader,
                entry_point: Some(entry),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                targets: &[Some(target.into())],
            }),
            multiview_mask: None,
            cache: None,
        });
        Self {
            layout,
            pipeline,
            textures: Textures::new(bounds),
            blanks: [wgpu::TextureFormat::R32Float, wgpu::TextureFormat::R16Sint].map(|format| blank(device, format)),
            asked: Vec::new(),
            panes: HashMap::new(),
        }
    }

    /// Says what a pane of this frame is to show.
    pub fn ask(&mut self, pane: u64, view: View, layers: Arc<Layers>) {
        self.asked.push(Asked { pane, view, layers });
    }

    /// Readies what the panes of this frame asked for, with a bounded upload; calls after the first of a frame do nothing.
    pub fn finish(&mut self, device: &wgpu::Device, queue: &wgpu::Queue) {
        if self.asked.is_empty() {
            return;
        }
        let asked = std::mem::take(&mut self.asked);
        self.panes.clear(); // bound textures would stay on the GPU
        let shown: Vec<_> = asked.iter().map(|asked| &*asked.layers).collect();
        self.textures.hold(device, queue, &shown);
        for Asked { pane, view, layers } in asked {
            let ready = match self.textures.of(&layers, &view.look) {
                Ok(Some(textures)) => (Shown::Picture, Some(self.bind(device, queue, &view, &layers, &textures))),
                Ok(None) => (Shown::Loading, None),
                Err(why) => (Shown::Refused(why.to_owned()), None),
            };
            self.panes.insert(pane, ready);
        }
    }

    fn bind(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        view: &View,
        layers: &Layers,
        textures: &Read,
    ) -> wgpu::BindGroup {
        let uniforms = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("SliceUniforms"),
            size: size_of::<SliceUniforms>() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let tilings = textures.map(|texture| texture.map(|texture| texture.tiling));
        let values = SliceUniforms::new(view, layers, tilings);
        queue.write_buffer(&uniforms, 0, bytemuck::bytes_of(&values));
        let [float_blank, whole_blank] = &self.blanks;
        let [scan, reconstruction, slabs, map] = textures.map(|t| t.map_or(float_blank, |texture| &texture.view));
        let (scan, whole_scan) = match layers.scan.voxels {
            Voxels::I16(_) => (float_blank, scan),
            Voxels::F32(_) | Voxels::F16(_) => (scan, whole_blank),
        };
        let texture =
            |binding, view| wgpu::BindGroupEntry { binding, resource: wgpu::BindingResource::TextureView(view) };
        device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("PaintSlice"),
            layout: &self.layout,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: uniforms.as_entire_binding() },
                texture(1, scan),
                texture(2, reconstruction),
                texture(3, slabs),
                texture(4, whole_scan),
                texture(5, map),
            ],
        })
    }

    /// How many bytes of all volumes were ever sent to the GPU. The number stands still while the view moves within them.
    pub fn uploaded_bytes(&self) -> u64 {
        self.textures.uploaded_bytes()
    }

    /// What a pane of the finished frame shows; `None` where there is no such pane.
    pub fn shown(&self, pane: u64) -> Option<&Shown> {
        self.panes.get(&pane).map(|(shown, _)| shown)
    }

    /// Draws a pane whose picture is complete; leaves the others as they are.
    pub fn paint(&self, pass: &mut wgpu::RenderPass<'static>, pane: u64) {
        if let Some((_, Some(bind_group))) = self.panes.get(&pane) {
            pass.set_pipeline(&self.pipeline);
            pass.set_bind_group(0, bind_group, &[]);
            pass.draw(0..3, 0..1);
        }
    }
}

/// The smallest texture there is.
fn blank(device: &wgpu::Device, format: wgpu::TextureFormat) -> wgpu::TextureView {
    let texture = device.create_texture(&wgpu::TextureDescriptor {
        label: Some("blank"),
        size: wgpu::Extent3d { width: 1, height: 1, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D3,
        format,
        usage: wgpu::TextureUsages::TEXTURE_BINDING,
        view_formats: &[],
    });
    texture.create_view(&wgpu::TextureViewDescriptor::default())
}
