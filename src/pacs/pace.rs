//! How long an archive is waited for: it may say nothing for a while, and may be slow, but not without end.

use std::time::Duration;

use super::error::Error;
use super::source::Source;

/// The environment variable that says for how many seconds an archive may say nothing.
const PATIENCE_VARIABLE: &str = "PARALLAX_PACS_PATIENCE";
/// How long an archive may say nothing where the variable does not say: some fetch from tapes.
const USUAL_SECS: u64 = 60;
const MOST_SECS: u64 = 3600;
/// What comes of one object or of one list is at least this much, over the time that an archive may say nothing. A line of a modem's speed
/// brings ten times as much.
const LEAST_BYTES_PER_SEC: u64 = 512;

/// How long an archive may say nothing. What the environment says and is no such number counts for nothing.
pub(super) fn silence() -> Duration {
    let said = std::env::var(PATIENCE_VARIABLE).ok().and_then(|said| said.trim().parse().ok());
    Duration::from_secs(said.filter(|secs| (1..=MOST_SECS).contains(secs)).unwrap_or(USUAL_SECS))
}

/// How long nothing at all may be heard of a talk: longer than any silence that a connection allows.
pub(super) fn patience() -> Duration {
    silence() * 3 / 2
}

/// Watches how fast something comes, or goes.
pub(super) struct Pace {
    silence: Duration,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { silence: silence(), waited: Duration::ZERO, bytes: 0 }
    }

    /// Counts a piece that was waited for so long. An error means that no more is waited for.
    pub(super) fn count(&mut self, bytes: usize, waited: Duration, source: &Source) -> Result<(), Error> {
        self.waited += waited;
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if self.waited < self.silence {
            return Ok(());
        }
        let secs = self.silence.as_secs().max(1);
        if self.bytes < LEAST_BYTES_PER_SEC.saturating_mul(secs) {
            let what = format!(
                "{} bytes went in {} s, which is too slow to wait for; where the archive is that slow, raise {PATIENCE_VARIABLE} (seconds)",
                self.bytes,
                self.waited.as_secs()
            );
            return Err(Error::broken(what, source));
        }
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pacs::source::{Access, Certificates, Login, Web};

    #[test]
    fn what_drips_is_given_up_and_what_is_only_slow_is_not() {
        let web = Web {
            url: "https://h".to_owned(),
            login: Login::None,
            certificates: Certificates::default(),
            unencrypted: false,
        };
        let source = Source { name: "web".to_owned(), kind: Access::DicomWeb(web) };
        let new = || Pace { silence: Duration::from_mins(1), waited: Duration::ZERO, bytes: 0 };
        let mut pace = new();
        let given_up = (0..1000).find(|_| pace.count(1, Duration::from_secs(1), &source).is_err());
        assert_eq!(given_up, Some(59));
        let mut pace = new();
        assert!((0..1000).all(|_| pace.count(1000, Duration::from_secs(1), &source).is_ok()));
        // Rare and large pieces are as good; and time that is spent elsewhere does not count.
        let mut pace = new();
        assert!((0..100).all(|_| pace.count(100_000, Duration::from_secs(59), &source).is_ok()));
        assert!((0..100_000).all(|_| pace.count(0, Duration::ZERO, &source).is_ok()));
    }
}
