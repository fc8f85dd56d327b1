//! One node of an exported program: what it is given, as operations ask for it.

use std::collections::HashMap;

use candle_core::{Device, Tensor};

use super::schema::{Argument, Node};
use crate::exchange::lower::{Lowering, Made, Meaning, Operand, beyond, wrong};

/// What a name of the program stands for.
#[derive(Clone)]
pub(super) enum Item {
    Tensor(Operand),
    List(Vec<Item>),
    Int(i64),
    Float(f64),
    Bool(bool),
    None,
    /// What a node gives and Parallax does not make.
    Unmade,
}

impl Item {
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

impl From<Operand> for Item {
    fn from(operand: Operand) -> Self {
        Self::Tensor(operand)
    }
}

impl From<Vec<Operand>> for Item {
    fn from(operands: Vec<Operand>) -> Self {
        Self::List(operands.into_iter().map(Self::Tensor).collect())
    }
}

/// Makes what a node gives.
pub(super) type Lower = fn(&mut Call<'_>) -> Made<Item>;

/// A node that is being lowered. Arguments go by the names that the operation's schema gives them.
pub(super) struct Call<'a> {
    pub(super) node: &'a Node,
    pub(super) low: &'a mut Lowering,
    pub(super) values: &'a HashMap<String, Item>,
}

impl Call<'_> {
    fn item_of(&self, argument: &Argument) -> Made<Item> {
        Ok(match argument {
            Argument::None | Argument::Type(_) | Argument::Text(_) => Item::None,
            Argument::Value(name) => match self.values.get(name) {
                Some(Item::Unmade) => return beyond(format!("it takes {name}, which Parallax does not make")),
                Some(item) => item.clone(),
                None => return wrong(format!("it takes {name}, which nothing gives")),
            },
            Argument::List(list) => Item::List(list.iter().map(|item| self.item_of(item)).collect::<Made<_>>()?),
            Argument::Int(number) => Item::Int(*number),
            Argument::Float(number) => Item::Float(*number),
            Argument::Bool(truth) => Item::Bool(*truth),
            Argument::Graph(_) => return beyond("it has a graph of its own"),
            Argument::Other(key) => return beyond(format!("it takes an argument {key}")),
        })
    }

    /// What stands for an argument; none where it is left out.
    pub(super) fn item(&self, name: &str) -> Made<Item> {
        self.node.argument(name).map_or(Ok(Item::None), |argument| self.item_of(argument))
    }

    pub(super) fn tensor(&self, name: &str) -> Made<Operand> {
        match self.optional(name)? {
            Some(operand) => Ok(operand),
            None => wrong(format!("it lacks its argument {name}")),
        }
    }

    /// The first argument, whatever its name: "self" or "input".
    pub(super) fn x(&self) -> Made<Operand> {
        match self.node.inputs.first() {
            Some(first) => self.tensor(&first.name),
            None => wrong("it has no arguments"),
        }
    }

    pub(super) fn optional(&self, name: &str) -> Made<Option<Operand>> {
        match self.item(name)? {
            Item::Tensor(operand) => Ok(Some(operand)),
            Item::None => Ok(None),
            Item::Int(number) => scalar(Meaning::Whole, number as f64).map(Some),
            Item::Float(number) => scalar(Meaning::Real, number).map(Some),
            Item::Bool(truth) => scalar(Meaning::Truth, f64::from(u8::from(truth))).map(Some),
            _ => wrong(format!("its argument {name} is no tensor")),
        }
    }

    /// Tensors in a row.
    pub(super) fn tensors(&self, name: &str) -> Made<Vec<Operand>> {
        let Item::List(items) = self.item(name)? else { return wrong(format!("its argument {name} is no list")) };
        let tensors = items.into_iter().map(|item| match item {
            Item::Tensor(operand) => Ok(operand),
            _ => wrong(format!("its argument {name} holds what is no tensor")),
        });
        tensors.collect()
    }

    /// Tensors in a row, some of which may be missing.
    pub(super) fn optional_tensors(&self, name: &str) -> Made<Vec<Option<Operand>>> {
        let Item::List(items) = self.item(name)? else { return wrong(format!("its argument {name} is no list")) };
        let tensors = items.into_iter().map(|item| match item {
            Item::Tensor(operand) => Ok(Some(operand)),
            Item::None => Ok(None),
            _ => wrong(format!("its argument {name} holds what is no tensor")),
        });
        tensors.collect()
    }

    /// A number; none where it is left out.
    pub(super) fn number(&self, name: &str) -> Made<Option<f64>> {
        Ok(match self.item(name)? {
            Item::Int(number) => Some(number as f64),
            Item::Float(number) => Some(number),
            Item::Bool(truth) => Some(f64::from(u8::from(truth))),
            Item::Tensor(operand) => match operand.scalar() {
                Some(number) => Some(number),
                None => return beyond(format!("its argument {name} depends on the input")),
            },
            _ => None,
        })
    }

