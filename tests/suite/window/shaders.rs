//! The screen's shader against its reference on the CPU, its layout against Rust's, and volumes that are large for the GPU.

use std::ops::Range;
use std::sync::Arc;

use eframe::egui_wgpu::RendererOptions;
use eframe::{egui_wgpu, wgpu};
use egui_kittest::Harness;
use egui_kittest::wgpu::{WgpuTestRenderer, create_render_state, default_wgpu_setup};
use glam::{DAffine3, DMat3, DVec3};
use half::f16;
use parallax::frame::camera::Camera;
use parallax::frame::paint::paint;
use parallax::frame::{
    Content, Ends, HEATMAPS, Layers, Look, Map, Overlaid, Overlay, Plane, Sampling, Shade, Shift, SizeMap, View, Window,
};
use parallax::gpu::{Bounds, PaintSlice, SHADER, Shown, SliceRenderer, SliceUniforms, raise_limits, words};
use parallax::latent_shift::HeatmapMethod;
use parallax::volume::{Grid, Volume, Voxels};

/// Of 255: both round once; a pixel on the edge of the volume may fall on either side.
const WORST: u8 = 2;
const MEAN: f64 = 0.02;
const SIZE: [u32; 2] = [96, 80];
const FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;
/// Of the grid that most tests draw, which no limit reaches.
const SHAPE: [usize; 3] = [14, 11, 9];

struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
}

/// A missing adapter fails the test: it never passes without testing.
fn gpu() -> Gpu {
    let state = create_render_state(default_wgpu_setup(), RendererOptions::default());
    Gpu { device: state.device, queue: state.queue }
}

fn renderer(gpu: &Gpu, bounds: Bounds) -> SliceRenderer {
    SliceRenderer::with_bounds(&gpu.device, FORMAT, bounds)
}

