//! The zip file of an exported program: which of its parts is the graph, and where the numbers of each weight lie.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;

use super::schema::{Payloads, SymInt, TensorMeta};
use crate::weights::{Layout, NumberType, Package, Stored};

/// Graphs of real networks are some megabytes of json, of which stack traces are the most.
const MAX_JSON_BYTES: u64 = 1 << 28;
/// What whoever saved the program added: labels, a recipe.
const MAX_EXTRA_BYTES: u64 = 1 << 20;

/// The parts of an exported program.
pub(super) struct Archive {
    pub(super) json: String,
    /// Weights, buffers and constants, by the names that the program has for them.
    pub(super) tensors: BTreeMap<String, Stored>,
    /// Texts that were saved beside the program, by name.
    pub(super) extra: BTreeMap<String, String>,
    pub(super) numbers: Numbers,
}

/// The entries of raw numbers, whose bytes are compared with their checksums before the first graph is made: a weight of which a bit has
/// changed is still a number. What says of a file what it takes and gives need not read them.
pub(super) struct Numbers {
    package: Package,
    entries: BTreeSet<String>,
    verified: OnceLock<Result<(), String>>,
}

impl Numbers {
    /// # Errors
    /// In words, where the bytes of an entry are not those that were written.
    pub(super) fn verify(&self) -> Result<(), String> {
        let verified = || self.package.verify(self.entries.iter().map(String::as_str));
        self.verified.get_or_init(verified).clone()
    }
}

/// By number of the schema's `ScalarType`: the type's name, and how its numbers are stored where they can be read.
pub(super) fn type_of(number: u64) -> (&'static str, Option<NumberType>) {
    match number {
        1 => ("uint8", Some(NumberType::U8)),
        2 => ("int8", Some(NumberType::I8)),
        3 => ("int16", Some(NumberType::I16)),
        4 => ("int32", Some(NumberType::I32)),
        5 => ("int64", Some(NumberType::I64)),
        6 => ("float16", Some(NumberType::F16)),
        7 => ("float32", Some(NumberType::F32)),
        8 => ("float64", Some(NumberType::F64)),
        9 => ("complex32", None),
        10 => ("complex64", None),
        11 => ("complex128", None),
        12 => ("bool", Some(NumberType::Bool)),
        13 => ("bfloat16", Some(NumberType::BF16)),
        29..=33 => ("float8", None),
        _ => ("a type of numbers that is unknown here", None),
    }
}

