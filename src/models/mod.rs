//! The networks: what each can do, and the cards that say what they are.

use candle_core::{Result, Tensor};

/// Compresses slices one by one. Slices never mix: decoding one slice alone gives what decoding it among others gives.
pub trait Autoencoder: Send + Sync {
    /// `[slices, 1, height, width]` in `0..=1` to latents `[slices, channels, h, w]`.
    fn encode(&self, stack: &Tensor) -> Result<Tensor>;
    /// Latents to `[slices, 1, height, width]`; `size` is the stack's height and width, since latents do not know it.
    fn decode(&self, latents: &Tensor, size: [usize; 2]) -> Result<Tensor>;
    /// `[slope, offset]`: what turns decoded values into the stack's `0..=1`. `[1, 0]` for a true inverse;
    /// `[2, -0.5]` where decoding returns (y+2)/4 as the published code does.
    fn unit_from_decoded(&self) -> [f32; 2];
}

/// Gives one logit per label for a whole stack `[slices, 1, height, width]`.
pub trait Classifier: Send + Sync {
    /// `[labels]`, differentiable in `stack`.
    fn logits(&self, stack: &Tensor) -> Result<Tensor>;
    fn labels(&self) -> &[String];
    /// The network cut into stages: `stages()[i]` maps the boundary tensor `i` to `i + 1`; the last gives the logits.
    /// The gradient is taken stage by stage, keeping boundaries only.
    fn stages(&self) -> Vec<Box<dyn Fn(&Tensor) -> Result<Tensor> + '_>>;
}

/// Gives each pixel a probability per class, slice by slice.
pub trait Segmenter: Send + Sync {
    /// `[slices, 1, height, width]` to log-softmax `[slices, classes, h, w]`, differentiable.
    fn log_probabilities(&self, stack: &Tensor) -> Result<Tensor>;
    fn labels(&self) -> &[String];
}
