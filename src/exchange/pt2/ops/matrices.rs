//! Products of matrices: linear layers, attention, equations of letters.

use candle_core::{Device, Tensor};

use super::super::call::{Call, Item, Lower, scalar};
use crate::exchange::lower::{Equation, Made, Meaning, Operand, beyond, wrong};
use crate::graph::ops::{Arithmetic, HeadAttention, Linear, Softmax};

pub(super) fn find(base: &str) -> Option<Lower> {
    Some(match base {
        "linear" => linear,
        "addmm" | "baddbmm" => addmm,
        "mm" | "bmm" | "matmul" | "mv" | "dot" | "vdot" => matmul,
        "outer" | "ger" => outer,
        "einsum" => einsum,
        "scaled_dot_product_attention"
        | "_scaled_dot_product_flash_attention_for_cpu"
        | "_scaled_dot_product_flash_attention"
        | "_scaled_dot_product_efficient_attention"
        | "_scaled_dot_product_cudnn_attention"
        | "_scaled_dot_product_attention_math"
        | "_scaled_dot_product_attention_math_for_mps" => attention,
        _ => return None,
    })
}

/// x w^T + bias
fn linear_of(call: &mut Call<'_>, x: &Operand, weight: &Operand, bias: Option<&Operand>) -> Made<Operand> {
    let known = [Some(weight), bias].into_iter().flatten().all(|operand| operand.tensor().is_some());
    if let (true, Some(of_weight), 2) = (known, call.low.tensor_of(weight)?, weight.rank()) {
        let bias = bias.map(|bias| call.low.tensor_of(bias)).transpose()?.flatten();
        return call.low.on(Linear::new(&of_weight, bias.as_ref())?, x);
    }
    let weight = call.low.transposed(weight)?;
    let y = call.low.matmul(x, &weight)?;
    bias.map_or(Ok(y.clone()), |bias| call.low.pairwise(Arithmetic::Add, &y, bias))
}

fn linear(call: &mut Call<'_>) -> Made<Item> {
    let (x, weight, bias) = (call.tensor("input")?, call.tensor("weight")?, call.optional("bias")?);
    Ok(linear_of(call, &x, &weight, bias.as_ref())?.into())
}

/// beta bias + alpha a b
fn addmm(call: &mut Call<'_>) -> Made<Item> {
    let bias = call.tensor("self")?;
    let names = if call.node.argument("mat1").is_some() { ["mat1", "mat2"] } else { ["batch1", "batch2"] };
    let (a, b) = (call.tensor(names[0])?, call.tensor(names[1])?);
    let (alpha, beta) = (call.float("alpha", 1.0)?, call.float("beta", 1.0)?);
    if alpha == 1.0 && beta == 1.0 && a.tensor().is_none() && b.rank() == 2 && bias.rank() == 1 {
        let weight = call.low.transposed(&b)?;
        return Ok(linear_of(call, &a, &weight, Some(&bias))?.into());
    }
    let product = call.low.matmul(&a, &b)?;
    let product = call.low.affine(&product, alpha, 0.0)?;
    if beta == 0.0 {
        return Ok(product.into());
    }
    let bias = call.low.affine(&bias, beta, 0.0)?;
    Ok(call.low.pairwise(Arithmetic::Add, &product, &bias)?.into())
}

fn matmul(call: &mut Call<'_>) -> Made<Item> {
    let a = call.x()?;
    let Some(second) = call.node.inputs.get(1) else { return wrong("a product of one tensor") };
    let b = call.tensor(&second.name)?;
    Ok(call.low.matmul(&a, &b)?.into())
}

/// a b^T
fn outer(call: &mut Call<'_>) -> Made<Item> {
    let (a, b) = (call.x()?, call.tensor("vec2")?);
    let column = call.low.unsqueeze(&a, &[1])?;
    let [a, b] = super::elementwise::alike(column, b);
    Ok(call.low.pairwise(Arithmetic::Multiply, &a, &b)?.into())
}

fn einsum(call: &mut Call<'_>) -> Made<Item> {
    let (Some(text), tensors) = (call.text("equation"), call.tensors("tensors")?) else {
        return wrong("it has no equation");
    };
    let equation = Equation::new(text, &tensors.iter().map(Operand::rank).collect::<Vec<_>>())?;
    Ok(call.low.einsum(&equation, &tensors.iter().collect::<Vec<_>>())?.into())
}

/// A tensor `[…, heads, tokens, width]` as `[n, heads, tokens, width]`.
fn by_heads(call: &mut Call<'_>, x: &Operand) -> Made<Operand> {
    match x.shape() {
        [tokens, width] => call.low.reshape(x, &[1, 1, *tokens, *width]),
        [before @ .., heads, tokens, width] => {
            let shape = [before.iter().product(), *heads, *tokens, *width];
            call.low.reshape(x, &shape)
        }
        other => wrong(format!("attention of {other:?}")),
    }
}

