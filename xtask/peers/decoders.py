"""Compares our decoded images with Pillow's, pixel by pixel.

    .venv/bin/pip install pillow numpy
    cargo build --release -p cnn-data --example decode_pixels
    .venv/bin/python xtask/peers/decoders.py [--bound 3] [--all] target/release/examples/decode_pixels FOLDER_OR_FILE ...

Every file under the folders is tried; tar archives are unpacked into a temporary folder first. Pillow's image is made what ours
claims to be: upright by its EXIF note, 16 bits rounded to 8, transparent parts on white, CMYK as RGB by Pillow's own formula.

Prints a line for each image whose largest difference is above the bound, or that one side alone refuses, and a table: images,
the largest and the mean difference of those that both decode. Ends with status 1 if a line was printed.
"""

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import warnings

import numpy as np
from PIL import Image, ImageFile, ImageOps, features
import PIL

FORMATS = ["JPEG", "PNG", "WEBP", "BMP", "PPM"]


def files(paths, scratch):
    """All files below the paths, those of tar archives among them, as pairs of the name to show and the path to read."""
    for path in paths:
        if os.path.isdir(path):
            for folder, _, names in sorted(os.walk(path)):
                for name in sorted(names):
                    yield os.path.relpath(os.path.join(folder, name), path), os.path.join(folder, name)
        elif path.endswith(".tar"):
            folder = tempfile.mkdtemp(dir=scratch)
            with tarfile.open(path) as archive:
                archive.extractall(folder, filter="data")
            yield from files([folder], scratch)
        else:
            yield os.path.basename(path), path


def on_white(rgba):
    """Transparent parts on white, rounded to the nearest; the last channel is opacity."""
    values, alpha = rgba[..., :-1].astype(np.uint32), rgba[..., -1:].astype(np.uint32)
    return ((values * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def theirs(path):
    """Pillow's pixels, height x width x 3."""
    with Image.open(path, formats=FORMATS) as image:
        kind = image.format
        image.load()
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):
            wide = np.asarray(image).astype(np.float64)
            gray = np.floor(wide / 257 + 0.5).astype(np.uint8)
            return kind, np.repeat(gray[..., None], 3, axis=2)
        if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
            return kind, on_white(np.asarray(image.convert("RGBA")))
        return kind, np.asarray(image.convert("RGB"))


class Ours:
    """The example `decode_pixels`, asked for one image at a time."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def decode(self, path):
        self.process.stdin.write(path.encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline().decode()
        if line.startswith("error ") or not line:
            raise ValueError(line[6:].strip() or "the program ended")
        c, h, w = map(int, line.split())
        pixels = np.frombuffer(self.process.stdout.read(c * h * w), np.uint8).reshape(h, w, c)
        return np.repeat(pixels, 3, axis=2) if c == 1 else pixels


def attempt(decode, path):
    try:
        return decode(path), None
    except Exception as fault:  # Pillow raises many kinds for damaged files.
        return None, " ".join(str(fault).split()) or type(fault).__name__


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--bound", type=int, default=3, help="levels by which a pixel may differ without a line")
    parser.add_argument("--all", action="store_true", help="a line for every image that differs at all")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    ours, rows, lines = Ours(options.program), {}, 0
    with tempfile.TemporaryDirectory() as scratch:
        for name, path in files(options.paths, scratch):
            mine, my_fault = attempt(ours.decode, path)
            pair, their_fault = attempt(theirs, path)
            kind, other = pair or ("refused", None)
            row = rows.setdefault(kind, {"images": 0, "both": 0, "equal": 0, "above": 0, "ours": 0, "theirs": 0, "max": 0, "sum": 0.0})
            row["images"] += 1
            line = None
            if mine is None and other is None:
                continue
            if mine is None:
                row["ours"] += 1
                line = f"we refuse: {my_fault}"
            elif other is None:
                row["theirs"] += 1
                line = f"Pillow refuses: {their_fault}"
            elif mine.shape != other.shape:
                row["above"] += 1
                line = f"ours is {mine.shape}, Pillow's {other.shape}"
            else:
                difference = np.abs(mine.astype(np.int16) - other)
                most, mean = int(difference.max()), float(difference.mean())
                row["both"] += 1
                row["equal"] += most == 0
                row["max"] = max(row["max"], most)
                row["sum"] += mean
                if most > options.bound or options.all and most > 0:
                    row["above"] += most > options.bound
                    line = f"max {most}, mean {mean:.3f}, of {mine.shape[1]}x{mine.shape[0]}"
            if line:
                lines += 1
                print(f"{name}: {line}")
    print(f"\nPillow {PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}, libwebp {features.version('webp')}\n")
    print(f"| | images | both decode | equal | above {options.bound} | max | mean | only we refuse | only Pillow refuses |")
    print("|---|---|---|---|---|---|---|---|---|")
    for kind, row in sorted(rows.items()):
        mean = row["sum"] / max(row["both"], 1)
        print(f"| {kind} | {row['images']} | {row['both']} | {row['equal']} | {row['above']} | {row['max']} | {mean:.4f} | {row['ours']} | {row['theirs']} |")
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
