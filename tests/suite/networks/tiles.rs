//! Autoencoders of volumes in overlapping tiles: against MONAI's sliding windows, the same networks whole, and central differences.

use std::cell::Cell;
use std::process::Command;
use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};
use parallax::exchange::Model;
use parallax::graph::ops::{Blend, Tiled, TilesAlong};
use parallax::graph::{Error, Graph, Plan};
use parallax::job::{Cancelled, Monitor};
use parallax::models::Autoencoder;
use parallax::pipeline;
use parallax::preprocess::Axes;
use serde_json::Value as Json;

use crate::networks::cards::{BLOCKS, CLASSIFIER, Files, scan};
use crate::support;

/// Both sides compute in f32 or rounded to it, of the largest number.
const ROUNDING: f64 = 2e-6;
/// A network in one tile is the network itself, but for a weight that is multiplied and divided by.
const ONE_TILE: f64 = 1e-6;

const TILED: &str = "encoder = \"tiles_encoder.onnx\"\ndecoder = \"tiles_decoder.onnx\"\nlatents = \"mean\"\n";

/// A card for a tensor's axes, with tiles of `[16, 16, 8]` along them.
fn card(axes: &str, blend: &str, overlap: f64) -> String {
    let size = if axes == "RAS" { "[16, 16, 8]" } else { "[8, 16, 16]" };
    format!("{TILED}[tiles]\nsize = {size}\noverlap = {overlap}\nblend = \"{blend}\"\n[recipe]\naxes = \"{axes}\"\n")
}

fn load(files: &Files, text: &str) -> Arc<dyn Autoencoder> {
    let card = files.card("tiles.toml", text);
    let model = pipeline::load_autoencoder(&card, &Monitor::default()).unwrap_or_else(|e| panic!("{text}\n{e:#}"));
    Arc::clone(&model.network)
}

fn refusal(files: &Files, text: &str) -> String {
    let card = files.card("tiles.toml", text);
    let error = pipeline::load_autoencoder(&card, &Monitor::default()).err();
    error.map_or_else(|| panic!("{text}\nit was loaded"), |error| pipeline::in_words(&error))
}

/// A tensor `[1, c, …]` of the network's axes as `[slices, c, rows, columns]`.
fn as_stack(tensor: &Tensor, axes: &str) -> Tensor {
    let axes: Vec<(usize, bool)> = Axes::of(axes).expect("axes").of_stack().collect();
    let back: Vec<usize> = (0..3).filter(|at| axes[*at].1).map(|at| at + 2).collect();
    let place = |of_stack: usize| axes.iter().position(|(axis, _)| *axis == of_stack).expect("an axis") + 1;
    let turned = || tensor.flip(&back)?.squeeze(0)?.permute((place(0), 0, place(1), place(2)))?.contiguous();
    turned().expect("a stack")
}

fn near(got: &Tensor, wanted: &Tensor, tolerance: f64, what: &str) {
    let largest = wanted.abs().and_then(|t| t.flatten_all()?.max(0)?.to_dtype(DType::F64)?.to_scalar::<f64>());
    let off = support::worst(got, wanted) / largest.expect("numbers");
    assert!(off < tolerance, "{what}: off by {off} of the largest number");
}

/// A stack of noise that is the same each time.
fn noise(shape: [usize; 4]) -> Tensor {
    let count = shape.iter().product::<usize>();
    let numbers = (0..count).map(|at| ((at as f32 * 12.9898).sin() * 43758.547).fract().abs());
    Tensor::from_iter(numbers, &Device::Cpu).and_then(|t| t.reshape(&shape[..])).expect("a stack")
}

/// Latents, what they are decoded to, and the gradient of its sum of squares.
fn passes(network: &dyn Autoencoder, stack: &Tensor) -> [Tensor; 3] {
    let (_, _, height, width) = stack.dims4().expect("a stack");
    let z = network.encode(stack, &support::unchecked).expect("latents");
    let plan = network.decoder(z.dims(), [height, width]).expect("a plan");
    let [y, gradient] = support::pulled(&plan, &z, |y| y.affine(2.0, 0.0));
    [z, y, gradient]
}

