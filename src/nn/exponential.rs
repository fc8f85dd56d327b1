//! e to the x for f32, of plain arithmetic alone, so that the compiler computes several at a time; the system's is called for
//! each.

/// Near these the result leaves the normal f32s: beyond them it stays where it is there.
const LEAST: f32 = -87.3;
const MOST: f32 = 88.3;
/// Adding and taking this away rounds to a whole number: beyond 2^52 an f64 has no fraction.
const ROUND: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52
/// Bits of an f64's fraction, and the bias of its exponent.
const FRACTION_BITS: u32 = 52;
const BIAS: u64 = 1023;
/// 1 / k!, from k = 7 down: with |r| at most ln(2) / 2 the rest of the series is below a tenth of an f32's last place.
const SERIES: [f64; 8] = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];

/// Within 0.6 * 2^-23, relative. x = n ln 2 + r, and the series of e^r, in f64.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let x = if x < LEAST { LEAST } else { x }; // a NaN stays one
    wide(f64::from(if x > MOST { MOST } else { x })) as f32
}

/// As near as an f32 needs, for numbers within -700 and 700.
#[inline(always)]
pub(super) fn wide(x: f64) -> f64 {
    let rounded = x * std::f64::consts::LOG2_E + ROUND;
    let r = x - (rounded - ROUND) * std::f64::consts::LN_2;
    let series = SERIES.iter().fold(0.0, |sum, term| sum * r + term);
    // The last bits of `rounded` are n.
    let power = f64::from_bits(rounded.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(BIAS) << FRACTION_BITS);
    series * power
}

#[cfg(test)]
mod tests {
    use super::{LEAST, MOST, exp};

    /// Half a unit in the last place, and the tenth that the series may miss.
    const ROUNDED: f64 = 0.6 * f32::EPSILON as f64;

    #[test]
    fn it_is_rounded_as_well_as_f32_can() {
        let mut x = LEAST;
        while x < MOST {
            let exact = f64::from(x).exp();
            let gap = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(gap <= ROUNDED, "exp({x}) is off by {gap:e}");
            x += 0.000_71;
        }
    }

    #[test]
    fn ends_are_kept_and_no_number_stays_none() {
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NEG_INFINITY) < 2e-38 && exp(f32::INFINITY) > 1e38);
        assert!(exp(f32::NAN).is_nan());
    }
}
