//! A layer as nodes.

use super::writer::{Writer, float, int, ints, text};
use super::{activation, shape};
use crate::proto::{Attribute, INT64};
use cnn_nn::Part;
use cnn_nn::spec::{Conv2dTableSpec, LayerSpec};
use cnn_ops::pixel_shuffle::Order;
use cnn_ops::{Arithmetic, AvgPool2d, MaxPool2d};
use cnn_tensor::{Shape, Tensor};

/// Writes the nodes of a part, and names the values that it makes.
pub fn write(w: &mut Writer, part: &Part<'_>) -> Result<(), String> {
    w.path = part.path.into();
    let xs: Vec<String> = part.reads.iter().map(|&(value, _)| w.value(value).to_string()).collect();
    let names = match part.layer {
        LayerSpec::Split(options) => shape::split(w, &xs[0], options),
        _ => vec![one(w, part, &xs)?],
    };
    for (&(value, _), name) in part.makes.iter().zip(names) {
        w.set(value, name);
    }
    Ok(())
}

/// A layer with one output.
fn one(w: &mut Writer, part: &Part<'_>, xs: &[String]) -> Result<String, String> {
    let names: Vec<&str> = xs.iter().map(String::as_str).collect();
    let (x, input) = (names[0], part.reads[0].1);
    let dims = input.dims();
    let weight = |w: &mut Writer| parameter(w, part, "weight");
    Ok(match part.layer {
        LayerSpec::Conv2d(spec) => {
            let [_, _, h, width] = nchw(input)?;
            let padding = spec.padding.resolve([h, width], spec.kernel, spec.stride, spec.dilation);
            let mut attributes = window(spec.kernel, spec.stride, padding, spec.dilation);
            attributes.push(int("group", spec.groups as i64));
            weighted(w, part, "Conv", x, attributes)?
        }
        LayerSpec::ConvTranspose2d(spec) => {
            let ([_, _, h, width], [_, _, oh, ow]) = (nchw(input)?, nchw(part.makes[0].1)?);
            let (extent, y) = ([h, width], [oh, ow]);
            let padding = spec.options().sides(extent);
            // The rows and columns that the output has beyond what the other options say.
            let output_padding = [0, 1].map(|i| {
                let reach = (extent[i] - 1) * spec.stride[i] + (spec.kernel[i] - 1) * spec.dilation[i] + 1;
                y[i] + padding[i][0] + padding[i][1] - reach
            });
            let mut attributes = window(spec.kernel, spec.stride, padding, spec.dilation);
            attributes.push(ints("output_padding", &output_padding));
            attributes.push(int("group", spec.groups as i64));
            weighted(w, part, "ConvTranspose", x, attributes)?
        }
        LayerSpec::Conv2dTable(spec) => {
            let [_, channels, h, width] = nchw(input)?;
            let padding = spec.padding.resolve([h, width], spec.kernel, spec.stride, [1, 1]);
            let dense = dense(spec, tensor(part, "weight")?, channels);
            let weight = w.parameter(part.owner, "weight", &dense);
            let attributes = window(spec.kernel, spec.stride, padding, [1, 1]);
            biased(w, part, "Conv", [x, &weight], attributes)
        }
        LayerSpec::Linear(spec) => linear(w, part, x, spec.steps)?,
        LayerSpec::MaxPool2d(options) => max_pool(w, x, input, options)?,
        LayerSpec::AvgPool2d(options) => avg_pool(w, x, input, options)?,
        LayerSpec::GlobalAvgPool2d => w.node("GlobalAveragePool", &[x], vec![]),
        LayerSpec::GlobalMaxPool2d => w.node("GlobalMaxPool", &[x], vec![]),
        LayerSpec::AdaptiveAvgPool2d(options) => adaptive(w, x, input, options.output, "Average")?,
        LayerSpec::AdaptiveMaxPool2d(options) => adaptive(w, x, input, options.output, "Max")?,
        LayerSpec::Subsample(spec) => {
            // A window of equal weights for each channel.
            let [_, channels, _, _] = nchw(input)?;
            let options = spec.options();
            let [kh, kw] = options.kernel;
            let values =
                tensor(part, "weight")?.data().iter().flat_map(|&v| vec![v; kh * kw]).collect::<Vec<_>>();
            let weight = w.floats(&format!("{}.weight", part.owner), &[channels, 1, kh, kw], &values);
            let mut attributes = window(options.kernel, options.stride, [[0; 2]; 2], [1, 1]);
            attributes.push(int("group", channels as i64));
            biased(w, part, "Conv", [x, &weight], attributes)
        }
        LayerSpec::BatchNorm1d(spec) | LayerSpec::BatchNorm2d(spec) => {
            let momentum = spec.momentum.unwrap_or(0.1);
            let all = [("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)];
            let [scale, bias, mean, var] =
                all.map(|(name, value)| parameter_or(w, part, name, &dims[1..2], value));
            let attributes = vec![float("epsilon", spec.eps), float("momentum", 1.0 - momentum)];
            w.node("BatchNormalization", &[x, &scale, &bias, &mean, &var], attributes)
        }
        LayerSpec::LocalResponseNorm(options) => shape::local_response(w, x, options),
        LayerSpec::LayerNorm(spec) => {
            let axes = spec.axes.unwrap_or(dims.len() - 1);
            let (scale, bias) = affine(w, part, &dims[dims.len() - axes..]);
            let attributes = vec![int("axis", -(axes as i64)), float("epsilon", spec.eps)];
            w.node("LayerNormalization", &[x, &scale, &bias], attributes)
        }
        LayerSpec::GroupNorm(spec) => {
            w.needs(21);
            let (scale, bias) = affine(w, part, &dims[1..2]);
            let attributes = vec![int("num_groups", spec.groups as i64), float("epsilon", spec.eps)];
            w.node("GroupNormalization", &[x, &scale, &bias], attributes)
        }
        // Nothing in inference.
        LayerSpec::Dropout { .. } | LayerSpec::Dropout2d { .. } => x.into(),
        LayerSpec::Activation(activation) => activation::write(w, activation, x)?,
        LayerSpec::Prelu(_) => {
            let slope = tensor(part, "weight")?;
            let mut shape = vec![1; dims.len() - 1];
            shape[0] = slope.data().len();
            let slope = w.floats(&format!("{}.weight", part.owner), &shape, slope.data());
            w.node("PRelu", &[x, &slope], vec![])
        }
        LayerSpec::Softmax(options) => w.node("Softmax", &[x], vec![int("axis", options.dim as i64)]),
        LayerSpec::LogSoftmax(options) => w.node("LogSoftmax", &[x], vec![int("axis", options.dim as i64)]),
        LayerSpec::Mean(over) => reduce(w, "ReduceMean", x, &over.dims, over.keepdim),
        LayerSpec::Sum(over) => reduce(w, "ReduceSum", x, &over.dims, over.keepdim),
        LayerSpec::Amax(over) => reduce(w, "ReduceMax", x, &over.dims, over.keepdim),
        LayerSpec::Amin(over) => reduce(w, "ReduceMin", x, &over.dims, over.keepdim),
        LayerSpec::Norm(spec) => {
            let op = if spec.p == 1 { "ReduceL1" } else { "ReduceL2" };
            reduce(w, op, x, &spec.dims, spec.keepdim)
        }
        LayerSpec::SoftArgmax2d => soft_argmax(w, x, nchw(input)?),
        LayerSpec::Rbf(spec) => {
            let axes = w.ints("axes", &[1]);
            let row = w.node("Unsqueeze", &[x, &axes], vec![]);
            let codes = weight(w)?;
            let difference = w.node("Sub", &[&row, &codes], vec![]);
            let square = w.node("Mul", &[&difference, &difference], vec![]);
            let sum = reduce(w, "ReduceSum", &square, &[2], false);
            if spec.negate { w.node("Neg", &[&sum], vec![]) } else { sum }
        }
        LayerSpec::Flatten => w.node("Flatten", &[x], vec![int("axis", 1)]),
        // The extents are known, also the one that is inferred.
        LayerSpec::Reshape(_) => shape::reshape(w, x, &part.makes[0].1.dims()[1..]),
        LayerSpec::PixelShuffle(options) => {
            let mode = if options.order == Order::ChannelsFirst { "CRD" } else { "DCR" };
            w.node("DepthToSpace", &[x], vec![int("blocksize", options.factor as i64), text("mode", mode)])
        }
        LayerSpec::PixelUnshuffle(options) => {
            shape::unshuffle(w, x, options.factor, options.order == Order::ChannelsFirst, nchw(input)?)
        }
        LayerSpec::Pad2d(options) => shape::pad(w, x, options)?,
        LayerSpec::Crop2d(options) => {
            let [_, _, h, width] = nchw(input)?;
            shape::crop(w, x, options, [h, width])
        }
        LayerSpec::Upsample2d(options) => shape::upsample(w, x, options)?,
        LayerSpec::Embedding(_) => {
            let table = weight(w)?;
            let index = w.node("Cast", &[x], vec![int("to", INT64.into())]);
            w.node("Gather", &[&table, &index], vec![int("axis", 0)])
        }
        LayerSpec::Matmul(options) => shape::matmul(w, options, [x, names[1]], dims.len()),
        LayerSpec::Permute(options) => shape::transpose(w, x, &options.dims),
        LayerSpec::Transpose { dims: [a, b] } => {
            let mut order: Vec<usize> = (0..dims.len()).collect();
            order.swap(*a, *b);
            shape::transpose(w, x, &order)
        }
        LayerSpec::Slice(options) => shape::slice(w, x, options),
        LayerSpec::Add => w.node("Add", &names, vec![]),
        LayerSpec::Sub => w.node("Sub", &names, vec![]),
        LayerSpec::Mul => w.node("Mul", &names, vec![]),
        LayerSpec::Div => w.node("Div", &names, vec![]),
        LayerSpec::Maximum => w.node("Max", &names, vec![]),
        LayerSpec::Minimum => w.node("Min", &names, vec![]),
        LayerSpec::ArithmeticBy(spec) => {
            let constant = weight(w)?;
            let inputs = if spec.reversed { [constant.as_str(), x] } else { [x, constant.as_str()] };
            let op = match spec.op {
                Arithmetic::Add => "Add",
                Arithmetic::Sub => "Sub",
                Arithmetic::Mul => "Mul",
                Arithmetic::Div => "Div",
                Arithmetic::Maximum => "Max",
                Arithmetic::Minimum => "Min",
            };
            w.node(op, &inputs, vec![])
        }
        LayerSpec::Cat(options) => w.node("Concat", &names, vec![int("axis", options.dim as i64)]),
        LayerSpec::Stack(options) => shape::stack(w, xs, options.dim),
        _ => return Err("there is no operator for it".into()),
    })
}

fn reduce(w: &mut Writer, op: &str, x: &str, dims: &[usize], keep: bool) -> String {
    let axes = w.ints("axes", &shape::signed(dims));
    w.node(op, &[x, &axes], vec![int("keepdims", keep.into())])
}

fn nchw(x: Shape) -> Result<[usize; 4], String> {
    <[usize; 4]>::try_from(x.dims()).map_err(|_| format!("expected images [n, c, h, w], got {x}"))
}

fn tensor<'a>(part: &Part<'a>, name: &str) -> Result<&'a Tensor, String> {
    part.tensor(name).ok_or_else(|| format!("it has no {name}"))
}

