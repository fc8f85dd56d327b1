//! Networks as ONNX: the file opened within bounds, and what it says of itself.

mod node;
mod ops;
mod refusal;
mod step;
mod tensors;
mod walk;
mod wire;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::io::{Error as IoError, Seek};
use std::path::{Path, PathBuf};

use rten_onnx::onnx::{DataType, GraphProto, ModelProto, TypeProtoTensor, ValueInfoProto};

use self::step::Step;
use self::tensors::{Beside, kind_of, type_name};
use super::lower::{Fault, Made, Meaning, Operand};
use super::{
    About, Activation, Elementary, ElementaryKind, Error, Given, Link, LinkKind, Network, Port, Request, Size,
};
use crate::files;
use crate::graph::Graph;

/// The versions of ONNX's operations that Parallax knows.
const OPSETS: std::ops::RangeInclusive<i64> = 9..=28;
/// Operations that are in every version what they are in the first.
const UNCHANGED: [&str; 5] = ["Not", "Transpose", "Identity", "GlobalAveragePool", "GlobalMaxPool"];

/// An ONNX file.
pub(super) struct File {
    path: PathBuf,
    about: About,
    opset: i64,
    nodes: Vec<Step>,
    /// By value, the node that gives it.
    givers: HashMap<String, usize>,
    /// The file's own numbers by name, or why they cannot be had.
    weights: HashMap<String, Made<Operand>>,
    /// Bytes of the file and those beside it.
    bytes: u64,
}

impl File {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let unreadable = |why: IoError| Error::Unreadable { path: path.to_owned(), why };
        let not = |why: String| Error::NotANetwork { path: path.to_owned(), why };
        let mut file = files::open(path).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        let cut = |why: &dyn Display| {
            not(format!(
                "it is no whole ONNX file: {why}; if it is one, it was cut on the way: copy it again, or export it again"
            ))
        };
        wire::check(&file, length).map_err(|why| cut(&why))?;
        file.rewind().map_err(unreadable)?;
        let mut model = ModelProto::parse_file(file).map_err(|why| cut(&why))?;
        let Some(graph) = model.graph.take().filter(|_| model.ir_version.is_some()) else {
            return Err(not("it is no ONNX file: it holds no graph".to_owned()));
        };
        let opset = opset_of(&model, &graph).map_err(not)?;
        Self::of(path, &model, graph, opset, length)
    }

    fn of(path: &Path, model: &ModelProto, graph: GraphProto, opset: i64, length: u64) -> Result<Self, Error> {
        let mut beside = Beside::new(path);
        let mut weights = HashMap::with_capacity(graph.initializer.len());
        for tensor in graph.initializer {
            let operand = match tensors::operand(&tensor, &mut beside) {
                Err(Fault::Wrong(why)) => {
                    let name = files::printable(tensor.name.as_deref().unwrap_or("")).into_owned();
                    let why = format!("the tensor {name:?}: {why}");
                    return Err(Error::NotANetwork { path: path.to_owned(), why });
                }
                operand => operand,
            };
            weights.insert(tensor.name.unwrap_or_default(), operand);
        }
        let nodes: Vec<Step> = graph.node.into_iter().map(|node| Step::new(node, &mut beside)).collect();
        let mut givers = HashMap::new();
        for (at, node) in nodes.iter().enumerate() {
            for output in node.outputs.iter().filter(|output| !output.is_empty()) {
                if givers.insert(output.clone(), at).is_some() {
                    let why = format!("two nodes give {:?}", files::printable(output));
                    return Err(Error::NotANetwork { path: path.to_owned(), why });
                }
            }
        }
        let free = graph.input.iter().filter(|input| !weights.contains_key(input.name.as_deref().unwrap_or("")));
        let about = About {
            inputs: free.map(port).collect(),
            outputs: graph.output.iter().map(port).collect(),
            bounds: BTreeMap::new(),
            metadata: metadata(model),
            producer: [&model.producer_name, &model.producer_version]
                .map(|part| part.as_deref().unwrap_or(""))
                .join(" ")
                .trim()
                .to_owned(),
            format: format!("ONNX, opset {opset}"),
            beside: beside.files(),
        };
        let bytes = length.saturating_add(beside.bytes());
        Ok(Self { path: path.to_owned(), about, opset, nodes, givers, weights, bytes })
    }

    /// The file's name, as messages have it.
    fn name(&self) -> String {
        let name = self
            .path
            .file_name()
            .map_or_else(|| self.path.display().to_string(), |name| name.to_string_lossy().into_owned());
        files::printable(&name).into_owned()
    }

    fn asked(&self, why: String) -> Error {
        Error::Asked { name: self.name(), why }
    }

    /// The outputs that are asked for by name; all of the file's where none are.
    fn outputs<'a>(&'a self, asked: &[&'a str]) -> Result<Vec<&'a str>, Error> {
        let all: Vec<&str> = self.about.outputs.iter().map(|output| output.name.as_str()).collect();
        if asked.is_empty() {
            return Ok(all);
        }
        let there =
            |name: &str| self.givers.contains_key(name) || self.about.inputs.iter().any(|input| input.name == name);
        match asked.iter().find(|name| !there(name)) {
            Some(name) => {
                let all: Vec<_> = all.iter().map(|name| format!("{:?}", files::printable(name))).collect();
                Err(self.asked(format!(
                    "it has no output {:?}; its outputs are {}",
                    files::printable(name),
                    all.join(", ")
                )))
            }
            None => Ok(asked.to_vec()),
        }
    }
}

