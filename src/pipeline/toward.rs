//! What a scan is compared with: the embedding of another scan, or one that was stored.

use std::path::Path;

use anyhow::{Context, Result};
use candle_core::DType;

use super::adapted::{embedder_for, stack_of};
use super::stack::is_stack;
use super::{BadInput, Input, Model, Other, told};
use crate::files;
use crate::job::Monitor;
use crate::models::Embedder;
use crate::nn::denormals;
use crate::weights::{self, Checkpoint};

/// Embeds another scan, which is prepared as the embedder's own card says and goes through no autoencoder; or reads an embedding: a `.npy`
/// file, or a `.safetensors` file that holds no stack.
pub fn other(path: &Path, embedder: &Model<Embedder>, monitor: &Monitor) -> Result<Other> {
    monitor.step("embedding the other scan", 0, 0)?;
    let is_stored = weights::is_npy(path)
        || (is_stack(path) && Checkpoint::open(path).map_err(BadInput::mark)?.shape("stack").is_none());
    if is_stored {
        let embedding = weights::vector(path).map_err(BadInput::mark)?;
        let sha256 = files::sha256(path).with_context(|| format!("cannot read {}", path.display()))?;
        return Ok(Other { embedding, sha256, stored: true });
    }
    let input = super::open(path, &embedder.recipe, monitor)?;
    input.check().with_context(|| "the other scan")?;
    let embedding = embedding(&input, embedder, monitor)?;
    Ok(Other { embedding, sha256: input.sha256().to_owned(), stored: false })
}

/// What an embedder says of a scan.
fn embedding(input: &Input, embedder: &Model<Embedder>, monitor: &Monitor) -> Result<Vec<f64>> {
    let _flushed = denormals::flushed();
    let network = embedder_for(embedder, input, monitor)?;
    let stack = stack_of(&input.prepared.volume)?;
    let embedding =
        network.plan(stack.dims())?.forward(&[stack], &|_, _| monitor.check()).map_err(|error| told(error.into()))?;
    Ok(embedding[0].to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}
