//! `parallax prepare`: a scan on a recipe's grid, as the stack that networks are given by way of their adapters.

use anyhow::{Result, bail};

use super::args::PrepareArgs;
use super::{Usage, pacs, progress, say};
use crate::export::{nifti, tensors, write};
use crate::io::counted;
use crate::machine;
use crate::pipeline;
use crate::preprocess::Recipe;

pub(super) fn run(args: &PrepareArgs) -> Result<()> {
    let name = args.out.to_string_lossy();
    let tensors = name.ends_with(".safetensors");
    if !tensors && !name.ends_with(".nii.gz") {
        bail!(Usage(format!("--out must end in .safetensors or .nii.gz, which {name} does not")));
    }
    write::check(&args.out, args.overwrite)?;
    if let Some(most) = args.memory {
        machine::allow_memory(most);
    }
    let monitor = progress::monitor()?;
    let recipe = args.card.as_deref().map_or_else(|| Ok(Recipe::default()), pipeline::recipe)?;
    let input = pipeline::open_chosen(&pacs::scan(&args.scan, &monitor)?, &args.choice.choice(), &recipe, &monitor)?;
    let stack = &input.prepared.volume;
    let bytes = if tensors {
        tensors::stack_bytes(stack)?
    } else {
        nifti::nifti_bytes(stack, "Prepared stack, 0..1. Research use only.")?
    };
    write::save(&args.out, &bytes, args.overwrite)?;
    for note in input.notes() {
        say(&format!("note: {}", note.text));
    }
    if recipe.z_score || recipe.channels > 1 || !recipe.windows.is_empty() || recipe.range != [0.0, 1.0] {
        let [low, high] = recipe.hu;
        say(&format!(
            "note: 0 and 1 are {low} and {high} HU here; what the card says of range, windows, channels and z_score is done behind that, \
             before the network"
        ));
    }
    let [width, height, slices] = stack.grid.shape;
    say(&format!("{} of {height} x {width} in {}", counted(slices, "slice"), args.out.display()));
    Ok(())
}
