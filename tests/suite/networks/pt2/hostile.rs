//! Exported programs written by hand: what is read, and what a file may not do.

use std::io::{Cursor, Write};
use std::path::PathBuf;

use candle_core::{DType, Device, Tensor};
use parallax::exchange::{Error, Model, Size};
use parallax::graph::Plan;
use serde_json::{Value, json};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::networks::checkpoints::with_checksums;

fn tensor(name: &str) -> Value {
    json!({"as_tensor": {"name": name}})
}

fn meta(sizes: &[i64]) -> Value {
    let strides: Vec<i64> = (0..sizes.len()).map(|axis| sizes[axis + 1..].iter().product()).collect();
    let ints = |numbers: &[i64]| numbers.iter().map(|number| json!({"as_int": number})).collect::<Vec<_>>();
    json!({"dtype": 7, "sizes": ints(sizes), "strides": ints(&strides), "storage_offset": {"as_int": 0},
        "requires_grad": false, "device": {"type": "cpu", "index": null}, "layout": 7})
}

/// A node of arguments by name, which gives a tensor of that name.
fn node(target: &str, arguments: &[(&str, Value)], gives: &str) -> Value {
    let inputs: Vec<Value> = arguments.iter().map(|(name, arg)| json!({"name": name, "arg": arg, "kind": 1})).collect();
    json!({"target": format!("torch.ops.{target}"), "inputs": inputs, "outputs": [tensor(gives)], "metadata": {}})
}

/// A program of an input x `[2, 3]` and a weight w `[2, 3]`, whose output is y.
fn program(nodes: &[Value]) -> Value {
    json!({
        "graph_module": {
            "graph": {
                "inputs": [tensor("p_w"), tensor("x")], "outputs": [tensor("y")], "nodes": nodes,
                "tensor_values": {"p_w": meta(&[2, 3]), "x": meta(&[2, 3]), "y": meta(&[2, 2])},
                "sym_int_values": {}, "sym_bool_values": {},
            },
            "signature": {
                "input_specs": [
                    {"parameter": {"arg": {"name": "p_w"}, "parameter_name": "w"}},
                    {"user_input": {"arg": tensor("x")}},
                ],
                "output_specs": [{"user_output": {"arg": tensor("y")}}],
            },
            "module_call_graph": [], "metadata": {"who": "a test"},
        },
        "opset_version": {"aten": 10}, "range_constraints": {},
        "schema_version": {"major": 8, "minor": 20}, "torch_version": "2.15.0",
    })
}

fn linear() -> Value {
    node("aten.linear.default", &[("input", tensor("x")), ("weight", tensor("p_w"))], "y")
}

fn config(meta: &Value) -> Value {
    json!({"config": {"w": {"path_name": "weight_0", "is_param": true, "use_pickle": false, "tensor_meta": meta}}})
}

const WEIGHT: [f32; 6] = [1.0, 2.0, 3.0, -1.0, 0.5, 0.25];

fn zipped(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).expect("an entry");
        zip.write_all(bytes).expect("bytes");
    }
    zip.finish().expect("a zip file").into_inner()
}

fn archived(program: &Value, config: &Value) -> Vec<u8> {
    let weight: Vec<u8> = WEIGHT.iter().flat_map(|number| number.to_le_bytes()).collect();
    let entries: [(&str, &[u8]); 4] = [
        ("net/models/model.json", &serde_json::to_vec(program).expect("json")),
        ("net/data/weights/model_weights_config.json", &serde_json::to_vec(config).expect("json")),
        ("net/data/weights/weight_0", &weight),
        ("net/byteorder", b"little"),
    ];
    zipped(&entries, CompressionMethod::Stored)
}

struct Written {
    _folder: TempDir,
    path: PathBuf,
}

fn written(bytes: &[u8]) -> Written {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.pt2");
    std::fs::write(&path, bytes).expect("a file");
    Written { _folder: folder, path }
}

fn open(bytes: &[u8]) -> Result<Model, Error> {
    Model::open(&written(bytes).path)
}

/// What is said where a program's graph is asked for; the file stays until then.
fn refusal(bytes: &[u8]) -> String {
    let file = written(bytes);
    let graph = Model::open(&file.path).and_then(|model| model.graph(&[&[2, 3]], &[], DType::F64, &Device::Cpu));
    graph.map(|_| "nothing").expect_err("a refusal").to_string()
}

