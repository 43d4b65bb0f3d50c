//! Convolution with the batch in the lanes: sixteen images side by side, one vector for each pixel of all of them.
//!
//! In the layout `[block][channel][row][column][image]`, with 16 images to a block and padding made explicit, one tap of
//! the kernel is one multiply-add of whole vectors, at any stride, dilation, width or channel count. Images enter and
//! leave this layout by register transposes. (Krizhevsky's cuda-convnet kept the batch innermost for the same
//! reason.)
//!
//! ```text
//!            forward, and the input's gradient          the weight's gradient
//!
//!            4 vectors of x                             4 taps of x at one pixel
//!            +---+---+---+---+                          +---+---+---+---+
//!  6 weights | accumulators  |  for each tap   6 dy     | accumulators  |  for each pixel
//!  of a tap  |  6 x 4        |                 channels |  6 x 4        |
//!            +---+---+---+---+                          +---+---+---+---+
//! ```
//!
//! The gradient with respect to the input is, for stride 1, the same convolution over `dy` with the kernel flipped and
//! its channel axes exchanged; for other strides another algorithm computes it. The gradient with respect to a weight is a product summed over pixels and lanes; the
//! lanes are added up last.

mod kernels;

use super::Extents;
use super::algorithm::{self, Algorithm};
use crate::shared::{bias, lanes};
use cnn_tensor::simd::{IMAGES, Level};
use cnn_tensor::{Buffer, Recycled, Tensor, parallel, vector};
use kernels::{add_lanes, convolve_block, gradient_block, pack_rows, tiles};
use std::ops::Range;

/// The algorithm of this file.
#[derive(Debug)]
pub(super) struct Lanes;

impl Algorithm for Lanes {
    /// No window may lie in padding alone.
    fn is_possible(&self, e: &Extents) -> bool {
        let most = e.reach();
        (0..2).all(|i| e.padding[i].into_iter().all(|side| side <= most[i]))
    }

    /// The batch must fill the lanes well. Blocks of input and output should stay in the second-level cache, though those of
    /// strided windows, which read each pixel fewer times, may be larger. The weight's gradient keeps a vector for every
    /// weight.
    fn suits(&self, e: &Extents) -> bool {
        const MOST_WEIGHTS: usize = 1 << 14;
        let bytes = if e.options.stride == [1, 1] { 1 << 20 } else { 1 << 21 };
        let largest = bytes / size_of::<f32>();
        let filled = e.n >= IMAGES / 2;
        let weights = (e.options.groups * e.c_out).saturating_mul(e.taps());
        filled && weights <= MOST_WEIGHTS && self.is_possible(e) && largest_block(e) <= largest
    }

    fn forward(
        &self,
        e: &Extents,
        x: &Tensor,
        weight: &[f32],
        bias: Option<&[f32]>,
        y: &mut [f32],
    ) -> Tensor {
        forward(e, x.data(), weight, bias, y)
    }

    fn backward(
        &self,
        e: &Extents,
        x: &Tensor,
        weight: &[f32],
        dy: &[f32],
        dweight: Option<&mut [f32]>,
        dx: Option<&mut [f32]>,
    ) {
        if e.options.stride == [1, 1] {
            return backward(e, x.data(), weight, dy, dweight, dx);
        }
        if dweight.is_some() {
            backward(e, x.data(), weight, dy, dweight, None);
        }
        if dx.is_some() {
            algorithm::fastest_separate(e).backward(e, &Tensor::zeros([0]), weight, dy, None, dx);
        }
    }
}

/// Elements of the largest block that is made: of `x` with its padding, or of `dy` with what padding the input's gradient
/// wants.
fn largest_block(e: &Extents) -> usize {
    let block = |channels: usize, [h, w]: [usize; 2]| {
        [h, w, IMAGES].into_iter().fold(channels, |block, extent| block.saturating_mul(extent))
    };
    let padded = |extents: [usize; 2], more: [usize; 2]| [0, 1].map(|i| extents[i].saturating_add(more[i]));
    let x_block = block(
        e.options.groups * e.c_in,
        padded([e.h, e.w], e.padding.map(|[first, last]| first.saturating_add(last))),
    );
    // With full padding dy has a window more than there are positions in x.
    let dy = if e.options.stride == [1, 1] { padded([e.h, e.w], e.reach()) } else { [e.oh, e.ow] };
    x_block.max(block(e.options.groups * e.c_out, dy))
}

