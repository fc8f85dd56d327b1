//! How large textures may be.

use std::sync::Arc;

use eframe::egui_wgpu::WgpuSetup;
use eframe::wgpu;

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
