//! ATen's operations: each family says what it makes of a node.

mod composed;
mod convolution;
mod elementwise;
mod indexing;
mod makers;
mod matrices;
mod norms;
mod pools;
mod reductions;
mod resizing;
mod shapes;
mod symbols;

pub(super) use self::indexing::put_back;
pub(super) use self::makers::kind_of_type;
use super::call::Lower;

/// What lowers an operation, by its base name: "conv3d" of "aten.conv3d.default", "relu" of "aten.relu_.default".
pub(super) fn find(operation: &str) -> Option<Lower> {
    let base = base(operation)?;
    let families = [
        convolution::find,
        matrices::find,
        norms::find,
        elementwise::find,
        composed::find,
        pools::find,
        resizing::find,
        reductions::find,
        shapes::find,
        indexing::find,
        makers::find,
    ];
    match operation.split_once('.') {
        Some(("aten", _)) => families.into_iter().find_map(|find| find(base)).or_else(|| symbols::find(base)),
        Some(("_operator" | "math" | "torch", _)) => symbols::find(base),
        _ => None,
    }
}

/// The name of an operation without namespace, overload, and the mark of one that writes into its argument.
pub(super) fn base(operation: &str) -> Option<&str> {
    let name = operation.split('.').nth(1)?;
    Some(if is_in_place(operation) { &name[..name.len() - 1] } else { name })
}

/// Whether an operation writes into its first argument.
pub(super) fn is_in_place(operation: &str) -> bool {
    let name = operation.split('.').nth(1).unwrap_or_default();
    operation.starts_with("aten.") && name.ends_with('_') && !name.ends_with("__")
}
