//! The screen's shader against its CPU twin, and its layout against Rust's.

use eframe::egui_wgpu::RendererOptions;
use eframe::wgpu;
use egui_kittest::wgpu::{create_render_state, default_wgpu_setup};
use glam::{DAffine3, DMat3, DVec3};
use parallax::frame::camera::Camera;
use parallax::frame::paint::paint;
use parallax::frame::{Content, Layers, Plane, Shade, View, Window};
use parallax::gpu::{SHADER, SliceRenderer, SliceUniforms, raise_limits};
use parallax::volume::{Grid, Volume, Voxels};

/// Of 255: both round once; a pixel on the edge of the volume may fall on either side.
const WORST: u8 = 2;
const MEAN: f64 = 0.02;
const SIZE: [u32; 2] = [96, 80];

struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
}

/// A missing adapter fails the test: it never passes without testing.
fn gpu() -> Gpu {
    let state = create_render_state(default_wgpu_setup(), RendererOptions::default());
    Gpu { device: state.device, queue: state.queue }
}

fn draw(gpu: &Gpu, view: &View, layers: &Layers) -> Vec<u8> {
    const FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;
    let [width, height] = view.size;
    let size = wgpu::Extent3d { width, height, depth_or_array_layers: 1 };
    let target = gpu.device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size,
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: FORMAT,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    });
    let mut renderer = SliceRenderer::new(&gpu.device, FORMAT);
    renderer.prepare(&gpu.device, &gpu.queue, 0, view, layers);
    let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    {
        let attachment = target.create_view(&wgpu::TextureViewDescriptor::default());
        let pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &attachment,
                resolve_target: None,
                ops: wgpu::Operations { load: wgpu::LoadOp::Clear(wgpu::Color::GREEN), store: wgpu::StoreOp::Store },
                depth_slice: None,
            })],
            ..Default::default()
        });
        renderer.paint(&mut pass.forget_lifetime(), 0);
    }
    let row = (4 * width).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
    let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: u64::from(row * height),
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    encoder.copy_texture_to_buffer(
        target.as_image_copy(),
        wgpu::TexelCopyBufferInfo {
            buffer: &buffer,
            layout: wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(row), rows_per_image: None },
        },
        size,
    );
    gpu.queue.submit([encoder.finish()]);
    buffer.slice(..).map_async(wgpu::MapMode::Read, |mapped| mapped.expect("mapped"));
    gpu.device.poll(wgpu::PollType::wait_indefinitely()).expect("the GPU answers");
    let data = buffer.slice(..).get_mapped_range().expect("mapped");
    data.chunks(row as usize).flat_map(|line| line[..4 * width as usize].to_vec()).collect()
}

/// An oblique, left-handed grid with a gradient and a few hard edges, and three steps of a slab of two slices.
fn layers() -> Layers {
    let shape = [14, 11, 9];
    let matrix =
        DMat3::from_rotation_x(0.2) * DMat3::from_rotation_z(-0.3) * DMat3::from_diagonal(DVec3::new(-1.5, 2.0, 3.0));
    let grid = Grid { shape, world_from_voxel: DAffine3::from_mat3_translation(matrix, DVec3::new(12.0, -30.0, 7.0)) };
    let value = |i: usize| ((i * 37) % 500) as i16 - 700 + if i.is_multiple_of(13) { 600 } else { 0 };
    let base = Volume::new(grid, Voxels::I16((0..grid.len()).map(value).collect()));
    let first = 3 * 14 * 11;
    let steps =
        (0..3 * 2 * 14 * 11).map(|n| base.voxels.at(first + n % (2 * 14 * 11)) + (n % 29) as f32 * 10.0 - 140.0);
    Layers { slab: 3..5, steps: Voxels::F32(steps.collect::<Vec<_>>().into()), base }
}

#[test]
fn the_shader_draws_what_its_cpu_twin_paints() {
    let gpu = gpu();
    let layers = layers();
    let contents = [
        Content::Base,
        Content::Step { step: 0.0 },
        Content::Step { step: 1.4 },
        Content::Step { step: 2.0 },
        Content::Difference { step: 0.3 },
        Content::Difference { step: 9.0 },
    ];
    let shades = [Shade::Grey(Window { center_hu: -400.0, width_hu: 900.0 }), Shade::Difference { scale_hu: 120.0 }];
    for plane in [Plane::Axial, Plane::Coronal, Plane::Sagittal] {
        let fit = Camera::fit(&layers.base.grid, plane, SIZE);
        for camera in [fit, fit.at_slice(&layers.base.grid, 4), Camera { mm_per_pixel: fit.mm_per_pixel / 3.0, ..fit }]
        {
            for (content, shade) in contents.iter().flat_map(|c| shades.iter().map(move |s| (*c, *s))) {
                let view = camera.view(&layers.base.grid, SIZE, content, shade);
                let (screen, twin) = (draw(&gpu, &view, &layers), paint(&view, &layers).into_raw());
                let gaps: Vec<u8> = screen.iter().zip(&twin).map(|(a, b)| a.abs_diff(*b)).collect();
                let far = gaps.iter().filter(|gap| **gap > WORST).count();
                let mean = gaps.iter().map(|gap| f64::from(*gap)).sum::<f64>() / gaps.len() as f64;
                assert!(
                    far <= gaps.len() / 2000 && mean <= MEAN,
                    "{plane:?} {content:?} {shade:?}: {far} far, mean {mean}"
                );
            }
        }
    }
}

