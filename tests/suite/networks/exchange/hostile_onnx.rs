//! ONNX files that are wrong on purpose: each is refused in words, and takes no more memory than its bytes explain.

use std::path::PathBuf;

use candle_core::{DType, Device};
use parallax::exchange::{Error, Model};
use rten_onnx::onnx::{
    AttributeProto, DataLocation, DataType, Dimension, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TypeProto, TypeProtoTensor, ValueInfoProto,
};
use tempfile::TempDir;

fn port(name: &str, sides: &[i64]) -> ValueInfoProto {
    let dim = sides.iter().map(|side| Dimension { dim_value: Some(*side), dim_param: None }).collect();
    let tensor_type = Some(TypeProtoTensor { elem_type: Some(DataType::FLOAT), shape: Some(TensorShapeProto { dim }) });
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(TypeProto { tensor_type, sequence: None }) }
}

pub(super) fn node(operation: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: Some(operation.to_owned()),
        name: Some(format!("/{output}/{operation}")),
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..Default::default()
    }
}

fn whole(name: &str, numbers: &[i64]) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        dims: vec![numbers.len() as i64],
        data_type: Some(DataType::INT64),
        int64_data: numbers.to_vec(),
        ..Default::default()
    }
}

/// A network of x [1, 4] to y.
pub(super) fn network(nodes: Vec<NodeProto>, initializer: Vec<TensorProto>) -> ModelProto {
    ModelProto {
        ir_version: Some(8),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(18) }],
        graph: Some(GraphProto {
            node: nodes,
            initializer,
            input: vec![port("x", &[1, 4])],
            output: vec![port("y", &[])],
            value_info: Vec::new(),
        }),
        ..Default::default()
    }
}

pub(super) fn written(folder: &TempDir, model: &ModelProto) -> PathBuf {
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, model.write_buf().expect("written")).expect("written");
    path
}

/// What is said of a network.
fn said(model: &ModelProto) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let opened = Model::open(&written(&folder, model));
    match opened.and_then(|model| model.graph(&[&[1, 4]], &[], DType::F32, &Device::Cpu)) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

fn assert_says(model: &ModelProto, words: &[&str]) {
    let said = said(model);
    for words in words {
        assert!(said.contains(words), "{said:?} does not say {words:?}");
    }
}

#[test]
fn all_that_cannot_be_differentiated_is_said_at_once_with_the_way_out() {
    let nodes = vec![
        node("Relu", &["x"], "a"),
        node("GridSample", &["a"], "b"),
        node("GridSample", &["b"], "c"),
        NodeProto { domain: Some("com.microsoft".to_owned()), ..node("FusedConv", &["c"], "d") },
        node("Relu", &["d"], "y"),
    ];
    let said = said(&network(nodes, Vec::new()));
    assert_eq!(
        said,
        "model.onnx uses GridSample (2 nodes, first: /b/GridSample) and com.microsoft.FusedConv (1 node, /d/FusedConv), which Parallax \
         cannot differentiate. 2 of 5 nodes are fine. If they come after the logits, name an earlier output in the card: \
         output = \"a\"."
    );
}

#[test]
fn a_node_that_the_outputs_do_not_need_is_no_matter() {
    let nodes = vec![node("Relu", &["x"], "y"), node("GridSample", &["y"], "z")];
    assert_eq!(said(&network(nodes, Vec::new())), "");
}

#[test]
fn training_mode_but_of_weights_and_half_precision_are_refused() {
    let flag =
        |name: &str, number| AttributeProto { name: Some(name.to_owned()), i: Some(number), ..Default::default() };
    let training = NodeProto { attribute: vec![flag("training_mode", 1)], ..node("BatchNormalization", &["x"], "y") };
    assert_says(&network(vec![training], Vec::new()), &["BatchNormalization in training mode"]);
    // Weights are standardised so by networks without norms: what is known has no other mode.
    let of_weights = NodeProto {
        attribute: vec![flag("training_mode", 1)],
        input: ["w", "one", "zero", "zero", "one"].map(str::to_owned).into(),
        ..node("BatchNormalization", &[], "normed")
    };
    let real = |name: &str, dims: &[i64], numbers: &[f32]| TensorProto {
        name: Some(name.to_owned()),
        dims: dims.to_vec(),
        data_type: Some(DataType::FLOAT),
        float_data: numbers.to_vec(),
        ..Default::default()
    };
    let weights =
        vec![real("w", &[1, 1, 4], &[1.0, 2.0, 3.0, 4.0]), real("one", &[1], &[1.0]), real("zero", &[1], &[0.0])];
    assert_eq!(said(&network(vec![of_weights, node("Mul", &["x", "normed"], "y")], weights)), "");
    let half = NodeProto { attribute: vec![flag("to", 10)], ..node("Cast", &["x"], "y") };
    assert_says(&network(vec![half], Vec::new()), &["Cast to float16"]);
    let mut model = network(vec![node("Relu", &["x"], "y")], Vec::new());
    let input = &mut model.graph.as_mut().expect("a graph").input[0];
    input.r#type.as_mut().and_then(|of| of.tensor_type.as_mut()).expect("a tensor").elem_type = Some(DataType::FLOAT16);
    assert_says(&model, &["\"x\" as float16", "model.float()"]);
}