/// The output for an input of 0 to 5, and the gradient of its sum.
fn pulled(nodes: &[Value]) -> [Vec<f64>; 2] {
    let file = written(&archived(&program(nodes), &config(&meta(&[2, 3]))));
    let model = Model::open(&file.path).unwrap_or_else(|e| panic!("{e}"));
    let graph = model.graph(&[&[2, 3]], &[], DType::F64, &Device::Cpu).unwrap_or_else(|e| panic!("{e}"));
    let plan = Plan::new(&graph, &[&[2, 3]], DType::F64).expect("a plan");
    let x = Tensor::arange(0.0_f64, 6.0, &Device::Cpu).and_then(|x| x.reshape((2, 3))).expect("an input");
    let (y, tape) = plan.record(&[x], &|_, _| Ok(())).expect("a pass");
    let gradient = tape.vjp(&[y[0].ones_like().expect("ones")], &|_, _| Ok(())).expect("a gradient");
    [&y[0], &gradient[0]].map(|t| t.flatten_all().and_then(|t| t.to_vec1()).expect("numbers"))
}

#[test]
fn a_program_says_what_it_takes_and_gives() {
    let model = open(&archived(&program(&[linear()]), &config(&meta(&[2, 3])))).expect("a program");
    assert_eq!((model.inputs()[0].name.as_str(), model.inputs()[0].dtype.as_str()), ("x", "float32"));
    assert_eq!(model.inputs()[0].sizes, Some(vec![Size::Fixed(2), Size::Fixed(3)]));
    assert_eq!(model.outputs()[0].name, "y");
    assert_eq!(model.parameters(), 6);
    assert_eq!(model.operations()["aten.linear.default"], 1);
    assert_eq!(model.metadata()["who"], "a test");
    let [y, gradient] = pulled(&[linear()]);
    assert_eq!(y, [8.0, 1.0, 26.0, 0.25]);
    assert_eq!(gradient, [0.0, 2.5, 3.25, 0.0, 2.5, 3.25]);
}

#[test]
fn what_is_written_into_a_part_shows_in_the_whole() {
    let int = |number: i64| json!({"as_int": number});
    let nodes = [
        node("aten.clone.default", &[("self", tensor("x"))], "copy"),
        node("aten.select.int", &[("self", tensor("copy")), ("dim", int(0)), ("index", int(1))], "row"),
        node(
            "aten.slice.Tensor",
            &[("self", tensor("copy")), ("dim", int(1)), ("start", int(0)), ("end", int(2))],
            "left",
        ),
        node("aten.mul_.Tensor", &[("self", tensor("row")), ("other", json!({"as_float": 10.0}))], "times"),
        node("aten.add_.Tensor", &[("self", tensor("left")), ("other", json!({"as_float": 100.0}))], "more"),
        node("aten.mul.Tensor", &[("self", tensor("copy")), ("other", tensor("x"))], "y"),
    ];
    let [y, gradient] = pulled(&nodes);
    assert_eq!(y, [0.0, 101.0, 4.0, 390.0, 560.0, 250.0]);
    assert_eq!(gradient, [100.0, 102.0, 4.0, 160.0, 180.0, 100.0]);
}

