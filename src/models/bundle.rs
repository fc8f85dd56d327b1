//! MONAI bundles: a folder whose `configs/inference.json` says how scans are prepared, with the network as a file beside it.
//!
//! Source: MONAI's bundle specification, and its dictionary transforms. What would prepare a scan in a way that no recipe has is
//! refused by name.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::Probabilities;
use crate::files;
use crate::preprocess::{Axes, Fit, Recipe};

/// Far more than any bundle's configuration takes.
const MAX_CONFIG_BYTES: u64 = 4 << 20;
/// References to references: more than any bundle has.
const MAX_REFERENCES: usize = 16;
/// Transforms that change no number of the tensor.
const WITHOUT_EFFECT: [&str; 10] = [
    "LoadImaged",
    "EnsureChannelFirstd",
    "AddChanneld",
    "EnsureTyped",
    "ToTensord",
    "CastToTyped",
    "ToDeviced",
    "Identityd",
    "SelectItemsd",
    "DeleteItemsd",
];
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

/// A value, or what it refers to: "@spatial_size".
fn resolved<'a>(config: &'a Map<String, Value>, value: &'a Value) -> Result<&'a Value, String> {
    let mut value = value;
    for _ in 0..MAX_REFERENCES {
        match value.as_str() {
            Some(text) if text.starts_with('@') => {
                let key = text.trim_start_matches('@');
                let mut parts = key.split(['#', ':']).filter(|part| !part.is_empty());
                let first = parts.next().and_then(|part| config.get(part));
                let step = |at: &'a Value, part: &str| match at {
                    Value::Array(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
                    other => other.get(part),
                };
                let found = parts.fold(first, |at, part| at.and_then(|at| step(at, part)));
                value = found.ok_or_else(|| format!("\"{text}\" refers to nothing"))?;
            }
            Some(text) if text.starts_with('$') => {
                return Err(format!(
                    "\"{}\" is an expression of Python; write a model card instead",
                    files::printable(text)
                ));
            }
            _ => return Ok(value),
        }
    }
    Err("references in a circle".to_owned())
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

/// One transform with what its references stand for.
struct Transform<'a> {
    config: &'a Map<String, Value>,
    name: &'a str,
    lines: &'a Map<String, Value>,
}

impl Transform<'_> {
    fn value(&self, key: &str) -> Result<Option<&Value>, String> {
        self.lines.get(key).map(|value| resolved(self.config, value)).transpose()
    }

    fn number(&self, key: &str) -> Result<Option<f64>, String> {
        let Some(value) = self.value(key)? else { return Ok(None) };
        // A list of one, as dictionary transforms repeat by key.
        let value = value.as_array().and_then(|list| list.first()).unwrap_or(value);
        value.as_f64().map(Some).ok_or_else(|| format!("{}: {key} is no number", self.name))
    }

    fn needed(&self, key: &str) -> Result<f64, String> {
        self.number(key)?.ok_or_else(|| format!("{} says no {key}", self.name))
    }

    fn flag(&self, key: &str) -> Result<bool, String> {
        Ok(self.value(key)?.and_then(Value::as_bool).unwrap_or(false))
    }

    fn text(&self, key: &str) -> Result<Option<&str>, String> {
        let Some(value) = self.value(key)? else { return Ok(None) };
        Ok(value.as_array().and_then(|list| list.first()).unwrap_or(value).as_str())
    }

    /// Three numbers, or one for all.
    fn three(&self, key: &str) -> Result<[f64; 3], String> {
        let value = self.value(key)?.ok_or_else(|| format!("{} says no {key}", self.name))?;
        let wrong = || format!("{}: {key} is not three numbers", self.name);
        match value {
            Value::Array(items) if items.len() == 3 => {
                let mut three = [0.0; 3];
                for (number, item) in three.iter_mut().zip(items) {
                    *number = resolved(self.config, item)?.as_f64().ok_or_else(wrong)?;
                }
                Ok(three)
            }
            other => other.as_f64().map(|number| [number; 3]).ok_or_else(wrong),
        }
    }

    fn refuse<T>(&self, why: &str) -> Result<T, String> {
        Err(format!("{} {why}; write a model card whose recipe says how scans are prepared", self.name))
    }
}

/// What transforms amount to so far. Axes are those of the array, as its orientation has them.
struct Reading {
    recipe: Recipe,
    axes: Option<Axes>,
    scaled: bool,
    /// What a smaller scan is padded with, a number of the array at this point.
    padding: Option<f64>,
}

