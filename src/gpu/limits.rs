//! How large textures may be, and how much is uploaded at a time.

use std::sync::Arc;

use eframe::egui_wgpu::WgpuSetup;

/// The bytes that a frame uploads at most. A core copies them in a few milliseconds, so a window that takes in a large volume stays quick;
/// the memory for the copy lives until the frame is drawn. A volume of 315 MB, 512 x 512 x 600 voxels of 16 bits, comes in 19 frames.
const BYTES_PER_FRAME: usize = 16 << 20;

/// The limits that the renderer keeps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The most texels along a side of a 3-D texture.
    pub side: usize,
    /// The most bytes that a frame uploads; a slice is uploaded even where it is larger.
    pub bytes_per_frame: usize,
}

impl Bounds {
    pub fn of(device: &wgpu::Device) -> Self {
        Self { side: device.limits().max_texture_dimension_3d as usize, bytes_per_frame: BYTES_PER_FRAME }
    }
}

/// Asks for textures and buffers as large as the adapter has them. eframe leaves them at wgpu's defaults: 2048 a side, 256
/// with OpenGL, and buffers of 256 MiB.
pub fn raise_limits(setup: &mut WgpuSetup) {
    let WgpuSetup::CreateNew(setup) = setup else { return };
    let usual = Arc::clone(&setup.device_descriptor);
    setup.device_descriptor = Arc::new(move |adapter| {
        let (usual, largest) = (usual(adapter), adapter.limits());
        wgpu::DeviceDescriptor {
            required_limits: wgpu::Limits {
                max_texture_dimension_2d: largest.max_texture_dimension_2d,
                max_texture_dimension_3d: largest.max_texture_dimension_3d,
                max_buffer_size: largest.max_buffer_size,
                ..usual.required_limits
            },
            ..usual
        }
    });
}
