// One plane of a volume, sampled in patient space. On the CPU: src/frame/paint.rs

struct Slice {
    // Columns of the affine from pixel centres to voxels of the scan: x, y, z, origin; z is along the line of sight.
    scan_from_x: vec4<f32>,
    scan_from_y: vec4<f32>,
    scan_from_z: vec4<f32>,
    scan_origin: vec4<f32>,
    // Columns of the affine from pixel centres to voxels of what the networks made.
    shift_from_x: vec4<f32>,
    shift_from_y: vec4<f32>,
    shift_from_z: vec4<f32>,
    shift_origin: vec4<f32>,
    // ni, nj, nk, 0.
    scan_shape: vec4<i32>,
    shift_shape: vec4<i32>,
    // First slab slice, slab slices, steps, the slab of the heatmap behind them.
    slab: vec4<i32>,
    // How slices lie in the textures: tiles across and slices in depth, of the scan, then of the reconstruction.
    tiles: vec4<i32>,
    // The same of the steps; the axis that a projection runs along; whether the scan is of whole numbers.
    step_tiles: vec4<i32>,
    // Pixels across and down, step, 1 where the colours of a window are exchanged.
    frame: vec4<f32>,
    // 0 scan, 1 decoded, 2 detail kept, 3 difference, 4 projection, 5 reconstruction, 6 heatmap; 0 grey, 1 viridis, 2 hot, 3 difference, 4 difference from cool to warm; 0 linear, 1 nearest; 1 overlay of the difference, 2 of the map.
    kind: vec4<i32>,
    // Centre and width of the window, scale and threshold of the difference; HU.
    shade: vec4<f32>,
    // Scale and threshold of the overlay, HU or shares of the map's scale; its opacity, 0.
    overlay: vec4<f32>,
    // Columns of the affine from pixel centres to voxels of the map; its ni, nj, nk, 0; its tiles across and slices in depth.
    map_from_x: vec4<f32>,
    map_from_y: vec4<f32>,
    map_origin: vec4<f32>,
    map_shape: vec4<i32>,
    map_tiles: vec4<i32>,
}

@group(0) @binding(0) var<uniform> slice: Slice;
// The scan lies in the first of these, or in the last.
@group(0) @binding(1) var scan_texture: texture_3d<f32>;
@group(0) @binding(2) var reconstruction_texture: texture_3d<f32>;
@group(0) @binding(3) var slabs_texture: texture_3d<f32>;
@group(0) @binding(4) var whole_scan_texture: texture_3d<i32>;
@group(0) @binding(5) var map_texture: texture_3d<f32>;

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
// On the CPU: src/gpu/tiling.rs
fn place(voxel: vec3<i32>, shape: vec2<i32>, tiles: vec2<i32>) -> vec3<i32> {
    let tile = voxel.z / tiles.y;
    let corner = vec2<i32>(tile % tiles.x, tile / tiles.x) * shape;
    return vec3<i32>(corner + voxel.xy, voxel.z % tiles.y);
}

// A step minus the reconstruction, or a heatmap, at a voxel of the slab. Their slabs lie behind one another.
fn slab_value(voxel: vec3<i32>, slab: i32) -> f32 {
    let row = slab * slice.slab.y + voxel.z - slice.slab.x;
    return textureLoad(slabs_texture, place(vec3<i32>(voxel.xy, row), slice.shift_shape.xy, slice.step_tiles.xy), 0).r;
}

fn scanned(voxel: vec3<i32>) -> f32 {
    let at = place(voxel, slice.scan_shape.xy, slice.tiles.xy);
    if slice.step_tiles.w == 1 {
        return f32(textureLoad(whole_scan_texture, at, 0).r);
    }
    return textureLoad(scan_texture, at, 0).r;
}

fn reconstructed(voxel: vec3<i32>) -> f32 {
    return textureLoad(reconstruction_texture, place(voxel, slice.shift_shape.xy, slice.tiles.zw), 0).r;
}

fn in_slab(voxel: vec3<i32>) -> bool {
    return voxel.z >= slice.slab.x && voxel.z < slice.slab.x + slice.slab.y;
}

fn difference(voxel: vec3<i32>) -> f32 {
    if !in_slab(voxel) || slice.slab.z == 0 {
        return 0.0;
    }
    let last = slice.slab.z - 1;
    let low = min(i32(max(slice.frame.z, 0.0)), last);
    let share = clamp(slice.frame.z - f32(low), 0.0, 1.0);
    let a = slab_value(voxel, low);
    return a + (slab_value(voxel, min(low + 1, last)) - a) * share;
}

const SCAN = 0;
const DECODED = 1;
const DETAIL_KEPT = 2;
const DIFFERENCE = 3;
const PROJECTION = 4;
const RECONSTRUCTION = 5;
const HEATMAP = 6;
const MAP = 7;

fn value(voxel: vec3<i32>, number: i32) -> f32 {
    if number == SCAN {
        return scanned(voxel);
    }
    if number == DECODED {
        return reconstructed(voxel) + difference(voxel);
    }
    if number == RECONSTRUCTION {
        return reconstructed(voxel);
    }
    if number == MAP {
        return textureLoad(map_texture, place(voxel, slice.map_shape.xy, slice.map_tiles.xy), 0).r;
    }
    if number == HEATMAP {
        if in_slab(voxel) {
            return slab_value(voxel, slice.slab.w);
        }
        return 0.0;
    }
    return difference(voxel);
}