#[test]
fn sizes_are_computed_when_the_graph_is_made() {
    let name = |name: &str| json!({"as_sym_int": {"as_name": name}});
    let mut rows = node("aten.sym_size.int", &[("self", tensor("x")), ("dim", json!({"as_int": 1}))], "");
    rows["outputs"] = json!([name("s")]);
    let product = json!({"target": "_operator.mul", "metadata": {}, "outputs": [name("m")],
        "inputs": [{"name": "a", "arg": name("s")}, {"name": "b", "arg": {"as_sym_int": {"as_int": 2}}}]});
    let size = json!({"as_sym_ints": [{"as_name": "m"}]});
    let view = node("aten.view.default", &[("self", tensor("x")), ("size", size)], "y");
    assert_eq!(pulled(&[rows, product, view])[0], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
}

#[test]
fn all_that_cannot_be_done_is_said_at_once() {
    let first = node("aten.grid_sampler_3d.default", &[("input", tensor("x"))], "a");
    let second = node("aten.grid_sampler_3d.default", &[("input", tensor("a"))], "b");
    let third = node("mine.odd.default", &[("input", tensor("b"))], "c");
    let last = node("aten.relu.default", &[("self", tensor("c"))], "y");
    let said = refusal(&archived(&program(&[first, second, third, last]), &config(&meta(&[2, 3]))));
    assert!(
        said.contains("aten.grid_sampler_3d.default (2 nodes, first: a) and mine.odd.default (1 node, c)"),
        "{said}"
    );
    assert!(said.contains("1 of 4 nodes are fine"), "{said}");
    let training = node(
        "aten.dropout.default",
        &[("input", tensor("x")), ("p", json!({"as_float": 0.5})), ("train", json!({"as_bool": true}))],
        "y",
    );
    let said = refusal(&archived(&program(&[training]), &config(&meta(&[2, 3]))));
    assert!(said.contains("model.eval()"), "{said}");
}

#[test]
fn other_schemas_are_refused_by_number() {
    let mut other = program(&[linear()]);
    other["schema_version"]["major"] = json!(7);
    let said = refusal(&archived(&other, &config(&meta(&[2, 3]))));
    assert!(said.contains("schema 7.20") && said.contains("schema 8"), "{said}");
}

#[test]
fn weights_lie_within_their_entries() {
    let all = program(&[linear()]);
    for (sizes, what) in [(vec![2, 4], "larger"), (vec![1 << 40, 1 << 40], "huge")] {
        let said = refusal(&archived(&all, &config(&meta(&sizes))));
        assert!(said.contains("does not fit"), "{what}: {said}");
    }
    for (field, number) in [("strides", 1_i64 << 62), ("strides", -1), ("sizes", -2)] {
        let mut odd = meta(&[2, 3]);
        odd[field][0]["as_int"] = json!(number);
        refusal(&archived(&all, &config(&odd)));
    }
    let mut elsewhere = config(&meta(&[2, 3]));
    elsewhere["config"]["w"]["path_name"] = json!("../../secret");
    let said = refusal(&archived(&all, &elsewhere));
    assert!(said.contains("missing"), "{said}");
}

#[test]
fn constants_take_no_more_than_a_file_may_ask_for() {
    let size = json!({"as_ints": [1_i64 << 20, 1_i64 << 20]});
    let full = node("aten.full.default", &[("size", size), ("fill_value", json!({"as_float": 1.0}))], "y");
    let said = refusal(&archived(&program(&[full]), &config(&meta(&[2, 3]))));
    assert!(said.contains("memory"), "{said}");
}

#[test]
fn a_text_that_inflates_is_a_bomb() {
    let bomb = vec![b' '; 1 << 20];
    let bytes = zipped(&[("net/models/model.json", &bomb)], CompressionMethod::Deflated);
    let said = refusal(&bytes);
    assert!(said.contains("claims"), "{said}");
}

#[test]
fn an_entry_whose_checksum_is_not_that_of_its_bytes_is_refused() {
    let whole = archived(&program(&[linear()]), &config(&meta(&[2, 3])));
    let place = |bytes: &[u8]| whole.windows(bytes.len()).position(|part| part == bytes).expect("there");
    let weight: Vec<u8> = WEIGHT.iter().flat_map(|number| number.to_le_bytes()).collect();
    // A bit of a weight, which would be as good a number; a letter of the graph, which would be as good a text.
    for (at, entry) in [(place(&weight) + 4, "net/data/weights/weight_0"), (place(b"a test"), "net/models/model.json")]
    {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        let said = refusal(&changed);
        assert!(
            said.contains(&format!("its entry {entry} is damaged: its checksum (CRC-32) is not that of its bytes")),
            "{said}"
        );
    }
    // A compressed one.
    let config = serde_json::to_vec(&config(&meta(&[2, 3]))).expect("json");
    let json = serde_json::to_vec(&program(&[linear()])).expect("json");
    let entries: [(&str, &[u8]); 3] = [
        ("net/models/model.json", &json),
        ("net/data/weights/model_weights_config.json", &config),
        ("net/data/weights/weight_0", &weight),
    ];
    let mut packed = zipped(&entries, CompressionMethod::Deflated);
    assert!(open(&packed).is_ok());
    let checksum = packed.windows(4).rposition(|part| part == b"PK\x01\x02").expect("a list of entries") + 16;
    packed[checksum] ^= 1; // of the last entry
    let said = refusal(&packed);
    assert!(said.contains("is damaged"), "{said}");
}

#[test]
fn entries_without_checksums_are_read_as_they_are() {
    let whole = archived(&program(&[linear()]), &config(&meta(&[2, 3])));
    let file = written(&with_checksums(&whole, |_| [0; 4]));
    let model = Model::open(&file.path).unwrap_or_else(|e| panic!("{e}"));
    assert!(model.graph(&[&[2, 3]], &[], DType::F64, &Device::Cpu).is_ok());
}

#[test]
fn functions_that_are_made_of_several_are_pytorchs() {
    // PyTorch 2.15, of 0 to 5 in f64; the slopes by autograd.
    let of = |target: &str, more: &[(&str, Value)]| {
        let arguments = [&[("self", tensor("x"))][..], more].concat();
        pulled(&[node(&format!("aten.{target}"), &arguments, "y")])
    };
    let float = |number: f64| json!({"as_float": number});
    let close = |what: &str, found: &[f64], wanted: [f64; 6]| {
        let near = found.iter().zip(wanted).all(|(a, b)| (a - b).abs() <= 1e-12 * b.abs().max(1.0));
        assert!(near, "{what}: {found:?} instead of {wanted:?}");
    };
    let numbers = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
    let of_each = |f: fn(f64) -> f64| numbers.map(f);
    let ln_2 = std::f64::consts::LN_2;
    for (target, more, value, slope) in [
        ("exp2.default", vec![], of_each(f64::exp2), numbers.map(|x| x.exp2() * ln_2)),
        ("expm1.default", vec![], of_each(f64::exp_m1), of_each(f64::exp)),
        ("log1p.default", vec![], of_each(f64::ln_1p), of_each(|x| 1.0 / (1.0 + x))),
        ("sinh.default", vec![], of_each(f64::sinh), of_each(f64::cosh)),
        ("atan.default", vec![], of_each(f64::atan), of_each(|x| 1.0 / (1.0 + x * x))),
        ("asinh.default", vec![], of_each(f64::asinh), of_each(|x| 1.0 / (1.0 + x * x).sqrt())),
        ("round.decimals", vec![("decimals", json!({"as_int": -1}))], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0], [0.0; 6]),
        (
            "hypot.default",
            vec![("other", tensor("p_w"))],
            [1.0, 5.0_f64.sqrt(), 13.0_f64.sqrt(), 10.0_f64.sqrt(), 16.25_f64.sqrt(), 25.0625_f64.sqrt()],
            [
                0.0,
                1.0 / 5.0_f64.sqrt(),
                2.0 / 13.0_f64.sqrt(),
                3.0 / 10.0_f64.sqrt(),
                4.0 / 16.25_f64.sqrt(),
                5.0 / 25.0625_f64.sqrt(),
            ],
        ),
        (
            "hardtanh.default",
            vec![("min_val", float(0.0)), ("max_val", float(6.0))],
            numbers,
            [0.0, 1.0, 1.0, 1.0, 1.0, 1.0],
        ),
        ("logical_xor.default", vec![("other", tensor("p_w"))], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0], [0.0; 6]),
    ] {
        let [y, gradient] = of(target, &more);
        close(target, &y, value);
        close(target, &gradient, slope);
    }
    let bits = node("aten.bitwise_and.Tensor", &[("self", tensor("x")), ("other", tensor("p_w"))], "y");
    let said = refusal(&archived(&program(&[bits]), &config(&meta(&[2, 3]))));
    assert!(said.contains("works on the bits of whole numbers"), "{said}");
}

