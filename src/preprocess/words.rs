//! A recipe in words, for people.

use super::{Fit, OverSlices, Recipe};

impl Recipe {
    /// What a network is fed, a sentence each, in the order in which a scan is prepared.
    pub fn in_words(&self) -> Vec<String> {
        let Self { spacing_mm, size, foreground_hu, axes, .. } = self;
        let feeds = if axes.is_slice() {
            let over = match self.over_slices {
                OverSlices::Max => "the largest",
                OverSlices::Mean => "the mean",
                OverSlices::LogSumExp => "log mean exp",
            };
            format!("slices one by one, axes {axes}; of their answers {over}")
        } else {
            format!("volumes, axes {axes}")
        };
        let spacing = match spacing_mm {
            [0.0, 0.0, 0.0] => "in the scan's own spacing".to_owned(),
            each => {
                let each = each.map(|mm| if mm == 0.0 { "the scan's own".to_owned() } else { mm.to_string() });
                format!("resampled to {} mm towards right, front, head", each.join(" x "))
            }
        };
        let how = match self.fit {
            Fit::Crop => "padded and cropped about the centre to",
            Fit::Resize => "resized by lines between voxels to",
            Fit::Area => "resized by means of voxels to",
        };
        let size = match size {
            [0, 0, 0] => "as large as it is then".to_owned(),
            sides => {
                let sides =
                    sides.map(|side| if side == 0 { "as many as there are".to_owned() } else { side.to_string() });
                format!("{how} {} voxels", sides.join(" x "))
            }
        };
        let foreground = foreground_hu.map(|hu| format!("cropped first to the box of what lies above {hu} HU"));
        let padding = self.pad_hu.map(|hu| format!("padded with {hu} HU"));
        [Some(feeds), Some(spacing), foreground, Some(size), padding]
            .into_iter()
            .flatten()
            .chain(self.intensities())
            .collect()
    }

    /// What becomes of HU.
    fn intensities(&self) -> Vec<String> {
        let clipped = if self.clip { "cut off there" } else { "beyond them too, by the same line" };
        let window = |[low, high]: &[f32; 2]| format!("{low} to {high} HU");
        let of = if self.windows.is_empty() {
            window(&self.hu)
        } else {
            let windows: Vec<String> = self.windows.iter().map(window).collect();
            format!("{} ({} of them, a channel each)", windows.join(", "), windows.len())
        };
        let [low, high] = self.range;
        let becomes = if self.z_score {
            let within = if self.clip { format!(" within {of}") } else { String::new() };
            format!("the mean of the scan{within} becomes 0 and its standard deviation 1")
        } else {
            format!("{of} become {low} to {high}, {clipped}")
        };
        let repeated = (self.channels > 1).then(|| format!("repeated in {} equal channels", self.channels));
        [Some(becomes), repeated].into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preprocess::Axes;

    #[test]
    fn a_recipe_is_told_in_words_in_the_order_of_its_steps() {
        let recipe = Recipe {
            spacing_mm: [1.5, 1.5, 0.0],
            size: [224, 224, 0],
            foreground_hu: Some(-500.0),
            channels: 3,
            range: [-1.0, 1.0],
            axes: Axes::of("PL").expect("axes"),
            ..Recipe::default()
        };
        assert_eq!(
            recipe.in_words(),
            [
                "slices one by one, axes PL; of their answers the largest",
                "resampled to 1.5 x 1.5 x the scan's own mm towards right, front, head",
                "cropped first to the box of what lies above -500 HU",
                "padded and cropped about the centre to 224 x 224 x as many as there are voxels",
                "-1000 to 1000 HU become -1 to 1, cut off there",
                "repeated in 3 equal channels",
            ]
        );
        let recipe = Recipe { z_score: true, clip: false, spacing_mm: [0.0; 3], size: [0; 3], ..Recipe::default() };
        let words = recipe.in_words();
        assert_eq!(words[1..3], ["in the scan's own spacing", "as large as it is then"]);
        assert_eq!(words[3], "the mean of the scan becomes 0 and its standard deviation 1");
    }
}