// A number, and whether there is one.
struct Sample {
    value: f32,
    inside: bool,
}

// Whether a place lies in a volume: half a voxel beyond the outermost centres a voxel ends.
fn within(at: vec3<f32>, shape: vec3<i32>) -> bool {
    return all(at >= vec3<f32>(-0.5)) && all(at <= vec3<f32>(shape) - 0.5);
}

fn sample(at: vec3<f32>, shape: vec3<i32>, number: i32) -> Sample {
    if !within(at, shape) {
        return Sample(0.0, false);
    }
    let last = vec3<f32>(shape) - 1.0;
    let inside = clamp(select(at, floor(at + 0.5), slice.kind.z == 1), vec3<f32>(0.0), last);
    let low = vec3<i32>(inside);
    let share = inside - vec3<f32>(low);
    var sum = 0.0;
    for (var corner = 0; corner < 8; corner++) {
        let upper = vec3<i32>(corner & 1, (corner >> 1) & 1, (corner >> 2) & 1);
        let parts = select(1.0 - share, share, upper == vec3<i32>(1));
        let weight = parts.x * parts.y * parts.z;
        if weight > 0.0 {
            sum += weight * value(min(low + upper, shape - 1), number);
        }
    }
    return Sample(sum, true);
}

// What the networks made where the scan shows nothing is no anatomy: no such place is shown.
fn sample_shift(at: vec3<f32>, in_scan: vec3<f32>, number: i32) -> Sample {
    if !within(in_scan, slice.scan_shape.xyz) {
        return Sample(0.0, false);
    }
    return sample(at, slice.shift_shape.xyz, number);
}

// The largest difference on the line through `at`, read where it passes the slices that it crosses most steeply.
fn projection(at: vec3<f32>, in_scan: vec3<f32>) -> Sample {
    let axis = slice.step_tiles.z;
    let along = slice.shift_from_z.xyz;
    var largest = Sample(0.0, false);
    for (var s = 0; s < slice.shift_shape[axis]; s++) {
        let distance = (f32(s) - at[axis]) / along[axis];
        var here = at + along * distance;
        here[axis] = f32(s);
        let found = sample_shift(here, in_scan + slice.scan_from_z.xyz * distance, DIFFERENCE);
        if found.inside && (!largest.inside || abs(found.value) > abs(largest.value)) {
            largest = found;
        }
    }
    return largest;
}

fn shaded(hu: f32) -> vec3<f32> {
    let colors = slice.kind.y;
    if colors == 3 {
        return diverging(hu, slice.shade.z, slice.shade.w);
    }
    if colors == 4 {
        return cool_warm(hu, slice.shade.z, slice.shade.w);
    }
    let place = place_of(hu, slice.shade.x, slice.shade.y);
    let t = select(place, 1.0 - place, slice.frame.w == 1.0);
    if colors == 1 {
        return viridis(t);
    }
    if colors == 2 {
        return hot(t);
    }
    return vec3<f32>(t);
}

fn color_at(uv: vec2<f32>) -> vec3<f32> {
    let pixel = floor(uv * slice.frame.xy);
    let in_scan = (slice.scan_from_x * pixel.x + slice.scan_from_y * pixel.y + slice.scan_origin).xyz;
    let in_shift = (slice.shift_from_x * pixel.x + slice.shift_from_y * pixel.y + slice.shift_origin).xyz;
    let content = slice.kind.x;
    var difference = Sample(0.0, false);
    if slice.kind.w == 1 || content == DETAIL_KEPT || content == DIFFERENCE {
        difference = sample_shift(in_shift, in_scan, DIFFERENCE);
    }
    var shown = difference;
    if content == SCAN || content == DETAIL_KEPT {
        shown = sample(in_scan, slice.scan_shape.xyz, SCAN);
        shown.value += select(0.0, difference.value, content == DETAIL_KEPT);
    } else if content == DECODED || content == RECONSTRUCTION || content == HEATMAP {
        shown = sample_shift(in_shift, in_scan, content);
    } else if content == PROJECTION {
        shown = projection(in_shift, in_scan);
    }
    let color = select(vec3<f32>(0.0), shaded(shown.value), shown.inside);
    var laid_over = difference;
    if slice.kind.w == 2 {
        let in_map = (slice.map_from_x * pixel.x + slice.map_from_y * pixel.y + slice.map_origin).xyz;
        laid_over = sample(in_map, slice.map_shape.xyz, MAP);
        laid_over.inside = laid_over.inside && within(in_scan, slice.scan_shape.xyz);
    }
    if slice.kind.w > 0 && laid_over.inside {
        return overlaid(color, laid_over.value, slice.overlay.x, slice.overlay.y, slice.overlay.z);
    }
    return color;
}

@fragment
fn fragment_gamma(in: Vertex) -> @location(0) vec4<f32> {
    return vec4<f32>(color_at(in.uv), 1.0);
}

@fragment
fn fragment_linear(in: Vertex) -> @location(0) vec4<f32> {
    return vec4<f32>(linear_from_gamma(color_at(in.uv)), 1.0);
}
