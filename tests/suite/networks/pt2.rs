//! Networks as PyTorch's exported programs: outputs and gradients as PyTorch's, and what a file may not do.

mod hostile;

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use parallax::exchange::Model;
use parallax::graph::Plan;

use crate::support::{self, worst};

/// f32 sums in another order, of the largest number.
const F32: f64 = 1e-5;

fn graphs() -> Option<PathBuf> {
    support::shared("graphs")
}

/// How far the output and the gradient of a file lie from those of PyTorch, relative to their largest numbers.
pub(crate) fn gaps(model: &Path, golden: &Path, dtype: DType) -> [f64; 2] {
    let golden = support::tensors(golden);
    let get = |name: &str| golden[name].to_dtype(dtype).expect("numbers");
    let (x, y, cotangent, gradient) = (get("x"), get("y"), get("cotangent"), get("gradient"));
    let model = Model::open(model).unwrap_or_else(|e| panic!("{e}"));
    let graph = model.graph(&[x.dims()], &[], dtype, &Device::Cpu).unwrap_or_else(|e| panic!("{e}"));
    let plan = Plan::new(&graph, &[x.dims()], dtype).unwrap_or_else(|e| panic!("{e}"));
    let (got, tape) = plan.record(&[x], &|_, _| Ok(())).expect("a pass");
    let zeros = got.iter().skip(1).map(|other| other.zeros_like().expect("zeros"));
    let cotangents: Vec<Tensor> = std::iter::once(cotangent).chain(zeros).collect();
    let of_x = tape.vjp(&cotangents, &|_, _| Ok(())).expect("a gradient");
    let gap = |got: &Tensor, wanted: &Tensor| {
        assert_eq!(got.dims(), wanted.dims());
        worst(got, wanted) / worst(wanted, &wanted.zeros_like().expect("zeros")).max(f64::MIN_POSITIVE)
    };
    [gap(&got[0], &y), gap(&of_x[0], &gradient)]
}

#[test]
fn small_programs_traced_and_decomposed_give_pytorchs_numbers() {
    let folder = support::data("exchange");
    for name in ["classifier", "transformer"] {
        let [model, golden] = ["pt2", "safetensors"].map(|end| folder.join(format!("{name}.program.{end}")));
        for dtype in [DType::F32, DType::F64] {
            let gaps = gaps(&model, &golden, dtype);
            assert!(gaps.iter().all(|gap| *gap <= F32), "{name} in {dtype:?}: {gaps:?}");
        }
    }
}

#[test]
fn a_side_that_was_left_open_stays_within_its_bounds() {
    let model = Model::open(&support::data("exchange/classifier.program.pt2")).unwrap_or_else(|e| panic!("{e}"));
    let graph = |batch: usize| model.graph(&[&[batch, 1, 8, 8, 8]], &[], DType::F32, &Device::Cpu).map(|_| ());
    assert!(graph(1).is_ok() && graph(8).is_ok());
    let said = graph(9).expect_err("beyond its bounds").to_string();
    assert!(said.contains("x of [s77 (up to 8), 1, 8, 8, 8], and is given [9, 1, 8, 8, 8]"), "{said}");
}

#[test]
fn exported_programs_give_pytorchs_outputs_and_gradients() {
    let Some(folder) = graphs() else { return };
    let mut wrong = Vec::new();
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("a folder").map(|e| e.expect("a file").path()).collect();
    names.sort();
    for model in names.iter().filter(|path| path.extension().is_some_and(|ext| ext == "pt2")) {
        let name = model.file_stem().expect("a name").to_string_lossy().into_owned();
        let golden = model.with_extension("safetensors");
        let gaps = gaps(model, &golden, DType::F32);
        println!("{name}: output {:.1e}, gradient {:.1e}", gaps[0], gaps[1]);
        if gaps.iter().any(|gap| *gap > F32 || gap.is_nan()) {
            wrong.push(format!("{name}: {:e} and {:e} of {F32:e}", gaps[0], gaps[1]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
