//! Zeros around the input of a convolution, which the convolution can set itself.

use super::super::ops::{Conv, Edge, Pad, Pick, Select};
use super::super::{Graph, Value};

impl Graph {
    /// A convolution of a padded tensor as one of the tensor itself, and that tensor.
    pub(super) fn padded_conv_of(&self, at: Value) -> Option<(Conv, Value)> {
        let conv = self.is::<Conv>(at)?;
        let [padded] = self.nodes[at.0].inputs.as_slice() else { return None };
        let [x] = self.nodes[padded.0].inputs.as_slice() else { return None };
        Some((conv.padded_more(&self.zeros(*padded)?)?, *x))
    }

    /// By axis, how many zeros an operation sets before and behind, where it does nothing else.
    fn zeros(&self, at: Value) -> Option<Vec<(usize, [usize; 2])>> {
        if let Some(Pad(zeros)) = self.is::<Pad>(at) {
            return Some(zeros.iter().copied().enumerate().collect());
        }
        let Select { picks, filling } = self.is::<Select>(at)?;
        let zeros = picks.iter().map(|(axis, pick)| match pick {
            Pick::Pad { before, behind, edge: Edge::Constant } if *filling == 0.0 => {
                Some((*axis, [usize::try_from(*before).ok()?, usize::try_from(*behind).ok()?]))
            }
            _ => None,
        });
        zeros.collect()
    }
}
