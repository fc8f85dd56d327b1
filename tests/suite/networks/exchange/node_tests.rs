//! ONNX's own tests of single operations: those that Parallax has give the numbers that they must, others are refused in words.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use candle_core::safetensors::Load;
use candle_core::{DType, Device, Tensor};
use parallax::exchange::{Error, Model};
use parallax::graph::Plan;
use rten_onnx::onnx::{DataType, ModelProto, TensorProto, ValueInfoProto};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::Deserialize;

use crate::support::{self, unchecked};

#[derive(Deserialize)]
struct NodeTest {
    model: String,
    rtol: f64,
    atol: f64,
}

/// What f32 rounds besides, where a test's own tolerance is 0.
const ROUNDING: f64 = 1e-7;

/// Tests that are refused, by how their names begin, and why.
const REFUSED: [(&str, &str); 2] = [
    ("test_resize_tf_crop_and_resize", "crops have no gradient in their corners"),
    ("test_maxpool_with_argmax_2d", "the places of maxima are no output"),
];

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).and_then(|tensor| tensor.flatten_all()?.to_vec1()).expect("numbers")
}

/// All tensors of the tests; truths as bytes.
fn tensors(path: &Path) -> HashMap<String, Tensor> {
    let bytes = std::fs::read(path).expect("readable");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let read = |(name, view): (String, TensorView<'_>)| {
        let tensor = match view.dtype() {
            Dtype::BOOL => Tensor::from_slice(view.data(), view.shape(), &Device::Cpu),
            _ => view.load(&Device::Cpu),
        };
        (name, tensor.expect("numbers"))
    };
    file.tensors().into_iter().map(read).collect()
}

/// Which inputs of a test are numbers of the file: none of the floats, all floats but the first, or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Whole,
    AllButFirst,
    All,
}

/// Moves inputs that are known to the file's own numbers. Gives the file, and the inputs that stay.
fn with_known(bytes: &[u8], inputs: &[&Tensor], known: Known) -> (Vec<u8>, Vec<Tensor>) {
    let mut model = ModelProto::parse_buf(bytes).expect("a model");
    let graph = model.graph.as_mut().expect("a graph");
    let (mut left, mut free) = (Vec::new(), Vec::new());
    for (at, (info, tensor)) in std::mem::take(&mut graph.input).into_iter().zip(inputs).enumerate() {
        let dtype = info.r#type.as_ref().and_then(|of| of.tensor_type.as_ref()?.elem_type).expect("a type");
        let real = [DataType::FLOAT, DataType::DOUBLE].contains(&dtype);
        if real && (known == Known::Whole || (known == Known::AllButFirst && at == 0)) {
            left.push(info);
            let rank = info_rank(&left[left.len() - 1]);
            let tensor = if rank == 0 { tensor.reshape(()).expect("one number") } else { (*tensor).clone() };
            free.push(tensor.to_dtype(DType::F64).expect("numbers"));
            continue;
        }
        // A lone number is kept as a row of one.
        let sides = if info_rank(&info) == 0 { &[] } else { tensor.dims() };
        let dims = sides.iter().map(|side| *side as i64).collect();
        let name = info.name;
        graph.initializer.push(if real {
            TensorProto {
                name,
                dims,
                data_type: Some(DataType::DOUBLE),
                double_data: numbers(tensor),
                ..Default::default()
            }
        } else {
            let whole = numbers(tensor).into_iter().map(|number| number as i64);
            if dtype == DataType::BOOL {
                let int32_data = whole.map(|number| number as i32).collect();
                TensorProto { name, dims, data_type: Some(dtype), int32_data, ..Default::default() }
            } else {
                TensorProto {
                    name,
                    dims,
                    data_type: Some(DataType::INT64),
                    int64_data: whole.collect(),
                    ..Default::default()
                }
            }
        });
    }
    graph.input = left;
    (model.write_buf().expect("written"), free)
}

fn info_rank(info: &ValueInfoProto) -> usize {
    let tensor = info.r#type.as_ref().and_then(|of| of.tensor_type.as_ref());
    tensor.and_then(|tensor| tensor.shape.as_ref()).expect("a shape").dim.len()
}

/// Runs a test. Gives what is wrong.
fn outcome(
    name: &str,
    test: &NodeTest,
    tensors: &HashMap<String, Tensor>,
    known: Known,
) -> Result<Option<String>, Error> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.onnx");
    let given = |kind: &str| (0..).map_while(|at| tensors.get(&format!("{name}/0/{kind}{at}"))).collect::<Vec<_>>();
    let bytes = BASE64_STANDARD.decode(&test.model).expect("base64");
    let (bytes, inputs) = with_known(&bytes, &given("in"), known);
    std::fs::write(&path, bytes).expect("written");
    let model = Model::open(&path)?;
    let shapes: Vec<&[usize]> = inputs.iter().map(Tensor::dims).collect();
    let graph = model.graph(&shapes, &[], DType::F64, &Device::Cpu)?;
    let plan = Plan::new(&graph, &shapes, DType::F64).expect("a plan");
    let outputs = match plan.forward(&inputs, &unchecked) {
        Ok(outputs) => outputs,
        Err(error) => return Ok(Some(format!("{name}, {known:?}: {error}"))),
    };
    for (at, (found, wanted)) in outputs.iter().zip(given("out")).enumerate() {
        let lone = found.dims().is_empty() && wanted.dims() == [1];
        if found.dims() != wanted.dims() && !lone {
            return Ok(Some(format!(
                "{name}, {known:?}, output {at}: {:?} instead of {:?}",
                found.dims(),
                wanted.dims()
            )));
        }
        let close =
            |(a, b): (&f64, &f64)| a == b || (a - b).abs() <= test.atol + ROUNDING + (test.rtol + ROUNDING) * b.abs();
        let (found, wanted) = (numbers(found), numbers(wanted));
        if !found.iter().zip(&wanted).all(close) {
            return Ok(Some(format!("{name}, {known:?}, output {at}: {found:?} instead of {wanted:?}")));
        }
    }
    Ok(None)
}

#[test]
fn node_tests_pass_or_are_refused_in_words() {
    let Some(folder) = support::shared("graphs") else { return };
    let text = std::fs::read_to_string(folder.join("node_tests.json")).expect("readable");
    let tests: BTreeMap<String, NodeTest> = serde_json::from_str(&text).expect("JSON");
    let tensors = tensors(&folder.join("node_tests.safetensors"));
    let (mut wrong, mut refused) = (Vec::new(), Vec::new());
    for (name, test) in &tests {
        let mut passed = false;
        let mut said = Vec::new();
        for known in [Known::Whole, Known::AllButFirst, Known::All] {
            match outcome(name, test, &tensors, known) {
                Ok(None) => passed = true,
                Ok(Some(fault)) => wrong.push(fault),
                Err(Error::Unsupported(why)) => said.push(why),
                Err(error) => wrong.push(format!("{name}, {known:?}: {error}")),
            }
        }
        let known = REFUSED.iter().any(|(start, _)| name.starts_with(start));
        if known && passed {
            wrong.push(format!("{name} passes, and is said to be refused"));
        }
        if !passed && !known {
            refused.push(format!("{name}: {}", said.join(" | ")));
        }
    }
    assert!(wrong.is_empty() && refused.is_empty(), "WRONG\n{}\nREFUSED\n{}", wrong.join("\n"), refused.join("\n"));
    assert_eq!(tests.len(), 416);
}
