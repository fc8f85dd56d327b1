//! Outputs whose numbers come from a sigmoid or a softmax: which of them are scores of classes as they are, and which are refused.

use parallax::exchange::{Activation, Model};
use parallax::job::Monitor;
use parallax::pipeline;

use crate::networks::cards::{AUTOENCODER, Files};
use crate::support;

/// The outputs of `tests/data/networks/heads.py` in order: the activation before each, and whether its numbers are those of the classes.
const HEADS: [(&str, Option<(Activation, bool)>); 9] = [
    ("squeezed", Some((Activation::Sigmoid, true))),
    ("flat", Some((Activation::Sigmoid, true))),
    ("sliced", Some((Activation::Softmax, false))),
    ("both", Some((Activation::Sigmoid, false))),
    ("clipped", Some((Activation::Sigmoid, false))),
    ("scaled", Some((Activation::Sigmoid, false))),
    ("batch", Some((Activation::Softmax, false))),
    ("gated", None),
    ("plain", None),
];

#[test]
fn the_activation_before_an_output_is_found_behind_what_keeps_its_numbers() {
    for file in ["heads.onnx", "heads.pt2"] {
        let model = Model::open(&support::data(&format!("networks/{file}"))).expect("a network");
        assert_eq!(model.outputs().len(), HEADS.len());
        for (port, (name, wanted)) in model.outputs().iter().zip(HEADS) {
            let ending = model.ending(&port.name);
            let axes = port.sizes.as_ref().map_or(2, Vec::len);
            let found = ending.map(|ending| (ending.activation, ending.is_of_classes(axes, 1)));
            assert_eq!(found, wanted, "{file}: {name}");
        }
    }
}

#[test]
fn a_second_sigmoid_is_refused_and_a_softmax_that_is_not_over_the_classes_too() {
    let files = Files::new();
    std::fs::copy(support::data("networks/heads.onnx"), files.path("heads.onnx")).expect("copied");
    let load = |output: &str, activation: &str| {
        let card = format!(
            "role = \"classifier\"\nweights = \"heads.onnx\"\noutput = \"{output}\"\n{activation}[recipe]\naxes = \"RAS\"\nspacing_mm = [8, 8, 8]\n\
             size = [12, 12, 12]\n"
        );
        let card = files.card("h.toml", &card);
        pipeline::load_classifier(&card, &Monitor::default()).map(drop).map_err(|error| format!("{error:#}"))
    };
    let sigmoid = "activation = \"sigmoid\"\n";
    for output in ["sliced", "both", "clipped", "scaled", "batch"] {
        for activation in ["", sigmoid, "activation = \"softmax\"\n"] {
            let refused = load(output, activation).expect_err(output);
            assert!(
                refused.contains("activation = \"none\"") && refused.contains("name the value before"),
                "{refused}"
            );
        }
        load(output, "activation = \"none\"\n").unwrap_or_else(|refused| panic!("{output}: {refused}"));
    }
    assert!(load("batch", "").expect_err("over samples").contains("does not go over the classes"));
    for output in ["squeezed", "flat"] {
        load(output, "").unwrap_or_else(|refused| panic!("{output}: {refused}"));
        load(output, sigmoid).unwrap_or_else(|refused| panic!("{output}: {refused}"));
    }
    load("gated", sigmoid).expect("the gate is no activation of the output");
    assert!(load("plain", "").expect_err("no activation").contains("ends in no sigmoid or softmax"));
}

#[test]
fn a_decoder_of_other_channels_than_the_encoder_takes_is_refused() {
    let files = Files::new();
    std::fs::copy(support::data("networks/decoder_rgb.onnx"), files.path("decoder_rgb.onnx")).expect("copied");
    let card = files.card("a.toml", &AUTOENCODER.replace("decoder.onnx", "decoder_rgb.onnx"));
    let refused = pipeline::load_autoencoder(&card, &Monitor::default()).map(drop).expect_err("three channels");
    let refused = format!("{refused:#}");
    assert!(refused.contains("gives 3 channels, and the encoder takes 1"), "{refused}");
}
