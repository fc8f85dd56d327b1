//! ONNX's operations as those of a graph: <https://onnx.ai/onnx/operators>.

mod attention;
mod conv;
mod elementwise;
mod norm;
mod pick;
mod pool;
mod reduce;
mod resize;
mod scatter;
mod shape;

use super::node::Node;
use crate::exchange::lower::{Lowering, Made, Operand};

/// A function that makes a node's outputs.
pub(super) type Lower = fn(&mut Lowering, &Node<'_>) -> Made<Vec<Operand>>;

/// How an operation is made; none where Parallax does not have it.
pub(super) fn lowering(name: &str) -> Option<Lower> {
    let families = [elementwise::lowering, shape::lowering, pick::lowering, reduce::lowering, norm::lowering];
    families.iter().find_map(|family| family(name)).or_else(|| {
        Some(match name {
            "Conv" => conv::conv,
            "ConvTranspose" => conv::transposed,
            "MaxPool" => pool::max,
            "AveragePool" => pool::average,
            "GlobalAveragePool" => pool::global_average,
            "GlobalMaxPool" => pool::global_max,
            "Col2Im" => pool::fold,
            "Resize" | "Upsample" => resize::resize,
            "MatMul" => reduce::matmul,
            "Gemm" => reduce::gemm,
            "Einsum" => reduce::einsum,
            "Attention" => attention::attention,
            "If" => |_, _| super::super::lower::wrong("a branch within no graph"),
            _ => return None,
        })
    })
}

/// The only output.
fn one(operand: Made<Operand>) -> Made<Vec<Operand>> {
    Ok(vec![operand?])
}
