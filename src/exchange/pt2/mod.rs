//! Networks as PyTorch's exported programs (`torch.export.save`): the file opened within bounds, and what it says of itself.
//!
//! The graph of ATen operations is json, the weights are raw numbers. No pickle is executed; those of sample inputs are not read.

mod archive;
mod call;
mod inline;
mod links;
mod ops;
mod outputs;
mod refusal;
mod schema;
mod views;
mod walk;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use candle_core::DType;

use self::archive::{Archive, Numbers, type_of};
use self::schema::{Argument, ExportedProgram, InputSpec, MAJOR, Node, SymInt, TensorMeta, Versioned};
use super::lower::{Made, Meaning, Operand, beyond, wrong};
use super::{About, Elementary, Error, Link, Network, Port, Request, Size};
use crate::files::{self, printable};
use crate::graph::Graph;
use crate::weights::Stored;

/// An exported program.
pub(super) struct Program {
    path: PathBuf,
    about: About,
    nodes: Vec<Node>,
    /// By value, the number of its type.
    types: HashMap<String, u64>,
    /// By value, what the file holds: its name there, and the numbers where they can be read.
    weights: HashMap<String, Weight>,
    numbers: Numbers,
    /// How many bytes the file has.
    bytes: u64,
}

struct Weight {
    name: String,
    stored: Option<Stored>,
    kind: Option<Meaning>,
    is_parameter: bool,
}

impl Program {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let unreadable = |why| Error::Unreadable { path: path.to_owned(), why };
        let not = |why: String| Error::NotANetwork { path: path.to_owned(), why };
        let bytes = files::open(path).and_then(|file| file.metadata()).map_err(unreadable)?.len();
        let archive = Archive::open(path).map_err(not)?;
        let json = |why: serde_json::Error| not(format!("its graph is no exported program's: {why}"));
        let Versioned { schema_version: version } = serde_json::from_str(&archive.json).map_err(json)?;
        if version.major != MAJOR {
            return Err(not(format!(
                "its graph is written by schema {}.{}, and Parallax reads schema {MAJOR}, that of PyTorch 2.6 and later; \
                 export it again with such a version",
                version.major, version.minor
            )));
        }
        let program: ExportedProgram = serde_json::from_str(&archive.json).map_err(json)?;
        Self::of(path, archive, program, bytes).map_err(not)
    }

    fn of(path: &Path, archive: Archive, program: ExportedProgram, bytes: u64) -> Result<Self, String> {
        let Archive { tensors, extra, numbers, .. } = archive;
        let ExportedProgram { graph_module: module, range_constraints: bounds, torch_version } = program;
        let metas = &module.graph.tensor_values;
        let (mut inputs, mut weights) = (Vec::new(), HashMap::new());
        let mut holds = |value: String, name: String, is_parameter: bool| {
            // Half precision is held exactly; what computes in it is refused.
            let half = |meta: &TensorMeta| matches!(type_of(meta.dtype).0, "float16" | "bfloat16");
            let kind_of =
                |meta: &TensorMeta| if half(meta) { Some(Meaning::Real) } else { ops::kind_of_type(meta.dtype).ok() };
            let kind = metas.get(&value).and_then(kind_of);
            let stored = tensors.get(&name).cloned();
            weights.insert(value, Weight { name, stored, kind, is_parameter });
        };
        for spec in module.signature.input_specs {
            match spec {
                InputSpec::UserInput { arg: Argument::Value(name) } if metas.contains_key(&name) => {
                    inputs.push(port(name, metas));
                }
                InputSpec::UserInput { arg: Argument::Value(name) } => {
                    return Err(format!("its input {name} is no tensor; export the network with that number fixed"));
                }
                InputSpec::Parameter { arg, parameter_name: name } => holds(arg.name, name, true),
                InputSpec::Buffer { arg, buffer_name: name }
                | InputSpec::TensorConstant { arg, tensor_constant_name: name } => holds(arg.name, name, false),
                // Numbers that were fixed stand in the nodes too.
                InputSpec::UserInput { .. }
                | InputSpec::ConstantInput(_)
                | InputSpec::CustomObj(_)
                | InputSpec::Token(_) => {}
            }
        }
        let given = module.signature.output_specs.into_iter().filter_map(|spec| match spec.0 {
            Some(Argument::Value(name)) => Some(name),
            _ => None,
        });
        let about = About {
            inputs,
            bounds: bounds
                .into_iter()
                .map(|(name, of)| (name, [of.min_val.filter(|least| *least > SPECIALISED), of.max_val]))
                .collect(),
            outputs: given.filter(|name| metas.contains_key(name)).map(|name| port(name, metas)).collect(),
            metadata: module.metadata.into_iter().chain(extra).collect(),
            producer: format!("pytorch {torch_version}"),
            format: format!("PyTorch exported program, schema {MAJOR}"),
            beside: Vec::new(),
        };
        let types = metas.iter().map(|(name, meta)| (name.clone(), meta.dtype)).collect();
        let nodes = inline::inlined(module.graph.nodes);
        Ok(Self { path: path.to_owned(), about, nodes, types, weights, numbers, bytes })
    }

    /// The file's name, as messages have it.
    fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_else(|| self.path.as_os_str());
        printable(&name.to_string_lossy()).into_owned()
    }

    fn asked(&self, why: String) -> Error {
        Error::Asked { name: self.name(), why }
    }

    fn of_operation(&self, node: &Node, why: String) -> Error {
        let name = node.values()[1].first().copied().unwrap_or_default();
        let operation = format!("{} {:?}", printable(node.operation()), printable(name));
        Error::Operation { name: self.name(), operation, why }
    }

    /// Reads what the file holds for a value.
    fn weight(&self, value: &str, dtype: DType) -> Made<Operand> {
        let Some(Weight { name, stored, kind, is_parameter }) = self.weights.get(value) else {
            return wrong(format!("nothing gives {value}"));
        };
        let Some(kind) = *kind else {
            return beyond(format!("its weight {name} is in a type of numbers that Parallax does not compute in"));
        };
        let Some(stored) = stored else {
            return wrong(format!("the file holds no numbers of {name}; save it again by torch.export.save"));
        };
        let numbers = stored.load(*is_parameter).map_err(|why| format!("the tensor {name}: {why}"))?;
        let dtype = if kind == Meaning::Real { dtype } else { DType::F64 };
        Ok(Operand::known(kind, numbers.to_dtype(dtype)?))
    }

    /// The outputs that are asked for by name; all of the file's where none are.
    fn outputs<'a>(&'a self, asked: &[&'a str]) -> Result<Vec<&'a str>, Error> {
        let all: Vec<&str> = self.about.outputs.iter().map(|output| output.name.as_str()).collect();
        if asked.is_empty() {
            return Ok(all);
        }
        let there = |name: &str| {
            let gives = self.nodes.iter().any(|node| node.values()[1].contains(&name));
            gives || self.about.inputs.iter().any(|input| input.name == name)
        };
        match asked.iter().find(|name| !there(name)) {
            Some(name) => {
                let all: Vec<String> = all.iter().map(|name| format!("{:?}", printable(name))).collect();
                let (name, all) = (printable(name), all.join(", "));
                Err(self.asked(format!("it has no output {name:?}; its outputs are {all}")))
            }
            None => Ok(asked.to_vec()),
        }
    }
}

