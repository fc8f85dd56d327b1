//! A pass takes blocks of tiles from the input's rows through the input transform, products, and the output transform to the
//! output's rows, in scratch memory.
//!
//! A block is a matrix product at each point: `[out, in]` by `[in, tiles]`, summed over the kernel's depth, each plane of which
//! reads the tiles of another slice.
//!
//! Where there are many tiles, each thread takes blocks of its own, small enough for its cache. Where there are few, all threads
//! share one block: first its input channels, then its output channels, whose kernels each thread transforms for itself.

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use super::pixels::Pixels;
use super::products::add_products;
use super::tiles::{Block, Plan, TileSpan, part};
use super::transform::{POINTS, TILE_OUTPUTS};
use super::weights::Pack;
use super::{Winograd, group_of, group_size, panel_vectors};
use crate::nn::epilogue::Epilogue;
use crate::nn::gemm::Columns;
use crate::nn::memory::in_huge_pages;
use crate::nn::simd::{Simd, Work};

/// Channels that are summed over at a time: so the tiles of a panel stay in the first-level cache for all output channels.
const SUMMED: usize = 128;
/// Numbers in a line of the cache.
const LINE: usize = 16;
/// Shares of the work for each thread, so that none waits long for the last.
const SHARES: usize = 4;
/// Output channels that are computed together where tiles are many: each reads the tiles anew. Where tiles are few the kernels are most
/// of what is read, and half as many channels' kernels stay in a second-level cache.
const TOGETHER: usize = 64;
/// A block of fewer tiles than this has few of them.
const FEW_TILES: usize = 64;

/// What the threads of a pass have in common.
pub(super) struct Pass<'a> {
    pub(super) layer: &'a Winograd<'a>,
    pub(super) plan: &'a Plan<'a>,
    pub(super) x: &'a [f32],
    pub(super) y: &'a Columns<'a, f32>,
    pub(super) epilogue: &'a Epilogue<'a, f32>,
}

/// The layout of a block's transformed tiles: `[POINTS, channels, stride]`.
#[derive(Clone, Copy)]
struct Rows {
    channels: usize,
    stride: usize,
}

impl Rows {
    /// Rows begin at lines of the cache, an odd number of them apart, lest they share the cache's same few places.
    #[inline(never)] // as below
    fn new(channels: usize, columns: usize) -> Self {
        Self { channels, stride: (columns.div_ceil(LINE) | 1) * LINE }
    }

    /// Room for the rows.
    fn room<'a>(&self, room: &'a mut Vec<f32>) -> &'a mut [f32] {
        let len = POINTS * self.channels * self.stride;
        if room.len() < len + LINE {
            room.reserve_exact(len + LINE - room.len());
            in_huge_pages(room);
            room.resize(len + LINE, 0.0);
        }
        let start = room.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        &mut room[start..start + len]
    }

    /// Where a row begins.
    fn row(&self, point: usize, channel: usize) -> usize {
        (point * self.channels + channel) * self.stride
    }

    /// The distance from a row to the row of that channel at the next point.
    fn point(&self) -> usize {
        self.channels * self.stride
    }
}

/// A block's transformed input tiles.
#[derive(Clone, Copy)]
struct Transformed<'a> {
    rows: Rows,
    values: &'a [f32],
}

