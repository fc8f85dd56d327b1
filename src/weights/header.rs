//! The header of a safetensors file: the one reader of it, for checkpoints and for sessions.
//!
//! Source: the format's own description, github.com/huggingface/safetensors: eight bytes count the bytes of a JSON text, which says
//! where each tensor lies in what follows.

use std::io::Read;

use safetensors::tensor::Metadata;

/// Larger headers than any real model's; the safetensors crate has the same limit.
pub(super) const MOST_HEADER_BYTES: u64 = 100_000_000;

/// What can be wrong with a header.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    #[error("its header is cut: {0}")]
    Cut(std::io::Error),
    #[error("its header claims {0} bytes")]
    Long(u64),
    #[error("{0}")]
    NotAHeader(serde_json::Error),
}

/// Reads the header of a file of `length` bytes, which stands at its beginning, and says how many bytes the header takes. A header of more
/// than `most_bytes`, or of more than the file has, is refused before memory is taken for it.
pub fn safetensors_header(file: &mut impl Read, length: u64, most_bytes: u64) -> Result<(Metadata, u64), HeaderError> {
    let mut count = [0; 8];
    file.read_exact(&mut count).map_err(HeaderError::Cut)?;
    let bytes = u64::from_le_bytes(count);
    if bytes > most_bytes.min(length.saturating_sub(8)) {
        return Err(HeaderError::Long(bytes));
    }
    let mut text = vec![0; bytes as usize];
    file.read_exact(&mut text).map_err(HeaderError::Cut)?;
    Ok((serde_json::from_slice(&text).map_err(HeaderError::NotAHeader)?, bytes))
}