#[test]
fn distances_of_rows_are_pytorchs() {
    let nodes = [node("aten.cdist.default", &[("x1", tensor("x")), ("x2", tensor("p_w"))], "y")];
    let [y, gradient] = pulled(&nodes);
    // |(0 1 2) - (1 2 3)|, and so on.
    let wanted = [3.0_f64.sqrt(), 4.3125_f64.sqrt(), 12.0_f64.sqrt(), 50.8125_f64.sqrt()];
    assert!(y.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{y:?}");
    let first = -1.0 / wanted[0] + 1.0 / wanted[1];
    assert!((gradient[0] - first).abs() < 1e-12, "{gradient:?}");
}

#[test]
fn entries_do_not_overlap() {
    let mut bytes = archived(&program(&[linear()]), &config(&meta(&[2, 3])));
    // The offset of the second entry of the list of entries becomes that of the first.
    let headers: Vec<usize> = (0..bytes.len() - 4).filter(|at| bytes[*at..].starts_with(b"PK\x01\x02")).collect();
    let first: Vec<u8> = bytes[headers[0] + 42..headers[0] + 46].to_vec();
    bytes[headers[1] + 42..headers[1] + 46].copy_from_slice(&first);
    refusal(&bytes);
}

#[test]
fn cut_and_changed_files_are_errors_or_programs_but_never_a_panic() {
    let whole = archived(&program(&[linear()]), &config(&meta(&[2, 3])));
    for length in (0..whole.len()).step_by(97) {
        assert!(open(&whole[..length]).is_err(), "cut to {length} bytes");
    }
    for at in (0..whole.len()).step_by(13) {
        let mut changed = whole.clone();
        changed[at] ^= 0x15;
        let file = written(&changed);
        if let Ok(model) = Model::open(&file.path) {
            let graph = model.graph(&[&[2, 3]], &[], DType::F32, &Device::Cpu);
            drop(graph.map(|graph| Plan::new(&graph, &[&[2, 3]], DType::F32)));
        }
    }
}