thread_local! {
    /// Rooms for a block's transformed inputs and for its products, kept from pass to pass: fresh ones are written twice.
    static INPUTS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    static PRODUCTS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// What a thread keeps from block to block.
struct Scratch {
    pixels: Pixels,
    products: Vec<f32>,
}

impl Scratch {
    fn taken() -> Self {
        Self { pixels: Pixels::new(), products: PRODUCTS.take() }
    }

    fn keep(self) {
        PRODUCTS.set(self.products);
    }
}

impl Pass<'_> {
    /// Threads take blocks. `weight` is of all output channels.
    ///
    /// # Safety
    /// No one else touches the outputs, nor what `epilogue` notes of them, while the pass runs.
    pub(super) unsafe fn by_blocks(&self, weight: &[f32]) {
        let blocks = self.plan.blocks();
        let shares = blocks.min(SHARES * rayon::current_num_threads());
        (0..shares).into_par_iter().for_each(|share| {
            // SAFETY: each share has blocks of its own, and the caller keeps others away.
            self.layer.instructions.run(unsafe { OwnBlocks::new(self, weight, part(blocks, shares, share)) });
        });
    }

    /// Threads take channels of one block after the other.
    ///
    /// # Safety
    /// No one else touches the outputs, nor what `epilogue` notes of them, while the pass runs.
    pub(super) unsafe fn by_channels(&self) {
        let (layer, mut room) = (self.layer, INPUTS.take());
        let threads = rayon::current_num_threads();
        for block in 0..self.plan.blocks() {
            let block = &self.plan.block(block);
            let (lanes, tiles) = (layer.instructions.lanes(), block.columns(block.slices()));
            let rows = self.input_rows(block, lanes);
            let columns = Columns::new(rows.room(&mut room));
            let [inputs, groups] = [layer.kernels.channels[0], layer.groups()];
            let shares = inputs.min(SHARES * threads);
            (0..shares).into_par_iter().for_each(|share| {
                let channels = part(inputs, shares, share);
                // SAFETY: the room holds the rows, and each share has channels of its own.
                layer.instructions.run(unsafe { InputChannels::new(self, block, channels, rows, &columns) });
            });
            let transformed = Transformed { rows, values: rows.room(&mut room) };
            let together = if tiles < FEW_TILES { TOGETHER / 2 } else { TOGETHER };
            let shares = groups.div_ceil(together / group_size(lanes)).next_multiple_of(threads).min(groups);
            (0..shares).into_par_iter().for_each(|share| {
                let groups = part(groups, shares, share);
                // SAFETY: each share has channels of its own, and the caller keeps others away.
                layer.instructions.run(unsafe { OutputChannels::new(self, block, groups, transformed) });
            });
        }
        INPUTS.set(room);
    }

    /// The rows of a block's transformed inputs. The vectors of a kernel's last plane begin as many columns on as its slices take.
    #[inline(never)] // or its divisions are repeated for every number
    fn input_rows(&self, block: &Block, lanes: usize) -> Rows {
        let beyond = block.columns(self.layer.kernels.depth - 1);
        let columns = block.columns(block.slices()).next_multiple_of(lanes) + beyond;
        Rows::new(self.layer.kernels.channels[0], columns.next_multiple_of(lanes))
    }

    /// Transforms some input channels of a block.
    ///
    /// # Safety
    /// `transformed` has room for the rows, of numbers, and no one else touches those of these channels.
    #[inline(always)]
    unsafe fn transform_inputs<S: Simd>(
        &self,
        s: S,
        block: &Block,
        channels: Range<usize>,
        pixels: &mut Pixels,
        rows: Rows,
        transformed: &Columns<'_, f32>,
    ) {
        let [_, above, before] = self.layer.geometry.padding;
        let [depth, height, width] = self.plan.images.input;
        let slices = block.slices() + self.layer.kernels.depth - 1;
        for (panel, vectors) in panels::<S>(block.columns(slices)) {
            let runs = self.plan.inputs(block, panel.clone());
            for channel in channels.clone() {
                for run in &runs {
                    let Some([sample, slice]) = run.image else {
                        pixels.clear(run);
                        continue;
                    };
                    let start = ((sample * self.layer.kernels.channels[0] + channel) * depth + slice) * height * width;
                    let image = &self.x[start..start + height * width];
                    pixels.gather(s, image, [height, width], [above, before], run);
                }
                for n in 0..vectors {
                    let first = rows.row(0, channel) + panel.start + n * S::LANES;
                    // SAFETY: the caller's promise.
                    unsafe { pixels.transform_inputs(s, n, transformed, first, rows.point()) };
                }
            }
        }
    }

    /// Computes some output channels of a block from its transformed inputs. `weight` is of these channels.
    ///
    /// # Safety
    /// No one else touches these outputs, nor what `epilogue` notes of them.
    #[inline(always)]
    unsafe fn outputs<S: Simd>(
        &self,
        s: S,
        block: &Block,
        groups: &Range<usize>,
        weight: &[f32],
        transformed: Transformed<'_>,
        Scratch { pixels, products: room }: &mut Scratch,
    ) {
        let columns = block.columns(block.slices());
        let channels = self.layer.channels_of(groups);
        let product_rows = Rows::new(channels.len(), columns.next_multiple_of(S::LANES));
        let products = product_rows.room(room);
        for point in 0..POINTS {
            for (panel, vectors) in panels::<S>(columns) {
                let at = PanelOffset { point, column: panel.start, slice: block.columns(1) };
                let to = (product_rows, &mut *products);
                match (group_size(S::LANES), vectors) {
                    (8, 1) => self.multiply::<S, 8, 1>(s, groups, weight, &at, transformed, to),
                    (8, 2) => self.multiply::<S, 8, 2>(s, groups, weight, &at, transformed, to),
                    (8, _) => self.multiply::<S, 8, 3>(s, groups, weight, &at, transformed, to),
                    (_, 1) => self.multiply::<S, 4, 1>(s, groups, weight, &at, transformed, to),
                    (_, _) => self.multiply::<S, 4, 2>(s, groups, weight, &at, transformed, to),
                }
            }
        }
        for (panel, vectors) in panels::<S>(columns) {
            let runs = self.plan.outputs(block, panel.clone());
            for channel in channels.clone() {
                let bias = self.layer.bias.get(channel).copied().unwrap_or(0.0) as f32;
                for n in 0..vectors {
                    let first = product_rows.row(0, channel - channels.start) + panel.start + n * S::LANES;
                    pixels.transform_outputs(s, n, bias, &products[first..], product_rows.point());
                }
                for run in &runs {
                    // SAFETY: the caller's promise.
                    unsafe { self.scatter(channel, run, pixels) };
                }
            }
        }
    }

    /// The products of a panel of tiles at one point.
    #[inline(always)]
    fn multiply<S: Simd, const SIZE: usize, const N: usize>(
        &self,
        s: S,
        groups: &Range<usize>,
        weight: &[f32],
        at: &PanelOffset,
        Transformed { rows, values }: Transformed<'_>,
        (product_rows, products): (Rows, &mut [f32]),
    ) {
        let (layer, inputs, [c_in, _]) = (self.layer, self.layer.inputs(), self.layer.kernels.channels);
        let Range { start: first_channel, .. } = layer.channels_of(groups);
        for (plane, start) in
            (0..layer.kernels.depth).flat_map(|plane| (0..c_in).step_by(SUMMED).map(move |start| (plane, start)))
        {
            let summed = SUMMED.min(c_in - start);
            let from = rows.row(at.point, start) + at.column + plane * at.slice;
            let tiles = &values[from..][..(summed - 1) * rows.stride + N * S::LANES];
            let more = plane + start > 0;
            for group in groups.clone() {
                let (channel, count) = group_of(layer.kernels.channels[1], SIZE, group);
                let channel = channel - first_channel;
                let sums = &mut products[product_rows.row(at.point, channel) + at.column..];
                let first = (channel * POINTS + at.point * count) * inputs + (plane * c_in + start) * count;
                let weight = &weight[first..][..summed * count];
                if count == SIZE {
                    add_products::<S, SIZE, N>(s, weight, (tiles, rows.stride), (sums, product_rows.stride), more);
                } else {
                    add_products::<S, 1, N>(s, weight, (tiles, rows.stride), (sums, product_rows.stride), more);
                }
            }
        }
    }

    /// A run's tiles of one output channel to the output's rows, as far as these go.
    ///
    /// # Safety
    /// No one else touches these outputs, nor what `epilogue` notes of them.
    #[inline(always)]
    unsafe fn scatter(&self, channel: usize, run: &TileSpan, pixels: &mut Pixels) {
        let [depth, height, width] = self.plan.images.output;
        let Some([sample, slice]) = run.image else { return };
        let plane = (sample * self.layer.kernels.channels[1] + channel) * depth + slice;
        for i in 0..TILE_OUTPUTS.min(height - run.row) {
            let start = (plane * height + run.row + i) * width + run.column;
            let count = (run.count * TILE_OUTPUTS).min(width - run.column);
            let row = &mut pixels.outputs(run, i)[..count];
            // SAFETY: the caller's promise.
            unsafe { self.epilogue.finish(channel, start, row) };
            // SAFETY: the caller's promise.
            unsafe { self.y.copy(start, row) };
        }
    }
}

