// Numbers to colours, display gamma. On the CPU: src/frame/colormap.rs

const BELOW = vec3<f32>(0.26, 0.58, 1.0);
const ABOVE = vec3<f32>(1.0, 0.36, 0.2);

const COOL = vec3<f32>(0.230, 0.299, 0.754);
const NEITHER = vec3<f32>(0.865, 0.865, 0.865);
const WARM = vec3<f32>(0.706, 0.016, 0.150);

// 0..1 of a window.
fn place_of(hu: f32, center: f32, width: f32) -> f32 {
    return clamp((hu - center) / max(width, 1e-6) + 0.5, 0.0, 1.0);
}

fn viridis(t: f32) -> vec3<f32> {
    let c0 = vec3<f32>(0.27772733, 0.0054073445, 0.3340998);
    let c1 = vec3<f32>(0.10509304, 1.4046135, 1.3845901);
    let c2 = vec3<f32>(-0.33086184, 0.21484756, 0.095095165);
    let c3 = vec3<f32>(-4.6342306, -5.799101, -19.332441);
    let c4 = vec3<f32>(6.22827, 14.179933, 56.69055);
    let c5 = vec3<f32>(4.776385, -13.745145, -65.353035);
    let c6 = vec3<f32>(-5.435456, 4.6458526, 26.312435);
    return clamp(c0 + t * (c1 + t * (c2 + t * (c3 + t * (c4 + t * (c5 + t * c6))))), vec3<f32>(0.0), vec3<f32>(1.0));
}

fn hot(t: f32) -> vec3<f32> {
    return clamp(3.0 * t - vec3<f32>(0.0, 1.0, 2.0), vec3<f32>(0.0), vec3<f32>(1.0));
}

// -1..1 of the scale; 0 below the threshold.
fn share_of(hu: f32, scale: f32, threshold: f32) -> f32 {
    return select(clamp(hu / max(scale, 1e-6), -1.0, 1.0), 0.0, abs(hu) < threshold);
}

fn end_of(share: f32) -> vec3<f32> {
    return select(ABOVE, BELOW, share < 0.0);
}

fn diverging(hu: f32, scale: f32, threshold: f32) -> vec3<f32> {
    let share = share_of(hu, scale, threshold);
    return end_of(share) * abs(share);
}

fn cool_warm(hu: f32, scale: f32, threshold: f32) -> vec3<f32> {
    let share = share_of(hu, scale, threshold);
    return NEITHER + (select(WARM, COOL, share < 0.0) - NEITHER) * abs(share);
}

fn overlaid(under: vec3<f32>, hu: f32, scale: f32, threshold: f32, opacity: f32) -> vec3<f32> {
    let share = share_of(hu, scale, threshold);
    return under + (end_of(share) - under) * (opacity * abs(share));
}

fn linear_from_gamma(c: vec3<f32>) -> vec3<f32> {
    return select(pow((c + 0.055) / 1.055, vec3<f32>(2.4)), c / 12.92, c < vec3<f32>(0.04045));
}