fn parameter(w: &mut Writer, part: &Part<'_>, name: &str) -> Result<String, String> {
    Ok(w.parameter(part.owner, name, tensor(part, name)?))
}

/// Weight and bias of a normalisation; ones and zeros where it has none.
fn affine(w: &mut Writer, part: &Part<'_>, dims: &[usize]) -> (String, String) {
    (parameter_or(w, part, "weight", dims, 1.0), parameter_or(w, part, "bias", dims, 0.0))
}

/// The layer's tensor of that name, or one of these extents that is `value` everywhere.
fn parameter_or(w: &mut Writer, part: &Part<'_>, name: &str, dims: &[usize], value: f32) -> String {
    match part.tensor(name) {
        Some(tensor) => w.parameter(part.owner, name, tensor),
        None => w.floats(&format!("{}.{name}", part.owner), dims, &vec![value; dims.iter().product()]),
    }
}

fn window(
    kernel: [usize; 2],
    stride: [usize; 2],
    [[top, bottom], [left, right]]: [[usize; 2]; 2],
    dilation: [usize; 2],
) -> Vec<Attribute> {
    vec![
        ints("kernel_shape", &kernel),
        ints("strides", &stride),
        ints("pads", &[top, left, bottom, right]),
        ints("dilations", &dilation),
    ]
}