#[test]
fn latents_volumes_and_gradients_are_those_of_monais_sliding_windows() {
    let files = Files::new();
    let golden = support::tensors(&support::data("networks/tiles.safetensors"));
    for volume in ["odd", "small"] {
        for (blend, overlap) in [("constant", 0.25), ("constant", 0.5), ("gaussian", 0.25), ("gaussian", 0.5)] {
            for axes in ["SPL", "RAS", "LPI"] {
                let text = card(axes, blend, overlap)
                    .replace("[8, 16, 16]", if axes == "LPI" { "[16, 16, 8]" } else { "[8, 16, 16]" });
                let network = load(&files, &text);
                let name = format!("{volume}.{blend}.{overlap}");
                let wanted = |part: &str| as_stack(&golden[&format!("{name}.{part}")], axes);
                let stack = as_stack(&golden[volume], axes);
                let (_, _, height, width) = stack.dims4().expect("a stack");
                let z = network.encode(&stack, &support::unchecked).expect("latents");
                near(&z, &wanted("z"), ROUNDING, &format!("{name} {axes} latents"));
                let plan = network.decoder(z.dims(), [height, width]).expect("a plan");
                let cotangent = as_stack(&golden[&format!("{volume}.cotangent")], axes);
                let [y, gradient] = support::pulled(&plan, &wanted("z"), |_| Ok(cotangent));
                near(&y, &wanted("y"), ROUNDING, &format!("{name} {axes} volume"));
                near(&gradient, &wanted("gradient"), ROUNDING, &format!("{name} {axes} gradient"));
            }
        }
    }
}

#[test]
fn a_volume_in_one_tile_is_the_volume_whole() {
    let files = Files::new();
    let stack = noise([16, 1, 24, 20]);
    let recipe = "[recipe]\naxes = \"RAS\"\n";
    let whole = load(&files, &format!("{TILED}{recipe}"));
    for tiles in ["", "size = [20, 24, 16]\nblend = \"gaussian\"\n", "size = [0, 24, 0]\noverlap = 0.5\n"] {
        let tiled = load(&files, &format!("{TILED}[tiles]\n{tiles}{recipe}"));
        for (part, (got, wanted)) in passes(&*tiled, &stack).iter().zip(passes(&*whole, &stack)).enumerate() {
            near(got, &wanted, ONE_TILE, &format!("{tiles} part {part}"));
        }
        let deviations = |network: &dyn Autoencoder| network.deviations(&stack, &support::unchecked).expect("a pass");
        near(&deviations(&*tiled).expect("some"), &deviations(&*whole).expect("some"), ONE_TILE, tiles);
    }
    let tiled = load(&files, &format!("{TILED}[tiles]\nsize = [8, 8, 8]\n{recipe}"));
    let off = support::worst(&passes(&*tiled, &stack)[1], &passes(&*whole, &stack)[1]);
    assert!(off > 1e-3, "at the edges of tiles the network sees zeros: {off}");
}

/// The decoder in f64, in tiles of `[4, 4, 4]` latents over `[6, 4, 7]`, with two latents of padding before the last axis.
fn tiled_decoder() -> Tiled {
    let tile: &[usize] = &[1, 2, 4, 4, 4];
    let model = Model::open(&support::data("networks/tiles_decoder.onnx")).expect("a network");
    let graph = model.graph(&[tile], &["answer"], DType::F64, &Device::Cpu).expect("a graph");
    let plan = Plan::new(&graph, &[tile], DType::F64).expect("a plan");
    let along = |starts: &[usize], output, moving| TilesAlong { starts: starts.to_vec(), output, moving };
    let along = [along(&[0, 2], 0..24, 0..6), along(&[0], 0..16, 0..4), along(&[0, 2, 3], 4..14, 2..7)];
    Tiled::new(plan, along, Blend::Gaussian).expect("tiles")
}

fn plan_of(tiled: Tiled) -> Plan {
    let mut g = Graph::new();
    let z = g.input();
    let y = g.apply(tiled, &[z]);
    Plan::new(&g.finish(&[y]), &[&[1, 2, 6, 4, 7]], DType::F64).expect("a plan")
}

fn latents() -> Tensor {
    noise([2, 6, 4, 7]).reshape((1, 2, 6, 4, 7)).and_then(|z| z.to_dtype(DType::F64)).expect("latents")
}

