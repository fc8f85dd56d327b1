//! What a network ends in: an activation, by its name or written out, or the number of the largest class.

use super::Network;

/// What makes scores of a network's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    Sigmoid,
    Softmax,
    LogSoftmax,
}

/// The activation before an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    pub activation: Activation,
    /// The value before the activation, from which a score can be taken as a logit.
    pub before: String,
    /// The axis of a softmax, counted from the last where it is negative; none of one that goes over all axes from the second on.
    axis: Option<i64>,
    /// Operations between the activation and the output that put its numbers into another shape, and others; the last first.
    pub reshapes: Vec<String>,
    pub alters: Vec<String>,
}

impl Ending {
    /// Whether the output's numbers are the activation's, one for each class, of an output of so many axes whose classes lie along an axis.
    pub fn is_of_classes(&self, axes: usize, classes: usize) -> bool {
        let over_classes = self.axis.map_or(axes == 2, |axis| is(axis, axes, classes));
        let as_it_is = self.activation == Activation::Sigmoid || (self.reshapes.is_empty() && over_classes);
        self.alters.is_empty() && as_it_is
    }
}

/// Where an output says which class is the largest (`ArgMax`): it has no gradient, and the numbers before it have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The value whose largest number is looked for.
    pub before: String,
    /// Along which axis, counted from the last where it is negative; none of all numbers.
    axis: Option<i64>,
    /// Operations between this and the output, the last first.
    pub behind: Vec<String>,
}

/// What leaves the number of a class what it is, or a mask of that class.
const OF_A_CHOICE: [&str; 15] = [
    "Cast",
    "Squeeze",
    "Unsqueeze",
    "Reshape",
    "Flatten",
    "OneHot",
    "Transpose",
    "squeeze",
    "unsqueeze",
    "view",
    "reshape",
    "to",
    "_to_copy",
    "one_hot",
    "permute",
];

impl Choice {
    /// Whether the choice is one among classes, which lie along an axis of the so many that `before` has.
    pub fn is_of_classes(&self, axes: usize, classes: usize) -> bool {
        let kept = self.behind.iter().all(|operation| OF_A_CHOICE.contains(&operation.as_str()));
        kept && self.axis.is_some_and(|axis| is(axis, axes, classes))
    }
}

/// Whether an axis, counted from the last where it is negative, is that one of so many.
fn is(axis: i64, axes: usize, wanted: usize) -> bool {
    let axis = if axis < 0 { axes as i64 + axis } else { axis };
    axis == wanted as i64
}

/// What gives a value of a network, as far as an activation is looked for.
pub(crate) struct Link {
    pub(crate) kind: LinkKind,
    /// The operation in the file's own words.
    pub(crate) operation: String,
    pub(crate) before: String,
}

pub(crate) enum LinkKind {
    /// The axis is that of a softmax, as in [`Ending`].
    Activation(Activation, Option<i64>),
    /// The axis as in [`Choice`].
    Choice(Option<i64>),
    Identity,
    Reshape,
    /// It takes some of the numbers, or changes them by frozen ones.
    Alter,
}