/// The version of the operations.
fn opset_of(model: &ModelProto, graph: &GraphProto) -> Result<i64, String> {
    let unchanged = graph.node.iter().all(|node| UNCHANGED.contains(&node.op_type.as_deref().unwrap_or("")));
    let own = |domain: Option<&str>| matches!(domain.unwrap_or(""), "" | "ai.onnx");
    let version = model.opset_import.iter().find(|opset| own(opset.domain.as_deref())).and_then(|opset| opset.version);
    match version {
        Some(version) if OPSETS.contains(&version) || (unchanged && version < *OPSETS.start()) => Ok(version),
        Some(version) => Err(format!(
            "its operations are those of opset {version}, and Parallax knows {} to {}; export it with opset_version={}",
            OPSETS.start(),
            OPSETS.end(),
            if version < *OPSETS.start() { 18 } else { *OPSETS.end() },
        )),
        None => Err("it does not say which opset its operations are of".to_owned()),
    }
}

fn metadata(model: &ModelProto) -> BTreeMap<String, String> {
    let entries = model.metadata_props.iter();
    entries.filter_map(|entry| Some((entry.key.clone()?, entry.value.clone().unwrap_or_default()))).collect()
}

fn port(info: &ValueInfoProto) -> Port {
    let tensor = info.r#type.as_ref().and_then(|of| of.tensor_type.as_ref());
    let sizes = |tensor: &TypeProtoTensor| -> Option<Vec<Size>> {
        let sides = tensor.shape.as_ref()?.dim.iter().map(|side| {
            let open = || Size::Open(side.dim_param.clone().unwrap_or_default());
            side.dim_value.and_then(|side| usize::try_from(side).ok()).map_or_else(open, Size::Fixed)
        });
        Some(sides.collect())
    };
    let dtype = tensor.and_then(|tensor| tensor.elem_type);
    Port {
        name: info.name.clone().unwrap_or_default(),
        dtype: dtype.map_or_else(|| "no tensor".to_owned(), type_name),
        sizes: tensor.and_then(sizes),
    }
}

impl Network for File {
    fn about(&self) -> &About {
        &self.about
    }

    fn operations(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        self.nodes.iter().for_each(|node| *counts.entry(node.operation.clone()).or_default() += 1);
        counts
    }

    fn parameters(&self) -> u64 {
        let reals = self.weights.values().filter_map(|weight| weight.as_ref().ok());
        reals.filter(|weight| weight.kind == Meaning::Real).map(|weight| weight.count() as u64).sum()
    }

    fn check(&self, outputs: &[&str]) -> Result<(), Error> {
        let outputs = self.outputs(outputs)?;
        self.refuse_inputs()?;
        self.refuse(&self.needed(&outputs), &self.beyond_parallax(&self.needed(&outputs)))
    }

    fn graph(&self, request: &Request<'_>) -> Result<Graph, Error> {
        self.check(request.outputs)?;
        self.lowered(request, &self.outputs(request.outputs)?)
    }

