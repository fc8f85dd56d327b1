//! Which graphics adapters this machine has for the window, found without opening one.

/// A device that can draw the window.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Adapter {
    /// As its driver names it.
    pub name: String,
    /// "Vulkan", "Metal", "DX12" or "OpenGL".
    pub api: &'static str,
    /// Whether the CPU draws: slower, and good enough.
    pub in_software: bool,
}

/// All that there are, those of the window's first choice first. `WGPU_BACKEND` restricts them, as it does for the window.
pub fn adapters() -> Vec<Adapter> {
    let descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    let backends = descriptor.backends;
    let found = pollster::block_on(wgpu::Instance::new(descriptor).enumerate_adapters(backends));
    found.iter().filter_map(|adapter| described(&adapter.get_info())).collect()
}

fn described(found: &wgpu::AdapterInfo) -> Option<Adapter> {
    let api = match found.backend {
        wgpu::Backend::Vulkan => "Vulkan",
        wgpu::Backend::Metal => "Metal",
        wgpu::Backend::Dx12 => "DX12",
        wgpu::Backend::Gl => "OpenGL",
        wgpu::Backend::Noop | wgpu::Backend::BrowserWebGpu => return None, // which draw no window of ours
    };
    Some(Adapter { name: found.name.clone(), api, in_software: found.device_type == wgpu::DeviceType::Cpu })
}