impl Archive {
    /// # Errors
    /// In words, where the file is no exported program, or is damaged.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let package = Package::open(path)?;
        let has = |end: &str| package.names().any(|name| name == end || name.ends_with(&format!("/{end}")));
        if let Ok(json) = package.text("serialized_exported_program.json", MAX_JSON_BYTES) {
            return Self::of_first_layout(package, json);
        }
        let models: Vec<String> = package.names().filter(|name| model_of(name).is_some()).map(str::to_owned).collect();
        let [model] = models.as_slice() else {
            return Err(match models.len() {
                0 if has("constants.pkl") || package.names().any(|name| name.contains("/code/")) => {
                    "it is TorchScript; export the network in Python by torch.export.save or torch.onnx.export, as assets/export.py does".to_owned()
                }
                0 if package.names().any(|name| name.contains("data/aotinductor/")) => {
                    "it is compiled for one machine; save the program itself by torch.export.save".to_owned()
                }
                0 if has("data.pkl") => {
                    "it holds weights, or a network that was saved whole, without its operations; export the network in Python by torch.export.save, as \
                     assets/export.py does".to_owned()
                }
                0 => "it is a zip file without models/model.json, so no exported program".to_owned(),
                _ => format!("it holds {} programs ({}); save one", models.len(), models.join(", ")),
            });
        };
        let (root, name) = model_of(model).unwrap_or_default();
        if has("byteorder") && package.text(&format!("{root}byteorder"), 16)?.trim() == "big" {
            return Err("its numbers are big-endian; save it again on a little-endian machine".to_owned());
        }
        let json = package.text(model, MAX_JSON_BYTES)?;
        let (mut tensors, mut entries) = (BTreeMap::new(), BTreeSet::new());
        for (folder, kind) in [("weights", "weights"), ("constants", "constants")] {
            let folder = format!("{root}data/{folder}/");
            let (config, pickle) = (format!("{folder}{name}_{kind}_config.json"), format!("{folder}{name}.pt"));
            if package.names().any(|name| name == config) {
                payloads(&package, &folder, &config, &mut tensors, &mut entries)?;
            } else if package.names().any(|name| name == pickle) {
                package.verify([pickle.as_str()])?;
                tensors.extend(package.state_dict(&pickle)?);
            }
        }
        let extra = extra(&package, &format!("{root}extra/"));
        Ok(Self { json, tensors, extra, numbers: Numbers { package, entries, verified: OnceLock::new() } })
    }

    /// What PyTorch wrote before 2.8: the graph, and two files of `torch.save`.
    fn of_first_layout(package: Package, json: String) -> Result<Self, String> {
        let mut tensors = BTreeMap::new();
        for name in ["serialized_state_dict", "serialized_constants"] {
            let ends = [".pt", ".json"].map(|end| format!("{name}{end}"));
            let entry = ends.iter().find(|name| package.names().any(|other| other == name.as_str()));
            let entry = entry.ok_or_else(|| format!("its {name}.pt is missing"))?;
            package.verify([entry.as_str()])?;
            tensors.extend(package.state_dict(entry)?);
        }
        let extra = extra(&package, "extra_files/");
        Ok(Self {
            json,
            tensors,
            extra,
            numbers: Numbers { package, entries: BTreeSet::new(), verified: OnceLock::new() },
        })
    }
}

/// The folder of the archive and the name of the model whose graph this entry is.
fn model_of(entry: &str) -> Option<(&str, &str)> {
    let (folder, name) = entry.rsplit_once('/')?;
    let root = folder.strip_suffix("models").filter(|root| root.is_empty() || root.ends_with('/'))?;
    Some((root, name.strip_suffix(".json")?))
}

/// Short texts of a folder, by name.
fn extra(package: &Package, folder: &str) -> BTreeMap<String, String> {
    let inside = package.names().filter_map(|entry| Some((entry.strip_prefix(folder)?, entry)));
    inside.filter_map(|(name, entry)| Some((name.to_owned(), package.text(entry, MAX_EXTRA_BYTES).ok()?))).collect()
}

/// Finds the tensors that a config lists, and the entries that hold them.
fn payloads(
    package: &Package,
    folder: &str,
    config: &str,
    tensors: &mut BTreeMap<String, Stored>,
    entries: &mut BTreeSet<String>,
) -> Result<(), String> {
    let text = package.text(config, MAX_JSON_BYTES)?;
    let payloads: Payloads = serde_json::from_str(&text).map_err(|e| format!("its entry {config}: {e}"))?;
    for (name, payload) in payloads.config {
        // A constant that is no tensor, or one that only Python can make: an error where something needs it.
        let Some(meta) = payload.tensor_meta.filter(|_| !payload.use_pickle) else { continue };
        let Some(layout) = layout(&meta) else { continue };
        let entry = format!("{folder}{}", payload.path_name);
        let stored = package.tensor(&entry, layout);
        tensors.insert(name.clone(), stored.map_err(|what| format!("tensor {name}: {what}"))?);
        entries.insert(entry);
    }
    Ok(())
}

/// How the numbers lie, where their type can be read.
fn layout(meta: &TensorMeta) -> Option<Layout> {
    let number = |size: &SymInt| match size {
        SymInt::AsInt(size) => usize::try_from(*size).ok(),
        SymInt::AsExpr(_) => None,
    };
    let numbers = |sizes: &[SymInt]| sizes.iter().map(number).collect::<Option<Vec<_>>>();
    Some(Layout {
        shape: numbers(&meta.sizes)?,
        strides: numbers(&meta.strides)?,
        offset: number(&meta.storage_offset)?,
        kind: type_of(meta.dtype).1?,
    })
}
