// Numbers to colours, display gamma. On the CPU: src/frame/colormap.rs

const BELOW = vec3<f32>(0.26, 0.58, 1.0);
const ABOVE = vec3<f32>(1.0, 0.36, 0.2);

fn grey(hu: f32, center: f32, width: f32) -> vec3<f32> {
    return vec3<f32>(clamp((hu - center) / max(width, 1e-6) + 0.5, 0.0, 1.0));
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

fn overlaid(under: vec3<f32>, hu: f32, scale: f32, threshold: f32, opacity: f32) -> vec3<f32> {
    let share = share_of(hu, scale, threshold);
    return under + (end_of(share) - under) * (opacity * abs(share));
}

fn linear_from_gamma(c: vec3<f32>) -> vec3<f32> {
    return select(pow((c + 0.055) / 1.055, vec3<f32>(2.4)), c / 12.92, c < vec3<f32>(0.04045));
}