/// Some blocks of one thread, which keeps its scratch memory.
struct OwnBlocks<'a> {
    pass: &'a Pass<'a>,
    weight: &'a [f32],
    blocks: Range<usize>,
}

impl<'a> OwnBlocks<'a> {
    /// # Safety
    /// Until it has run, no one else touches these blocks' outputs, nor what is noted of them.
    unsafe fn new(pass: &'a Pass<'a>, weight: &'a [f32], blocks: Range<usize>) -> Self {
        Self { pass, weight, blocks }
    }
}

impl Work for OwnBlocks<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { pass, weight, blocks } = self;
        let (mut scratch, mut room) = (Scratch::taken(), INPUTS.take());
        for block in blocks {
            let block = pass.plan.block(block);
            let rows = pass.input_rows(&block, S::LANES);
            let values = rows.room(&mut room);
            let channels = 0..pass.layer.kernels.channels[0];
            // SAFETY: the room holds the rows, and is borrowed here alone.
            unsafe { pass.transform_inputs(s, &block, channels, &mut scratch.pixels, rows, &Columns::new(values)) };
            let transformed = Transformed { rows, values };
            let groups = pass.layer.groups();
            let together = TOGETHER / group_size(S::LANES);
            for start in (0..groups).step_by(together) {
                let groups = start..groups.min(start + together);
                let weight = &weight[pass.layer.channels_of(&groups).start * POINTS * pass.layer.inputs()..];
                // SAFETY: the maker's promise.
                unsafe { pass.outputs(s, &block, &groups, weight, transformed, &mut scratch) };
            }
        }
        INPUTS.set(room);
        scratch.keep();
    }
}

