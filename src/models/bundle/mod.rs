//! MONAI bundles: a folder whose `configs/inference.json` says how scans are prepared, with the network as a file beside it.
//!
//! Source: MONAI's bundle specification, and its dictionary transforms. What would prepare a scan in a way that no recipe has is
//! refused by name.

mod reading;
mod transform;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use self::reading::Reading;
use self::transform::{Transform, resolved};
use super::Probabilities;
use crate::files;
use crate::preprocess::Recipe;

/// Far more than any bundle's configuration takes.
const MAX_CONFIG_BYTES: u64 = 4 << 20;
const ENDINGS: [&str; 2] = ["onnx", "pt2"];

/// What a bundle says of its network.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bundle {
    pub(super) network: PathBuf,
    pub(super) recipe: Recipe,
    pub(super) activation: Option<Probabilities>,
    pub(super) labels: Option<Vec<String>>,
}

impl Bundle {
    /// Whether a path is such a folder.
    pub(super) fn is(path: &Path) -> bool {
        path.join("configs").join("inference.json").is_file()
    }

    /// Reads a folder. Errors are for people.
    pub(super) fn open(folder: &Path) -> Result<Self, String> {
        let read = |name: &str| -> Result<Map<String, Value>, String> {
            let path = folder.join("configs").join(name);
            let text = files::read_text(&path, MAX_CONFIG_BYTES)
                .map_err(|cause| format!("configs/{name} cannot be read: {cause}"))?;
            serde_json::from_str(&text).map_err(|error| format!("configs/{name} is not what it should be: {error}"))
        };
        let config = read("inference.json")?;
        let recipe = recipe(&config).map_err(|why| format!("configs/inference.json: {why}"))?;
        let labels = read("metadata.json").ok().and_then(|metadata| labels(&metadata));
        Ok(Self { network: network(folder)?, recipe, activation: activation(&config), labels })
    }
}

/// The one file of a network in the folder or in its `models`.
fn network(folder: &Path) -> Result<PathBuf, String> {
    let of = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_network = |path: &PathBuf| {
            path.extension().is_some_and(|e| ENDINGS.iter().any(|known| e.eq_ignore_ascii_case(known)))
        };
        entries.filter(is_network).collect()
    };
    let mut found = [of(folder), of(&folder.join("models"))].concat();
    found.sort();
    match (found.pop(), found.len()) {
        (Some(network), 0) => Ok(network),
        (None, _) => Err(
            "the bundle holds no .onnx or .pt2 file; export its network into its folder `models` (assets/export.py)"
                .to_owned(),
        ),
        (Some(_), others) => {
            Err(format!("the bundle holds {} networks; write a model card that names one", others + 1))
        }
    }
}

/// The transforms under `preprocessing`, in order.
fn transforms(config: &Map<String, Value>) -> Result<Vec<&Map<String, Value>>, String> {
    let preprocessing = config.get("preprocessing").ok_or("it has no \"preprocessing\"")?;
    let mut list = resolved(config, preprocessing)?;
    if let Some(of_compose) = list.get("transforms") {
        list = resolved(config, of_compose)?;
    }
    let list = list.as_array().ok_or("its \"preprocessing\" is no list of transforms")?;
    let objects = list.iter().map(|item| {
        let item = resolved(config, item)?;
        item.as_object().ok_or_else(|| "a transform that is no object".to_owned())
    });
    let is_on = |transform: &&Map<String, Value>| transform.get("_disabled_").and_then(Value::as_bool) != Some(true);
    Ok(objects.collect::<Result<Vec<_>, _>>()?.into_iter().filter(is_on).collect())
}

fn recipe(config: &Map<String, Value>) -> Result<Recipe, String> {
    let unclipped =
        Recipe { spacing_mm: [0.0; 3], size: [0; 3], clip: false, hu: [-1024.0, 3071.0], ..Recipe::default() };
    let mut reading = Reading { recipe: unclipped, ..Reading::default() };
    let mut image: Option<String> = None;
    for lines in transforms(config)? {
        let name = lines.get("_target_").and_then(Value::as_str).unwrap_or_default();
        let name = name.rsplit('.').next().unwrap_or_default();
        let transform = Transform { config, name, lines };
        if image.is_none() {
            image = transform.text("keys").ok().flatten().map(str::to_owned);
        }
        if image.as_deref().is_none_or(|image| transform.is_of(image)) {
            reading.take(&transform)?;
        }
    }
    if reading.pads != reading.crops {
        return Err("it pads without cropping, or crops without padding, and a recipe's size does both: use ResizeWithPadOrCropd, or \
                    write a model card"
            .to_owned());
    }
    let Reading { mut recipe, axes, scaled, padding, .. } = reading;
    let Some(axes) = axes else {
        return Err(
            "it has no Orientationd, so the order of the scan's axes is not known; write a model card".to_owned()
        );
    };
    recipe.axes = axes;
    if !scaled {
        // The network takes HU as they are.
        recipe.range = recipe.hu;
    }
    if let Some(value) = padding {
        let [low, high] = recipe.range.map(f64::from);
        let [from, to] = recipe.hu.map(f64::from);
        recipe.pad_hu = Some((from + (value - low) / (high - low) * (to - from)) as f32);
    }
    recipe.check()?;
    Ok(recipe)
}