#[test]
fn constants_of_shapes_larger_than_memory_are_refused() {
    let huge = [1 << 30, 1 << 20];
    let of = |nodes| network(nodes, vec![whole("huge", &huge), whole("one", &[1])]);
    assert_says(&of(vec![node("ConstantOfShape", &["huge"], "y")]), &["far more memory than the file"]);
    assert_says(&of(vec![node("Expand", &["one", "huge"], "y")]), &["far more memory than the file"]);
    let end = TensorProto { dims: Vec::new(), ..whole("end", &[1 << 50]) };
    let scalars = [("start", 0), ("step", 1)].map(|(name, n)| TensorProto { dims: Vec::new(), ..whole(name, &[n]) });
    let range = network(vec![node("Range", &["start", "end", "step"], "y")], [vec![end], scalars.to_vec()].concat());
    assert_says(&range, &["far more memory than the file"]);
    let long = [i64::MAX, i64::MAX];
    assert_says(
        &network(vec![node("ConstantOfShape", &["long"], "y")], vec![whole("long", &long)]),
        &["larger than any memory"],
    );
}

#[test]
fn graphs_within_graphs_end_somewhere() {
    let mut graph = GraphProto::default();
    for _ in 0..2000 {
        let inner = AttributeProto { name: Some("then_branch".to_owned()), g: Some(graph), ..Default::default() };
        graph = GraphProto {
            node: vec![NodeProto { attribute: vec![inner], ..node("If", &["x"], "y") }],
            ..Default::default()
        };
    }
    // Its encoder follows the nesting too.
    let model = std::thread::Builder::new().stack_size(1 << 28).spawn(move || {
        let model = ModelProto { ir_version: Some(8), graph: Some(graph), ..Default::default() };
        let bytes = model.write_buf().expect("written");
        std::mem::forget(model);
        bytes
    });
    let bytes = model.expect("a thread").join().expect("encoded");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("deep.onnx");
    std::fs::write(&path, bytes).expect("written");
    let error = Model::open(&path).expect_err("it is nested too deeply").to_string();
    assert!(error.contains("nested more than 40 deep"), "{error}");
}

/// A network whose weights lie in another file.
fn external(location: &str, offset: &str, length: &str) -> ModelProto {
    let entry =
        |key: &str, value: &str| StringStringEntryProto { key: Some(key.to_owned()), value: Some(value.to_owned()) };
    let weight = TensorProto {
        name: Some("w".to_owned()),
        dims: vec![4],
        data_type: Some(DataType::FLOAT),
        data_location: Some(DataLocation::EXTERNAL),
        external_data: vec![entry("location", location), entry("offset", offset), entry("length", length)],
        ..Default::default()
    };
    network(vec![node("Add", &["x", "w"], "y")], vec![weight])
}

#[test]
fn weights_beside_the_file_lie_below_its_folder_and_within_their_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).expect("made");
    std::fs::write(folder.path().join("outside.bin"), [0; 64]).expect("written");
    std::fs::write(inner.join("weights.bin"), [0; 64]).expect("written");
    let open = |model: &ModelProto| {
        let path = inner.join("model.onnx");
        std::fs::write(&path, model.write_buf().expect("written")).expect("written");
        Model::open(&path).map(|_| ()).map_err(|error: Error| error.to_string())
    };
    assert_eq!(open(&external("weights.bin", "48", "16")), Ok(()));
    let refused = |model: &ModelProto, words: &str| {
        let said = open(model).expect_err("it is refused");
        assert!(said.contains(words), "{said:?} does not say {words:?}");
    };
    refused(&external("../outside.bin", "0", "16"), "not below the file's own folder");
    refused(&external("sub/../../outside.bin", "0", "16"), "not below the file's own folder");
    let absolute = folder.path().join("outside.bin").display().to_string();
    refused(&external(&absolute, "0", "16"), "not below the file's own folder");
    refused(&external("", "0", "16"), "not below the file's own folder");
    refused(&external("missing.bin", "0", "16"), "which is not there");
    refused(&external("weights.bin", "56", "16"), "56 of \"weights.bin\"");
    refused(&external("weights.bin", "18446744073709551615", "16"), "bytes");
    refused(&external("weights.bin", "0", "12"), "a tensor of 16 bytes");
    refused(&external("weights.bin", "-1", "16"), "the offset");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(folder.path().join("outside.bin"), inner.join("link.bin")).expect("a link");
        refused(&external("link.bin", "0", "16"), "a link to outside");
    }
}

#[test]
fn shapes_and_outputs_that_the_network_does_not_have_are_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = written(&folder, &network(vec![node("Relu", &["x"], "y")], Vec::new()));
    let model = Model::open(&path).expect("a network");
    let graph = |shapes: &[&[usize]], outputs: &[&str]| {
        model.graph(shapes, outputs, DType::F32, &Device::Cpu).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(graph(&[&[1, 4]], &["y"]), Ok(()));
    assert_eq!(graph(&[&[1, 5]], &[]), Err("model.onnx: it takes x of [1, 4], and is given [1, 5]".to_owned()));
    assert_eq!(graph(&[], &[]), Err("model.onnx: it takes 1 inputs, and 0 are given".to_owned()));
    assert_eq!(
        graph(&[&[1, 4]], &["logits"]),
        Err("model.onnx: it has no output \"logits\"; its outputs are \"y\"".to_owned())
    );
}
