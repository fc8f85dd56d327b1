//! Where a benchmark computes: the words of its command line that say so.

use anyhow::{Context, bail};
use parallax::nn::{denormals, device, threads};

pub(crate) struct Compute {
    pub(crate) threads: usize,
    wanted: device::Wanted,
    precision: device::Precision,
}

impl Default for Compute {
    fn default() -> Self {
        Self { threads: 2, wanted: device::Wanted::Cpu, precision: device::Precision::Exact }
    }
}

impl Compute {
    /// Takes `--threads N`, `--device cpu|cuda`, `--fast` and cargo's own `--bench`; false where the word is another.
    pub(crate) fn take(&mut self, word: &str, words: &mut impl Iterator<Item = String>) -> anyhow::Result<bool> {
        let mut next = || words.next().with_context(|| format!("{word} takes a value"));
        match word {
            "--threads" => self.threads = next()?.parse()?,
            "--device" => {
                self.wanted = match next()?.as_str() {
                    "cpu" => device::Wanted::Cpu,
                    "cuda" => device::Wanted::Cuda,
                    other => bail!("no device {other}"),
                }
            }
            "--fast" => self.precision = device::Precision::Fast,
            "--bench" => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// As the program does before it computes.
    pub(crate) fn start(&self) -> anyhow::Result<()> {
        device::choose(self.wanted, self.precision)?;
        threads::start(self.threads)?;
        std::mem::forget(denormals::flushed()); // until the process ends
        Ok(())
    }
}
