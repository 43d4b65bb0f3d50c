"""Outputs of single ONNX nodes by onnxruntime, for crates/cnn-onnx/tests/nodes.rs to compare with.

    pip install numpy onnx onnxruntime
    python xtask/peers/onnx_nodes.py

Each case is a model of one node, or of a few that belong together, with its options. The input is noise that the test makes too.
Writes crates/cnn-onnx/tests/fixtures/nodes.json: the model in hexadecimal digits, the inputs' shapes, the outputs.
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

OUT = Path(__file__).parents[2] / "crates/cnn-onnx/tests/fixtures/nodes.json"
CASES = []


def noise(shape, seed=0):
    """Noise in [-2, 2), by the upper bytes of multiples of a large odd number."""
    index = np.arange(np.prod(shape, dtype=int), dtype=np.uint64) + np.uint64(7919 * seed)
    bits = (index * 2654435761 % 2**32) >> 20
    return (bits.astype(np.float32) / 1024 - 2).reshape(shape)


def case(name, nodes, inputs, constants=None, opset=17, outputs=("y",), batch="N"):
    """Nodes as (operator, inputs, outputs, attributes); `inputs` are shapes of one image by name."""
    made = [helper.make_node(op, read, written, name=f"{op}_{i}", **attributes) for i, (op, read, written, attributes) in enumerate(nodes)]
    images = 2 if isinstance(batch, str) else batch
    tensors = {key: noise([images, *shape], i) for i, (key, shape) in enumerate(inputs.items())}
    constants = {key: np.asarray(value) for key, value in (constants or {}).items()}
    graph = helper.make_graph(
        made,
        "case",
        [helper.make_tensor_value_info(key, TensorProto.FLOAT, [batch, *shape]) for key, shape in inputs.items()],
        [helper.make_empty_tensor_value_info(key) for key in outputs],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    got = session.run(list(outputs), tensors)
    CASES.append({
        "name": name,
        "model": model.SerializeToString().hex(),
        "inputs": [list(tensor.shape) for tensor in tensors.values()],
        "outputs": [{"shape": list(y.shape), "values": [float(np.format_float_positional(v, unique=True)) for v in y.ravel()]} for y in got],
    })


def one(name, op, shape, constants=None, opset=17, batch="N", outputs=("y",), **attributes):
    """One node that reads `x` and constants."""
    constants = constants or {}
    case(name, [(op, ["x", *constants], list(outputs), attributes)], {"x": shape}, constants, opset, outputs, batch)


def f32(value):
    return np.asarray(value, np.float32)


def i64(value):
    return np.asarray(value, np.int64)


def convolutions():
    image, weight = [4, 7, 6], noise([6, 4, 3, 2], 3)
    bias = noise([6], 4)
    one("conv", "Conv", image, {"w": weight})
    one("conv_bias", "Conv", image, {"w": weight, "b": bias}, pads=[1, 0, 2, 1], strides=[2, 1])
    one("conv_dilation", "Conv", image, {"w": weight}, dilations=[2, 3], kernel_shape=[3, 2], opset=9)
    one("conv_groups", "Conv", image, {"w": noise([6, 2, 3, 3], 5)}, group=2, pads=[1, 1, 1, 1])
    one("conv_depthwise", "Conv", image, {"w": noise([4, 1, 3, 3], 5), "b": noise([4], 6)}, group=4, pads=[1, 1, 1, 1], strides=[2, 2])
    for pad in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        one(f"conv_{pad}", "Conv", image, {"w": weight}, auto_pad=pad, strides=[2, 2])
    transposed = noise([4, 3, 3, 2], 6)
    one("conv_transpose", "ConvTranspose", [4, 3, 4], {"w": transposed}, strides=[2, 3])
    one("conv_transpose_pads", "ConvTranspose", [4, 3, 4], {"w": transposed, "b": noise([3], 1)}, strides=[2, 2], pads=[1, 0, 1, 0], output_padding=[1, 0])
    one("conv_transpose_uneven", "ConvTranspose", [4, 3, 4], {"w": transposed}, strides=[2, 2], pads=[1, 0, 0, 1])
    one("conv_transpose_groups", "ConvTranspose", [4, 3, 4], {"w": transposed}, group=2, dilations=[2, 1])


def products():
    one("gemm", "Gemm", [5], {"w": noise([5, 3], 2), "b": noise([3], 3)})
    one("gemm_options", "Gemm", [5], {"w": noise([3, 5], 2), "b": noise([1, 3], 3)}, transB=1, alpha=0.5, beta=2.0)
    one("gemm_no_bias", "Gemm", [5], {"w": noise([3, 5], 2)}, transB=1)
    one("gemm_scalar_bias", "Gemm", [5], {"w": noise([3, 5], 2), "b": f32([0.5])}, transB=1, opset=11)
    one("matmul", "MatMul", [5], {"w": noise([5, 3], 2)})
    one("matmul_steps", "MatMul", [4, 5], {"w": noise([5, 3], 2)})
    one("matmul_images", "MatMul", [2, 4, 5], {"w": noise([5, 3], 2)})
    case("matmul_both", [("MatMul", ["a", "b"], ["y"], {})], {"a": [3, 4], "b": [4, 2]})


def norms():
    channels = {"s": noise([4], 1), "b": noise([4], 2), "m": noise([4], 3), "v": np.abs(noise([4], 4)) + f32(0.5)}
    one("batch_norm", "BatchNormalization", [4, 3, 2], channels)
    one("batch_norm_eps", "BatchNormalization", [4, 3, 2], channels, epsilon=0.1, momentum=0.8, opset=9)
    one("batch_norm_rows", "BatchNormalization", [4], channels)
    two = {"s": noise([4], 1), "b": noise([4], 2)}
    one("instance_norm", "InstanceNormalization", [4, 3, 5], two, epsilon=0.01)
    one("group_norm", "GroupNormalization", [4, 3, 5], two, opset=21, num_groups=2)
    one("layer_norm", "LayerNormalization", [3, 5], {"s": noise([5], 1), "b": noise([5], 2)}, epsilon=0.01)
    one("layer_norm_axes", "LayerNormalization", [3, 5], {"s": noise([3, 5], 1)}, axis=1)
    one("lrn", "LRN", [7, 2, 3], size=5, alpha=0.3, beta=0.6, bias=1.5)
    one("lrn_defaults", "LRN", [7, 2, 3], size=3)


def activations():
    shape = [3, 4]
    for op in ("Relu", "Sigmoid", "Tanh", "HardSwish", "Softplus", "LeakyRelu", "Elu", "Softmax", "LogSoftmax"):
        one(op.lower(), op, shape)
    one("gelu", "Gelu", shape, opset=20)
    one("gelu_tanh", "Gelu", shape, opset=20, approximate="tanh")
    one("leaky_relu_slope", "LeakyRelu", shape, alpha=0.3)
    one("elu_alpha", "Elu", shape, alpha=0.7)
    for op in ("Selu", "Celu", "Mish", "Softsign", "Erf", "Exp", "Abs", "Neg", "ThresholdedRelu"):
        one(op.lower(), op, shape, opset=18)
    for op in ("Log", "Sqrt", "Reciprocal"):
        case(op.lower(), [("Exp", ["x"], ["e"], {}), (op, ["e"], ["y"], {})], {"x": shape})
    one("pow", "Pow", shape, {"e": f32(2)})
    one("pow_cube", "Pow", shape, {"e": f32([3])})
    one("celu_alpha", "Celu", shape, alpha=0.6)
    one("thresholded_relu_alpha", "ThresholdedRelu", shape, alpha=0.5)
    one("hard_sigmoid", "HardSigmoid", shape)
    one("clip", "Clip", shape, {"min": f32(-0.5), "max": f32(0.7)})
    one("clip_max", "Clip", shape, opset=9, max=0.25)
    one("hard_sigmoid_torch", "HardSigmoid", shape, alpha=1 / 6, beta=0.5)
    one("clip_6", "Clip", shape, {"min": f32(0), "max": f32(6)})
    one("clip_6_attributes", "Clip", shape, opset=9, min=0.0, max=6.0)
    one("clip_0", "Clip", shape, {"min": f32(0)})
    one("prelu", "PRelu", [3, 4, 2], {"slope": noise([3, 1, 1], 3)})
    one("prelu_scalar", "PRelu", [3, 4, 2], {"slope": f32([0.2])})
    for axis in (1, 2, -1):
        one(f"softmax_axis_{axis}", "Softmax", [3, 4, 2], axis=axis)
        one(f"softmax_11_axis_{axis}", "Softmax", [3, 4, 2], axis=axis, opset=11)
    one("log_softmax_axis_2", "LogSoftmax", [3, 4, 2], axis=2)


def pools():
    image = [2, 7, 6]
    one("max_pool", "MaxPool", image, kernel_shape=[3, 2])
    one("max_pool_pads", "MaxPool", image, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1)
    one("max_pool_uneven", "MaxPool", image, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1])
    one("max_pool_dilation", "MaxPool", image, kernel_shape=[2, 2], dilations=[2, 3])
    one("max_pool_same", "MaxPool", image, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")
    one("max_pool_same_lower", "MaxPool", image, kernel_shape=[2, 2], auto_pad="SAME_LOWER")
    one("avg_pool", "AveragePool", image, kernel_shape=[3, 2], strides=[2, 1])
    one("avg_pool_pads", "AveragePool", image, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    one("avg_pool_counted", "AveragePool", image, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1, strides=[2, 2])
    one("avg_pool_not_counted", "AveragePool", image, kernel_shape=[3, 2], pads=[0, 1, 2, 0], strides=[2, 1])
    one("avg_pool_same", "AveragePool", image, kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_LOWER")
    one("avg_pool_dilation", "AveragePool", image, kernel_shape=[2, 2], dilations=[2, 3], opset=19)
    one("max_pool_far", "MaxPool", image, kernel_shape=[2, 2], pads=[1, 0, 1, 1])
    one("avg_pool_uneven", "AveragePool", image, kernel_shape=[3, 3], pads=[0, 1, 2, 1], count_include_pad=1)
    one("global_average", "GlobalAveragePool", image)
    one("global_max", "GlobalMaxPool", image)
    one("reduce_mean", "ReduceMean", image, axes=[2, 3])
    one("reduce_mean_squeezed", "ReduceMean", image, axes=[-1, -2], keepdims=0)
    for op in ("Mean", "Sum", "Max", "Min", "L1", "L2"):
        one(f"reduce_{op.lower()}_axes", f"Reduce{op}", image, {"axes": i64([-1, 1])}, opset=18, keepdims=0)
    one("reduce_sum_attribute", "ReduceSum", image, opset=11, axes=[2])
    one("reduce_mean_last", "ReduceMean", image, axes=[-1])
    one("global_lp", "GlobalLpPool", image)
    one("global_lp_1", "GlobalLpPool", image, p=1)
    one("reduce_mean_18", "ReduceMean", image, {"axes": i64([2, 3])}, opset=18)


def elementwise():
    for op in ("Add", "Sub", "Mul", "Div"):
        case(op.lower(), [(op, ["a", "b"], ["y"], {})], {"a": [3, 2, 4], "b": [3, 2, 4]})
        case(f"{op.lower()}_broadcast", [(op, ["a", "b"], ["y"], {})], {"a": [3, 2, 4], "b": [3, 1, 1]})
        one(f"{op.lower()}_constant", op, [3, 2, 4], {"c": noise([3, 1, 1], 5) + f32(3)})
        one(f"{op.lower()}_constant_batch", op, [3, 2, 4], {"c": noise([1, 1, 2, 4], 5) + f32(3)})
        one(f"{op.lower()}_scalar", op, [3], {"c": f32(0.75)})
        case(f"{op.lower()}_constant_first", [(op, ["c", "x"], ["y"], {})], {"x": [3, 4]}, {"c": noise([4], 6)})
    for op in ("Max", "Min"):
        case(op.lower(), [(op, ["a", "b", "c"], ["y"], {})], {"a": [3, 2], "b": [3, 2], "c": [3, 2]})
        one(f"{op.lower()}_constant", op, [3, 2], {"c": f32(0.5)})
    case("mean", [("Mean", ["a", "b", "c"], ["y"], {})], {"a": [3], "b": [3], "c": [3]})
    case("sum", [("Sum", ["a", "b", "c"], ["y"], {})], {"a": [3], "b": [3], "c": [3]})


def shapes():
    case("concat", [("Concat", ["a", "b"], ["y"], {"axis": 1})], {"a": [3, 2], "b": [1, 2]})
    case("concat_last", [("Concat", ["a", "b"], ["y"], {"axis": -1})], {"a": [3, 2], "b": [3, 4]})
    one("split", "Split", [6, 2], axis=1, outputs=("y", "z"))
    one("split_sizes", "Split", [6, 2], {"split": i64([1, 5])}, axis=1, outputs=("y", "z"))
    one("split_attribute", "Split", [6, 2], opset=11, axis=1, split=[4, 2], outputs=("y", "z"))
    one("split_18", "Split", [7, 2], opset=18, axis=1, num_outputs=3, outputs=("y", "z", "w"))
    ends = 2**63 - 1
    one("slice", "Slice", [7, 5], {"starts": i64([1, -4]), "ends": i64([6, ends]), "axes": i64([1, 2]), "steps": i64([2, 1])})
    one("slice_attributes", "Slice", [7, 5], opset=9, starts=[0, 1], ends=[ends, 3], axes=[0, 2])
    one("gather", "Gather", [4, 3], {"i": i64(2)}, axis=1)
    one("gather_run", "Gather", [4, 3], {"i": i64([-3, -2])}, axis=1)
    one("pad", "Pad", [2, 3, 4], {"pads": i64([0, 0, 1, 2, 0, 0, 0, 1])})
    one("pad_value", "Pad", [2, 3, 4], {"pads": i64([0, 1, 1, 0, 0, 2, 0, 0]), "v": f32(0.5)})
    one("pad_reflect", "Pad", [2, 3, 4], {"pads": i64([0, 0, 1, 2, 0, 0, 2, 1])}, mode="reflect")
    one("pad_edge", "Pad", [2, 3, 4], {"pads": i64([0, 0, 1, 2, 0, 0, 0, 1])}, mode="edge")
    one("pad_attribute", "Pad", [2, 3, 4], opset=10, pads=[0, 0, 1, 0, 0, 0, 0, 1], value=2.0)
    one("pad_axes", "Pad", [2, 3, 4], {"pads": i64([1, 2]), "v": f32(0), "axes": i64([-1])}, opset=18)
    one("reshape", "Reshape", [4, 3], {"s": i64([-1, 12])})
    one("reshape_copy", "Reshape", [4, 3], {"s": i64([0, 2, -1])})
    one("reshape_fixed", "Reshape", [4, 3], {"s": i64([3, 2, 6])}, batch=3)
    one("flatten", "Flatten", [4, 3, 2])
    one("flatten_axis", "Flatten", [4, 3, 2], axis=-3)
    one("squeeze", "Squeeze", [4, 1, 1], {"axes": i64([2, -1])})
    one("squeeze_attribute", "Squeeze", [4, 1, 1], opset=11, axes=[3])
    one("unsqueeze", "Unsqueeze", [4], {"axes": i64([2, 3])})
    one("unsqueeze_attribute", "Unsqueeze", [4, 2], opset=11, axes=[1])
    one("transpose", "Transpose", [4, 3, 2], perm=[0, 3, 1, 2])
    one("identity", "Identity", [4])
    one("dropout", "Dropout", [4])
    one("cast", "Cast", [4], to=TensorProto.FLOAT)
    one("depth_to_space", "DepthToSpace", [8, 2, 3], blocksize=2)
    one("depth_to_space_crd", "DepthToSpace", [8, 2, 3], blocksize=2, mode="CRD")
    one("space_to_depth", "SpaceToDepth", [2, 4, 6], blocksize=2)
    # The arithmetic that exporters write for x.view(x.size(0), 2, -1).
    case(
        "shape_arithmetic",
        [
            ("Shape", ["x"], ["shape"], {}),
            ("Gather", ["shape", "zero"], ["n"], {"axis": 0}),
            ("Unsqueeze", ["n", "axes"], ["n1"], {}),
            ("Concat", ["n1", "two", "open"], ["target"], {"axis": 0}),
            ("Reshape", ["x", "target"], ["y"], {}),
        ],
        {"x": [4, 3]},
        {"zero": i64(0), "axes": i64([0]), "two": i64([2]), "open": i64([-1])},
    )
    # And for an upsampling to twice the size.
    case(
        "size_arithmetic",
        [
            ("Shape", ["x"], ["shape"], {}),
            ("Slice", ["shape", "from", "to"], ["hw"], {}),
            ("Mul", ["hw", "two"], ["hw2"], {}),
            ("Slice", ["shape", "begin", "from"], ["nc"], {}),
            ("Concat", ["nc", "hw2"], ["sizes"], {"axis": 0}),
            ("Resize", ["x", "", "", "sizes"], ["y"], {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}),
        ],
        {"x": [2, 3, 4]},
        {"from": i64([2]), "to": i64([4]), "begin": i64([0]), "two": i64([2])},
    )


def resizes():
    image, scales = [2, 3, 4], f32([1, 1, 2, 2])
    nearest = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    resize = lambda name, scales, **attributes: case(name, [("Resize", ["x", "", "s"], ["y"], attributes)], {"x": image}, {"s": f32(scales)})
    resize("resize_nearest", scales, **nearest)
    resize("resize_nearest_half", scales, mode="nearest")
    resize("resize_linear", [1, 1, 2, 3], mode="linear", coordinate_transformation_mode="half_pixel")
    resize("resize_linear_torch", [1, 1, 1.5, 2], mode="linear", coordinate_transformation_mode="pytorch_half_pixel")
    resize("resize_align_corners", [1, 1, 2, 2], mode="linear", coordinate_transformation_mode="align_corners")
    for mode in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"):
        for rounding in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"):
            resize(f"resize_{mode}_{rounding}", [1, 1, 1.5, 2.25], mode="nearest", coordinate_transformation_mode=mode, nearest_mode=rounding)
        resize(f"resize_linear_{mode}", [1, 1, 1.75, 0.5], mode="linear", coordinate_transformation_mode=mode)
        resize(f"resize_cubic_{mode}", [1, 1, 1.5, 2], mode="cubic", coordinate_transformation_mode=mode)
    case("resize_sizes", [("Resize", ["x", "", "", "s"], ["y"], {"mode": "linear", "axes": [2, 3]})], {"x": image}, {"s": i64([5, 6])}, opset=18)
    one("upsample", "Upsample", image, {"s": scales}, opset=9, mode="nearest")
    case("resize_10", [("Resize", ["x", "s"], ["y"], {"mode": "nearest"})], {"x": image}, {"s": scales}, opset=10)


for family in (convolutions, products, norms, activations, pools, elementwise, shapes, resizes):
    family()
OUT.parent.mkdir(parents=True, exist_ok=True)
OUT.write_text("[\n" + ",\n".join(json.dumps(case) for case in CASES) + "\n]\n")
print(f"{len(CASES)} cases, {OUT.stat().st_size} bytes")
