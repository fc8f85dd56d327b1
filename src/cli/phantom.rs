//! `parallax phantom`: a scan whose truth is known, and the masks of its findings.

use anyhow::Result;

use super::args::PhantomArgs;
use super::{progress, say};
use crate::export::{nifti, write};
use crate::pipeline::BadInput;
use crate::volume::phantom::{Dials, Error, phantom};
use crate::volume::{Volume, Voxels};

pub(super) fn run(args: &PhantomArgs) -> Result<()> {
    for path in [Some(&args.out), args.masks.as_ref()].into_iter().flatten() {
        write::check(path, args.overwrite)?;
    }
    let dials = if args.random {
        Dials::random(args.seed)
    } else {
        Dials {
            effusion: args.effusion,
            nodule: args.nodule,
            cardiomegaly: args.cardiomegaly,
            emphysema: args.emphysema,
        }
    };
    let phantom = phantom(args.seed, dials, &progress::monitor()?).map_err(|error| match error {
        Error::Cancelled(cancelled) => cancelled.into(),
        Error::Dial(dial) => anyhow::Error::from(BadInput::new(dial)),
    })?;
    let bytes = nifti::nifti_bytes(&phantom.volume, "SYNTHETIC phantom, HU. Research use only.")?;
    write::save(&args.out, &bytes, args.overwrite)?;
    if let Some(path) = &args.masks {
        let marks: Vec<i16> = phantom.marks.iter().map(|m| i16::from(*m)).collect();
        let masks = Volume::new(phantom.volume.grid, Voxels::I16(marks.into()));
        let meaning = "1 effusion 2 nodule 4 cardiomegaly 8 emphysema 16 right 32 left lung 64 body";
        write::save(path, &nifti::nifti_bytes(&masks, meaning)?, args.overwrite)?;
    }
    let Dials { effusion, nodule, cardiomegaly, emphysema } = dials;
    say(&format!(
        "seed {}: effusion {effusion:.2}, nodule {nodule:.2}, cardiomegaly {cardiomegaly:.2}, emphysema {emphysema:.2}",
        args.seed
    ));
    say(&format!("{}", args.out.display()));
    Ok(())
}