/// The images of one block: `channels` planes of `h x w` pixels inside zero borders.
#[derive(Clone, Copy, Debug)]
struct Planes {
    channels: usize,
    h: usize,
    w: usize,
    /// Zeros `[[above, below], [left, right]]`.
    padding: [[usize; 2]; 2],
}

impl Planes {
    fn padded_h(&self) -> usize {
        self.padding[0][0] + self.h + self.padding[0][1]
    }

    fn padded_w(&self) -> usize {
        self.padding[1][0] + self.w + self.padding[1][1]
    }

    /// Elements of one image, borders left out.
    fn image(&self) -> usize {
        self.channels * self.h * self.w
    }

    /// Elements of a block of images, borders included.
    fn block(&self) -> usize {
        self.channels * self.padded_h() * self.padded_w() * IMAGES
    }

    /// Where pixel `(row, column)` of the unpadded plane `channel` begins in a block.
    fn at(&self, channel: usize, row: usize, column: usize) -> usize {
        let row = channel * self.padded_h() + self.padding[0][0] + row;
        (row * self.padded_w() + self.padding[1][0] + column) * IMAGES
    }
}

/// One convolution over a block, as the kernels see it.
#[derive(Clone, Copy, Debug)]
struct Walk {
    groups: usize,
    /// Channels of a group going in and coming out.
    c_in: usize,
    c_out: usize,
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    /// The input, padded.
    x: Planes,
    /// The output.
    y: Planes,
}

impl Walk {
    fn forward(e: &Extents) -> Self {
        let o = e.options;
        Self {
            groups: o.groups,
            c_in: e.c_in,
            c_out: e.c_out,
            kernel: o.kernel,
            stride: o.stride,
            dilation: o.dilation,
            x: Planes { channels: o.groups * e.c_in, h: e.h, w: e.w, padding: e.padding },
            y: Planes { channels: o.groups * e.c_out, h: e.oh, w: e.ow, padding: [[0, 0]; 2] },
        }
    }

    /// From `dy` to `dx`: the forward walk turned round.
    fn reversed(e: &Extents) -> Self {
        let forward = Self::forward(e);
        let full = e.reach();
        let padding = [0, 1].map(|i| e.padding[i].map(|side| full[i] - side));
        Self {
            c_in: e.c_out,
            c_out: e.c_in,
            x: Planes { padding, ..forward.y },
            y: Planes { padding: [[0, 0]; 2], ..forward.x },
            ..forward
        }
    }

    /// Weights of one output channel.
    fn taps(&self) -> usize {
        self.c_in * self.kernel[0] * self.kernel[1]
    }

    /// Channel, row and column of the `tap`-th tap of a window. Kernel rows come first, so that the rows of a window
    /// that lie inside the image are a run of taps, and rows of padding cost nothing.
    fn tap(&self, tap: usize) -> (usize, usize, usize) {
        let row_taps = self.c_in * self.kernel[1];
        (tap % row_taps / self.kernel[1], tap / row_taps, tap % self.kernel[1])
    }

    /// For each tap, where its weight stands among the `[c_in of a group, kh, kw]` of an output channel.
    fn order(&self) -> Recycled<usize> {
        let index = |tap| {
            let (ci, kh, kw) = self.tap(tap);
            (ci * self.kernel[0] + kh) * self.kernel[1] + kw
        };
        (0..self.taps()).map(index).collect()
    }

    /// For each tap, how far its pixel lies from the window's first, in group 0.
    fn offsets(&self) -> Recycled<usize> {
        let offset = |tap| {
            let (ci, kh, kw) = self.tap(tap);
            let row = ci * self.x.padded_h() + kh * self.dilation[0];
            (row * self.x.padded_w() + kw * self.dilation[1]) * IMAGES
        };
        (0..self.taps()).map(offset).collect()
    }

    /// The rows of a window in output row `row` that are not rows of padding.
    fn rows_inside(&self, row: usize) -> Range<usize> {
        self.inside(0, row..row + 1)
    }

