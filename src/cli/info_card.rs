//! `parallax info` of a model card: what the network is for, its files, and how scans are prepared for it.

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::exchange::Model;
use crate::models::{Latents, Tiles};
use crate::pipeline::Described;

/// What there is to say, the most telling first.
pub(super) type Facts = Vec<(&'static str, Value)>;

/// What there is to say of a card, and of each of its files; `of_network` says it of a file. The recipe itself is for programs.
pub(super) fn facts(card: &Described, of_network: impl Fn(&Model) -> Result<Facts>) -> Result<(Facts, Vec<Facts>)> {
    let mut facts: Facts = vec![("kind", json!("model card")), ("role", json!(card.role.title()))];
    facts.extend(card.labels.as_ref().map(|labels| ("labels", json!(labels))));
    if let Some(head) = &card.head {
        facts.extend([("activation", json!(head.activation.word())), ("scores", json!(head.words()))]);
    }
    facts.extend(card.latents.map(|latents| ("latents", json!(latents_in_words(latents)))));
    if let Some(Tiles { size, overlap, .. }) = card.tiles {
        facts.push(("tiles", json!(format!("{size:?} voxels towards right, front, head, overlapping by {overlap}"))));
    }
    facts.push(("fed", json!(card.recipe.in_words())));
    let part = |(part, model): &(&'static str, Model)| -> Result<Facts> {
        let name = model.path().file_name().unwrap_or_default().to_string_lossy();
        let of_file = of_network(model)?.into_iter().filter(|(name, _)| *name != "kind");
        Ok([("part", json!(part)), ("file", json!(name))].into_iter().chain(of_file).collect())
    };
    let parts = card.parts.iter().map(part).collect::<Result<_>>()?;
    Ok((facts, parts))
}

/// Facts of files as objects.
pub(super) fn parts_json(parts: Vec<Facts>) -> Value {
    let object = |facts: Facts| facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>();
    parts.into_iter().map(object).map(Value::Object).collect()
}

fn latents_in_words(latents: Latents) -> &'static str {
    match latents {
        Latents::All => "all that the encoder gives",
        Latents::Mean => {
            "the mean, the first half of what the encoder gives; the logarithm of the variance stands behind it"
        }
    }
}