/// One frame of one pane.
fn draw(gpu: &Gpu, renderer: &mut SliceRenderer, view: &View, layers: &Arc<Layers>) -> Vec<u8> {
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
    renderer.ask(0, *view, Arc::clone(layers));
    renderer.finish(&gpu.device, &gpu.queue);
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

/// An oblique, left-handed scan with a gradient and a few hard edges.
fn scan(shape: [usize; 3]) -> Volume {
    let matrix =
        DMat3::from_rotation_x(0.2) * DMat3::from_rotation_z(-0.3) * DMat3::from_diagonal(DVec3::new(-1.5, 2.0, 3.0));
    let world_from_voxel = DAffine3::from_mat3_translation(matrix, DVec3::new(12.0, -30.0, 7.0));
    let grid = Grid { shape, world_from_voxel };
    let value = |i: usize| ((i * 37) % 500) as i16 - 700 + if i.is_multiple_of(13) { 600 } else { 0 };
    Volume::new(grid, Voxels::I16((0..grid.len()).map(value).collect::<Vec<_>>().into()))
}

/// A reconstruction of a shape on another grid than the scan's, neither aligned with it nor covering it, and three steps of a slab.
fn shift(shape: [usize; 3], slab: Range<usize>) -> Shift {
    let [ni, nj, nk] = shape;
    let middle = scan(SHAPE).grid.center();
    let matrix = DMat3::from_diagonal(DVec3::new(18.0 / ni as f64, 20.0 / nj as f64, 22.0 / nk as f64));
    let corner = middle - matrix * DVec3::new(ni as f64, nj as f64, nk as f64) / 2.0;
    let grid = Grid { shape, world_from_voxel: DAffine3::from_mat3_translation(matrix, corner) };
    let voxels: Vec<f32> = (0..grid.len()).map(|i| ((i * 53) % 700) as f32 - 650.0).collect();
    let differences = (0..(3 + HEATMAPS) * slab.len() * ni * nj).map(|n| f16::from_f32((n % 29) as f32 * 10.0 - 140.0));
    let slabs = Voxels::F16(differences.collect::<Vec<_>>().into());
    Shift { reconstruction: Volume::from_f32(grid, voxels), slab, slabs }
}

fn layers(shape: [usize; 3], slab: Range<usize>) -> Layers {
    Layers { scan: scan(shape), shift: Some(shift(shape, slab)), map: None }
}

fn plain(shape: [usize; 3]) -> Layers {
    Layers { scan: scan(shape), shift: None, map: None }
}

const WINDOW: Window = Window { center_hu: -400.0, width_hu: 900.0 };

fn look(content: Content, step: f32) -> Look {
    Look { content, step, ..Look::scan(WINDOW) }
}

fn scan_view(layers: &Layers) -> View {
    Camera::fit(&layers.scan.grid, Plane::Axial, SIZE).view(&layers.scan.grid, SIZE, Look::scan(WINDOW))
}

fn assert_painted(screen: &[u8], view: &View, layers: &Layers, what: &str) {
    let reference = paint(view, layers).into_raw();
    let gaps: Vec<u8> = screen.iter().zip(&reference).map(|(a, b)| a.abs_diff(*b)).collect();
    let far = gaps.iter().filter(|gap| **gap > WORST).count();
    let mean = gaps.iter().map(|gap| f64::from(*gap)).sum::<f64>() / gaps.len() as f64;
    assert!(far <= gaps.len() / 2000 && mean <= MEAN, "{what}: {far} far, mean {mean}");
}

/// Every content, with every shade, overlay and sampling that it can have.
fn looks() -> Vec<Look> {
    let mut looks = Vec::new();
    for (content, step) in [
        (Content::Scan, 0.0),
        (Content::Decoded, 0.0),
        (Content::Decoded, 1.4),
        (Content::Decoded, 2.0),
        (Content::DetailKept, 1.4),
        (Content::Difference, 0.3),
        (Content::Difference, 9.0),
        (Content::Projection, 1.4),
        (Content::Reconstruction, 1.4),
        (Content::Heatmap(HeatmapMethod::Int), 1.4),
        (Content::Heatmap(HeatmapMethod::Max), 0.0),
    ] {
        let plain = look(content, step);
        let shade = Shade::difference(120.0, 35.0);
        let of = Overlaid::Difference;
        let overlay = Some(Overlay { of, scale_hu: 130.0, threshold_hu: 20.0, opacity: 0.6 });
        looks.extend([
            plain,
            Look { shade, ..plain },
            Look { shade: Shade::Window { window: WINDOW, map: Map::Grey, inverted: true }, ..plain },
            Look { shade: Shade::Window { window: WINDOW, map: Map::Viridis, inverted: false }, ..plain },
            Look { shade: Shade::Window { window: WINDOW, map: Map::Hot, inverted: true }, ..plain },
            Look { shade: Shade::Difference { scale_hu: 120.0, threshold_hu: 35.0, ends: Ends::CoolWarm }, ..plain },
            Look { overlay, ..plain },
            Look { sampling: Sampling::Nearest, overlay, ..plain },
        ]);
    }
    looks
}

/// Every look on every plane, at three places.
fn assert_painted_everywhere(gpu: &Gpu, renderer: &mut SliceRenderer, layers: &Arc<Layers>) {
    let grid = &layers.scan.grid;
    for plane in [Plane::Axial, Plane::Coronal, Plane::Sagittal] {
        let fit = Camera::fit(grid, plane, SIZE);
        for camera in [fit, fit.at_slice(grid, 4), Camera { mm_per_pixel: fit.mm_per_pixel / 3.0, ..fit }] {
            for look in looks() {
                let view = camera.view(grid, SIZE, look);
                let screen = draw(gpu, renderer, &view, layers);
                assert_painted(&screen, &view, layers, &format!("{plane:?} {look:?}"));
            }
        }
    }
}

/// A scan of whole numbers, and one of floats.
#[test]
fn the_shader_draws_what_the_cpu_paints() {
    let gpu = gpu();
    let mut renderer = SliceRenderer::new(&gpu.device, FORMAT);
    let whole = layers(SHAPE, 3..5);
    let float = Volume::from_f32(whole.scan.grid, whole.scan.voxels.iter().map(|hu| hu + 0.4).collect::<Vec<_>>());
    assert_painted_everywhere(&gpu, &mut renderer, &Arc::new(Layers { scan: float, ..whole.clone() }));
    assert_painted_everywhere(&gpu, &mut renderer, &Arc::new(whole));
}

/// Sizes on a grid of their own, which is neither the scan's nor the reconstruction's and holds slices beyond a texture's depth.
fn map() -> SizeMap {
    let of = shift([7, 6, 17], 0..1).reconstruction.grid;
    let sizes = (0..of.len()).map(|n| if n % 7 == 0 { f32::NAN } else { (n % 31) as f32 / 10.0 });
    SizeMap::new(of, sizes, 2.5, "2.5 of something".to_owned())
}

#[test]
fn a_map_is_laid_over_any_picture_as_the_cpu_lays_it() {
    let gpu = gpu();
    let mut renderer = renderer(&gpu, Bounds { side: 15, ..Bounds::of(&gpu.device) });
    let overlay = Some(Overlay { of: Overlaid::Map, scale_hu: 1.0, threshold_hu: 0.0, opacity: 0.8 });
    let (whole, bare) = (layers(SHAPE, 3..5), plain(SHAPE));
    let mapped = |of: &Layers| Arc::new(Layers { map: Some(map()), ..of.clone() });
    for (layers, contents) in [
        (mapped(&whole), [Content::Scan, Content::Decoded]),
        (mapped(&bare), [Content::Scan, Content::Scan]),
        (Arc::new(bare.clone()), [Content::Scan, Content::Scan]),
    ] {
        let grid = &layers.scan.grid;
        for (plane, content) in [Plane::Axial, Plane::Coronal, Plane::Sagittal].into_iter().zip(contents.iter().cycle())
        {
            for sampling in [Sampling::Linear, Sampling::Nearest] {
                let look = Look { overlay, sampling, ..look(*content, 1.4) };
                let view = Camera::fit(grid, plane, SIZE).view(grid, SIZE, look);
                let screen = draw(&gpu, &mut renderer, &view, &layers);
                assert_painted(&screen, &view, &layers, &format!("{plane:?} {look:?}"));
                let without = paint(&View { look: Look { overlay: None, ..look }, ..view }, &layers).into_raw();
                let with = paint(&view, &layers).into_raw();
                assert_eq!(with == without, layers.map.is_none(), "{plane:?}: a map is seen, and none is not");
            }
        }
    }
}

#[test]
fn whole_numbers_take_two_bytes_each_and_come_exactly_at_both_ends_of_their_range() {
    let gpu = gpu();
    let mut renderer = SliceRenderer::new(&gpu.device, FORMAT);
    let mut layers = plain(SHAPE);
    let ends = [i16::MIN, i16::MAX, -1, 0, 1, -1024, 3071];
    let voxels: Vec<i16> = (0..layers.scan.grid.len()).map(|i| ends[i % ends.len()]).collect();
    let bytes = 2 * voxels.len() as u64;
    layers.scan.voxels = Voxels::I16(voxels.into());
    let layers = Arc::new(layers);
    for window in [Window { center_hu: 0.0, width_hu: 65535.0 }, Window { center_hu: 0.0, width_hu: 4.0 }] {
        let look = Look { sampling: Sampling::Nearest, ..Look::scan(window) };
        let view = View { look, ..scan_view(&layers) };
        let screen = draw(&gpu, &mut renderer, &view, &layers);
        assert_painted(&screen, &view, &layers, &format!("{window:?}"));
    }
    assert_eq!(renderer.uploaded_bytes(), bytes);
}

/// 41 slices of the scan take four tiles, two by two; 18 of the steps two. (No edge of this grid meets a pixel's centre.)
#[test]
fn slices_beyond_the_depth_of_a_texture_are_drawn_alike() {
    let gpu = gpu();
    let mut renderer = renderer(&gpu, Bounds { side: 15, ..Bounds::of(&gpu.device) });
    assert_painted_everywhere(&gpu, &mut renderer, &Arc::new(layers([7, 5, 41], 2..8)));
}

#[test]
fn a_large_volume_comes_over_several_frames_and_is_drawn_once_it_is_whole() {
    let gpu = gpu();
    let layers = Arc::new(layers(SHAPE, 3..5));
    // Two slices of floats a frame, four of 16 bits: 9 of the scan, which are whole, 9 of the reconstruction, which are floats, 6 of the
    // steps and 8 of the heatmaps, which are halves, take ten frames.
    let mut renderer = renderer(&gpu, Bounds { bytes_per_frame: 2 * 14 * 11 * 4, ..Bounds::of(&gpu.device) });
    let view = View { look: look(Content::Decoded, 1.4), ..scan_view(&layers) };
    for frame in 1..10 {
        let screen = draw(&gpu, &mut renderer, &view, &layers);
        assert_eq!(renderer.shown(0), Some(&Shown::Loading), "frame {frame}");
        assert!(screen.chunks(4).all(|pixel| pixel == [0, 255, 0, 255]), "frame {frame} draws what is not there yet");
    }
    let screen = draw(&gpu, &mut renderer, &view, &layers);
    assert_eq!(renderer.shown(0), Some(&Shown::Picture));
    assert_painted(&screen, &view, &layers, "the tenth frame");
    assert_painted_everywhere(&gpu, &mut renderer, &layers);
}

#[test]
fn a_slice_larger_than_a_frames_upload_still_comes() {
    let gpu = gpu();
    let layers = Arc::new(plain(SHAPE));
    let mut renderer = renderer(&gpu, Bounds { bytes_per_frame: 1, ..Bounds::of(&gpu.device) });
    let view = scan_view(&layers);
    let frames = (1..20).find(|_| {
        draw(&gpu, &mut renderer, &view, &layers);
        renderer.shown(0) == Some(&Shown::Picture)
    });
    assert_eq!(frames, Some(9), "a slice a frame");
}

#[test]
fn a_volume_that_is_shown_no_more_is_let_go() {
    let gpu = gpu();
    let mut renderer = SliceRenderer::new(&gpu.device, FORMAT);
    let [old, new] = [(); 2].map(|()| Arc::new(layers(SHAPE, 3..5)));
    let Voxels::I16(voxels) = &old.scan.voxels else { panic!("16 bits") };
    draw(&gpu, &mut renderer, &scan_view(&old), &old);
    assert_eq!(Arc::strong_count(voxels), 2, "ours and the texture's");
    draw(&gpu, &mut renderer, &scan_view(&new), &new);
    assert_eq!(Arc::strong_count(voxels), 1, "ours alone");
    let screen = draw(&gpu, &mut renderer, &scan_view(&old), &old);
    assert_painted(&screen, &scan_view(&old), &old, "shown again");
}

#[test]
fn what_the_gpu_cannot_hold_is_said_and_the_rest_is_drawn() {
    let gpu = gpu();
    let limit = gpu.device.limits().max_texture_dimension_3d as usize;
    let small = Arc::new(layers(SHAPE, 3..5));
    let refused = |bounds, shape: [usize; 3]| {
        let mut renderer = renderer(&gpu, bounds);
        let large = Arc::new(plain(shape));
        draw(&gpu, &mut renderer, &scan_view(&large), &large);
        let Some(Shown::Refused(why)) = renderer.shown(0).cloned() else { panic!("{:?}", renderer.shown(0)) };
        let screen = draw(&gpu, &mut renderer, &scan_view(&small), &small);
        assert_painted(&screen, &scan_view(&small), &small, "after a refusal");
        why
    };
    let why = refused(Bounds::of(&gpu.device), [limit + 1, 1, 1]);
    assert!(why.contains("too many for this graphics driver"), "{why}");
    // The driver itself refuses what goes beyond its limits: an error, not the end of the program.
    let why = refused(Bounds { side: limit + 1, ..Bounds::of(&gpu.device) }, [limit + 1, 1, 1]);
    assert!(why.contains("The graphics driver refuses"), "{why}");
}

/// Software Vulkan makes no texture of 34 GB; elsewhere there may be a card that does.
#[cfg(target_os = "linux")]
#[test]
fn graphics_memory_that_does_not_suffice_is_said_and_the_rest_is_drawn() {
    let gpu = gpu();
    let small = Arc::new(layers(SHAPE, 3..5));
    // Floats. There is no need of the voxels themselves: none is uploaded.
    let grid = Grid { shape: [2048; 3], world_from_voxel: DAffine3::IDENTITY };
    let huge =
        Arc::new(Layers { scan: Volume { grid, voxels: Voxels::F32(Vec::new().into()) }, shift: None, map: None });
    let mut renderer = SliceRenderer::new(&gpu.device, FORMAT);
    draw(&gpu, &mut renderer, &scan_view(&small), &small);
    draw(&gpu, &mut renderer, &scan_view(&huge), &huge);
    assert_eq!(renderer.shown(0), Some(&Shown::Loading), "what was let go just now may make room");
    draw(&gpu, &mut renderer, &scan_view(&huge), &huge);
    let Some(Shown::Refused(why)) = renderer.shown(0) else { panic!("{:?}", renderer.shown(0)) };
    assert!(why.contains("too small for these 34359 MB"), "{why}");
    let screen = draw(&gpu, &mut renderer, &scan_view(&small), &small);
    assert_painted(&screen, &scan_view(&small), &small, "after a refusal");
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
fn a_pane_asks_for_frames_until_its_picture_is_whole() {
    let state = create_render_state(default_wgpu_setup(), RendererOptions::PREDICTABLE);
    let bounds = Bounds { bytes_per_frame: 4 * 14 * 11 * 4, ..Bounds::of(&state.device) };
    let renderer = SliceRenderer::with_bounds(&state.device, state.target_format, bounds);
    state.renderer.write().callback_resources.insert(renderer);
    let layers = Arc::new(layers(SHAPE, 3..5));
    let mut window = Harness::builder().renderer(WgpuTestRenderer::from_render_state(state)).build_ui(move |ui| {
        let view = View { look: look(Content::Decoded, 1.0), ..scan_view(&layers) };
        let paint = PaintSlice { pane: 0, view, layers: Arc::clone(&layers), ctx: ui.ctx().clone() };
        ui.painter().add(egui_wgpu::Callback::new_paint_callback(ui.max_rect(), paint));
    });
    // Two passes after each picture: the first takes what the picture has asked for.
    let mut frame = || {
        window.render().expect("an adapter draws");
        let asks = window.ctx.has_requested_repaint();
        window.run_steps(2);
        (words(&window.ctx, 0), asks)
    };
    // 32 slices, four floats a frame, or eight of 16 bits.
    for _ in 0..4 {
        assert_eq!(frame(), (Some("Loading…".to_owned()), true));
    }
    assert_eq!(frame(), (None, true), "the words go");
    assert_eq!(frame(), (None, false));
}

#[test]
fn the_uniforms_lie_where_the_shader_looks() {
    let module = wgpu::naga::front::wgsl::parse_str(SHADER).expect("the shader parses");
    let (_, slice) = module.types.iter().find(|(_, t)| t.name.as_deref() == Some("Slice")).expect("struct Slice");
    let wgpu::naga::TypeInner::Struct { members, span } = &slice.inner else { panic!("Slice is a struct") };
    assert_eq!(*span as usize, size_of::<SliceUniforms>());
    let ours = [
        ("scan_from_x", std::mem::offset_of!(SliceUniforms, scan_from_x)),
        ("scan_from_y", std::mem::offset_of!(SliceUniforms, scan_from_y)),
        ("scan_from_z", std::mem::offset_of!(SliceUniforms, scan_from_z)),
        ("scan_origin", std::mem::offset_of!(SliceUniforms, scan_origin)),
        ("shift_from_x", std::mem::offset_of!(SliceUniforms, shift_from_x)),
        ("shift_from_y", std::mem::offset_of!(SliceUniforms, shift_from_y)),
        ("shift_from_z", std::mem::offset_of!(SliceUniforms, shift_from_z)),
        ("shift_origin", std::mem::offset_of!(SliceUniforms, shift_origin)),
        ("scan_shape", std::mem::offset_of!(SliceUniforms, scan_shape)),
        ("shift_shape", std::mem::offset_of!(SliceUniforms, shift_shape)),
        ("slab", std::mem::offset_of!(SliceUniforms, slab)),
        ("tiles", std::mem::offset_of!(SliceUniforms, tiles)),
        ("step_tiles", std::mem::offset_of!(SliceUniforms, step_tiles)),
        ("frame", std::mem::offset_of!(SliceUniforms, frame)),
        ("kind", std::mem::offset_of!(SliceUniforms, kind)),
        ("shade", std::mem::offset_of!(SliceUniforms, shade)),
        ("overlay", std::mem::offset_of!(SliceUniforms, overlay)),
        ("map_from_x", std::mem::offset_of!(SliceUniforms, map_from_x)),
        ("map_from_y", std::mem::offset_of!(SliceUniforms, map_from_y)),
        ("map_origin", std::mem::offset_of!(SliceUniforms, map_origin)),
        ("map_shape", std::mem::offset_of!(SliceUniforms, map_shape)),
        ("map_tiles", std::mem::offset_of!(SliceUniforms, map_tiles)),
    ];
    let theirs: Vec<_> = members.iter().map(|m| (m.name.as_deref().unwrap_or(""), m.offset as usize)).collect();
    assert_eq!(theirs, ours);
}

#[test]
fn the_patients_right_is_on_the_left_of_every_axial_and_coronal_picture() {
    let mut volume = scan(SHAPE);
    volume.grid.world_from_voxel = DAffine3::from_mat3_translation(DMat3::IDENTITY, DVec3::ZERO);
    // Bright at the right, front, top: voxel (13, 10, 8) of a RAS grid.
    let mut voxels = vec![-1000_i16; volume.grid.len()];
    *voxels.last_mut().expect("voxels") = 1000;
    volume.voxels = Voxels::I16(voxels.into());
    let layers = Layers { scan: volume, shift: None, map: None };
    let look = Look::scan(Window { center_hu: 0.0, width_hu: 2000.0 });
    for (plane, letters, slice, bright) in [
        (Plane::Axial, ["R", "L", "A", "P"], 8, [0, 0]),
        (Plane::Coronal, ["R", "L", "S", "I"], 10, [0, 0]),
        (Plane::Sagittal, ["A", "P", "S", "I"], 13, [0, 0]),
    ] {
        let camera = Camera::fit(&layers.scan.grid, plane, [140, 140]).at_slice(&layers.scan.grid, slice);
        assert_eq!(camera.letters(&layers.scan.grid), letters, "{plane:?}");
        assert_eq!(camera.slice(&layers.scan.grid), slice);
        let picture = paint(&camera.view(&layers.scan.grid, [140, 140], look), &layers);
        let brightest = picture.enumerate_pixels().max_by_key(|(_, _, p)| p.0[0]).expect("pixels");
        let quadrant = [brightest.0 / 70, brightest.1 / 70];
        assert_eq!(quadrant, bright, "{plane:?}: bright at {}, {}", brightest.0, brightest.1);
    }
}

#[test]
fn what_the_networks_draw_beyond_the_scan_is_in_no_picture() {
    // The networks' grid is twice as wide as the scan, which lies in its middle.
    let axes = DMat3::from_diagonal(DVec3::new(-1.0, -1.0, 1.0));
    let centered = |shape: [usize; 3]| {
        let middle = DVec3::from_array(shape.map(|n| (n as f64 - 1.0) / 2.0));
        Grid { shape, world_from_voxel: DAffine3::from_mat3_translation(axes, -(axes * middle)) }
    };
    let (small, large) = (centered([8, 8, 8]), centered([16, 16, 16]));
    let slabs = Voxels::F16(vec![f16::from_f32(80.0); (1 + HEATMAPS) * large.len()].into());
    let bright = |grid: Grid| Volume::from_f32(grid, vec![100.0; grid.len()]);
    let layers = Layers {
        scan: bright(small),
        shift: Some(Shift { reconstruction: bright(large), slab: 0..16, slabs }),
        map: None,
    };
    let shade = Shade::difference(100.0, 1.0);
    let camera = Camera::fit(&large, Plane::Axial, [64, 64]);
    for content in [
        Content::Decoded,
        Content::Reconstruction,
        Content::DetailKept,
        Content::Difference,
        Content::Projection,
        Content::Heatmap(HeatmapMethod::ALL[0]),
    ] {
        let look = Look { content, shade, ..Look::scan(WINDOW) };
        let picture = paint(&camera.view(&small, [64, 64], look), &layers);
        let bright = |x: u32, y: u32| picture.get_pixel(x, y).0[..3].iter().any(|c| *c > 0);
        assert!(bright(32, 32) && bright(20, 44), "{content:?}: within the scan");
        assert!(!bright(4, 32) && !bright(32, 60) && !bright(3, 3), "{content:?}: beyond it");
    }
}