/// PyTorch takes every open side to be this at least, and runs the program for sides of 0 and 1 all the same.
const SPECIALISED: f64 = 2.0;

/// An expression of sides with its symbols by their names: PyTorch writes "s77" as "Symbol('s77', positive=True, integer=True)".
fn plain(expression: &str) -> String {
    let mut parts = expression.split("Symbol('");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('\'').unwrap_or((part, ""));
        plain.push_str(name);
        plain.push_str(rest.split_once(')').map_or("", |(_, rest)| rest));
    }
    plain
}

fn port(name: String, metas: &HashMap<String, TensorMeta>) -> Port {
    let meta = metas.get(&name);
    let size = |size: &SymInt| match size {
        SymInt::AsInt(side) => usize::try_from(*side).map_or_else(|_| Size::Open(side.to_string()), Size::Fixed),
        SymInt::AsExpr(expression) => Size::Open(plain(&expression.expr_str)),
    };
    let dtype = meta.map_or("no tensor", |meta| type_of(meta.dtype).0).to_owned();
    Port { name, dtype, sizes: meta.map(|meta| meta.sizes.iter().map(size).collect()) }
}

impl Network for Program {
    fn about(&self) -> &About {
        &self.about
    }

    fn operations(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        self.nodes.iter().for_each(|node| *counts.entry(node.operation().to_owned()).or_default() += 1);
        counts
    }

    fn parameters(&self) -> u64 {
        let shapes = self.weights.values().filter(|weight| weight.kind == Some(Meaning::Real));
        let counts = shapes.filter_map(|weight| Some(weight.stored.as_ref()?.shape().iter().product::<usize>() as u64));
        counts.fold(0, u64::saturating_add)
    }

    fn check(&self, outputs: &[&str]) -> Result<(), Error> {
        let outputs = self.outputs(outputs)?;
        if let Some(port) = self.about.inputs.iter().find(|port| !matches!(port.dtype.as_str(), "float32" | "float64"))
        {
            let how = if matches!(port.dtype.as_str(), "float16" | "bfloat16") {
                "; export the network in float32: model.float()"
            } else {
                ""
            };
            return Err(Error::Unsupported(format!(
                "{} takes {:?} as {}, and Parallax computes gradients in float32 and float64 alone{how}",
                self.name(),
                printable(&port.name),
                port.dtype
            )));
        }
        let needed = self.needed(&outputs);
        self.refuse(&needed, &self.beyond_parallax(&needed))
    }

    fn graph(&self, request: &Request<'_>) -> Result<Graph, Error> {
        self.check(request.outputs)?;
        self.numbers.verify().map_err(|why| Error::NotANetwork { path: self.path.clone(), why })?;
        self.lowered(request, &self.outputs(request.outputs)?)
    }

    fn link(&self, value: &str) -> Option<Link> {
        self.link_of(value)
    }

    fn elementary(&self, value: &str) -> Option<Elementary> {
        self.elementary_of(value)
    }
}