    /// The columns of a window that are not padding for all of some output columns.
    fn columns_inside(&self, columns: Range<usize>) -> Range<usize> {
        self.inside(1, columns)
    }

    /// Along an axis, from the first tap of a window that is inside for some position to after the last such tap.
    fn inside(&self, axis: usize, positions: Range<usize>) -> Range<usize> {
        let (stride, dilation, kernel) = (self.stride[axis], self.dilation[axis], self.kernel[axis]);
        let (padding, extent) = (self.x.padding[axis][0], [self.x.h, self.x.w][axis]);
        let last = (positions.end - 1) * stride;
        let first = padding.saturating_sub(last).div_ceil(dilation).min(kernel);
        let end = (padding + extent).saturating_sub(positions.start * stride).div_ceil(dilation);
        first..end.clamp(first, kernel)
    }
}

/// `y = conv(x) + bias`. Returns `x` for the backward pass: `[block]`, and in each the layout of this algorithm with its
/// padding.
fn forward(e: &Extents, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) -> Tensor {
    let level = Level::current();
    let walk = Walk::forward(e);
    let blocks = e.n.div_ceil(IMAGES);
    if e.is_constant() {
        bias::fill(bias, e.y_plane(), y);
        return Tensor::zeros([0]);
    }
    let mut packed = Tensor::scratch([blocks, walk.x.block()]);
    let zeros = Buffer::zeroed(walk.groups * walk.c_out);
    let bias = bias.unwrap_or(zeros.as_slice());
    let order = walk.order();
    let weight =
        in_tiles(&walk, |group, co, tap| weight[(group * walk.c_out + co) * walk.taps() + order[tap]]);
    let offsets = walk.offsets();
    parallel::for_each_chunk_pair(
        (y, IMAGES * e.y_image()),
        (packed.data_mut(), walk.x.block()),
        |block, y, packed| {
            let first = block * IMAGES * e.x_image();
            let last = x.len().min(first + IMAGES * e.x_image());
            pack(level, &walk.x, Borders::All, &x[first..last], packed);
            convolve(level, &walk, &offsets, weight.as_slice(), bias, packed, y);
        },
    );
    packed
}

/// Adds the weight's gradient into `dweight` and writes the input's to `dx`, as far as wanted. `x` is what [`forward`]
/// returned.
fn backward(
    e: &Extents,
    x: &[f32],
    weight: &[f32],
    dy: &[f32],
    dweight: Option<&mut [f32]>,
    dx: Option<&mut [f32]>,
) {
    let level = Level::current();
    let forward = Walk::forward(e);
    let offsets = forward.offsets();
    // Each block of images has its own sum, so that the order of additions does not depend on threads.
    let mut sums = Recycled::filled(Buffer::<f32>::scratch(0), e.n.div_ceil(IMAGES));
    let dy_images =
        |block: usize| &dy[block * IMAGES * e.y_image()..dy.len().min((block + 1) * IMAGES * e.y_image())];
    let x_block = |block: usize| &x[block * forward.x.block()..][..forward.x.block()];
    match dx {
        None => parallel::for_each(&mut sums, |block, sum| {
            let mut packed = Buffer::scratch(forward.y.block());
            pack(level, &forward.y, Borders::All, dy_images(block), packed.as_mut_slice());
            *sum = weight_gradient(level, &forward, &offsets, x_block(block), &forward.y, packed.as_slice());
        }),
        Some(dx) => {
            let reversed = Walk::reversed(e);
            let reversed_offsets = reversed.offsets();
            let order = flipped_order(&forward, &reversed);
            let (group_weights, window) = (e.c_out * e.taps(), e.taps() / e.c_in);
            let flipped = in_tiles(&reversed, |group, ci, tap| {
                weight[group * group_weights + ci * window + order[tap]]
            });
            let zeros = Buffer::zeroed(reversed.groups * reversed.c_out);
            parallel::for_each_chunk_pair((&mut sums, 1), (dx, IMAGES * e.x_image()), |block, sum, dx| {
                // One padded copy of dy serves both products.
                let mut packed = Buffer::scratch(reversed.x.block());
                pack(level, &reversed.x, Borders::Columns, dy_images(block), packed.as_mut_slice());
                let (dy, weight) = (packed.as_slice(), flipped.as_slice());
                if dweight.is_some() {
                    sum[0] = weight_gradient(level, &forward, &offsets, x_block(block), &reversed.x, dy);
                }
                convolve(level, &reversed, &reversed_offsets, weight, zeros.as_slice(), dy, dx);
            });
        }
    }
    if let Some(dweight) = dweight {
        sums.iter().for_each(|sum| vector::axpy(1.0, sum.as_slice(), dweight));
    }
}