/// How the bundle's postprocessing makes scores of the network's numbers.
fn activation(config: &Map<String, Value>) -> Option<Probabilities> {
    let postprocessing = config.get("postprocessing")?;
    let list = postprocessing.get("transforms").unwrap_or(postprocessing).as_array()?;
    let is = |item: &Value, key: &str| item.get(key).and_then(Value::as_bool) == Some(true);
    list.iter().find_map(|item| match item {
        item if is(item, "sigmoid") => Some(Probabilities::Sigmoid),
        item if is(item, "softmax") || is(item, "argmax") => Some(Probabilities::Softmax),
        _ => None,
    })
}

/// `network_data_format.outputs.pred.channel_def` of `metadata.json`: the classes by number.
fn labels(metadata: &Map<String, Value>) -> Option<Vec<String>> {
    let outputs = metadata.get("network_data_format")?.get("outputs")?.as_object()?;
    let channels = outputs.values().next()?.get("channel_def")?.as_object()?;
    (0..channels.len()).map(|at| channels.get(&at.to_string())?.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::preprocess::Axes;

    fn of(transforms: &Value) -> Result<Recipe, String> {
        let config = json!({"size": [96, 96, 64], "preprocessing": {"_target_": "Compose", "transforms": transforms}});
        recipe(config.as_object().expect("an object"))
    }

    #[test]
    fn the_transforms_of_a_bundle_are_a_recipe() {
        let found = of(&json!([
            {"_target_": "LoadImaged", "keys": "image"},
            {"_target_": "EnsureChannelFirstd", "keys": "image"},
            {"_target_": "Orientationd", "keys": "image", "axcodes": "SPL"},
            {"_target_": "Spacingd", "keys": "image", "pixdim": [3.0, 1.5, 1.0], "mode": "bilinear"},
            {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": -200, "a_max": 200, "b_min": -1, "b_max": 1, "clip": true},
            {"_target_": "SpatialPadd", "keys": "image", "spatial_size": "@size"},
            {"_target_": "CenterSpatialCropd", "keys": "image", "roi_size": "@size"},
        ]))
        .expect("a recipe");
        let expected = Recipe {
            spacing_mm: [1.0, 1.5, 3.0],
            size: [64, 96, 96],
            hu: [-200.0, 200.0],
            range: [-1.0, 1.0],
            pad_hu: Some(0.0),
            axes: Axes::of("SPL").expect("axes"),
            ..Recipe::default()
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn scans_padded_in_hu_are_padded_in_hu() {
        let pad = json!({"_target_": "ResizeWithPadOrCropd", "spatial_size": [96, 96, 96], "value": -1024});
        let scale = json!({"_target_": "ScaleIntensityRanged", "a_min": -1000, "a_max": 1000, "clip": false});
        let found = of(&json!([{"_target_": "Orientationd", "axcodes": "RAS"}, pad, scale])).expect("a recipe");
        assert_eq!((found.pad_hu, found.clip, found.size), (Some(-1024.0), false, [96; 3]));
        let found = of(&json!([{"_target_": "Orientationd", "axcodes": "RAS"}, scale, pad])).expect("a recipe");
        assert_eq!(found.pad_hu, Some(-1000.0 - 1024.0 * 2000.0), "a number of the scaled array");
    }

    #[test]
    fn fixed_means_and_deviations_are_a_range() {
        let found = of(&json!([
            {"_target_": "Orientationd", "axcodes": "RAS"},
            {"_target_": "monai.transforms.NormalizeIntensityd", "subtrahend": 100.0, "divisor": 50.0},
        ]))
        .expect("a recipe");
        assert_eq!(found.range, found.hu.map(|hu| (hu - 100.0) / 50.0));
        let z = of(&json!([{"_target_": "Orientationd", "axcodes": "RAS"}, {"_target_": "NormalizeIntensityd"}]))
            .expect("a recipe");
        assert!(z.z_score);
    }

    #[test]
    fn what_no_recipe_has_is_refused_by_name() {
        let orientation = json!({"_target_": "Orientationd", "axcodes": "RAS"});
        for (transform, word) in [
            (json!({"_target_": "ScaleIntensityd"}), "ScaleIntensityd is not a way"),
            (json!({"_target_": "Spacingd", "pixdim": [1, 1, 1], "mode": "nearest"}), "otherwise than by lines"),
            (json!({"_target_": "Spacingd", "pixdim": "$[1, 1, 1]"}), "an expression of Python"),
            (json!({"_target_": "SpatialPadd", "spatial_size": "@nowhere"}), "refers to nothing"),
            (json!({"_target_": "NormalizeIntensityd", "nonzero": true}), "other than 0"),
        ] {
            let message = of(&json!([orientation, transform])).expect_err(word);
            assert!(message.contains(word), "{message}");
        }
        assert!(of(&json!([])).expect_err("no orientation").contains("no Orientationd"));
    }
}
