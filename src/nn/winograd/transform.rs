//! The three transforms of F(4x4, 3x3): Lavin, Gray 2015, arXiv 1509.09308, section 4.3, in one dimension; twice makes a tile.
//!
//! A tile and a kernel are polynomials, multiplied at six points. The paper's 0, 1, -1, 2, -2 and infinity give errors six times
//! as large as im2col's; with 0, ±√½, ±√2 and infinity (ncnn's too) no coefficient is far from 1, and they are about im2col's
//! own. Why points matter: Barabasz et al. 2018, arXiv 1803.10986.

use crate::nn::simd::Simd;

/// Inputs that one tile of outputs sees, along an axis.
pub(super) const SEEN: usize = 6;
/// Outputs of a tile along an axis.
pub(super) const MADE: usize = 4;
/// Numbers in a transformed tile.
pub(super) const POINTS: usize = SEEN * SEEN;

/// √2 and √½.
const R2: f32 = std::f32::consts::SQRT_2;
const R1_2: f32 = std::f32::consts::FRAC_1_SQRT_2;

/// G: the kernel at the points 0, √½, -√½, √2, -√2 and infinity, over the product of the point's distances to the others.
const G: [[f64; 3]; SEEN] = {
    const R2: f64 = std::f64::consts::SQRT_2;
    [
        [1.0, 0.0, 0.0],
        [-2.0 / 3.0, -R2 / 3.0, -1.0 / 3.0],
        [-2.0 / 3.0, R2 / 3.0, -1.0 / 3.0],
        [1.0 / 6.0, R2 / 6.0, 1.0 / 3.0],
        [1.0 / 6.0, -R2 / 6.0, 1.0 / 3.0],
        [0.0, 0.0, 1.0],
    ]
};

/// G g Gᵀ of `N` kernels g side by side. In f64, rounded once.
#[inline(always)]
pub(super) fn of_kernels<const N: usize>(g: &[[f64; N]; 9]) -> [[f32; N]; POINTS] {
    let sum = |[a, b, c]: [f64; 3], x: [&[f64; N]; 3]| -> [f64; N] {
        std::array::from_fn(|n| a * x[0][n] + b * x[1][n] + c * x[2][n])
    };
    let rows: [[[f64; N]; SEEN]; 3] =
        std::array::from_fn(|row| G.map(|of| sum(of, std::array::from_fn(|tap| &g[3 * row + tap]))));
    std::array::from_fn(|point| {
        let column = std::array::from_fn(|row| &rows[row][point % SEEN]);
        sum(G[point / SEEN], column).map(|x| x as f32)
    })
}

#[inline(always)]
fn times<S: Simd>(s: S, factor: f32, x: S::Vector, plus: S::Vector) -> S::Vector {
    s.mul_add(s.splat(factor), x, plus)
}

/// Bᵀ d.
#[inline(always)]
pub(super) fn of_input<S: Simd>(s: S, d: [S::Vector; SEEN]) -> [S::Vector; SEEN] {
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
pub(super) fn of_output<S: Simd>(s: S, m: [S::Vector; SEEN]) -> [S::Vector; MADE] {
    let [near_even, near_odd] = [s.add(m[1], m[2]), s.sub(m[1], m[2])];
    let [far_even, far_odd] = [s.add(m[3], m[4]), s.sub(m[3], m[4])];
    [
        s.add(m[0], s.add(near_even, far_even)),
        s.mul(s.splat(R1_2), times(s, 2.0, far_odd, near_odd)),
        times(s, 2.0, far_even, s.mul(s.splat(0.5), near_even)),
        times(s, 2.0 * R2, far_odd, times(s, 0.25 * R2, near_odd, m[5])),
    ]
}
