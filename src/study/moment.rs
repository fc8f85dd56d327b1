//! Points in time, as the answers of a study tell them.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

const MS_PER_DAY: u64 = 86_400_000;

/// Milliseconds since the beginning of 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

/// Gives moments that never go backwards, even where someone sets the machine's clock meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    began: Instant,
    began_at: Moment,
}

impl Default for Clock {
    fn default() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { began: Instant::now(), began_at: Moment(since.as_millis() as u64) }
    }
}

impl Clock {
    pub fn now(&self) -> Moment {
        Moment(self.began_at.0 + self.began.elapsed().as_millis() as u64)
    }
}

impl Moment {
    /// Milliseconds from an earlier moment to this one; 0 where that is later.
    pub fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// "2026-11-30T03:02:38.123Z", by ISO 8601.
    pub fn text(self) -> String {
        let (days, ms) = (self.0 / MS_PER_DAY, self.0 % MS_PER_DAY);
        let [year, month, day] = date(days);
        let [hours, minutes, secs] = [ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60];
        format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{secs:02}.{:03}Z", ms % 1000)
    }
}

/// Year, month and day of the Gregorian calendar, from days since the beginning of 1970.
/// Source: Howard Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
fn date(days: u64) -> [u64; 3] {
    let days = days + 719_468; // from the first of March of the year 0
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    [year_of_era + era * 400 + u64::from(month <= 2), month, day]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_by_the_calendar() {
        // As `date -u -d @SECONDS` has them.
        for (secs, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (1_796_007_758, "2026-11-30T03:02:38.000Z"),
            (4_102_444_800, "2100-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(Moment(secs * 1000).text(), text);
        }
        assert_eq!(Moment(7).text(), "1970-01-01T00:00:00.007Z");
        assert_eq!(Moment(3).ms_since(Moment(5)), 0);
    }
}