/// A node with the layer's weight, and its bias if it has one.
fn weighted(
    w: &mut Writer,
    part: &Part<'_>,
    op: &str,
    x: &str,
    attributes: Vec<Attribute>,
) -> Result<String, String> {
    let weight = parameter(w, part, "weight")?;
    Ok(biased(w, part, op, [x, &weight], attributes))
}

/// A node with this weight, and the layer's bias if it has one.
fn biased(
    w: &mut Writer,
    part: &Part<'_>,
    op: &str,
    [x, weight]: [&str; 2],
    attributes: Vec<Attribute>,
) -> String {
    let bias = part.tensor("bias").map(|bias| w.parameter(part.owner, "bias", bias));
    let inputs: Vec<&str> = [x, weight].into_iter().chain(bias.as_deref()).collect();
    w.node(op, &inputs, attributes)
}

/// The weight of a table of connections with zeros where there is none.
fn dense(spec: &Conv2dTableSpec, weight: &Tensor, channels: usize) -> Tensor {
    let [kh, kw] = spec.kernel;
    let mut dense = Tensor::zeros([spec.table.len(), channels, kh, kw]);
    let places =
        spec.table.iter().enumerate().flat_map(|(co, seen)| seen.iter().map(move |ci| co * channels + ci));
    let kernels = dense.data_mut();
    for (place, kernel) in places.zip(weight.data().chunks_exact((kh * kw).max(1))) {
        kernels[place * kh * kw..][..kh * kw].copy_from_slice(kernel);
    }
    dense
}

