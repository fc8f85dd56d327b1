//! Voxels while a file is read: never twice in memory, and in 16 bits as long as all are whole HU that fit.

use std::io;
use std::ops::Range;

use rayon::prelude::*;

use super::{AIR_HU, Note, counted, memory, reserve};
use crate::volume::Voxels;

/// Numbers looked at together: 64 kB, which the first caches hold.
const PART: usize = 1 << 14;
/// Numbers that one thread reads at a time: 1 MB.
const READ: usize = 1 << 19;
/// 1.5 times 2^23: a number of 22 bits added to it is rounded to a whole one, which lies at the end of the sum's bits as an
/// integer does. Casts that look at every number's range are not done by the CPU's vectors.
const AT_THE_END: f32 = 12_582_912.0;

/// Numbers that come in one after the other. What is no number becomes air and is counted.
pub(super) struct Arriving {
    voxels: Kept,
    /// How many will come. Memory is filled only as they come: what a header claims is no voxel yet.
    total: usize,
    odd: usize,
}

enum Kept {
    Whole(Vec<i16>),
    Any(Vec<f32>),
}

impl Arriving {
    /// Room for all, where the file's own length proves that they are there.
    pub(super) fn new(total: usize) -> Result<Self, String> {
        Self::growing(total, total)
    }

    /// Room for as many as are `likely`; more is made as they come. Of packed numbers none knows how many there are.
    pub(super) fn growing(total: usize, likely: usize) -> Result<Self, String> {
        let likely = likely.min(total);
        memory::room_for(likely.saturating_mul(size_of::<i16>()))?;
        Ok(Self { voxels: Kept::Whole(reserve(likely)?), total, odd: 0 })
    }

    pub(super) fn extend(&mut self, values: &[f32]) -> Result<(), String> {
        values.chunks(PART).try_for_each(|part| self.extend_by(part))
    }

    /// Takes whole numbers of 16 bits, which need no look.
    pub(super) fn extend_whole(&mut self, values: impl ExactSizeIterator<Item = i16>) -> Result<(), String> {
        match &mut self.voxels {
            Kept::Whole(whole) => {
                make_room(whole, values.len(), self.total)?;
                whole.extend(values);
            }
            Kept::Any(any) => {
                make_room(any, values.len(), self.total)?;
                any.extend(values.map(f32::from));
            }
        }
        Ok(())
    }

    /// Takes as many as `read` gets, a part at a time, on all threads: it is told which number of all a part begins with.
    pub(super) fn extend_read<E: From<io::Error> + Send>(
        &mut self,
        count: usize,
        read: impl Fn(usize, &mut [i16]) -> Result<(), E> + Sync,
    ) -> Result<(), E> {
        let Kept::Whole(whole) = &mut self.voxels else {
            return Err(io::Error::other("numbers of 16 bits after others").into());
        };
        let start = whole.len();
        whole.par_extend(rayon::iter::repeat_n(0, count));
        let parts = whole[start..].par_chunks_mut(READ).enumerate();
        parts.try_for_each(|(part, numbers)| read(start + part * READ, numbers))
    }

    fn extend_by(&mut self, part: &[f32]) -> Result<(), String> {
        let odd = part.iter().filter(|value| !value.is_finite()).count();
        let cleaned: Vec<f32>;
        let part = if odd == 0 {
            part
        } else {
            self.odd += odd;
            cleaned = part.iter().map(|&value| if value.is_finite() { value } else { AIR_HU }).collect();
            &cleaned
        };
        if let Kept::Whole(whole) = &mut self.voxels {
            if all_fit(part) {
                make_room(whole, part.len(), self.total)?;
                whole.extend(part.iter().map(|&value| (value + AT_THE_END).to_bits() as i16));
                return Ok(());
            }
            let room = whole.capacity().max(whole.len() + part.len());
            memory::room_for(room.saturating_mul(size_of::<f32>()))?;
            let mut any = reserve(room)?;
            any.extend(whole.iter().map(|&hu| f32::from(hu)));
            self.voxels = Kept::Any(any);
        }
        if let Kept::Any(any) = &mut self.voxels {
            make_room(any, part.len(), self.total)?;
            any.extend_from_slice(part);
        }
        Ok(())
    }

    /// How many have come.
    pub(super) fn len(&self) -> usize {
        match &self.voxels {
            Kept::Whole(hu) => hu.len(),
            Kept::Any(hu) => hu.len(),
        }
    }

    /// Some of those that have come.
    pub(super) fn copy(&self, range: Range<usize>) -> Voxels {
        match &self.voxels {
            Kept::Whole(hu) => Voxels::I16(hu[range].to_vec().into()),
            Kept::Any(hu) => Voxels::F32(hu[range].to_vec().into()),
        }
    }

    /// All of them, and what was odd about them.
    pub(super) fn finish(self, notes: &mut Vec<Note>) -> Voxels {
        if self.odd > 0 {
            notes.push(Note::serious(format!("no number in {}: taken to be air", counted(self.odd, "voxel"))));
        }
        match self.voxels {
            Kept::Whole(hu) => Voxels::I16(hu.into()),
            Kept::Any(hu) => Voxels::F32(hu.into()),
        }
    }
}

/// Room for `more`: twice as much as there was, but no more than `total` in all.
fn make_room<T>(values: &mut Vec<T>, more: usize, total: usize) -> Result<(), String> {
    let needed = values.len().saturating_add(more);
    if needed <= values.capacity() {
        return Ok(());
    }
    let room = values.capacity().saturating_mul(2).min(total).max(needed) - values.len();
    memory::room_for(room.saturating_mul(size_of::<T>()))?;
    values
        .try_reserve_exact(room)
        .map_err(|_full| format!("{total} voxels, for which there is no memory; crop the scan first"))
}

/// Whether all are whole numbers of 16 bits. It looks at every one, which the CPU's vectors do faster than stop at the first.
fn all_fit(values: &[f32]) -> bool {
    let fits = |value: f32| (value + AT_THE_END) - AT_THE_END == value && value.clamp(-32768.0, 32767.0) == value;
    values.iter().fold(true, |all, &value| all & fits(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrived(parts: &[&[f32]]) -> (Voxels, Vec<Note>) {
        let mut arriving = Arriving::new(parts.iter().map(|part| part.len()).sum()).expect("a few voxels");
        for part in parts {
            arriving.extend(part).expect("room");
        }
        let mut notes = Vec::new();
        (arriving.finish(&mut notes), notes)
    }

    #[test]
    fn whole_hounsfield_units_stay_in_16_bits_and_what_is_no_number_becomes_air() {
        let (voxels, notes) = arrived(&[&[-1024.0, f32::NAN], &[32767.0, f32::INFINITY]]);
        let Voxels::I16(hu) = voxels else { panic!("16 bits hold them") };
        assert_eq!(*hu, [-1024, -1000, 32767, -1000]);
        assert!(notes[0].text.starts_with("no number in 2 voxels"), "{notes:?}");
    }

    #[test]
    fn one_number_that_is_not_whole_or_too_large_widens_all_of_them_unchanged() {
        for misfit in [0.5, 32768.0, -1e9] {
            let (voxels, notes) = arrived(&[&[-1024.0, 7.0], &[1.0, misfit, 3.0], &[4.0]]);
            let Voxels::F32(hu) = voxels else { panic!("{misfit} does not fit") };
            assert_eq!(*hu, [-1024.0, 7.0, 1.0, misfit, 3.0, 4.0]);
            assert!(notes.is_empty());
        }
    }
}
