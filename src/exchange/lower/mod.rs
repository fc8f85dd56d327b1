//! A graph in the making: what is known already is computed at once, on the CPU, and the rest becomes operations.

mod arithmetic;
mod einsum;
mod places;
mod shapes;
mod windows;

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

pub(super) use self::einsum::Equation;
pub(super) use self::places::{elements, slices};
pub(super) use self::shapes::{axis_of, broadcast, counted};
pub(super) use self::windows::Columns;
use crate::graph::ops::{Constant, Operation};
use crate::graph::{Graph, Value};

/// Why an operation cannot be made.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// The file does not hold what it must.
    Wrong(String),
    /// The file is right, and Parallax cannot do this.
    Beyond(String),
}

pub(super) type Made<T> = Result<T, Fault>;

impl From<candle_core::Error> for Fault {
    fn from(error: candle_core::Error) -> Self {
        Self::Wrong(error.to_string())
    }
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Self::Wrong(why)
    }
}

/// A fault of the file, in words.
pub(super) fn wrong<T>(why: impl Into<String>) -> Made<T> {
    Err(Fault::Wrong(why.into()))
}

/// What Parallax cannot do, in words.
pub(super) fn beyond<T>(why: impl Into<String>) -> Made<T> {
    Err(Fault::Beyond(why.into()))
}

/// What numbers stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Real,
    /// Whole numbers, held as f64.
    Whole,
    /// 1 or 0, held as f64.
    Truth,
}

/// A tensor of the graph that is being made.
#[derive(Clone)]
pub(super) struct Operand {
    pub(super) kind: Meaning,
    shape: Vec<usize>,
    is: Is,
}

#[derive(Clone)]
enum Is {
    /// Numbers that no input changes, on the CPU.
    Known(Tensor),
    Made(Value),
}

impl Operand {
    /// Numbers of the file.
    pub(super) fn known(kind: Meaning, tensor: Tensor) -> Self {
        Self { kind, shape: tensor.dims().to_vec(), is: Is::Known(tensor) }
    }

    /// Whole numbers in a row.
    pub(super) fn whole(numbers: &[i64]) -> Made<Self> {
        let numbers: Vec<f64> = numbers.iter().map(|number| *number as f64).collect();
        let length = numbers.len();
        Ok(Self::known(Meaning::Whole, Tensor::from_vec(numbers, length, &Device::Cpu)?))
    }

    pub(super) fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub(super) fn rank(&self) -> usize {
        self.shape.len()
    }

    pub(super) fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// The numbers, where no input changes them.
    pub(super) fn tensor(&self) -> Option<&Tensor> {
        match &self.is {
            Is::Known(tensor) => Some(tensor),
            Is::Made(_) => None,
        }
    }

    /// The only number of a known tensor of one.
    pub(super) fn scalar(&self) -> Option<f64> {
        let tensor = self.tensor().filter(|tensor| tensor.elem_count() == 1)?;
        tensor.to_dtype(DType::F64).and_then(|tensor| tensor.flatten_all()?.get(0)?.to_scalar()).ok()
    }

    /// The known numbers in a row.
    pub(super) fn numbers(&self) -> Option<Vec<f64>> {
        self.tensor()?.to_dtype(DType::F64).and_then(|tensor| tensor.flatten_all()?.to_vec1()).ok()
    }

    /// The known numbers as whole ones.
    pub(super) fn integers(&self) -> Option<Vec<i64>> {
        Some(self.numbers()?.into_iter().map(|number| number as i64).collect())
    }

    /// These numbers as others stand for, which is no other number.
    pub(super) fn called(self, kind: Meaning) -> Self {
        Self { kind, ..self }
    }
}

/// Most operations of a graph: far more than any network has.
const MOST_NODES: usize = 1 << 18;
/// Most axes of a tensor.
const MOST_AXES: usize = 16;

/// A graph in the making.
pub(super) struct Lowering {
    graph: Graph,
    nodes: usize,
    dtype: DType,
    device: Device,
    /// Bytes that numbers made here may still take.
    allowance: u64,
}

impl Lowering {
    /// Makes a graph of numbers of a type. Known numbers may take so many bytes in all.
    pub(super) fn new(dtype: DType, device: &Device, allowance: u64) -> Self {
        Self { graph: Graph::new(), nodes: 0, dtype, device: device.clone(), allowance }
    }

    pub(super) fn input(&mut self, shape: &[usize]) -> Operand {
        Operand { kind: Meaning::Real, shape: shape.to_vec(), is: Is::Made(self.graph.input()) }
    }

