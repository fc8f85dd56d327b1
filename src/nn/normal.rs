//! The normal distribution for f32, of plain arithmetic alone, so that the compiler computes several at a time.

use super::exponential::wide;

/// ln(erfc(z) e^(z^2) / t) as a series in 2t - 1, from its highest power down, where t = 2 / (2 + z) and z >= 0: the Chebyshev
/// series to its 14th term, of 50 digits. What is left of it is below 5e-9.
const SERIES: [f64; 14] = [
    2.072_307_095_777_881_8e-05,
    1.337_150_349_127_444_8e-05,
    -0.000_154_633_790_829_665_88,
    -3.211_377_231_212_547_5e-05,
    0.000_657_953_847_771_023_5,
    -0.000_182_782_141_716_012_7,
    -0.002_339_277_724_052_592,
    0.001_770_666_118_629_671_1,
    0.008_823_558_177_645_04,
    -0.009_874_534_918_291_376,
    -0.046_895_482_160_995,
    0.047_343_417_521_067_51,
    0.672_643_220_546_008_4,
    -0.671_794_085_151_721_5,
];
/// Beyond it erfc is below the least f32.
const END: f64 = 10.5;

/// The share of the distribution below `x`, within 1.1 * 2^-24 of 1, and of itself where `x` is negative.
#[inline(always)]
pub(crate) fn below(x: f32) -> f32 {
    let z = f64::from(x).abs() * std::f64::consts::FRAC_1_SQRT_2;
    let z = if z > END { END } else { z }; // a NaN stays one
    let t = 2.0 / (2.0 + z);
    let u = 2.0 * t - 1.0;
    let series = SERIES.iter().fold(0.0, |sum, term| sum * u + term);
    let above = 0.5 * t * wide(series - z * z);
    (if x < 0.0 { above } else { 1.0 - above }) as f32
}

#[cfg(test)]
mod tests {
    use super::below;

    /// Half a unit in the last place, and what the two series may miss.
    const ROUNDED: f64 = 0.55 * f32::EPSILON as f64;

    #[test]
    fn it_is_rounded_as_well_as_f32_can() {
        let exact = |x: f64| 0.5 * libm_erfc(-x * std::f64::consts::FRAC_1_SQRT_2);
        let mut x = -12.0_f32;
        while x < 12.0 {
            let (exact, ours) = (exact(f64::from(x)), f64::from(below(x)));
            let gap = (ours - exact).abs() / exact.max(f64::from(f32::MIN_POSITIVE));
            assert!(gap <= ROUNDED, "below({x}) is off by {gap:e}");
            x += 0.000_37;
        }
    }

    /// 1 - erf loses the tail.
    fn libm_erfc(x: f64) -> f64 {
        if x < 0.5 { 1.0 - candle_core::cpu::erf::erf_f64(x) } else { tail(x) }
    }

    /// erfc by its continued fraction, from far down.
    fn tail(x: f64) -> f64 {
        let fraction = (1..400).rev().fold(x, |rest, n| x + f64::from(n) / 2.0 / rest);
        (-x * x).exp() / fraction * std::f64::consts::FRAC_2_SQRT_PI / 2.0
    }

    #[test]
    fn ends_are_kept_and_no_number_stays_none() {
        assert_eq!(below(0.0), 0.5);
        assert_eq!(below(f32::INFINITY), 1.0);
        assert!(below(f32::NEG_INFINITY) < 1e-37);
        assert!(below(f32::NAN).is_nan());
    }
}
