//! Reads networks in files of other programs, ONNX and PyTorch's exported programs. A [`Model`] says what its network takes and gives, and
//! makes the [`Graph`] of its operations for inputs of a size.

mod ending;
mod lower;
mod onnx;
mod pt2;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device};

pub use self::ending::{Activation, Choice, Ending};
pub(crate) use self::ending::{Elementary, ElementaryKind, Given, Link, LinkKind};
use crate::files;
use crate::graph::Graph;

/// What can stop the reading of a network.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {why}", path.display())]
    Unreadable { path: PathBuf, why: std::io::Error },
    #[error("{} is not a network that Parallax can read: {why}", path.display())]
    NotANetwork { path: PathBuf, why: String },
    /// Everything that the network does and Parallax cannot.
    #[error("{0}")]
    Unsupported(String),
    /// An output that the network does not have, or an input that it does not take.
    #[error("{name}: {why}")]
    Asked { name: String, why: String },
    /// An operation that is not as its kind must be.
    #[error("{name}: {operation} cannot be read: {why}")]
    Operation { name: String, operation: String, why: String },
}

/// One side of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Size {
    Fixed(usize),
    /// A length that whoever runs the network chooses; sides of one name are equally long.
    Open(String),
}

/// A tensor that a network takes or gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub name: String,
    /// The numbers' type in lower case: "float32".
    pub dtype: String,
    /// The sides; `None` where the file does not say how many there are.
    pub sizes: Option<Vec<Size>>,
}

/// What a file says of itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct About {
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    /// By the name of an open side, the least and the most that it may be, where the file says so.
    bounds: BTreeMap<String, [Option<f64>; 2]>,
    metadata: BTreeMap<String, String>,
    producer: String,
    format: String,
    /// Files that hold its weights beside its own.
    beside: Vec<PathBuf>,
}

impl About {
    /// Says whether the inputs may have these shapes. Open sides of one name are alike and within their bounds; those without a name, and
    /// inputs of which the file does not say the sizes, may be anything.
    fn check_shapes(&self, shapes: &[&[usize]]) -> Result<(), String> {
        if shapes.len() != self.inputs.len() {
            return Err(format!("it takes {} inputs, and {} are given", self.inputs.len(), shapes.len()));
        }
        let mut sides: BTreeMap<&str, usize> = BTreeMap::new();
        for (port, shape) in self.inputs.iter().zip(shapes) {
            let Some(sizes) = &port.sizes else { continue };
            let mut fits = sizes.len() == shape.len();
            for (size, side) in sizes.iter().zip(*shape) {
                fits &= match size {
                    Size::Fixed(fixed) => fixed == side,
                    Size::Open(name) if name.is_empty() => true,
                    Size::Open(name) => self.bounds_hold(name, *side) && *sides.entry(name).or_insert(*side) == *side,
                };
            }
            if !fits {
                let takes: Vec<String> = sizes.iter().map(|size| self.in_words(size)).collect();
                let (name, takes) = (files::printable(&port.name), takes.join(", "));
                return Err(format!("it takes {name} of [{takes}], and is given {shape:?}"));
            }
        }
        Ok(())
    }

    fn bounds_hold(&self, name: &str, side: usize) -> bool {
        let [least, most] = self.bounds.get(name).copied().unwrap_or_default();
        least.is_none_or(|least| side as f64 >= least) && most.is_none_or(|most| side as f64 <= most)
    }

    fn in_words(&self, size: &Size) -> String {
        let name = match size {
            Size::Fixed(side) => return side.to_string(),
            Size::Open(name) if name.is_empty() => return "any".to_owned(),
            Size::Open(name) => name,
        };
        let bounds = match self.bounds.get(name).copied().unwrap_or_default() {
            [Some(least), Some(most)] => format!(" ({least} to {most})"),
            [Some(least), None] => format!(" (from {least})"),
            [None, Some(most)] => format!(" (up to {most})"),
            [None, None] => String::new(),
        };
        format!("{}{bounds}", files::printable(name))
    }
}

/// What is asked of a network: outputs for inputs of a size.
pub(crate) struct Request<'a> {
    pub(crate) shapes: &'a [&'a [usize]],
    /// The outputs by name; all of them where none is named.
    pub(crate) outputs: &'a [&'a str],
    pub(crate) dtype: DType,
    pub(crate) device: &'a Device,
}