fn linear(w: &mut Writer, part: &Part<'_>, x: &str, steps: bool) -> Result<String, String> {
    if !steps {
        return weighted(w, part, "Gemm", x, vec![int("transB", 1)]);
    }
    let weight = parameter(w, part, "weight")?;
    let columns = shape::transpose(w, &weight, &[1, 0]);
    let product = w.node("MatMul", &[x, &columns], vec![]);
    match parameter(w, part, "bias") {
        Ok(bias) => Ok(w.node("Add", &[&product, &bias], vec![])),
        Err(_) => Ok(product),
    }
}

fn max_pool(w: &mut Writer, x: &str, input: Shape, options: &MaxPool2d) -> Result<String, String> {
    let MaxPool2d { kernel, stride, padding, dilation, ceil_mode, .. } = *options;
    let [_, _, h, width] = nchw(input)?;
    let padding = padding.resolve([h, width], kernel, stride, dilation);
    let mut attributes = window(kernel, stride, padding, dilation);
    attributes.push(int("ceil_mode", ceil_mode.into()));
    Ok(w.node("MaxPool", &[x], attributes))
}

fn avg_pool(w: &mut Writer, x: &str, input: Shape, options: &AvgPool2d) -> Result<String, String> {
    let AvgPool2d { kernel, stride, padding, ceil_mode, count_include_pad, divisor_override, .. } = *options;
    if options.dilation != [1, 1] {
        return Err("average pooling has no dilation before opset 19".into());
    }
    let [_, _, h, width] = nchw(input)?;
    let mut attributes = window(kernel, stride, padding.resolve([h, width], kernel, stride, [1, 1]), [1, 1]);
    attributes.retain(|attribute| attribute.name != "dilations");
    attributes.push(int("ceil_mode", ceil_mode.into()));
    let counted = count_include_pad || divisor_override.is_some();
    attributes.push(int("count_include_pad", counted.into()));
    let y = w.node("AveragePool", &[x], attributes);
    Ok(match divisor_override {
        None => y,
        Some(divisor) => {
            let factor = w.scalar("factor", (kernel[0] * kernel[1]) as f32 / divisor as f32);
            w.node("Mul", &[&y, &factor], vec![])
        }
    })
}

/// Pooling to a given height and width, where these divide the input's.
fn adaptive(w: &mut Writer, x: &str, input: Shape, output: [usize; 2], kind: &str) -> Result<String, String> {
    let [_, _, h, width] = nchw(input)?;
    if output == [1, 1] {
        return Ok(w.node(&format!("Global{kind}Pool"), &[x], vec![]));
    }
    let divides = |extent: usize, output: usize| output > 0 && extent.is_multiple_of(output);
    if !(divides(h, output[0]) && divides(width, output[1])) {
        return Err(format!("{h} x {width} pixels are not a multiple of {} x {}", output[0], output[1]));
    }
    let kernel = [h / output[0], width / output[1]];
    Ok(w.node(&format!("{kind}Pool"), &[x], vec![ints("kernel_shape", &kernel), ints("strides", &kernel)]))
}

/// The mean position of each map, under its softmax.
fn soft_argmax(w: &mut Writer, x: &str, [_, c, h, width]: [usize; 4]) -> String {
    let rows = shape::reshape(w, x, &[c, h * width]);
    let maps = w.node("Softmax", &[&rows], vec![int("axis", 2)]);
    let centre = |i: usize, extent: usize| ((i as f64 + 0.5) / extent as f64 - 0.5) as f32;
    let places: Vec<f32> =
        (0..h * width).flat_map(|i| [centre(i % width, width), centre(i / width, h)]).collect();
    let name = format!("{}.places", w.path);
    let places = w.floats(&name, &[h * width, 2], &places);
    let means = w.node("MatMul", &[&maps, &places], vec![]);
    shape::reshape(w, &means, &[2 * c])
}
