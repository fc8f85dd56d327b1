//! Pictures in time: what GIF, APNG and MP4 share.

use anyhow::{Context, Result, ensure};
use image::RgbaImage;

use super::png::{Figure, figure, leveled, size_of};
use crate::job::{Cancelled, Monitor};

/// How long either end of a bounce stands, hundredths of a second.
const END: u16 = 90;

/// What can be drawn whenever it is needed: all pictures of a film together take gigabytes.
pub trait Picture {
    /// Width and height, pixels.
    fn size(&self) -> Result<(u32, u32)>;
    fn draw(&self) -> Result<RgbaImage>;
}

impl Picture for Figure<'_> {
    fn size(&self) -> Result<(u32, u32)> {
        size_of(self)
    }

    fn draw(&self) -> Result<RgbaImage> {
        figure(self)
    }
}

impl Picture for RgbaImage {
    fn size(&self) -> Result<(u32, u32)> {
        Ok(self.dimensions())
    }

    fn draw(&self) -> Result<RgbaImage> {
        Ok(self.clone())
    }
}

/// A picture, and how long it stands, hundredths of a second.
pub struct Shot {
    pub picture: RgbaImage,
    pub hundredths: u16,
}

/// Pictures, and which of them stands how long after which.
pub struct Film<P> {
    pictures: Vec<P>,
    order: Vec<(usize, u16)>,
}

impl<P: Picture> Film<P> {
    /// There and back; the ends stand longer. Two pictures are shown in turn.
    pub fn bounce(pictures: Vec<P>, hundredths: u16) -> Self {
        let there = 0..pictures.len();
        let back = (1..pictures.len().saturating_sub(1)).rev();
        let is_end = |i: usize| i == 0 || i + 1 == pictures.len();
        let order = there.chain(back).map(|i| (i, if is_end(i) { END } else { hundredths })).collect();
        Self { pictures, order }
    }

    /// One after the other.
    pub fn forth(pictures: Vec<P>, hundredths: u16) -> Self {
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

    /// The shortest time that a picture stands, hundredths of a second.
    pub fn shortest(&self) -> u16 {
        self.order.iter().map(|(_, hundredths)| *hundredths).min().unwrap_or(END)
    }

    /// Width and height of every shot, pixels: as tall as the tallest picture.
    pub fn size(&self) -> Result<(u32, u32)> {
        let sizes = self.pictures.iter().map(Picture::size).collect::<Result<Vec<_>>>()?;
        let (width, _) = *sizes.first().context("an animation needs at least one picture")?;
        ensure!(sizes.iter().all(|size| size.0 == width), "the pictures of an animation are of one width");
        Ok((width, sizes.iter().map(|size| size.1).max().unwrap_or(0)))
    }

    pub fn picture_count(&self) -> usize {
        self.pictures.len()
    }

    pub fn shot_count(&self) -> usize {
        self.order.len()
    }

    /// Each picture once.
    pub fn pictures(&self, monitor: &Monitor) -> Result<impl Iterator<Item = Result<RgbaImage>>> {
        let (_, height) = self.size()?;
        let picture = move |(done, picture): (usize, &P)| {
            step(done, self.pictures.len(), monitor)?;
            Ok(leveled(picture.draw()?, height))
        };
        Ok(self.pictures.iter().enumerate().map(picture))
    }

    /// As they are shown.
    pub fn shots(&self, monitor: &Monitor) -> Result<impl Iterator<Item = Result<Shot>>> {
        let (_, height) = self.size()?;
        let shot = move |(done, &(i, hundredths)): (usize, &(usize, u16))| {
            step(done, self.order.len(), monitor)?;
            Ok(Shot { picture: leveled(self.pictures[i].draw()?, height), hundredths })
        };
        Ok(self.order.iter().enumerate().map(shot))
    }
}

fn step(done: usize, all: usize, monitor: &Monitor) -> Result<(), Cancelled> {
    monitor.step("drawing the animation", done, all)
}

#[cfg(test)]
mod tests {
    use image::Rgba;

    use super::*;

    #[test]
    fn films_one_after_the_other_keep_their_pictures_and_times() {
        let picture = |height| RgbaImage::new(1, height);
        let film = Film::bounce((1..4).map(picture).collect(), 12).then(Film::forth(vec![picture(9)], 50));
        let seen: Vec<_> = film.order.iter().map(|&(i, time)| (film.pictures[i].height(), time)).collect();
        assert_eq!(seen, [(1, 90), (2, 12), (3, 90), (2, 12), (9, 50)]);
    }

    #[test]
    fn shots_are_as_tall_as_the_tallest_picture_and_keep_their_pixels() {
        let white = Rgba([255; 4]);
        let low = RgbaImage::from_pixel(2, 1, white);
        let film = Film::forth(vec![low, RgbaImage::new(2, 3)], 10);
        let monitor = Monitor::default();
        let shots: Vec<_> = film.shots(&monitor).expect("one width").map(|shot| shot.expect("drawn").picture).collect();
        assert_eq!(shots.iter().map(RgbaImage::dimensions).collect::<Vec<_>>(), [(2, 3), (2, 3)]);
        assert_eq!(*shots[0].get_pixel(1, 0), white);
        assert_ne!(*shots[0].get_pixel(1, 1), white, "empty ground");
        assert!(Film::forth(vec![RgbaImage::new(1, 1), RgbaImage::new(2, 1)], 1).size().is_err(), "of two widths");
        assert!(Film::<RgbaImage>::forth(Vec::new(), 1).size().is_err(), "of none");
    }
}
