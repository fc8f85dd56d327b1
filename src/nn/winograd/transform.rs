//! The three transforms of F(4x4, 3x3): Lavin, Gray 2015, arXiv 1509.09308, section 4.3, in one
//! dimension; a tile is transformed along both.
//!
//! A tile and a kernel are polynomials, multiplied at six points. The paper's 0, 1, -1, 2, -2 and infinity give errors six times
//! as large as im2col's; with 0, ±√½, ±√2 and infinity (ncnn's too) no coefficient is far from 1, and they are about im2col's
//! own. Why points matter: Barabasz et al. 2018, arXiv 1803.10986.

use crate::nn::simd::Simd;

/// Inputs that one tile of outputs needs, along an axis.
pub(super) const TILE_INPUTS: usize = 6;
/// Outputs of a tile along an axis.
pub(super) const TILE_OUTPUTS: usize = 4;
/// Numbers in a transformed tile.
pub(super) const POINTS: usize = TILE_INPUTS * TILE_INPUTS;

/// √2 and √½.
const R2: f32 = std::f32::consts::SQRT_2;
const R1_2: f32 = std::f32::consts::FRAC_1_SQRT_2;

/// G g: a kernel at the points 0, √½, -√½, √2, -√2 and infinity, over the product of the point's distances to the others.
#[inline(always)]
fn of_kernel<S: Simd>(s: S, [a, b, c]: [S::Doubles; 3]) -> [S::Doubles; TILE_INPUTS] {
    const R2: f64 = std::f64::consts::SQRT_2;
    let [near_even, near_odd] = [s.add_doubles(s.scale(2.0, a), c), s.scale(R2, b)];
    let [far_even, far_odd] = [s.add_doubles(s.scale(0.5, a), c), s.scale(R2 / 2.0, b)];
    let [near, far] = [-1.0 / 3.0, 1.0 / 3.0];
    [
        a,
        s.scale(near, s.add_doubles(near_even, near_odd)),
        s.scale(near, s.sub_doubles(near_even, near_odd)),
        s.scale(far, s.add_doubles(far_even, far_odd)),
        s.scale(far, s.sub_doubles(far_even, far_odd)),
        c,
    ]
}

/// G g Gᵀ of some kernels g side by side, as many as a vector holds f64: each point's numbers to its row, from `at` on. In f64,
/// rounded once.
#[inline(always)]
pub(super) fn of_kernels<S: Simd, const N: usize, const M: usize>(
    s: S,
    g: &[[f32; N]; 9],
    rows: &mut [[f32; M]; POINTS],
    at: usize,
) {
    let zero = s.scale(0.0, s.widen(&g[0]));
    let mut columns = [[zero; 3]; TILE_INPUTS];
    for (row, weights) in g.as_chunks::<3>().0.iter().enumerate() {
        let point = of_kernel(s, [s.widen(&weights[0]), s.widen(&weights[1]), s.widen(&weights[2])]);
        for (column, point) in columns.iter_mut().zip(point) {
            column[row] = point;
        }
    }
    for (j, column) in columns.into_iter().enumerate() {
        for (i, point) in of_kernel(s, column).into_iter().enumerate() {
            s.narrow(point, &mut rows[i * TILE_INPUTS + j][at..]);
        }
    }
}

#[inline(always)]
fn times<S: Simd>(s: S, factor: f32, x: S::Vector, plus: S::Vector) -> S::Vector {
    s.mul_add(s.splat(factor), x, plus)
}

/// Bᵀ d.
#[inline(always)]
pub(super) fn of_input<S: Simd>(s: S, d: [S::Vector; TILE_INPUTS]) -> [S::Vector; TILE_INPUTS] {
    let [near_even, near_odd] = [times(s, -2.0, d[2], d[4]), times(s, -2.0, d[1], d[3])];
    let [far_even, far_odd] = [times(s, -0.5, d[2], d[4]), times(s, -0.5, d[1], d[3])];
    [
        s.add(d[0], times(s, -2.5, d[2], d[4])),
        times(s, R1_2, near_odd, near_even),
        times(s, -R1_2, near_odd, near_even),
        times(s, R2, far_odd, far_even),
        times(s, -R2, far_odd, far_even),
        s.add(d[1], times(s, -2.5, d[3], d[5])),
    ]
}

/// Aᵀ m.
#[inline(always)]
pub(super) fn of_output<S: Simd>(s: S, m: [S::Vector; TILE_INPUTS]) -> [S::Vector; TILE_OUTPUTS] {
    let [near_even, near_odd] = [s.add(m[1], m[2]), s.sub(m[1], m[2])];
    let [far_even, far_odd] = [s.add(m[3], m[4]), s.sub(m[3], m[4])];
    [
        s.add(m[0], s.add(near_even, far_even)),
        s.mul(s.splat(R1_2), times(s, 2.0, far_odd, near_odd)),
        times(s, 2.0, far_even, s.mul(s.splat(0.5), near_even)),
        times(s, 2.0 * R2, far_odd, times(s, 0.25 * R2, near_odd, m[5])),
    ]
}
