//! Sums of products by an equation of letters, one for each axis: "bhqd,bhkd->bhqk".

use super::places::flat_places;
use super::{Lowering, Made, Operand, wrong};
use crate::graph::ops::{Arithmetic, MatMul, Reduction};

/// An equation: the letters of each operand and of the result. Axes that dots stand for have letters of their own.
pub(in crate::exchange) struct Equation {
    operands: Vec<Vec<char>>,
    result: Vec<char>,
}

/// What stands for an axis that dots stand for, counted from the last.
fn dotted(from_last: usize) -> char {
    char::from_u32(0xE000 + from_last as u32).unwrap_or('\u{E000}')
}

/// The letters of a term, whose dots stand for so many axes.
fn letters(term: &str, dots: usize) -> Made<Vec<char>> {
    let mut letters = Vec::new();
    let mut rest = term;
    while let Some(letter) = rest.chars().next() {
        if let Some(behind) = rest.strip_prefix("...") {
            letters.extend((0..dots).rev().map(dotted));
            rest = behind;
        } else if letter.is_ascii_alphabetic() {
            letters.push(letter);
            rest = &rest[1..];
        } else {
            return wrong(format!("{letter:?} in an equation"));
        }
    }
    Ok(letters)
}

impl Equation {
    /// Reads an equation for operands of these ranks.
    pub(in crate::exchange) fn new(text: &str, ranks: &[usize]) -> Made<Self> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let (terms, result) =
            text.split_once("->").map_or((text.as_str(), None), |(terms, result)| (terms, Some(result)));
        let terms: Vec<&str> = terms.split(',').collect();
        if terms.len() != ranks.len() {
            return wrong(format!("an equation of {} operands, given {}", terms.len(), ranks.len()));
        }
        let mut operands = Vec::with_capacity(terms.len());
        let mut most = 0;
        for (term, rank) in terms.iter().zip(ranks) {
            let named = letters(term, 0)?.len();
            let dots = if term.contains("...") { rank.saturating_sub(named) } else { 0 };
            most = most.max(dots);
            let letters = letters(term, dots)?;
            if letters.len() != *rank {
                return wrong(format!("the term {term:?} of an operand of {rank} axes"));
            }
            operands.push(letters);
        }
        let result = match result {
            Some(result) => letters(result, if result.contains("...") { most } else { 0 })?,
            None => implied(&operands, most),
        };
        let known = |letter: &char| operands.iter().any(|operand| operand.contains(letter));
        let twice = (1..result.len()).any(|at| result[..at].contains(&result[at]));
        if twice || !result.iter().all(known) {
            return wrong("an equation whose result has letters that its operands have not, or one twice");
        }
        Ok(Self { operands, result })
    }
}

/// The letters that occur once, in the order of the alphabet, behind the dots.
fn implied(operands: &[Vec<char>], dots: usize) -> Vec<char> {
    let mut once: Vec<char> = operands.iter().flatten().copied().filter(char::is_ascii).collect();
    once.sort_unstable();
    let all = once.clone();
    once.retain(|letter| all.iter().filter(|other| *other == letter).count() == 1);
    (0..dots).rev().map(dotted).chain(once).collect()
}

impl Lowering {
    pub(in crate::exchange) fn einsum(&mut self, equation: &Equation, operands: &[&Operand]) -> Made<Operand> {
        let mut given = equation.operands.iter().zip(operands);
        let Some((letters, first)) = given.next() else { return wrong("an equation of nothing") };
        let mut sum = self.without_twins(first, letters)?;
        let rest: Vec<_> = given.collect();
        for (at, (letters, operand)) in rest.iter().enumerate() {
            let later: Vec<char> = rest[at + 1..]
                .iter()
                .flat_map(|(letters, _)| letters.iter().copied())
                .chain(equation.result.iter().copied())
                .collect();
            let other = self.without_twins(operand, letters)?;
            sum = self.product(sum, other, &later)?;
        }
        let (sum, letters) = self.summed(sum, &equation.result)?;
        let order: Vec<usize> =
            equation.result.iter().filter_map(|letter| letters.iter().position(|l| l == letter)).collect();
        self.permute(&sum, &order)
    }

    /// The diagonal of axes of one letter.
    fn without_twins(&mut self, x: &Operand, letters: &[char]) -> Made<(Operand, Vec<char>)> {
        let mut once = Vec::new();
        for letter in letters {
            if !once.contains(letter) {
                once.push(*letter);
            }
        }
        if once.len() == letters.len() {
            return Ok((x.clone(), once));
        }
        let places: Vec<usize> =
            letters.iter().filter_map(|letter| once.iter().position(|other| other == letter)).collect();
        let mut shape = vec![0; once.len()];
        for (side, place) in x.shape().iter().zip(&places) {
            if shape[*place] != 0 && shape[*place] != *side {
                return wrong(format!("a diagonal of a tensor {:?}", x.shape()));
            }
            shape[*place] = *side;
        }
        let flat = flat_places(&shape, x.shape(), |at, from| {
            from.iter_mut().zip(&places).for_each(|(from, place)| *from = at[*place]);
        })?;
        Ok((self.flat(x, flat, &shape)?, once))
    }

