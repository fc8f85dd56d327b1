// One plane of a volume, sampled in patient space. CPU twin: src/frame/paint.rs

struct Slice {
    // Columns of the affine from pixel centres to voxels: x, y, origin.
    voxel_from_x: vec4<f32>,
    voxel_from_y: vec4<f32>,
    voxel_origin: vec4<f32>,
    // ni, nj, nk, 0.
    shape: vec4<i32>,
    // First slab slice, slab slices, steps, 0.
    slab: vec4<i32>,
    // How slices lie in the textures: tiles across and slices in depth, of the base, then of the steps.
    tiles: vec4<i32>,
    // Pixels across and down, step, 0.
    frame: vec4<f32>,
    // 0 base, 1 step, 2 difference; 0 grey, 1 diverging; 0, 0.
    kind: vec4<i32>,
    // Centre and width of the window, scale of the difference, 0; HU.
    shade: vec4<f32>,
}

@group(0) @binding(0) var<uniform> slice: Slice;
@group(0) @binding(1) var base_texture: texture_3d<f32>;
@group(0) @binding(2) var steps_texture: texture_3d<f32>;

struct Vertex {
    @builtin(position) position: vec4<f32>,
    @location(0) uv: vec2<f32>,
}

@vertex
fn vertex(@builtin(vertex_index) index: u32) -> Vertex {
    // One triangle that covers the whole pane.
    let corner = vec2<f32>(f32((index << 1u) & 2u), f32(index & 2u));
    return Vertex(vec4<f32>(corner * vec2<f32>(2.0, -2.0) + vec2<f32>(-1.0, 1.0), 0.0, 1.0), corner);
}

// Where a voxel lies in a texture: slices behind one another, those beyond its depth beside, then below the first ones.
// CPU twin: src/gpu/tiling.rs
fn place(voxel: vec3<i32>, tiles: vec2<i32>) -> vec3<i32> {
    let tile = voxel.z / tiles.y;
    let corner = vec2<i32>(tile % tiles.x, tile / tiles.x) * slice.shape.xy;
    return vec3<i32>(corner + voxel.xy, voxel.z % tiles.y);
}

// Step `s` at a voxel of the slab. The slabs of the steps lie behind one another.
fn step_at(voxel: vec3<i32>, s: i32) -> f32 {
    let row = s * slice.slab.y + voxel.z - slice.slab.x;
    return textureLoad(steps_texture, place(vec3<i32>(voxel.xy, row), slice.tiles.zw), 0).r;
}

fn value(voxel: vec3<i32>) -> f32 {
    let base = textureLoad(base_texture, place(voxel, slice.tiles.xy), 0).r;
    if slice.kind.x == 0 {
        return base;
    }
    var changed = base;
    if voxel.z >= slice.slab.x && voxel.z < slice.slab.x + slice.slab.y && slice.slab.z > 0 {
        let last = slice.slab.z - 1;
        let low = min(i32(max(slice.frame.z, 0.0)), last);
        let share = clamp(slice.frame.z - f32(low), 0.0, 1.0);
        let a = step_at(voxel, low);
        changed = a + (step_at(voxel, min(low + 1, last)) - a) * share;
    }
    return select(changed, changed - base, slice.kind.x == 2);
}

fn color_at(uv: vec2<f32>) -> vec3<f32> {
    let pixel = floor(uv * slice.frame.xy);
    let at = (slice.voxel_from_x * pixel.x + slice.voxel_from_y * pixel.y + slice.voxel_origin).xyz;
    let last = vec3<f32>(slice.shape.xyz) - 1.0;
    if any(at < vec3<f32>(-0.5)) || any(at > last + 0.5) {
        return vec3<f32>(0.0);
    }
    let inside = clamp(at, vec3<f32>(0.0), last);
    let low = vec3<i32>(inside);
    let share = inside - vec3<f32>(low);
    var sum = 0.0;
    for (var corner = 0; corner < 8; corner++) {
        let upper = vec3<i32>(corner & 1, (corner >> 1) & 1, (corner >> 2) & 1);
        let parts = select(1.0 - share, share, upper == vec3<i32>(1));
        let weight = parts.x * parts.y * parts.z;
        if weight > 0.0 {
            sum += weight * value(min(low + upper, slice.shape.xyz - 1));
        }
    }
    if slice.kind.y == 1 {
        return diverging(sum, slice.shade.z);
    }
    return grey(sum, slice.shade.x, slice.shade.y);
}

@fragment
fn fragment_gamma(in: Vertex) -> @location(0) vec4<f32> {
    return vec4<f32>(color_at(in.uv), 1.0);
}

@fragment
fn fragment_linear(in: Vertex) -> @location(0) vec4<f32> {
    return vec4<f32>(linear_from_gamma(color_at(in.uv)), 1.0);
}
