"""Writes what Pillow and torchvision make of a small image, for `crates/cnn-data/src/transform/peers.rs` to compare with.

Both sides make the image themselves: bytes of a linear congruential generator, so that neighbours have nothing in common
and every wrong weight shows. A case is the name of an operation, its numbers, and the bytes that come out, as hexadecimal
digits of planes [c, h, w].

Where torchvision has two ways, it is Pillow's, but for what Pillow does not do: affine maps about the middle of the image
(on tensors, without `fill`, whose way of blending borders differs) and hue (on tensors: Pillow rounds it to 256 steps).
"""

import json
import platform
import sys

import numpy
import PIL
import torch
import torchvision
from PIL import Image
from torchvision.transforms import RandAugment, functional
from torchvision.transforms.functional import InterpolationMode

HEIGHT, WIDTH = 17, 20


def noise(shape):
    state, values = 1, []
    for _ in range(numpy.prod(shape)):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        values.append(state >> 56)
    return numpy.array(values, dtype=numpy.uint8).reshape(shape)


PLANES = noise([3, HEIGHT, WIDTH])
PICTURE = Image.fromarray(PLANES.transpose(1, 2, 0))
#: Shades from 60 to 187, for what depends on the range.
DULL_PLANES = (PLANES // 2 + 60).astype(numpy.uint8)
DULL = Image.fromarray(DULL_PLANES.transpose(1, 2, 0))
CASES = []


def case(name, numbers, result):
    if isinstance(result, Image.Image):
        result = numpy.asarray(result)
        result = result[None] if result.ndim == 2 else result.transpose(2, 0, 1)
    result = numpy.asarray(result)
    assert result.dtype == numpy.uint8
    CASES.append({"name": name, "numbers": numbers, "shape": list(result.shape), "bytes": result.tobytes().hex()})


def resizing():
    filters = {
        "nearest": Image.Resampling.NEAREST,
        "bilinear": Image.Resampling.BILINEAR,
        "bicubic": Image.Resampling.BICUBIC,
        "area": Image.Resampling.BOX,
    }
    for name, resample in filters.items():
        for h, w in [(9, 8), (23, 5), (17, 7), (19, 29)]:
            case(f"resize_{name}", [0, 0, HEIGHT, WIDTH, h, w], PICTURE.resize((w, h), resample))
        # A part, cut out before it is resized: what is beside it has no influence.
        part = PICTURE.crop((4, 3, 4 + 13, 3 + 11))
        case(f"resize_{name}", [3, 4, 11, 13, 7, 9], part.resize((9, 7), resample))


def places():
    tensor = torch.from_numpy(PLANES)
    ways = {"nearest": InterpolationMode.NEAREST, "bilinear": InterpolationMode.BILINEAR}
    for name, way in ways.items():
        for numbers in [[10, 0, 0, 1, 0, 0], [-33, 2, -1, 0.8, 0, 0], [190, 1, 1, 1, -20, 8]]:
            angle, x, y, scale, shear_x, shear_y = numbers
            moved = functional.affine(tensor, angle, [x, y], scale, [shear_x, shear_y], interpolation=way, fill=None)
            case(f"affine_{name}", numbers, moved)
        case(f"rotate_{name}", [25], functional.rotate(tensor, 25.0, interpolation=way, fill=None))
    for padding, mode in [([2, 1, 3, 4], "constant"), ([2, 1, 3, 4], "edge"), ([19, 16, 3, 0], "reflect")]:
        case(f"pad_{mode}", padding, functional.pad(PICTURE, padding, fill=7, padding_mode=mode))


def shades():
    for factor in [0.3, 1.7]:
        case("brightness", [factor], functional.adjust_brightness(PICTURE, factor))
        case("contrast", [factor], functional.adjust_contrast(PICTURE, factor))
        case("saturation", [factor], functional.adjust_saturation(PICTURE, factor))
        case("sharpness", [factor], functional.adjust_sharpness(PICTURE, factor))
    for turns in [-0.5, 0.37]:
        case("hue", [turns], functional.adjust_hue(torch.from_numpy(PLANES), turns))
    case("grayscale", [], functional.to_grayscale(PICTURE))
    case("posterize", [3], functional.posterize(PICTURE, 3))
    case("solarize", [100], functional.solarize(PICTURE, 100))
    case("invert", [], functional.invert(PICTURE))
    case("auto_contrast", [], functional.autocontrast(DULL))
    case("equalize", [], functional.equalize(DULL))


def strengths():
    """RandAugment's strengths: no images."""
    result = {}
    for bins, magnitude in [(31, 9), (31, 30), (11, 3)]:
        space = RandAugment(num_magnitude_bins=bins)._augmentation_space(bins, (HEIGHT, WIDTH))
        strength = {name: float(m[magnitude]) if m.ndim else 0.0 for name, (m, _) in space.items()}
        signed = [name for name, (_, signed) in space.items() if signed]
        result[f"{magnitude} of {bins}"] = {"strength": strength, "signed": signed}
    return result


if __name__ == "__main__":
    resizing()
    places()
    shades()
    made_by = (
        f"xtask/peers/transforms.py, Python {platform.python_version()}, Pillow {PIL.__version__}, "
        f"torchvision {torchvision.__version__}"
    )
    with open(sys.argv[1], "w") as file:
        json.dump({"made_by": made_by, "rand_augment": strengths(), "cases": CASES}, file, indent=0)
        file.write("\n")
    print(f"{sys.argv[1]}: {len(CASES)} cases, {made_by}")
