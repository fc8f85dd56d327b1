//! `parallax phantom`: a scan whose truth is known, and the masks of its findings; or many of them, as networks see them.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};

use super::args::PhantomArgs;
use super::values::Seeds;
use super::{Usage, insert, progress, say};
use crate::export::{nifti, tensors, write};
use crate::job::Monitor;
use crate::pipeline::{self, BadInput};
use crate::preprocess::Recipe;
use crate::volume::phantom::second::{self, Raster};
use crate::volume::phantom::{Dials, Error, Finding, Phantom, Version};
use crate::volume::{Volume, Voxels};

pub(super) fn run(args: &PhantomArgs) -> Result<()> {
    match (&args.seeds, &args.card, args.seed) {
        (Some(seeds), Some(card), _) => stacks(args, seeds, &pipeline::recipe(card)?),
        (_, _, Some(seed)) => scan(args, seed),
        _ => Err(anyhow!("name a --seed, or --seeds with a --card")),
    }
}

/// One patient, as a scanner would write it.
fn scan(args: &PhantomArgs, seed: u64) -> Result<()> {
    let outputs: Vec<&Path> =
        [Some(&args.out), args.masks.as_ref()].into_iter().flatten().map(PathBuf::as_path).collect();
    outputs.iter().try_for_each(|path| insert::nifti_name(path))?;
    write::check_all(&outputs, &[], args.overwrite)?;
    let dials = dials(args, seed);
    let phantom = draw(args, seed, dials, &progress::monitor()?)?;
    let bytes = nifti::nifti_bytes(&phantom.volume, "SYNTHETIC phantom, HU. Research use only.")?;
    let masks = args.masks.as_ref().map(|path| Ok::<_, anyhow::Error>((path, mask_bytes(&phantom)?))).transpose()?;
    let files = masks.iter().map(|(path, masks)| (path.as_path(), masks.as_slice()));
    write::save_all(
        &std::iter::once((args.out.as_path(), bytes.as_slice())).chain(files).collect::<Vec<_>>(),
        args.overwrite,
    )?;
    let listed = Finding::ALL.map(|finding| format!("{} {:.2}", finding.name(), dials.of(finding)));
    say(&format!("seed {seed}: {}", listed.join(", ")));
    say(&format!("{}", args.out.display()));
    Ok(())
}

fn mask_bytes(phantom: &Phantom) -> Result<Vec<u8>> {
    let masks: Vec<i16> = phantom.masks.iter().map(|m| i16::from(*m)).collect();
    let masks = Volume::new(phantom.volume.grid, Voxels::I16(masks.into()));
    nifti::nifti_bytes(&masks, "1 effusion 2 nodule 4 cardiomegaly 8 emphysema 16 right 32 left lung 64 body")
}

/// Many patients, prepared, a file each.
fn stacks(args: &PhantomArgs, Seeds(seeds): &Seeds, recipe: &Recipe) -> Result<()> {
    let folder = &args.out;
    write::make_private_folder(folder)?;
    let path = |seed: u64| folder.join(format!("{seed}.safetensors"));
    let monitor = progress::monitor()?;
    let total = usize::try_from(seeds.end - seeds.start).unwrap_or(usize::MAX);
    for (i, seed) in seeds.clone().enumerate() {
        monitor.step("looking for phantoms that are there", i, total)?;
        write::check_new(&path(seed), args.overwrite)?;
    }
    for (i, seed) in seeds.clone().enumerate() {
        monitor.step("drawing phantoms", i, total)?;
        stack(args, &path(seed), seed, recipe, &monitor)?;
    }
    say(&format!("{total} phantoms in {}", folder.display()));
    Ok(())
}

fn stack(args: &PhantomArgs, path: &Path, seed: u64, recipe: &Recipe, monitor: &Monitor) -> Result<()> {
    let dials = dials(args, seed);
    let (phantom, input) = pipeline::draw_version(args.phantom_version, seed, dials, recipe, &monitor.quiet())?;
    let prepared = input.prepared.volume;
    let masks = phantom.masks_on(&prepared.grid);
    let dials = Finding::ALL.map(|finding| dials.of(finding));
    write::save(path, &tensors::phantom_bytes(&prepared, &masks, &dials)?, args.overwrite)
}

fn dials(args: &PhantomArgs, seed: u64) -> Dials {
    if args.random {
        return args.without.iter().fold(Dials::random(seed), |dials, finding| dials.with(*finding, 0.0));
    }
    Dials { effusion: args.effusion, nodule: args.nodule, cardiomegaly: args.cardiomegaly, emphysema: args.emphysema }
}

fn draw(args: &PhantomArgs, seed: u64, dials: Dials, monitor: &Monitor) -> Result<Phantom> {
    let drawn = match raster(args)? {
        Some(raster) => second::draw(seed, dials, Some(raster), monitor),
        None => args.phantom_version.draw(seed, dials, monitor),
    };
    drawn.map_err(|error| match error {
        Error::Cancelled(cancelled) => cancelled.into(),
        Error::Dial(dial) => BadInput::new(dial).into(),
        Error::Raster(raster) => BadInput::new(raster).into(),
    })
}

/// The grid that was asked for, which the first version cannot draw on.
fn raster(args: &PhantomArgs) -> Result<Option<Raster>> {
    let (Some(matrix), Some(spacing)) = (&args.matrix, &args.spacing) else { return Ok(None) };
    if args.phantom_version == Version::First {
        bail!(Usage(
            "phantoms of version 1 have a grid of their own; add --phantom-version 2 to choose --matrix and --spacing"
                .to_owned()
        ));
    }
    Ok(Some(Raster { shape: matrix.0, spacing_mm: spacing.0 }))
}