/// Some input channels of a block that is shared.
struct InputChannels<'a> {
    pass: &'a Pass<'a>,
    block: &'a Block,
    channels: Range<usize>,
    rows: Rows,
    transformed: &'a Columns<'a, f32>,
}

impl<'a> InputChannels<'a> {
    /// # Safety
    /// `transformed` has room for the rows, of numbers, and until it has run no one else touches those of these channels.
    unsafe fn new(
        pass: &'a Pass<'a>,
        block: &'a Block,
        channels: Range<usize>,
        rows: Rows,
        transformed: &'a Columns<'a, f32>,
    ) -> Self {
        Self { pass, block, channels, rows, transformed }
    }
}

impl Work for InputChannels<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { pass, block, channels, rows, transformed } = self;
        // SAFETY: the maker's promise.
        unsafe { pass.transform_inputs(s, block, channels, &mut Pixels::new(), rows, transformed) };
    }
}

/// Some output channels of a block that is shared.
struct OutputChannels<'a> {
    pass: &'a Pass<'a>,
    block: &'a Block,
    groups: Range<usize>,
    transformed: Transformed<'a>,
}

impl<'a> OutputChannels<'a> {
    /// # Safety
    /// Until it has run, no one else touches these groups' outputs of the block, nor what is noted of them.
    unsafe fn new(pass: &'a Pass<'a>, block: &'a Block, groups: Range<usize>, transformed: Transformed<'a>) -> Self {
        Self { pass, block, groups, transformed }
    }
}

impl Work for OutputChannels<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { pass, block, groups, transformed } = self;
        let (layer, mut weight) = (pass.layer, Vec::new());
        let channels = layer.channels_of(&groups);
        let len = channels.len() * POINTS * layer.inputs();
        weight.reserve_exact(len);
        let packed = &Columns::room(&mut weight);
        for group in groups.clone() {
            let group = layer.group(group);
            let at = (group.0 - channels.start) * POINTS * layer.inputs();
            // SAFETY: a group's kernels have their own place, and this thread is alone with them.
            unsafe { Pack::new(&layer.kernels, group, packed, at) }.run(s);
        }
        // SAFETY: the groups cover every kernel.
        unsafe { weight.set_len(len) };
        let mut scratch = Scratch::taken();
        // SAFETY: the maker's promise.
        unsafe { pass.outputs(s, block, &groups, &weight, transformed, &mut scratch) };
        scratch.keep();
    }
}

/// Where a panel of tiles lies: at which point, from which column on, and how many columns the next slice is away.
struct PanelOffset {
    point: usize,
    column: usize,
    slice: usize,
}

/// Cuts so many columns into panels; gives the columns of each, and how many vectors it takes.
fn panels<S: Simd>(columns: usize) -> impl Iterator<Item = (Range<usize>, usize)> {
    let panel = panel_vectors(S::LANES) * S::LANES;
    (0..columns).step_by(panel).map(move |start| {
        let end = columns.min(start + panel);
        (start..end, (end - start).div_ceil(S::LANES))
    })
}
