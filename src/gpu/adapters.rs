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

/// All that there are by the window's first choice of interfaces, Vulkan, Metal and DX12; where those have none, by OpenGL. `WGPU_BACKEND`
/// restricts them, as it does for the window.
pub fn adapters() -> Vec<Adapter> {
    let found = among(wgpu::Backends::PRIMARY);
    if found.is_empty() { among(wgpu::Backends::SECONDARY) } else { found }
}

fn among(backends: wgpu::Backends) -> Vec<Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    descriptor.backends &= backends;
    let backends = descriptor.backends;
    if backends.is_empty() {
        return Vec::new();
    }
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
