//! The pictures of `frame` on the screen. [`SliceRenderer`] lives long: layout, pipeline, textures. [`PaintSlice`] is one
//! pane of one frame.

mod limits;
mod textures;

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::Arc;

use bytemuck::{Pod, Zeroable};
use eframe::egui::PaintCallbackInfo;
use eframe::egui_wgpu::{CallbackResources, CallbackTrait, ScreenDescriptor};
use eframe::wgpu;

use crate::frame::{Content, Layers, Shade, View};
pub use limits::raise_limits;
use textures::Textures;

/// Both shaders: WGSL has no imports, so a shader is its parts joined.
pub const SHADER: &str = concat!(include_str!("../../shaders/color.wgsl"), include_str!("../../shaders/slice.wgsl"));

/// `Slice` of `shaders/slice.wgsl`; a test holds the two layouts equal.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
pub struct SliceUniforms {
    pub voxel_from_x: [f32; 4],
    pub voxel_from_y: [f32; 4],
    pub voxel_origin: [f32; 4],
    pub shape: [i32; 4],
    pub slab: [i32; 4],
    pub frame: [f32; 4],
    pub kind: [i32; 4],
    pub shade: [f32; 4],
}

impl SliceUniforms {
    /// `depth` is how many slices of the steps lie behind one another in their texture.
    fn new(view: &View, layers: &Layers, depth: usize) -> Self {
        let affine = layers.base.grid.voxel_from_world() * view.world_from_pixel;
        let vector = |v: glam::DVec3| [v.x as f32, v.y as f32, v.z as f32, 0.0];
        let [ni, nj, nk] = layers.base.grid.shape.map(|n| n as i32);
        let (content, step) = match view.content {
            Content::Base => (0, 0.0),
            Content::Step { step } => (1, step),
            Content::Difference { step } => (2, step),
        };
        let (kind, shade) = match view.shade {
            Shade::Grey(window) => (0, [window.center_hu, window.width_hu, 1.0, 0.0]),
            Shade::Difference { scale_hu } => (1, [0.0, 1.0, scale_hu, 0.0]),
        };
        Self {
            voxel_from_x: vector(affine.matrix3.x_axis),
            voxel_from_y: vector(affine.matrix3.y_axis),
            voxel_origin: vector(affine.translation),
            shape: [ni, nj, nk, depth.max(1) as i32],
            slab: [layers.slab.start as i32, layers.slab.len() as i32, layers.count() as i32, 0],
            frame: [view.size[0] as f32, view.size[1] as f32, step, 0.0],
            kind: [content, kind, 0, 0],
            shade,
        }
    }
}

/// Layout, pipeline and textures; kept in egui's callback resources.
pub struct SliceRenderer {
    layout: wgpu::BindGroupLayout,
    pipeline: wgpu::RenderPipeline,
    textures: Textures,
    /// What each pane is bound to.
    panes: HashMap<u64, wgpu::BindGroup>,
}

impl SliceRenderer {
    pub fn new(device: &wgpu::Device, target: wgpu::TextureFormat) -> Self {
        let shader = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("slice.wgsl"),
            source: wgpu::ShaderSource::Wgsl(SHADER.into()),
        });
        let texture = |binding| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::FRAGMENT,
            ty: wgpu::BindingType::Texture {
                sample_type: wgpu::TextureSampleType::Float { filterable: false },
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
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("SliceRenderer"),
            entries: &[uniforms, texture(1), texture(2)],
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
        Self { layout, pipeline, textures: Textures::default(), panes: HashMap::new() }
    }

    /// Uploads what is new and writes the pane's uniforms.
    pub fn prepare(&mut self, device: &wgpu::Device, queue: &wgpu::Queue, pane: u64, view: &View, layers: &Layers) {
        let Some((base, steps, depth)) = self.textures.of(device, queue, layers) else {
            self.panes.remove(&pane); // larger than this GPU's textures: the pane stays black
            return;
        };
        let uniforms = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("SliceUniforms"),
            size: size_of::<SliceUniforms>() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        queue.write_buffer(&uniforms, 0, bytemuck::bytes_of(&SliceUniforms::new(view, layers, depth)));
        let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("PaintSlice"),
            layout: &self.layout,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: uniforms.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: wgpu::BindingResource::TextureView(base) },
                wgpu::BindGroupEntry { binding: 2, resource: wgpu::BindingResource::TextureView(steps) },
            ],
        });
        self.panes.insert(pane, bind_group);
    }

    pub fn paint(&self, pass: &mut wgpu::RenderPass<'static>, pane: u64) {
        if let Some(bind_group) = self.panes.get(&pane) {
            pass.set_pipeline(&self.pipeline);
            pass.set_bind_group(0, bind_group, &[]);
            pass.draw(0..3, 0..1);
        }
    }
}

/// One pane of one frame.
pub struct PaintSlice {
    /// Tells panes apart within a frame.
    pub pane: u64,
    pub view: View,
    pub layers: Arc<Layers>,
}

impl CallbackTrait for PaintSlice {
    fn prepare(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        _screen: &ScreenDescriptor,
        _encoder: &mut wgpu::CommandEncoder,
        resources: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        if let Some(renderer) = resources.get_mut::<SliceRenderer>() {
            renderer.prepare(device, queue, self.pane, &self.view, &self.layers);
        }
        Vec::new()
    }

    fn paint(&self, _info: PaintCallbackInfo, pass: &mut wgpu::RenderPass<'static>, resources: &CallbackResources) {
        if let Some(renderer) = resources.get::<SliceRenderer>() {
            renderer.paint(pass, self.pane);
        }
    }
}