#[test]
fn the_gradient_through_tiles_is_that_of_central_differences() -> Result<()> {
    let (plan, z) = (plan_of(tiled_decoder()), latents());
    let [y, gradient] = support::pulled(&plan, &z, |y| y.affine(2.0, 0.0));
    assert_eq!(y.dims(), [1, 1, 24, 16, 10]);
    let square = |z: &Tensor| support::output(&plan, z).sqr()?.sum_all()?.to_scalar::<f64>();
    let (numbers, gradient) = (z.flatten_all()?.to_vec1::<f64>()?, gradient.flatten_all()?.to_vec1::<f64>()?);
    // Half of a step's error goes with its square, the other with its inverse.
    let step = 1e-5;
    for at in (0..numbers.len()).step_by(5) {
        let moved = |by: f64| {
            let mut numbers = numbers.clone();
            numbers[at] += by;
            square(&Tensor::from_vec(numbers, z.shape(), &Device::Cpu)?)
        };
        let slope = (moved(step)? - moved(-step)?) / (2.0 * step);
        assert!((slope - gradient[at]).abs() < 1e-7, "latent {at}: {slope} by differences, {} by tiles", gradient[at]);
    }
    Ok(())
}

#[test]
fn cutting_the_gradient_of_a_tile_into_segments_changes_no_bit() {
    let (whole, z) = (plan_of(tiled_decoder()), latents());
    let budget = whole.gradient_bytes() - 1;
    let cut = whole.clone().within(budget).expect("segments");
    assert!(cut.gradient_bytes() <= budget && cut.tiled().is_some_and(|tiled| tiled.plan().segments() > 1));
    let of = |plan: &Plan| support::pulled(plan, &z, |y| Ok(y.clone()))[1].clone();
    assert_eq!(support::worst(&of(&cut), &of(&whole)), 0.0);
    let error = whole.within(1000).err().expect("a kilobyte").to_string();
    assert!(error.contains("set smaller tiles in its card"), "{error}");
}

#[test]
fn a_pass_can_be_stopped_within_and_between_tiles() {
    let (plan, z) = (plan_of(tiled_decoder()), latents());
    let (seen, total) = (Cell::new(0), Cell::new(0));
    let watch = |most: usize| {
        let (seen, total) = (&seen, &total);
        move |step: usize, steps: usize| {
            seen.set(seen.get() + 1);
            total.set(steps);
            assert!(step <= steps, "{step} of {steps}");
            if seen.get() > most { Err(Cancelled) } else { Ok(()) }
        }
    };
    plan.forward(std::slice::from_ref(&z), &watch(usize::MAX)).expect("a pass");
    let all = seen.replace(0);
    assert_eq!(total.get(), plan.steps());
    assert!(all > 5 * 6, "{all} looks at 6 tiles of 5 operations or more");
    let stopped = |error: Error| matches!(error, Error::Cancelled(_));
    assert!(plan.forward(std::slice::from_ref(&z), &watch(all / 2)).is_err_and(stopped));
    assert_eq!(seen.replace(0), all / 2 + 1);
    let (y, tape) = plan.record(std::slice::from_ref(&z), &support::unchecked).expect("a pass");
    let gradient = tape.vjp(&y, &support::unchecked).expect("a gradient");
    assert!(tape.into_vjp(&y, &watch(8)).is_err_and(stopped));
    assert_eq!(seen.replace(0), 9);
    let tape = plan.tape(&[z], &watch(0)).expect("no operation runs where no one wants outputs");
    let same = tape.into_vjp(&y, &support::unchecked).expect("a gradient");
    assert_eq!(support::worst(&same[0], &gradient[0]), 0.0);
    let halves = plan.work_before(plan.steps() / 2) / plan.work();
    assert!((halves - 0.5).abs() < 0.1, "half of the steps are {halves} of the work");
}

