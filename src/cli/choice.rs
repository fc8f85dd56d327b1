//! Which of the volumes of a path is meant, as it can be typed.

use clap::Args;

use super::values::whole;
use crate::io::{Choice, Which};

#[derive(Debug, Args)]
pub struct ChoiceArgs {
    /// One of the series of a folder or an archive, by its number or its UID: `parallax info` lists them [default: the CT with the
    /// most slices]
    #[arg(long, value_name = "N|UID", requires = "scan")]
    series: Option<Which>,
    /// One of the volumes of a 4-D file, counted from 1 [default: the first]
    #[arg(long, value_name = "N", requires = "scan", value_parser = volume)]
    volume: Option<usize>,
}

impl ChoiceArgs {
    pub(super) fn choice(&self) -> Choice {
        Choice { series: self.series.clone(), volume: self.volume }
    }

    /// Another choice where nothing was typed.
    pub(super) fn or(&self, other: Choice) -> Choice {
        let Choice { series, volume } = self.choice();
        Choice { series: series.or(other.series), volume: volume.or(other.volume) }
    }
}

fn volume(text: &str) -> Result<usize, String> {
    match whole(text)? {
        0 => Err("volumes are counted from 1".to_owned()),
        number => Ok(number),
    }
}