    fn link(&self, value: &str) -> Option<Link> {
        let step = &self.nodes[*self.givers.get(value)?];
        let axis = |otherwise: i64| step.attribute("axis").and_then(|axis| axis.int).unwrap_or(otherwise);
        // Before opset 13 a softmax goes over all axes from one on.
        let over = || if self.opset >= 13 { Some(axis(-1)) } else { Some(axis(1)).filter(|axis| *axis != 1) };
        let kind = match step.operation.as_str() {
            "Sigmoid" => LinkKind::Activation(Activation::Sigmoid, None),
            "Softmax" => LinkKind::Activation(Activation::Softmax, over()),
            "LogSoftmax" => LinkKind::Activation(Activation::LogSoftmax, over()),
            "ArgMax" => LinkKind::Choice(Some(axis(0))),
            "Identity" => LinkKind::Identity,
            "Squeeze" | "Unsqueeze" | "Reshape" | "Flatten" => LinkKind::Reshape,
            "Slice" | "Gather" | "Clip" | "Concat" | "Cast" | "Mul" | "Add" | "Sub" | "Div" | "Transpose"
            | "OneHot" | "Equal" => LinkKind::Alter,
            _ => return None,
        };
        if !matches!(kind, LinkKind::Alter) {
            return Some(Link { kind, operation: step.operation.clone(), before: step.inputs.first()?.clone() });
        }
        let gives = |input: &&String| self.givers.get(*input).is_some_and(|at| self.nodes[*at].operation != "Constant");
        let mut computed = step.inputs.iter().filter(gives);
        let before = computed.next()?.clone();
        let by_another = computed.next().is_some() && step.operation != "Concat";
        (!by_another).then(|| Link { kind, operation: step.operation.clone(), before })
    }

    fn elementary(&self, value: &str) -> Option<Elementary> {
        let step = &self.nodes[*self.givers.get(value)?];
        let kind = match step.operation.as_str() {
            "Exp" => ElementaryKind::Exp,
            "Log" => ElementaryKind::Log,
            "Neg" => ElementaryKind::Negate,
            "Add" => ElementaryKind::Add,
            "Sub" => ElementaryKind::Subtract,
            "Div" => ElementaryKind::Divide,
            "Reciprocal" => ElementaryKind::Reciprocal,
            "ReduceSum" => ElementaryKind::Sum,
            "ReduceMax" => ElementaryKind::Max,
            "ReduceLogSumExp" => ElementaryKind::LogSumExp,
            "Identity" => ElementaryKind::Identity,
            _ => return None,
        };
        let reduces = step.operation.starts_with("Reduce");
        let given = |name: &String| {
            self.known(name).and_then(Operand::scalar).map_or_else(|| Given::Value(name.clone()), Given::Number)
        };
        // A reduction's second input are its axes.
        let taken = if reduces { 1 } else { step.inputs.len() };
        let of_input = || step.inputs.get(1).and_then(|axes| self.known(axes)?.integers());
        let axes = step.attribute("axes").map(|axes| axes.ints.clone()).or_else(of_input).unwrap_or_default();
        Some(Elementary { kind, inputs: step.inputs.iter().take(taken).map(given).collect(), axes })
    }
}

impl File {
    /// The numbers of the file that a name stands for.
    fn known(&self, name: &str) -> Option<&Operand> {
        if let Some(weight) = self.weights.get(name) {
            return weight.as_ref().ok();
        }
        let step = &self.nodes[*self.givers.get(name)?];
        step.attribute("value").filter(|_| step.operation == "Constant")?.tensor.as_ref()?.as_ref().ok()
    }

    /// Inputs that no gradient can be had of.
    fn refuse_inputs(&self) -> Result<(), Error> {
        let whole = |port: &&Port| {
            let known = [DataType::FLOAT, DataType::DOUBLE].into_iter().any(|of| type_name(of) == port.dtype);
            !known || kind_of(DataType::FLOAT).is_none()
        };
        match self.about.inputs.iter().find(whole) {
            Some(port) => {
                let (name, dtype) = (files::printable(&port.name), &port.dtype);
                let how = if matches!(dtype.as_str(), "float16" | "bfloat16") {
                    "; export the network in float32: model.float()"
                } else {
                    ""
                };
                Err(Error::Unsupported(format!(
                    "{} takes {name:?} as {dtype}, and Parallax computes gradients in float32 and float64 alone{how}",
                    self.name()
                )))
            }
            None => Ok(()),
        }
    }
}