#[test]
fn a_slab_is_decoded_by_the_tiles_that_meet_it_to_the_bits_of_the_whole() {
    let files = Files::new();
    for axes in ["RAS", "LPI"] {
        let text = card(axes, "gaussian", 0.5).replace("[8, 16, 16]", "[16, 16, 8]");
        let network = load(&files, &text);
        let stack = noise([32, 1, 20, 24]);
        let z = network.encode(&stack, &support::unchecked).expect("latents");
        let plan = network.decoder(z.dims(), [20, 24]).expect("a plan");
        let slab = 5..9;
        let within = network.within(&z, &slab, 32).expect("a part");
        assert_eq!(within.planes, 2..5);
        let part = z.narrow(0, 2, 3).and_then(|z| z.contiguous()).expect("planes");
        let plan_of_slab = within.autoencoder.decoder(part.dims(), [20, 24]).expect("a plan");
        let count = |plan: &Plan| plan.tiled().expect("tiles").count();
        // Eight tiles of 8 slices, 4 apart; three of them have slices 5 to 8.
        assert_eq!((count(&plan_of_slab), count(&plan)), (8 * 3 / 2, 8 * 7 / 2), "{axes}");
        let cotangent = noise([4, 1, 20, 24]);
        let [y, gradient] = support::pulled(&plan_of_slab, &part, |_| Ok(cotangent.clone()));
        let padded = cotangent.pad_with_zeros(0, 5, 23).expect("slices");
        let [whole, of_whole] = support::pulled(&plan, &z, |_| Ok(padded));
        assert_eq!(support::worst(&y, &whole.narrow(0, 5, 4).expect("the slab")), 0.0, "{axes}");
        near(&gradient, &of_whole.narrow(0, 2, 3).expect("planes"), ROUNDING, axes);
    }
}

#[test]
fn a_plan_takes_the_memory_of_a_tile_and_the_volumes() {
    let files = Files::new();
    let network = load(&files, &card("RAS", "gaussian", 0.25));
    let whole = load(&files, &format!("{TILED}[recipe]\naxes = \"RAS\"\n"));
    let stack = [64, 1, 128, 128];
    let volume = 4 * stack.iter().product::<usize>() as u64;
    let (plans, of_whole) = (network.plans(&stack).expect("plans"), whole.plans(&stack).expect("plans"));
    for ((name, plan), (_, whole)) in plans.iter().zip(&of_whole) {
        let tile = plan.tiled().expect("tiles").plan();
        // The volume in two orders of axes, blended and not, the sums of weights, and gradients.
        let [forward, gradient] = [3 * volume, 4 * volume];
        assert!(plan.forward_bytes() <= tile.forward_bytes() + forward, "{name}: {}", plan.forward_bytes());
        assert!(plan.gradient_bytes() <= tile.gradient_bytes() + gradient, "{name}: {}", plan.gradient_bytes());
        assert!(tile.gradient_bytes() < volume / 4, "{name}: a tile takes {}", tile.gradient_bytes());
        let [half_more, of_whole] = [3 * plan.gradient_bytes(), 2 * whole.gradient_bytes()];
        assert!(*name == "encoder" || half_more < of_whole, "{name}: whole {}", whole.gradient_bytes());
    }
}

#[test]
fn a_file_of_fixed_size_says_the_size_of_its_tiles() {
    let files = Files::new();
    let network = load(&files, &BLOCKS.replace("[recipe]", "[tiles]\noverlap = 0.5\n[recipe]"));
    // The network has no edges: each voxel becomes the mean of its block, wherever a tile begins.
    let stack = noise([12, 1, 18, 26]);
    let [z, y, _] = passes(&*network, &stack);
    let plan = network.decoder(z.dims(), [18, 26]).expect("a plan");
    assert_eq!(plan.tiled().expect("tiles").plan().inputs(), [&[1, 1, 8, 6, 4]]);
    let mean = stack.reshape((6, 2, 9, 2, 13, 2)).and_then(|blocks| blocks.mean_keepdim((1, 3, 5))).expect("means");
    let wanted =
        mean.broadcast_as((6, 2, 9, 2, 13, 2)).and_then(|blocks| blocks.contiguous()?.reshape((12, 1, 18, 26)));
    near(&y, &wanted.expect("blocks"), ROUNDING, "blocks");
}

