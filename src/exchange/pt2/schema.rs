//! What an exported program says in its json. Source: PyTorch, `torch/_export/serde/schema.py`, version 8.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The major version of the schema that is read: PyTorch 2.6 and later write it.
pub(super) const MAJOR: u64 = 8;

/// The version alone, which says how to read the rest.
#[derive(Deserialize)]
pub(super) struct Versioned {
    pub(super) schema_version: Version,
}

#[derive(Deserialize)]
pub(super) struct Version {
    pub(super) major: u64,
    pub(super) minor: u64,
}

#[derive(Deserialize)]
pub(super) struct ExportedProgram {
    pub(super) graph_module: GraphModule,
    #[serde(default)]
    pub(super) range_constraints: BTreeMap<String, Bounds>,
    #[serde(default)]
    pub(super) torch_version: String,
}

/// What a side that is left open may be.
#[derive(Deserialize)]
pub(super) struct Bounds {
    pub(super) min_val: Option<f64>,
    pub(super) max_val: Option<f64>,
}

#[derive(Deserialize)]
pub(super) struct GraphModule {
    pub(super) graph: Graph,
    pub(super) signature: Signature,
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
}

#[derive(Deserialize)]
pub(super) struct Signature {
    pub(super) input_specs: Vec<InputSpec>,
    pub(super) output_specs: Vec<OutputSpec>,
}

/// What an input of the graph is: what the user gives, or what the file holds.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum InputSpec {
    UserInput { arg: Argument },
    Parameter { arg: Name, parameter_name: String },
    Buffer { arg: Name, buffer_name: String },
    TensorConstant { arg: Name, tensor_constant_name: String },
    ConstantInput(IgnoredAny),
    CustomObj(IgnoredAny),
    Token(IgnoredAny),
}

/// What an output of the graph is; only what the user is given matters.
pub(super) struct OutputSpec(pub(super) Option<Argument>);

#[derive(Deserialize, Clone)]
pub(super) struct Name {
    pub(super) name: String,
}

#[derive(Deserialize)]
pub(super) struct Graph {
    pub(super) outputs: Vec<Argument>,
    #[serde(default)]
    pub(super) inputs: Vec<Argument>,
    pub(super) nodes: Vec<Node>,
    #[serde(default)]
    pub(super) tensor_values: HashMap<String, TensorMeta>,
}

#[derive(Deserialize)]
pub(super) struct Node {
    pub(super) target: String,
    pub(super) inputs: Vec<NamedArgument>,
    pub(super) outputs: Vec<Argument>,
}

#[derive(Deserialize)]
pub(super) struct NamedArgument {
    pub(super) name: String,
    pub(super) arg: Argument,
}

#[derive(Deserialize, Clone)]
pub(super) struct TensorMeta {
    pub(super) dtype: u64,
    pub(super) sizes: Vec<SymInt>,
    pub(super) strides: Vec<SymInt>,
    pub(super) storage_offset: SymInt,
}

/// A whole number, or an expression of open sides.
#[derive(Deserialize, Clone)]
#[serde(rename_all = "snake_case")]
pub(super) enum SymInt {
    AsExpr(Expression),
    AsInt(i64),
}

#[derive(Deserialize, Clone)]
pub(super) struct Expression {
    pub(super) expr_str: String,
}

/// The config of weights or constants: where the numbers of each lie.
#[derive(Deserialize)]
pub(super) struct Payloads {
    pub(super) config: BTreeMap<String, Payload>,
}

#[derive(Deserialize)]
pub(super) struct Payload {
    pub(super) path_name: String,
    #[serde(default)]
    pub(super) use_pickle: bool,
    pub(super) tensor_meta: Option<TensorMeta>,
}

/// What a node is given, or gives.
pub(super) enum Argument {
    None,
    /// The name of a value: a tensor, or a number that depends on open sides.
    Value(String),
    /// Values and numbers in a row.
    List(Vec<Argument>),
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    /// A type of numbers, by its number in the schema.
    Type(u64),
    Graph(Box<Graph>),
    /// What no operation here asks for, by its key.
    Other(String),
}

/// A number that may stand as a text: "Infinity".
struct Real(f64);

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Numbers;
        impl Visitor<'_> for Numbers {
            type Value = Real;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Real, E> {
                Ok(Real(number))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Real, E> {
                Ok(Real(number as f64))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Real, E> {
                Ok(Real(number as f64))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Real, E> {
                match text {
                    "Infinity" => Ok(Real(f64::INFINITY)),
                    "-Infinity" => Ok(Real(f64::NEG_INFINITY)),
                    "NaN" => Ok(Real(f64::NAN)),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        from.deserialize_any(Numbers)
    }
}

/// A list whose elements become arguments.
struct Each<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de> + Into<Argument>> Visitor<'de> for Each<T> {
    type Value = Vec<Argument>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = from.next_element::<T>()? {
            list.push(element.into());
        }
        Ok(list)
    }
}

struct List<T>(Vec<Argument>, std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de> + Into<Argument>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(from.deserialize_seq(Each::<T>(std::marker::PhantomData))?, std::marker::PhantomData))
    }
}