    /// Without the axes whose letters are not wanted.
    fn summed(&mut self, (x, letters): (Operand, Vec<char>), wanted: &[char]) -> Made<(Operand, Vec<char>)> {
        let axes: Vec<usize> = (0..letters.len()).filter(|axis| !wanted.contains(&letters[*axis])).collect();
        let left = letters.into_iter().filter(|letter| wanted.contains(letter)).collect();
        Ok((self.reduce(Reduction::Sum, &x, &axes, false)?, left))
    }

    /// The product of two operands, summed over the letters that only they have.
    fn product(
        &mut self,
        a: (Operand, Vec<char>),
        b: (Operand, Vec<char>),
        later: &[char],
    ) -> Made<(Operand, Vec<char>)> {
        let of_both = |own: &[char], others: &[char]| -> Vec<char> {
            own.iter().copied().filter(|letter| others.contains(letter) || later.contains(letter)).collect()
        };
        let (wanted_a, wanted_b) = (of_both(&a.1, &b.1), of_both(&b.1, &a.1));
        let ((a, of_a), (b, of_b)) = (self.summed(a, &wanted_a)?, self.summed(b, &wanted_b)?);
        let part = |own: &[char], others: &[char], shared: bool, stays: bool| -> Vec<char> {
            let fits = |letter: &&char| others.contains(letter) == shared && later.contains(letter) == stays;
            own.iter().filter(fits).copied().collect()
        };
        let batch = part(&of_a, &of_b, true, true);
        let inner = part(&of_a, &of_b, true, false);
        let (rows, columns) = (part(&of_a, &of_b, false, true), part(&of_b, &of_a, false, true));
        let letters: Vec<char> = batch.iter().chain(&rows).chain(&columns).copied().collect();
        let sides_a = |letters: &[char]| sides(&a, &of_a, letters);
        let sides_b = |letters: &[char]| sides(&b, &of_b, letters);
        let [left, right] =
            [[&batch, &rows, &inner], [&batch, &inner, &columns]].map(|parts| parts.map(Vec::as_slice).concat());
        let (x, y) = (self.ordered(&a, &of_a, &left)?, self.ordered(&b, &of_b, &right)?);
        let one = |sides: Vec<usize>| sides.iter().product::<usize>();
        let (m, n) = (one(sides_a(&rows)), one(sides_b(&columns)));
        let mut shape = super::shapes::broadcast(&sides_a(&batch), &sides_b(&batch))?;
        let product = if inner.is_empty() {
            // No sum: number by number.
            let pad = |shape: &[usize], ones: usize, at: usize| {
                let mut shape = shape.to_vec();
                (0..ones).for_each(|_| shape.insert(at, 1));
                shape
            };
            let x = self.reshape(&x, &pad(x.shape(), columns.len(), x.rank()))?;
            let y = self.reshape(&y, &pad(y.shape(), rows.len(), batch.len()))?;
            self.pairwise(Arithmetic::Multiply, &x, &y)?
        } else {
            let k = one(sides_a(&inner));
            if k != one(sides_b(&inner)) {
                return wrong(format!(
                    "an equation's operands {:?} and {:?} do not fit each other",
                    a.shape(),
                    b.shape()
                ));
            }
            let x = self.reshape(&x, &[sides_a(&batch), vec![m, k]].concat())?;
            let y = self.reshape(&y, &[sides_b(&batch), vec![k, n]].concat())?;
            if batch.is_empty() { self.matmul(&x, &y)? } else { self.apply(MatMul, &[&x, &y], x.kind)? }
        };
        shape.extend(sides_a(&rows));
        shape.extend(sides_b(&columns));
        Ok((self.reshape(&product, &shape)?, letters))
    }

    fn ordered(&mut self, x: &Operand, letters: &[char], order: &[char]) -> Made<Operand> {
        let axes: Vec<usize> =
            order.iter().filter_map(|letter| letters.iter().position(|other| other == letter)).collect();
        self.permute(x, &axes)
    }
}

/// The sides of an operand's axes of these letters.
fn sides(x: &Operand, letters: &[char], wanted: &[char]) -> Vec<usize> {
    let places = wanted.iter().filter_map(|letter| letters.iter().position(|other| other == letter));
    places.map(|place| x.shape()[place]).collect()
}