#[test]
fn the_window_asks_for_textures_as_large_as_the_adapter_has() {
    let mut setup = default_wgpu_setup();
    raise_limits(&mut setup);
    let state = create_render_state(setup, RendererOptions::default());
    let (has, asked) = (state.adapter.limits(), state.device.limits());
    assert_eq!(asked.max_texture_dimension_3d, has.max_texture_dimension_3d);
    assert_eq!(asked.max_texture_dimension_2d, has.max_texture_dimension_2d);
    assert_eq!(asked.max_buffer_size, has.max_buffer_size);
    assert_eq!(asked.max_bind_groups, gpu().device.limits().max_bind_groups, "the rest is as eframe has it");
}

#[test]
fn the_uniforms_lie_where_the_shader_looks() {
    let module = wgpu::naga::front::wgsl::parse_str(SHADER).expect("the shader parses");
    let (_, slice) = module.types.iter().find(|(_, t)| t.name.as_deref() == Some("Slice")).expect("struct Slice");
    let wgpu::naga::TypeInner::Struct { members, span } = &slice.inner else { panic!("Slice is a struct") };
    assert_eq!(*span as usize, size_of::<SliceUniforms>());
    let ours = [
        ("voxel_from_x", std::mem::offset_of!(SliceUniforms, voxel_from_x)),
        ("voxel_from_y", std::mem::offset_of!(SliceUniforms, voxel_from_y)),
        ("voxel_origin", std::mem::offset_of!(SliceUniforms, voxel_origin)),
        ("shape", std::mem::offset_of!(SliceUniforms, shape)),
        ("slab", std::mem::offset_of!(SliceUniforms, slab)),
        ("frame", std::mem::offset_of!(SliceUniforms, frame)),
        ("kind", std::mem::offset_of!(SliceUniforms, kind)),
        ("shade", std::mem::offset_of!(SliceUniforms, shade)),
    ];
    let theirs: Vec<_> = members.iter().map(|m| (m.name.as_deref().unwrap_or(""), m.offset as usize)).collect();
    assert_eq!(theirs, ours);
}

#[test]
fn the_patients_right_is_on_the_left_of_every_axial_and_coronal_picture() {
    let mut volume = layers().base;
    volume.grid.world_from_voxel = DAffine3::from_mat3_translation(DMat3::IDENTITY, DVec3::ZERO);
    // Bright at the right, front, top: voxel (13, 10, 8) of a RAS grid.
    let mut voxels = vec![-1000_i16; volume.grid.len()];
    *voxels.last_mut().expect("voxels") = 1000;
    volume.voxels = Voxels::I16(voxels.into());
    let layers = Layers::plain(volume);
    let shade = Shade::Grey(Window { center_hu: 0.0, width_hu: 2000.0 });
    for (plane, letters, slice, bright) in [
        (Plane::Axial, ["R", "L", "A", "P"], 8, [0, 0]),
        (Plane::Coronal, ["R", "L", "S", "I"], 10, [0, 0]),
        (Plane::Sagittal, ["A", "P", "S", "I"], 13, [0, 0]),
    ] {
        let camera = Camera::fit(&layers.base.grid, plane, [140, 140]).at_slice(&layers.base.grid, slice);
        assert_eq!(camera.letters(&layers.base.grid), letters, "{plane:?}");
        assert_eq!(camera.slice(&layers.base.grid), slice);
        let picture = paint(&camera.view(&layers.base.grid, [140, 140], Content::Base, shade), &layers);
        let brightest = picture.enumerate_pixels().max_by_key(|(_, _, p)| p.0[0]).expect("pixels");
        let quadrant = [brightest.0 / 70, brightest.1 / 70];
        assert_eq!(quadrant, bright, "{plane:?}: bright at {}, {}", brightest.0, brightest.1);
    }
}