fn recipe(config: &Map<String, Value>) -> Result<Recipe, String> {
    let unclipped =
        Recipe { spacing_mm: [0.0; 3], size: [0; 3], clip: false, hu: [-1024.0, 3071.0], ..Recipe::default() };
    let mut reading = Reading { recipe: unclipped, axes: None, scaled: false, padding: None };
    for lines in transforms(config)? {
        let name = lines.get("_target_").and_then(Value::as_str).unwrap_or_default();
        let name = name.rsplit('.').next().unwrap_or_default();
        reading.take(&Transform { config, name, lines })?;
    }
    let Reading { mut recipe, axes, scaled, padding } = reading;
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

impl Reading {
    fn take(&mut self, transform: &Transform<'_>) -> Result<(), String> {
        match transform.name {
            name if WITHOUT_EFFECT.contains(&name) => Ok(()),
            "Orientationd" => {
                self.axes = Some(Axes::of(transform.text("axcodes")?.unwrap_or("RAS"))?);
                Ok(())
            }
            "Spacingd" => {
                if transform.text("mode")?.is_some_and(|mode| mode != "bilinear") {
                    return transform.refuse("resamples otherwise than by lines");
                }
                self.recipe.spacing_mm = self.to_patient(transform.three("pixdim")?);
                Ok(())
            }
            "ScaleIntensityRanged" => self.scale(transform),
            "NormalizeIntensityd" => self.normalise(transform),
            "CropForegroundd" if transform.value("select_fn")?.is_none() && transform.value("margin")?.is_none() => {
                // Numbers above 0: of HU as they are, or past the scaling.
                let [low, high] = self.recipe.hu;
                let [zero, one] = if self.scaled { self.recipe.range } else { self.recipe.hu };
                self.recipe.foreground_hu = Some(low + (0.0 - zero) / (one - zero) * (high - low));
                Ok(())
            }
            "SpatialPadd" | "CenterSpatialCropd" | "ResizeWithPadOrCropd" => {
                let key = if transform.name == "CenterSpatialCropd" { "roi_size" } else { "spatial_size" };
                self.size(transform, key, Fit::Crop)?;
                if transform.name != "CenterSpatialCropd" && self.recipe.z_score {
                    return transform.refuse("pads a scan whose mean was taken before");
                }
                if transform.name != "CenterSpatialCropd" {
                    self.padding = Some(transform.number("value")?.unwrap_or(0.0));
                }
                Ok(())
            }
            "Resized" => match transform.text("mode")?.unwrap_or("area") {
                "trilinear" | "bilinear" => self.size(transform, "spatial_size", Fit::Resize),
                "area" => self.size(transform, "spatial_size", Fit::Area),
                _ => transform.refuse("resizes otherwise than by lines or areas"),
            },
            _ => transform.refuse("is not a way of preparing scans that Parallax has"),
        }
    }

    /// Numbers along the array's axes as numbers along R, A, S.
    fn to_patient(&self, along: [f64; 3]) -> [f64; 3] {
        let mut patient = along;
        if let Some(axes) = self.axes {
            for ((axis, _), number) in axes.of_stack().zip(along) {
                patient[2 - axis] = number;
            }
        }
        patient
    }

    fn size(&mut self, transform: &Transform<'_>, key: &str, fit: Fit) -> Result<(), String> {
        let size = self.to_patient(transform.three(key)?);
        if self.axes.is_none() {
            return transform.refuse("comes before Orientationd");
        }
        for (to, side) in self.recipe.size.iter_mut().zip(size) {
            *to = if side <= 0.0 { *to } else { side as usize };
        }
        if self.recipe.fit != Fit::Crop && fit == Fit::Crop {
            return transform.refuse("comes behind Resized");
        }
        self.recipe.fit = fit;
        Ok(())
    }

    fn scale(&mut self, transform: &Transform<'_>) -> Result<(), String> {
        if self.scaled || self.recipe.z_score {
            return transform.refuse("comes a second time");
        }
        let window = [transform.needed("a_min")?, transform.needed("a_max")?];
        let range = [transform.number("b_min")?.unwrap_or(0.0), transform.number("b_max")?.unwrap_or(1.0)];
        if let Some(value) = self.padding.as_mut() {
            // Padded in HU before.
            let share = (*value - window[0]) / (window[1] - window[0]);
            *value = range[0] + share * (range[1] - range[0]);
        }
        self.recipe.hu = window.map(|hu| hu as f32);
        self.recipe.range = range.map(|value| value as f32);
        self.recipe.clip = transform.flag("clip")?;
        self.scaled = true;
        Ok(())
    }

    fn normalise(&mut self, transform: &Transform<'_>) -> Result<(), String> {
        if transform.flag("nonzero")? {
            return transform.refuse("takes the numbers other than 0 alone");
        }
        match (transform.number("subtrahend")?, transform.number("divisor")?) {
            (None, None) => {
                self.recipe.z_score = true;
                Ok(())
            }
            (subtrahend, divisor) if divisor != Some(0.0) => {
                let (mean, sd) = (subtrahend.unwrap_or(0.0), divisor.unwrap_or(1.0));
                let range = if self.scaled { self.recipe.range } else { self.recipe.hu };
                self.recipe.range = range.map(|value| ((f64::from(value) - mean) / sd) as f32);
                self.padding = self.padding.map(|value| (value - mean) / sd);
                self.scaled = true;
                Ok(())
            }
            _ => transform.refuse("divides by 0"),
        }
    }
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
            axes: Axes::default(),
            ..Recipe::default()
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn scans_padded_in_hu_are_padded_in_hu() {
        let pad = json!({"_target_": "SpatialPadd", "spatial_size": [96, 96, 96], "value": -1024});
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