/// A format of files: what stands behind a [`Model`].
trait Network: Send + Sync {
    fn about(&self) -> &About;
    fn operations(&self) -> BTreeMap<String, usize>;
    fn parameters(&self) -> u64;
    /// Whether the file's own words allow these outputs: all that Parallax cannot do, at once.
    fn check(&self, outputs: &[&str]) -> Result<(), Error>;
    fn graph(&self, request: &Request<'_>) -> Result<Graph, Error>;
    fn link(&self, value: &str) -> Option<Link>;
    /// The elementary operation that gives a value.
    fn elementary(&self, value: &str) -> Option<Elementary>;
}

/// A network in a file of another program. The weights of an ONNX file are read once, and shared by all graphs that are made of it; those
/// of an exported program are read for each graph.
pub struct Model {
    path: PathBuf,
    network: Box<dyn Network>,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("path", &self.path).field("about", self.network.about()).finish_non_exhaustive()
    }
}

impl Model {
    /// Opens a file, whose format its content tells.
    ///
    /// # Errors
    /// Where the file cannot be read, or is no network.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let unreadable = |why| Error::Unreadable { path: path.to_owned(), why };
        let mut head = Vec::new();
        files::open(path).map_err(unreadable)?.take(4).read_to_end(&mut head).map_err(unreadable)?;
        let not = |why: &str| Error::NotANetwork { path: path.to_owned(), why: why.to_owned() };
        let ends_in = |ending: &str| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending));
        if head.is_empty() {
            return Err(not("it is empty; export the network again, or copy the file again"));
        }
        if ends_in("toml") {
            return Err(not("it is a model card; give the .onnx or .pt2 file that the card names"));
        }
        let network: Box<dyn Network> = if head.starts_with(b"PK") {
            Box::new(pt2::Program::open(path)?)
        } else {
            match onnx::File::open(path) {
                // What neither begins as one format nor is the other is spoken of as its name says.
                Err(Error::NotANetwork { .. }) if ends_in("pt2") => {
                    return Err(not(
                        "it does not begin as an exported program does, which is a zip file, and is no ONNX file; save it again by \
                         torch.export.save",
                    ));
                }
                opened => Box::new(opened?),
            }
        };
        Ok(Self { path: path.to_owned(), network })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All files that the network is read from, its own first.
    pub fn files(&self) -> Vec<PathBuf> {
        [self.path.clone()].into_iter().chain(self.network.about().beside.iter().cloned()).collect()
    }

    /// What the network takes, in order.
    pub fn inputs(&self) -> &[Port] {
        &self.network.about().inputs
    }

    /// What the network gives, in order.
    pub fn outputs(&self) -> &[Port] {
        &self.network.about().outputs
    }

    /// What whoever wrote the file says of it, by key.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.network.about().metadata
    }

    /// The program that wrote the file: "pytorch 2.15.0".
    pub fn producer(&self) -> &str {
        &self.network.about().producer
    }

    /// The format and its version: "ONNX, opset 20".
    pub fn format(&self) -> &str {
        &self.network.about().format
    }

    /// How often each operation occurs.
    pub fn operations(&self) -> BTreeMap<String, usize> {
        self.network.operations()
    }

    /// How many numbers the weights are.
    pub fn parameters(&self) -> u64 {
        self.network.parameters()
    }

    /// Whether the operations that these outputs need (all where none are named) are ones that Parallax differentiates, as far as that
    /// can be said without a size.
    ///
    /// # Errors
    /// In words, all that it cannot do.
    pub fn check(&self, outputs: &[&str]) -> Result<(), Error> {
        self.network.check(outputs)
    }

    /// The graph of these outputs, of all where none are named, for inputs of these shapes. Any value of the file can be an output.
    /// Numbers of the network itself that are no weights lie on `device`.
    ///
    /// # Errors
    /// In words: shapes that the network does not take, outputs that it does not have, operations that Parallax does not have.
    pub fn graph(&self, shapes: &[&[usize]], outputs: &[&str], dtype: DType, device: &Device) -> Result<Graph, Error> {
        self.network.graph(&Request { shapes, outputs, dtype, device })
    }

    /// The activation before an output, and what lies between them, where that says what the output's numbers are.
    pub fn ending(&self, output: &str) -> Option<Ending> {
        match ending::of(&*self.network, output)? {
            ending::Found::Activation(ending) => Some(ending),
            ending::Found::Choice(_) => None,
        }
    }

    /// What an output chooses among, where it is the number of the largest class.
    pub fn choice(&self, output: &str) -> Option<Choice> {
        match ending::of(&*self.network, output)? {
            ending::Found::Choice(choice) => Some(choice),
            ending::Found::Activation(_) => None,
        }
    }
}
