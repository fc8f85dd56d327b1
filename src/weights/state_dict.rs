//! Finds the state dict in a pickle, and in it each tensor's storage, offset, shape and strides.

use std::collections::BTreeMap;

use super::pickle::{Id, Pickle, Value};
use super::storage::{MAX_AXES, NumberType, StorageBytes, TensorSource};

/// A storage as a persistent id names it: `('storage', class, key, location, numel, …)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StorageName {
    pub(super) kind: NumberType,
    pub(super) key: String,
    pub(super) numel: usize,
}

/// Keys under which trainers put the state dict. Lightning's is the first.
const WRAPPERS: [&str; 5] = ["state_dict", "model_state_dict", "model", "net", "module"];
/// Wrappers inside wrappers: a training state holds a model that holds a state dict.
const MAX_NESTING: usize = 3;

impl Pickle {
    fn value(&self, id: Id) -> &Value {
        &self.values[id]
    }

    fn text(&self, id: Id) -> Option<&str> {
        match self.value(id) {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    fn size(&self, id: Id) -> Option<usize> {
        match self.value(id) {
            Value::Int(n) => usize::try_from(*n).ok(),
            _ => None,
        }
    }

    fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        let mut value = self.value(id);
        // torch.Size((…)) of newer files: one call around the tuple, and no more, for calls in calls could go on without end.
        if let Value::Call { arguments, .. } = value {
            let Value::Tuple(inner) = self.value(*arguments) else { return None };
            let [only] = inner.as_slice() else { return None };
            value = self.value(*only);
        }
        let (Value::Tuple(items) | Value::List(items)) = value else { return None };
        // One long list could be the shape of each of thousands of tensors.
        (items.len() <= MAX_AXES).then_some(())?;
        items.iter().map(|item| self.size(*item)).collect()
    }

    pub(super) fn storage_name(&self, id: Id) -> Option<StorageName> {
        let Value::Persistent(id) = self.value(id) else { return None };
        let Value::Tuple(parts) = self.value(*id) else { return None };
        let [tag, class, key, _location, numel, ..] = parts.as_slice() else { return None };
        let Value::Global(class) = self.value(*class) else { return None };
        (self.text(*tag) == Some("storage")).then_some(())?;
        let kind = NumberType::of_storage(class.strip_prefix("torch.")?)?;
        Some(StorageName { kind, key: self.text(*key)?.to_owned(), numel: self.size(*numel)? })
    }

    /// Storage, offset, shape, strides of a value that is a tensor.
    fn tensor(&self, id: Id) -> Option<(StorageName, usize, Vec<usize>, Vec<usize>)> {
        let mut id = id;
        for _ in 0..MAX_NESTING {
            let Value::Call { callable, arguments } = self.value(id) else { return None };
            let (Value::Global(function), Value::Tuple(arguments)) = (self.value(*callable), self.value(*arguments))
            else {
                return None;
            };
            match (function.as_str(), arguments.as_slice()) {
                (
                    "torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor",
                    [storage, offset, shape, strides, ..],
                ) => {
                    return Some((
                        self.storage_name(*storage)?,
                        self.size(*offset)?,
                        self.sizes(*shape)?,
                        self.sizes(*strides)?,
                    ));
                }
                ("torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state", [tensor, ..]) => {
                    id = *tensor;
                }
                _ => return None,
            }
        }
        None
    }

    /// The dict whose values are tensors: this one, or one under a wrapper's key.
    fn state_dict(&self, id: Id, nesting: usize) -> Option<&[(Id, Id)]> {
        let Value::Dict(items) = self.value(id) else { return None };
        for wrapper in WRAPPERS {
            let inside = items.iter().find(|(key, _)| self.text(*key) == Some(wrapper));
            if let (Some((_, value)), true) = (inside, nesting < MAX_NESTING)
                && let Some(found) = self.state_dict(*value, nesting + 1)
            {
                return Some(found);
            }
        }
        items.iter().any(|(_, value)| self.tensor(*value).is_some()).then_some(items)
    }

    /// Every tensor of the state dict; `place` says where a storage's bytes lie.
    pub(super) fn tensors(
        &self,
        mut place: impl FnMut(&StorageName) -> Result<StorageBytes, String>,
    ) -> Result<BTreeMap<String, TensorSource>, String> {
        let mut tensors = BTreeMap::new();
        for (key, value) in self.state_dict(self.root, 0).unwrap_or_default() {
            let (Some(name), Some((storage, offset, shape, strides))) = (self.text(*key), self.tensor(*value)) else {
                continue; // versions, metadata: no tensor
            };
            let source = place(&storage)
                .and_then(|place| TensorSource::new(shape, strides, offset, storage.kind, place))
                .map_err(|what| format!("{name}: {what}"))?;
            tensors.insert(name.to_owned(), source);
        }
        Ok(tensors)
    }
}