    pub(super) fn float(&self, name: &str, default: f64) -> Made<f64> {
        Ok(self.number(name)?.unwrap_or(default))
    }

    pub(super) fn int(&self, name: &str, default: i64) -> Made<i64> {
        Ok(self.optional_int(name)?.unwrap_or(default))
    }

    pub(super) fn optional_int(&self, name: &str) -> Made<Option<i64>> {
        match self.item(name)? {
            Item::Int(number) => Ok(Some(number)),
            Item::None => Ok(None),
            _ => match self.number(name)? {
                Some(number) if number.fract() == 0.0 => Ok(Some(number as i64)),
                _ => wrong(format!("its argument {name} is no whole number")),
            },
        }
    }

    pub(super) fn bool(&self, name: &str, default: bool) -> Made<bool> {
        Ok(self.number(name)?.map_or(default, |number| number != 0.0))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.node.argument(name) {
            Some(Argument::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A type of numbers, by its number in the schema.
    pub(super) fn scalar_type(&self, name: &str) -> Option<u64> {
        match self.node.argument(name) {
            Some(Argument::Type(number)) => Some(*number),
            _ => None,
        }
    }

    /// Whole numbers; none where they are left out. One number stands for a list of one.
    pub(super) fn ints(&self, name: &str) -> Made<Option<Vec<i64>>> {
        let number = |item: Item| match item {
            Item::Int(number) => Ok(number),
            Item::Float(number) if number.fract() == 0.0 => Ok(number as i64),
            Item::Tensor(operand) => match operand.integers().as_deref() {
                Some([number]) => Ok(*number),
                _ => beyond(format!("its argument {name} depends on the input")),
            },
            _ => wrong(format!("its argument {name} holds what is no whole number")),
        };
        match self.item(name)? {
            Item::None => Ok(None),
            Item::List(items) => items.into_iter().map(number).collect::<Made<Vec<_>>>().map(Some),
            item => Ok(Some(vec![number(item)?])),
        }
    }

    /// A whole number or several, of arguments of these names, the first of which may hold either.
    pub(super) fn int_or_list(&self, names: [&str; 2]) -> Made<(Option<i64>, Vec<i64>)> {
        if let Item::Int(number) = self.item(names[0])? {
            return Ok((Some(number), Vec::new()));
        }
        Ok((None, self.ints(names[0])?.or(self.ints(names[1])?).unwrap_or_default()))
    }

    pub(super) fn floats(&self, name: &str) -> Made<Option<Vec<f64>>> {
        let Item::List(items) = self.item(name)? else { return Ok(None) };
        let number = |item: Item| match item {
            Item::Float(number) => Ok(number),
            Item::Int(number) => Ok(number as f64),
            _ => wrong(format!("its argument {name} holds what is no number")),
        };
        items.into_iter().map(number).collect::<Made<Vec<_>>>().map(Some)
    }

    /// Sizes along some axes: one for each, or one for all, or the default.
    pub(super) fn sizes(&self, name: &str, axes: usize, default: usize) -> Made<Vec<usize>> {
        let given = self.ints(name)?.unwrap_or_default();
        let sizes: Option<Vec<usize>> = given.iter().map(|size| usize::try_from(*size).ok()).collect();
        match sizes {
            Some(sizes) if sizes.is_empty() => Ok(vec![default; axes]),
            Some(sizes) if sizes.len() == 1 => Ok(vec![sizes[0]; axes]),
            Some(sizes) if sizes.len() == axes => Ok(sizes),
            _ => wrong(format!("its argument {name} is {given:?}, for {axes} axes")),
        }
    }

    /// An axis of a tensor of that rank; negative ones count from the end.
    pub(super) fn axis(&self, name: &str, default: i64, rank: usize) -> Made<usize> {
        axis_of(self.int(name, default)?, rank)
    }

    /// Axes of a tensor of that rank; all where none are given.
    pub(super) fn axes(&self, name: &str, rank: usize) -> Made<Vec<usize>> {
        let axes = self.ints(name)?.unwrap_or_default();
        if axes.is_empty() {
            return Ok((0..rank).collect());
        }
        axes.into_iter().map(|axis| axis_of(axis, rank)).collect()
    }
}

/// An axis of a tensor of that rank; negative ones count from the end.
pub(super) fn axis_of(axis: i64, rank: usize) -> Made<usize> {
    let from_start = if axis < 0 { axis.saturating_add(rank.max(1) as i64) } else { axis };
    match usize::try_from(from_start) {
        Ok(place) if place < rank.max(1) => Ok(place),
        _ => wrong(format!("axis {axis} of a tensor of {rank} axes")),
    }
}

/// A number as a tensor without axes.
pub(super) fn scalar(kind: Meaning, number: f64) -> Made<Operand> {
    Ok(Operand::known(kind, Tensor::from_slice(&[number], (), &Device::Cpu)?))
}
