//! KL autoencoders in the layout of latent diffusion, against diffusers', on a small one.

use candle_core::{DType, Device};
use parallax::models::{Autoencoder, AutoencoderKl, Card, NetworkKind, Role};
use parallax::weights::Checkpoint;

use crate::support::{self, worst};

/// The goldens were computed in f64 and stored in f32: of the largest number of a tensor.
const STORED: f64 = 2e-7;
/// f32 sums in another order: of the largest number of a tensor.
const SINGLE: f64 = 2e-5;

fn small() -> (Card, Checkpoint) {
    let card = Card::open(&support::data("kl/small.safetensors")).unwrap_or_else(|e| panic!("{e}"));
    let checkpoint = Checkpoint::open(&card.weights).unwrap_or_else(|e| panic!("{e}"));
    (card, checkpoint)
}

#[test]
fn a_bare_checkpoint_of_latent_diffusion_is_told_from_a_vqgan() {
    let (card, _) = small();
    assert_eq!(Some(card.kind), NetworkKind::named("autoencoder-kl"));
    assert_eq!(card.kind.role(), Role::Autoencoder);
    assert!(card.side.is_none() && !card.turned, "fed at the stack's own size, as it lies");
}

#[test]
fn means_deviations_slices_and_gradient_equal_diffusers() {
    let golden = support::tensors(&support::data("kl/golden.safetensors"));
    let (card, checkpoint) = small();
    for (dtype, tolerance) in [(DType::F64, STORED), (DType::F32, SINGLE)] {
        let network = AutoencoderKl::load(&card, &checkpoint, dtype, &Device::Cpu).unwrap_or_else(|e| panic!("{e}"));
        let of = |name: &str| golden[name].to_dtype(dtype).expect("numbers");
        let near = |name: &str, got: &candle_core::Tensor| {
            let (gap, size) =
                (worst(got, &golden[name]), worst(&golden[name], &golden[name].zeros_like().expect("zeros")));
            assert!(gap <= tolerance * size, "{dtype:?} {name}: off by {gap:e} of {size}");
        };
        let mean = network.encode(&of("x"), &support::unchecked).expect("latents");
        near("mean", &mean);
        let deviation = network.deviations(&of("x"), &support::unchecked).expect("a pass").expect("a posterior");
        assert!(network.has_deviations());
        near("deviation", &deviation);
        let plan = network.decoder(mean.dims(), [24, 16]).expect("a plan");
        let [decoded, gradient] = support::pulled(&plan, &of("mean"), |_| Ok(of("pull")));
        near("decoded", &decoded);
        near("gradient", &gradient);
    }
}

#[test]
fn a_yaml_that_says_another_network_is_an_error_that_names_the_field() {
    let (card, checkpoint) = small();
    let folder = tempfile::tempdir().expect("a folder");
    let yaml = folder.path().join("config.yaml");
    let load = |text: &str| {
        std::fs::write(&yaml, text).expect("written");
        AutoencoderKl::load(&Card { config: Some(yaml.clone()), ..card.clone() }, &checkpoint, DType::F32, &Device::Cpu)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    let right = "model:\n  target: ldm.models.autoencoder.AutoencoderKL\n  params:\n    embed_dim: 4\n    ddconfig:\n      double_z: true\n      \
                 z_channels: 4\n      resolution: 24\n      in_channels: 1\n      out_ch: 1\n      ch: 32\n      ch_mult: [1, 2]\n      \
                 num_res_blocks: 1\n      attn_resolutions: []\n      dropout: 0.0\n";
    assert_eq!(load(right), Ok(()));
    for (field, instead) in
        [("double_z: true", "double_z: false"), ("embed_dim: 4", "embed_dim: 3"), ("ch: 32", "ch: 64")]
    {
        let error = load(&right.replace(field, instead)).expect_err("another network");
        assert!(error.contains(field.split(':').next().expect("a name")), "{instead}: {error}");
    }
}