/// softmax(scale q k^T + mask) v
fn attention(call: &mut Call<'_>) -> Made<Item> {
    let [q, mut k, mut v] = [call.tensor("query")?, call.tensor("key")?, call.tensor("value")?];
    if call.float("dropout_p", 0.0)? != 0.0 {
        return beyond("it drops numbers by chance, as in training: call model.eval() before the export");
    }
    if q.rank() < 2 || k.rank() != q.rank() || v.rank() != q.rank() {
        return wrong(format!("attention of {:?}, {:?} and {:?}", q.shape(), k.shape(), v.shape()));
    }
    if call.bool("enable_gqa", false)? {
        [k, v] = [repeated_heads(call, &k, &q)?, repeated_heads(call, &v, &q)?];
    }
    let scale = match call.number("scale")? {
        Some(scale) => scale,
        None => (q.shape().last().copied().unwrap_or(1) as f64).powf(-0.5),
    };
    let (batch, rank) = (&q.shape()[..q.rank() - 2], q.rank());
    let [tokens, keys] = [q.shape()[rank - 2], k.shape()[rank - 2]];
    let whole = |of: &Operand| [batch, &of.shape()[rank - 2..]].concat();
    [k, v] = [call.low.expand(&k, &whole(&k))?, call.low.expand(&v, &whole(&v))?];
    let shape: Vec<usize> = whole(&q)[..rank - 1].iter().chain(v.shape().last()).copied().collect();
    let mut mask = call.optional("attn_mask")?.or(call.optional("attn_bias")?);
    if let Some(of) = mask.as_ref().filter(|mask| mask.kind == Meaning::Truth) {
        let (through, not) = (scalar(Meaning::Real, 0.0)?, scalar(Meaning::Real, f64::NEG_INFINITY)?);
        mask = Some(call.low.choose(of, &through, &not)?);
    }
    if call.bool("is_causal", false)? {
        mask = Some(causal(call, tokens, keys)?);
    }
    if let Some(of) = &mask
        && (of.tensor().is_none() || of.rank() > 4 || (of.rank() > 2 && rank != 4))
    {
        return Ok(composed(call, [&q, &k, &v], scale, of)?.into());
    }
    let bias = mask.map(|mask| bias_of(call, &mask, [tokens, keys])).transpose()?;
    let [q, k, v] = [by_heads(call, &q)?, by_heads(call, &k)?, by_heads(call, &v)?];
    let y = call.low.apply(HeadAttention::new(scale, bias.as_ref())?, &[&q, &k, &v], Meaning::Real)?;
    Ok(call.low.reshape(&y, &shape)?.into())
}

/// A known mask as attention takes it: `[windows or 1, heads or 1, tokens, keys]`.
fn bias_of(call: &mut Call<'_>, mask: &Operand, [tokens, keys]: [usize; 2]) -> Made<Tensor> {
    let new: Vec<usize> = (0..4_usize.saturating_sub(mask.rank())).collect();
    let mask = call.low.unsqueeze(mask, &new)?;
    let shape = [mask.shape()[0], mask.shape()[1], tokens, keys];
    let mask = call.low.expand(&mask, &shape)?;
    match call.low.tensor_of(&mask)? {
        Some(mask) => Ok(mask),
        None => beyond("its mask depends on the input"),
    }
}

/// As attention is made of other operations.
fn composed(call: &mut Call<'_>, [q, k, v]: [&Operand; 3], scale: f64, mask: &Operand) -> Made<Operand> {
    let k = call.low.transposed(k)?;
    let scores = call.low.matmul(q, &k)?;
    let scores = call.low.affine(&scores, scale, 0.0)?;
    let scores = call.low.pairwise(Arithmetic::Add, &scores, mask)?;
    let weights = call.low.on(Softmax { axis: scores.rank() - 1 }, &scores)?;
    call.low.matmul(&weights, v)
}

/// The mask of tokens that see those before them and themselves.
fn causal(call: &mut Call<'_>, tokens: usize, keys: usize) -> Made<Operand> {
    call.low.afford_numbers(&[tokens, keys])?;
    let of = |at: usize| if at % keys <= at / keys { 0.0 } else { f64::NEG_INFINITY };
    let numbers: Vec<f64> = (0..tokens * keys).map(of).collect();
    Ok(Operand::known(Meaning::Real, Tensor::from_vec(numbers, (tokens, keys), &Device::Cpu)?))
}

/// Each head of keys or values as often as queries share it.
fn repeated_heads(call: &mut Call<'_>, x: &Operand, q: &Operand) -> Made<Operand> {
    let axis = q.rank().wrapping_sub(3);
    let (Some(&to), Some(&heads)) = (q.shape().get(axis), x.shape().get(axis)) else { return Ok(x.clone()) };
    if heads == 0 || to % heads != 0 {
        return wrong(format!("{to} heads of queries share {heads} of keys"));
    }
    let places: Vec<i64> = (0..to).map(|head| (head / (to / heads)) as i64).collect();
    let places = Operand::whole(&places)?;
    call.low.gather(x, axis, &places)
}