/// For each tap `(co, kh, kw)` of `dy`, where the forward weight that belongs to it stands, in group 0 and for its input
/// channel 0.
fn flipped_order(forward: &Walk, reversed: &Walk) -> Recycled<usize> {
    let window = forward.kernel[0] * forward.kernel[1];
    let flip = |i: usize| i / window * forward.taps() + (window - 1 - i % window);
    reversed.order().iter().map(|&i| flip(i)).collect()
}

/// The weights in the order the kernels read them: tile after tile of output channels, tap after tap, the channels
/// of the tile side by side. `weight(group, channel, tap)` gives one, channels counted within their group.
fn in_tiles(walk: &Walk, weight: impl Fn(usize, usize, usize) -> f32) -> Buffer<f32> {
    let mut packed = Buffer::scratch(walk.groups * walk.c_out * walk.taps());
    let mut slots = packed.as_mut_slice().iter_mut();
    for group in 0..walk.groups {
        for (first, count) in tiles(walk.c_out) {
            for tap in 0..walk.taps() {
                for (co, slot) in (first..first + count).zip(slots.by_ref()) {
                    *slot = weight(group, co, tap);
                }
            }
        }
    }
    packed
}

/// The borders of packed planes that are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Borders {
    /// Those left and right: a convolution leaves out rows of padding.
    Columns,
    /// Those above and below too, by the weight's gradient.
    All,
}

/// Brings at most 16 images into the lanes, missing images and those borders that are read as zeros.
fn pack(level: Level, planes: &Planes, borders: Borders, images: &[f32], packed: &mut [f32]) {
    if planes.padding == [[0, 0]; 2] {
        return lanes::enter(level, images, planes.image(), packed);
    }
    if borders == Borders::All {
        let [above, below] = planes.padding[0].map(|rows| rows * planes.padded_w() * IMAGES);
        let plane = planes.padded_h() * planes.padded_w() * IMAGES;
        for plane in packed.chunks_exact_mut(plane) {
            plane[..above].fill(0.0);
            let inside = plane.len() - below;
            plane[inside..].fill(0.0);
        }
    }
    lanes::whole_block(images, planes.image(), |images| pack_rows(level, planes, images, packed));
}

/// `y = conv(x) + bias` for one block; `y` holds at most 16 images in the ordinary layout.
fn convolve(
    level: Level,
    walk: &Walk,
    offsets: &[usize],
    weight: &[f32],
    bias: &[f32],
    x: &[f32],
    y: &mut [f32],
) {
    let mut packed = Buffer::scratch(walk.y.block());
    convolve_block(level, walk, offsets, weight, bias, x, packed.as_mut_slice());
    lanes::leave(level, packed.as_slice(), walk.y.image(), y);
}

/// The gradient with respect to the weight, `[c_out, c_in of a group, kh, kw]`, of one block of images. `dy` lies in
/// planes that may be padded.
fn weight_gradient(
    level: Level,
    walk: &Walk,
    offsets: &[usize],
    x: &[f32],
    dy_planes: &Planes,
    dy: &[f32],
) -> Buffer<f32> {
    let weights = walk.groups * walk.c_out * walk.taps();
    let mut sums = Buffer::zeroed(weights * IMAGES);
    gradient_block(level, walk, offsets, x, dy_planes, dy, sums.as_mut_slice());
    let mut by_tap = Buffer::scratch(weights);
    add_lanes(level, sums.as_slice(), by_tap.as_mut_slice());
    let mut dweight = Buffer::scratch(weights);
    let (taps, order) = (walk.taps(), walk.order());
    for (dweight, by_tap) in
        dweight.as_mut_slice().chunks_exact_mut(taps).zip(by_tap.as_slice().chunks_exact(taps))
    {
        by_tap.iter().zip(&order).for_each(|(&sum, &index)| dweight[index] = sum);
    }
    dweight
}