    /// The graph of these outputs.
    pub(super) fn finish(mut self, outputs: &[Operand]) -> Made<Graph> {
        let outputs = outputs.iter().map(|output| self.value(output)).collect::<Made<Vec<_>>>()?;
        Ok(self.graph.finish(&outputs))
    }

    /// Gives what is made here a name, by which tests and messages know it.
    pub(super) fn name(&mut self, operand: &Operand, name: &str) {
        if let Is::Made(value) = operand.is {
            self.graph.name(value, name);
        }
    }

    /// Counts bytes that are made of what the file says.
    pub(super) fn afford(&mut self, bytes: u64) -> Made<()> {
        match self.allowance.checked_sub(bytes) {
            Some(left) => {
                self.allowance = left;
                Ok(())
            }
            None => wrong("its constants take far more memory than the file does"),
        }
    }

    /// Counts numbers that are made of what the file says.
    pub(super) fn afford_numbers(&mut self, shape: &[usize]) -> Made<()> {
        let bytes = shape.iter().try_fold(8_u64, |bytes, side| bytes.checked_mul(*side as u64));
        self.afford(bytes.unwrap_or(u64::MAX))
    }

    /// Known numbers of the type that the graph computes in.
    pub(super) fn tensor_of(&self, operand: &Operand) -> Made<Option<Tensor>> {
        let Some(tensor) = operand.tensor() else { return Ok(None) };
        Ok(Some(if operand.kind == Meaning::Real { tensor.to_dtype(self.dtype)? } else { tensor.clone() }))
    }

    /// An operand as a value of the graph.
    fn value(&mut self, operand: &Operand) -> Made<Value> {
        match &operand.is {
            Is::Made(value) => Ok(*value),
            Is::Known(tensor) => {
                let tensor = tensor.to_dtype(self.dtype)?.contiguous()?.to_device(&self.device)?;
                self.count_node()?;
                Ok(self.graph.apply(Constant(tensor), &[]))
            }
        }
    }

    fn count_node(&mut self) -> Made<()> {
        self.nodes += 1;
        if self.nodes > MOST_NODES { wrong(format!("more than {MOST_NODES} operations")) } else { Ok(()) }
    }

    /// What an operation gives: numbers where all inputs are known, else a value of the graph.
    pub(super) fn apply(
        &mut self,
        operation: impl Operation + 'static,
        inputs: &[&Operand],
        kind: Meaning,
    ) -> Made<Operand> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|input| input.shape()).collect();
        let shape = operation.shape(&shapes)?;
        if shape.len() > MOST_AXES {
            return wrong(format!("a tensor of {} axes; {MOST_AXES} are the most", shape.len()));
        }
        let known = inputs.iter().map(|input| self.tensor_of(input)).collect::<Made<Option<Vec<_>>>>()?;
        if let Some(tensors) = known {
            self.afford_numbers(&shape)?;
            let tensors: Vec<&Tensor> = tensors.iter().collect();
            return Ok(Operand::known(kind, operation.forward(&tensors, false)?.0.contiguous()?));
        }
        let values = inputs.iter().map(|input| self.value(input)).collect::<Made<Vec<_>>>()?;
        self.count_node()?;
        Ok(Operand { kind, shape, is: Is::Made(self.graph.apply(operation, &values)) })
    }

    /// A tensor of one number.
    pub(super) fn filled(&mut self, kind: Meaning, number: f64, shape: &[usize]) -> Made<Operand> {
        self.afford_numbers(shape)?;
        let dtype = if kind == Meaning::Real { self.dtype } else { DType::F64 };
        Ok(Operand::known(kind, Tensor::full(number, shape, &Device::Cpu)?.to_dtype(dtype)?))
    }

    /// Real numbers as whole ones: those that are known are held as f64.
    pub(super) fn as_whole(x: Operand) -> Made<Operand> {
        match x.tensor() {
            Some(tensor) => Ok(Operand::known(Meaning::Whole, tensor.to_dtype(DType::F64)?)),
            None => Ok(x.called(Meaning::Whole)),
        }
    }

    /// Applies an operation to one input, and gives numbers of its kind.
    pub(super) fn on(&mut self, operation: impl Operation + 'static, x: &Operand) -> Made<Operand> {
        self.apply(operation, &[x], x.kind)
    }
}

/// Indices that are shared by copies of an operation.
pub(super) fn shared(indices: Vec<i64>) -> Arc<Vec<i64>> {
    Arc::new(indices)
}