impl From<Name> for Argument {
    fn from(Name { name }: Name) -> Self {
        Self::Value(name)
    }
}

impl From<i64> for Argument {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<Real> for Argument {
    fn from(Real(number): Real) -> Self {
        Self::Float(number)
    }
}

impl From<bool> for Argument {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl<T> From<List<T>> for Argument {
    fn from(List(list, _): List<T>) -> Self {
        Self::List(list)
    }
}

impl<'de> Deserialize<'de> for Argument {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Union;
        impl<'de> Visitor<'de> for Union {
            type Value = Argument;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an argument: an object of one key")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Argument, A::Error> {
                let mut argument = None;
                while let Some(key) = from.next_key::<String>()? {
                    let value = value_of(key, &mut from)?;
                    if argument.replace(value).is_some() {
                        return Err(de::Error::custom("an argument of two keys"));
                    }
                }
                argument.ok_or_else(|| de::Error::custom("an argument of no key"))
            }
        }
        from.deserialize_map(Union)
    }
}

/// Reads what stands behind a key of an argument.
fn value_of<'de, A: MapAccess<'de>>(key: String, from: &mut A) -> Result<Argument, A::Error> {
    Ok(match key.as_str() {
        "as_none" => {
            from.next_value::<IgnoredAny>()?;
            Argument::None
        }
        "as_tensor" => from.next_value::<Name>()?.into(),
        "as_name" => Argument::Value(from.next_value()?),
        "as_tensors" => from.next_value::<List<Name>>()?.into(),
        "as_nested_tensors" => from.next_value::<List<List<Name>>>()?.into(),
        "as_int" => Argument::Int(from.next_value()?),
        "as_ints" => from.next_value::<List<i64>>()?.into(),
        "as_int_lists" => from.next_value::<List<List<i64>>>()?.into(),
        "as_float" => from.next_value::<Real>()?.into(),
        "as_floats" => from.next_value::<List<Real>>()?.into(),
        "as_bool" => Argument::Bool(from.next_value()?),
        "as_bools" => from.next_value::<List<bool>>()?.into(),
        "as_string" => Argument::Text(from.next_value()?),
        "as_scalar_type" => Argument::Type(from.next_value()?),
        "as_sym_int" | "as_sym_float" | "as_sym_bool" | "as_optional_tensor" => from.next_value()?,
        "as_sym_ints" | "as_sym_floats" | "as_sym_bools" | "as_optional_tensors" => {
            from.next_value::<List<Argument>>()?.into()
        }
        "as_graph" => {
            #[derive(Deserialize)]
            struct Named {
                graph: Graph,
            }
            Argument::Graph(Box::new(from.next_value::<Named>()?.graph))
        }
        _ => {
            from.next_value::<IgnoredAny>()?;
            Argument::Other(key)
        }
    })
}

impl<'de> Deserialize<'de> for OutputSpec {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct User {
            arg: Argument,
        }
        struct Union;
        impl<'de> Visitor<'de> for Union {
            type Value = OutputSpec;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an output: an object of one key")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<OutputSpec, A::Error> {
                let mut spec = OutputSpec(None);
                while let Some(key) = from.next_key::<String>()? {
                    if key == "user_output" {
                        spec.0 = Some(from.next_value::<User>()?.arg);
                    } else {
                        from.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(spec)
            }
        }
        from.deserialize_map(Union)
    }
}

impl Argument {
    /// The name of the value that it is.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Value(name) => Some(name),
            _ => None,
        }
    }

    /// The names of values within.
    pub(super) fn values<'a>(&'a self, to: &mut Vec<&'a str>) {
        match self {
            Self::Value(name) => to.push(name),
            Self::List(list) => list.iter().for_each(|argument| argument.values(to)),
            _ => {}
        }
    }
}

impl Node {
    /// The argument of that name of the operation's schema.
    pub(super) fn argument(&self, name: &str) -> Option<&Argument> {
        self.inputs.iter().find(|input| input.name == name).map(|input| &input.arg)
    }

    /// Names of the values that it takes and of those that it gives.
    pub(super) fn values(&self) -> [Vec<&str>; 2] {
        let (mut takes, mut gives) = (Vec::new(), Vec::new());
        self.inputs.iter().for_each(|input| input.arg.values(&mut takes));
        self.outputs.iter().for_each(|output| output.values(&mut gives));
        [takes, gives]
    }

    /// The operation without PyTorch's prefix: "aten.conv3d.default".
    pub(super) fn operation(&self) -> &str {
        self.target.strip_prefix("torch.ops.").unwrap_or(&self.target)
    }
}