#[test]
fn tiles_that_cannot_be_are_refused_with_what_to_do() {
    let files = Files::new();
    let good = card("RAS", "gaussian", 0.25);
    let of = |from: &str, to: &str| good.replace(from, to);
    let blocks = |tiles: &str| BLOCKS.replace("[recipe]", &format!("[tiles]\n{tiles}\n[recipe]"));
    for (text, word) in [
        (of("overlap = 0.25", "overlap = 1.0"), "line 6: tiles.overlap = 1; it is the share of a tile"),
        (of("overlap = 0.25", "overlap = -0.1"), "tiles.overlap = -0.1"),
        (of("overlap = 0.25", "overlap = nan"), "tiles.overlap = NaN"),
        (of("gaussian", "linear"), "`linear` is none of `constant`, `gaussian`"),
        (of("[16, 16, 8]", "[16, 16]"), "2 values, where a list of 3 values is wanted"),
        (of("[16, 16, 8]", "[16, 16, 3]"), "tiles.size = [16, 16, 3], with a side of 3"),
        (of("[16, 16, 8]", "[16, 18, 8]"), "a tile's 18 voxels along A-P; a side must be a multiple"),
        (of("axes =", "size = [32, 32, 33]\naxes ="), "one latent of 2 voxels along S-I, and the prepared scan has 33"),
        (blocks("size = [32, 12, 8]"), "tiles.size = [32, 12, 8] has 32 voxels along R-L, and the network takes 16"),
        (blocks("size = [8, 12, 8]"), "set tiles.size so, or export the network with dynamic sizes"),
        (of("tiles_decoder", "blocks_decoder"), "the decoder does not go with the encoder"),
        (
            "encoder = \"encoder.onnx\"\ndecoder = \"decoder.onnx\"\n[tiles]\n[recipe]\naxes = \"LP\"\n".to_owned(),
            "the network takes slices, one by one",
        ),
        (CLASSIFIER.replace("[recipe]", "[tiles]\n[recipe]"), "tiles says nothing here: they are an autoencoder's"),
    ] {
        let said = refusal(&files, &text);
        assert!(said.contains(word), "{text}\n{said}");
    }
    let network = load(&files, &good);
    let error = network.encode(&noise([16, 1, 18, 16]), &support::unchecked).expect_err("18 rows").to_string();
    assert!(error.contains("one latent of 4 voxels along A-P, and the prepared scan has 18"), "{error}");
    let many = of("[16, 16, 8]", "[4, 4, 4]").replace("0.25", "0.99");
    let error = load(&files, &many)
        .encode(&Tensor::zeros((512, 1, 512, 512), DType::F32, &Device::Cpu).expect("air"), &support::unchecked);
    assert!(error.expect_err("too many").to_string().contains("make tiles larger"));
}

#[test]
fn a_tiled_card_is_explained_by_the_command_which_says_what_a_tile_takes() {
    let files = Files::new();
    let text = card("RAS", "gaussian", 0.25);
    let text = format!("{text}spacing_mm = [6, 6, 6]\nsize = [32, 28, 18]\nhu = [-1000, 1000]\n");
    let (autoencoder, classifier) =
        (files.card("a.toml", &text), files.card("c.toml", &CLASSIFIER.replace("400]", "1000]")));
    let run = |args: &[&str]| -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_parallax")).args(args).output().expect("the binary runs");
        assert!(output.status.success(), "{args:?}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let (autoencoder, classifier) = (autoencoder.to_str().expect("a path"), classifier.to_str().expect("a path"));
    let scan = scan();
    let scan = scan.to_str().expect("a path");
    let json = |text: String| serde_json::from_str::<Json>(&text).expect("JSON");

    let said = run(&["info", autoencoder]);
    assert!(said.contains("18 tiles of [1, 1, 16, 16, 8], one after another"), "{said}");
    let info = json(run(&["info", autoencoder, "--json"]));
    assert_eq!(info["plans"][1]["tiles"]["inputs"], serde_json::json!([[1, 2, 4, 4, 4]]));

    let fit = json(run(&["fit", scan, autoencoder, "--json"]));
    assert_eq!(fit["cost"]["passes"][0]["tiles"], 18, "{fit:#}");
    assert!(run(&["fit", scan, autoencoder]).contains("(18 tiles, one after another)"));

    let models = ["--autoencoder", autoencoder, "--classifier", classifier, "--target", "b"];
    let more = ["--range=-20000:20000", "--steps", "3", "--slab", "6:9", "--json"];
    let report = json(run(&[&["explain", scan], &models[..], &more[..]].concat()));
    let scores: Vec<f64> = report["sweep_scores"].as_array().expect("scores").iter().filter_map(Json::as_f64).collect();
    assert!(scores.len() == 3 && scores[0] < scores[1] && scores[1] < scores[2], "{scores:?}");
}
