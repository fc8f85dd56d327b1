//! Pictures in time: what GIF, APNG and MP4 share.

use anyhow::{Result, ensure};
use image::RgbaImage;

/// How long either end of a bounce stands, hundredths of a second.
const END: u16 = 90;

/// A picture, and how long it stands, hundredths of a second.
pub struct Shot<'a> {
    pub picture: &'a RgbaImage,
    pub hundredths: u16,
}

/// Pictures, and which of them stands how long after which.
#[derive(Default)]
pub struct Film {
    pictures: Vec<RgbaImage>,
    order: Vec<(usize, u16)>,
}

impl Film {
    /// There and back; the ends stand longer. Two pictures are shown in turn.
    pub fn bounce(pictures: Vec<RgbaImage>, hundredths: u16) -> Self {
        let there = 0..pictures.len();
        let back = (1..pictures.len().saturating_sub(1)).rev();
        let is_end = |i: usize| i == 0 || i + 1 == pictures.len();
        let order = there.chain(back).map(|i| (i, if is_end(i) { END } else { hundredths })).collect();
        Self { pictures, order }
    }

    /// One after the other.
    pub fn forth(pictures: Vec<RgbaImage>, hundredths: u16) -> Self {
        Self { order: (0..pictures.len()).map(|i| (i, hundredths)).collect(), pictures }
    }

    /// This film, then the other.
    #[must_use]
    pub fn then(mut self, other: Self) -> Self {
        let first = self.pictures.len();
        self.pictures.extend(other.pictures);
        self.order.extend(other.order.into_iter().map(|(i, hundredths)| (first + i, hundredths)));
        self
    }

    /// Each once.
    pub fn pictures(&self) -> &[RgbaImage] {
        &self.pictures
    }

    /// The shortest time that a picture stands, hundredths of a second.
    pub fn shortest(&self) -> u16 {
        self.order.iter().map(|(_, hundredths)| *hundredths).min().unwrap_or(END)
    }

    pub fn shots(&self) -> Vec<Shot<'_>> {
        self.order.iter().map(|&(i, hundredths)| Shot { picture: &self.pictures[i], hundredths }).collect()
    }
}

/// The size that all shots are of.
pub(super) fn size_of(shots: &[Shot]) -> Result<(u32, u32)> {
    let size = shots.first().map(|shot| shot.picture.dimensions());
    let size = size.ok_or_else(|| anyhow::anyhow!("an animation needs at least one picture"))?;
    ensure!(shots.iter().all(|shot| shot.picture.dimensions() == size), "the pictures of an animation are of one size");
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn films_one_after_the_other_keep_their_pictures_and_times() {
        let picture = |width| RgbaImage::new(width, 1);
        let film = Film::bounce((1..4).map(picture).collect(), 12).then(Film::forth(vec![picture(9)], 50));
        let seen: Vec<_> = film.shots().iter().map(|shot| (shot.picture.width(), shot.hundredths)).collect();
        assert_eq!(seen, [(1, 90), (2, 12), (3, 90), (2, 12), (9, 50)]);
        assert!(size_of(&film.shots()).is_err(), "of two sizes");
    }
}