/// An operation of which an activation may be written out.
pub(crate) struct Elementary {
    pub(crate) kind: ElementaryKind,
    pub(crate) inputs: Vec<Given>,
    /// Along which axes a sum or a maximum is taken.
    pub(crate) axes: Vec<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ElementaryKind {
    Exp,
    Log,
    Negate,
    Add,
    Subtract,
    Divide,
    Reciprocal,
    Sum,
    Max,
    LogSumExp,
    Identity,
}

/// What an elementary operation takes.
#[derive(Clone, PartialEq)]
pub(crate) enum Given {
    Value(String),
    Number(f64),
}

/// Most operations behind an activation that are looked past.
const MOST_BEHIND: usize = 8;

/// What an output ends in.
pub(super) enum Found {
    Activation(Ending),
    Choice(Choice),
}

/// Looks for what an output ends in.
pub(super) fn of(network: &dyn Network, output: &str) -> Option<Found> {
    let (mut value, mut reshapes, mut alters, mut behind) = (output.to_owned(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..MOST_BEHIND {
        if let Some((activation, axis, before)) = written_out(network, &value) {
            return Some(Found::Activation(Ending { activation, before, axis, reshapes, alters }));
        }
        let Link { kind, operation, before } = network.link(&value)?;
        match kind {
            LinkKind::Activation(activation, axis) => {
                return Some(Found::Activation(Ending { activation, before, axis, reshapes, alters }));
            }
            LinkKind::Choice(axis) => return Some(Found::Choice(Choice { before, axis, behind })),
            LinkKind::Identity => {}
            LinkKind::Reshape => {
                behind.push(operation.clone());
                reshapes.push(operation);
            }
            LinkKind::Alter => {
                behind.push(operation.clone());
                alters.push(operation);
            }
        }
        value = before;
    }
    None
}

/// The operation that gives a value, past those that change nothing.
fn giver(network: &dyn Network, given: &Given) -> Option<Elementary> {
    let mut given = given.clone();
    for _ in 0..MOST_BEHIND {
        let Given::Value(name) = &given else { return None };
        let found = network.elementary(name)?;
        if found.kind != ElementaryKind::Identity {
            return Some(found);
        }
        given = found.inputs.into_iter().next()?;
    }
    None
}

fn giver_of(network: &dyn Network, given: &Given, kind: ElementaryKind) -> Option<Elementary> {
    giver(network, given).filter(|found| found.kind == kind)
}

/// The activation that gives a value where it is written out, with the axis of a softmax, and the value before it:
/// exp(x) / sum(exp(x)), x - log(sum(exp(x))), each of x less its maximum too, the logarithm of a softmax, 1 / (1 + exp(-x)).
fn written_out(network: &dyn Network, value: &str) -> Option<(Activation, Option<i64>, String)> {
    use ElementaryKind::{Add, Divide, Exp, Log, LogSumExp, Negate, Reciprocal, Subtract, Sum};
    let Elementary { kind, inputs, .. } = network.elementary(value)?;
    // x of sum(exp(x)) along one axis.
    let of_sum = |given: &Given| {
        let sum = giver_of(network, given, Sum)?;
        let (exponential, axis) = (sum.inputs.first()?.clone(), only(&sum.axes)?);
        let x = giver_of(network, &exponential, Exp)?.inputs.into_iter().next()?;
        Some((exponential, x, axis))
    };
    let sigmoid = |below: &Given| {
        let sum = giver_of(network, below, Add)?;
        let exponential = sum.inputs.iter().find_map(|given| giver_of(network, given, Exp))?;
        let is_one = sum.inputs.contains(&Given::Number(1.0));
        let negated = giver_of(network, exponential.inputs.first()?, Negate).filter(|_| is_one)?;
        Some((Activation::Sigmoid, None, name(negated.inputs.first()?)?))
    };
    match (kind, inputs.as_slice()) {
        (Divide, [Given::Number(1.0), below]) | (Reciprocal, [below]) => sigmoid(below),
        (Divide, [above, below]) => {
            let (exponential, x, axis) = of_sum(below)?;
            let x = (exponential == *above).then(|| unshifted(network, &x, axis))?;
            Some((Activation::Softmax, Some(axis), name(&x)?))
        }
        (Subtract, [above, below]) => {
            let below = giver(network, below)?;
            let (x, axis) = match below.kind {
                Log => of_sum(below.inputs.first()?).map(|(_, x, axis)| (x, axis))?,
                LogSumExp => (below.inputs.first()?.clone(), only(&below.axes)?),
                _ => return None,
            };
            let before = (x == *above).then(|| unshifted(network, &x, axis))?;
            Some((Activation::LogSoftmax, Some(axis), name(&before)?))
        }
        (Log, [Given::Value(inner)]) => {
            let named = network.link(inner).and_then(|link| match link.kind {
                LinkKind::Activation(activation, axis) => Some((activation, axis, link.before)),
                _ => None,
            });
            let (activation, axis, before) = named.or_else(|| written_out(network, inner))?;
            (activation == Activation::Softmax).then_some((Activation::LogSoftmax, axis, before))
        }
        _ => None,
    }
}

/// x of x - max(x) along an axis, or along all: a softmax is that of x.
fn unshifted(network: &dyn Network, x: &Given, axis: i64) -> Given {
    let shift = || {
        let difference = giver_of(network, x, ElementaryKind::Subtract)?;
        let [from, by] = difference.inputs.as_slice() else { return None };
        let largest = giver_of(network, by, ElementaryKind::Max)?;
        let alike = largest.axes.is_empty() || largest.axes == [axis];
        (alike && largest.inputs == [from.clone()]).then(|| from.clone())
    };
    shift().unwrap_or_else(|| x.clone())
}

fn only(axes: &[i64]) -> Option<i64> {
    if let [axis] = axes { Some(*axis) } else { None }
}

fn name(given: &Given) -> Option<String> {
    if let Given::Value(name) = given { Some(name.clone()) } else { None }
}
