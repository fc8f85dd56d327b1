//! Transforms of a bundle, one after the other, as a recipe.

use serde_json::{Value, json};

use super::transform::Transform;
use crate::preprocess::{Axes, Fit, Recipe};

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

/// What transforms amount to so far. Axes are those of the array, as its orientation has them.
#[expect(clippy::struct_excessive_bools, reason = "each says that a kind of transform has come")]
#[derive(Default)]
pub(super) struct Reading {
    pub(super) recipe: Recipe,
    pub(super) axes: Option<Axes>,
    pub(super) scaled: bool,
    pub(super) resampled: bool,
    pub(super) pads: bool,
    pub(super) crops: bool,
    /// What a smaller scan is padded with, a number of the array at this point.
    pub(super) padding: Option<f64>,
}

impl Reading {
    pub(super) fn take(&mut self, transform: &Transform<'_>) -> Result<(), String> {
        match transform.name {
            name if WITHOUT_EFFECT.contains(&name) => Ok(()),
            "Orientationd" => {
                transform.only(&["axcodes"], &[("labels", Value::Null), ("as_closest_canonical", json!(false))])?;
                if self.resampled || self.axes.is_some() {
                    return transform.refuse("comes behind Spacingd or a second time");
                }
                let letters = match transform.value("axcodes")? {
                    Some(Value::Array(letters)) => letters.iter().filter_map(Value::as_str).collect(),
                    Some(Value::String(letters)) => letters.clone(),
                    _ => "RAS".to_owned(),
                };
                self.axes = Some(Axes::of(&letters)?);
                Ok(())
            }
            "Spacingd" => self.space(transform),
            "ScaleIntensityRanged" => self.scale(transform),
            "NormalizeIntensityd" => self.normalise(transform),
            "CropForegroundd" => self.foreground(transform),
            "SpatialPadd" | "CenterSpatialCropd" | "ResizeWithPadOrCropd" => {
                let left = [("mode", json!("constant")), ("method", json!("symmetric"))];
                transform.only(&["spatial_size", "roi_size", "value"], &left)?;
                if self.recipe.z_score {
                    return transform.refuse("comes behind the mean that it would change");
                }
                self.pads |= transform.name != "CenterSpatialCropd";
                self.crops |= transform.name != "SpatialPadd";
                let key = if transform.name == "CenterSpatialCropd" { "roi_size" } else { "spatial_size" };
                self.size(transform, key, Fit::Crop)?;
                if transform.name != "CenterSpatialCropd" {
                    self.padding = Some(transform.number("value")?.unwrap_or(0.0));
                }
                Ok(())
            }
            "Resized" => self.resize(transform),
            _ => transform.refuse("is not a way of preparing scans that Parallax has"),
        }
    }

    fn space(&mut self, transform: &Transform<'_>) -> Result<(), String> {
        let left = [
            ("padding_mode", json!("border")),
            ("diagonal", json!(false)),
            ("align_corners", json!(false)),
            ("scale_extent", json!(false)),
            ("recompute_affine", json!(false)),
            ("ensure_same_shape", json!(true)),
        ];
        transform.only(&["pixdim", "mode"], &left)?;
        if transform.text("mode")?.is_some_and(|mode| mode != "bilinear") {
            return transform.refuse("resamples otherwise than by lines");
        }
        self.before_numbers(transform)?;
        // A spacing of -1 is the scan's own.
        self.recipe.spacing_mm = self.to_patient(transform.three("pixdim")?).map(|mm| mm.max(0.0));
        self.resampled = true;
        Ok(())
    }

    fn foreground(&mut self, transform: &Transform<'_>) -> Result<(), String> {
        let left = [
            ("margin", json!(0)),
            ("k_divisible", json!(1)),
            ("allow_smaller", json!(true)),
            ("mode", json!("constant")),
        ];
        transform.only(&["source_key", "start_coord_key", "end_coord_key"], &left)?;
        if self.recipe.z_score || self.sized() {
            return transform.refuse("comes behind a mean or a size");
        }
        // Numbers above 0: of HU as they are, or past the scaling.
        let [low, high] = self.recipe.hu;
        let [zero, one] = if self.scaled { self.recipe.range } else { self.recipe.hu };
        self.recipe.foreground_hu = Some(low + (0.0 - zero) / (one - zero) * (high - low));
        Ok(())
    }

    fn resize(&mut self, transform: &Transform<'_>) -> Result<(), String> {
        let left = [("size_mode", json!("all")), ("align_corners", json!(false)), ("anti_aliasing", json!(false))];
        transform.only(&["spatial_size", "mode"], &left)?;
        self.before_numbers(transform)?;
        if self.sized() {
            return transform.refuse("comes behind another size");
        }
        (self.pads, self.crops) = (true, true);
        match transform.text("mode")?.unwrap_or("area") {
            "trilinear" | "bilinear" => self.size(transform, "spatial_size", Fit::Resize),
            "area" => self.size(transform, "spatial_size", Fit::Area),
            _ => transform.refuse("resizes otherwise than by lines or areas"),
        }
    }

    /// Whether a size was said before.
    fn sized(&self) -> bool {
        self.recipe.size != [0; 3]
    }

    /// Refuses to resample numbers that were scaled: a recipe resamples HU, and clips behind that.
    fn before_numbers(&self, transform: &Transform<'_>) -> Result<(), String> {
        if self.axes.is_none() {
            return transform.refuse("comes before Orientationd");
        }
        if self.recipe.z_score || (self.scaled && self.recipe.clip) || self.resampled && transform.name == "Spacingd" {
            return transform.refuse("resamples numbers that were clipped, normalised or resampled before");
        }
        Ok(())
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
            let side = if side <= 0.0 { *to } else { side as usize };
            if *to != 0 && *to != side {
                return transform.refuse("has another size than the one before");
            }
            *to = side;
        }
        if self.recipe.fit != Fit::Crop && fit == Fit::Crop {
            return transform.refuse("comes behind Resized");
        }
        self.recipe.fit = fit;
        Ok(())
    }

    fn scale(&mut self, transform: &Transform<'_>) -> Result<(), String> {
        transform.only(&["a_min", "a_max", "b_min", "b_max", "clip"], &[])?;
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
        transform.only(&["subtrahend", "divisor", "nonzero"], &[("channel_wise", json!(false))]).or_else(|why| {
            // Of one channel it is the same.
            if transform.flag("channel_wise")? {
                transform.only(&["subtrahend", "divisor", "nonzero", "channel_wise"], &[])
            } else {
                Err(why)
            }
        })?;
        if transform.flag("nonzero")? {
            return transform.refuse("takes the numbers other than 0 alone");
        }
        match (transform.number("subtrahend")?, transform.number("divisor")?) {
            (None, None) => {
                self.recipe.z_score = true;
                Ok(())
            }
            (Some(mean), Some(sd)) if sd != 0.0 => {
                let range = if self.scaled { self.recipe.range } else { self.recipe.hu };
                self.recipe.range = range.map(|value| ((f64::from(value) - mean) / sd) as f32);
                self.padding = self.padding.map(|value| (value - mean) / sd);
                self.scaled = true;
                Ok(())
            }
            (Some(_), Some(_)) => transform.refuse("divides by 0"),
            _ => transform.refuse("takes a mean from its arguments and a deviation from the scan, or the other way"),
        }
    }
}
