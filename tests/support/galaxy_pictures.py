"""Draw smooth galaxies with companions, spoil copies of the pictures, and write folders of images with their tables."""

import csv
import io
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image


@lru_cache(maxsize=128)
def elliptical(seed: int, side: int = 200, companions: int = 4) -> Image.Image:
    """A smooth galaxy; its size (within 15 %), noise and companions depend on the seed. Do not change it."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    light = 190 * np.exp(-np.hypot(x, 1.3 * y) / (random.uniform(0.075, 0.1) * side))
    for _ in range(companions):
        radius, angle = side * random.uniform(0.15, 0.45), random.uniform(0, 2 * np.pi)
        distance = np.hypot(x - radius * np.cos(angle), y - radius * np.sin(angle))
        light += random.uniform(30, 150) * np.exp(-((distance / (0.015 * side)) ** 2))
    pixels = light[..., None] * [1.0, 0.8, 0.6] + random.normal(25, 6, (side, side, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def crop(image: Image.Image, share: float) -> Image.Image:
    """Cut out the middle of a picture, a share of its width."""
    side = round(share * image.width)
    left = (image.width - side) // 2
    return image.crop((left, left, left + side, left + side))


def write_images(name: str, images: dict[int, Image.Image], **columns: dict[int, object]) -> None:
    """Write the folder `name` of PNG images, and the table `name`.csv with these columns by object_id."""
    folder = Path(name)
    folder.mkdir()
    with open(f"{name}.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["object_id", "file", *columns])
        for object_id, image in images.items():
            image.save(folder / f"{object_id}.png")
            writer.writerow(
                [object_id, f"{object_id}.png", *(values.get(object_id, "") for values in columns.values())]
            )


def write_test_set(*ids: int) -> None:
    """Write the table hp.csv of a test set."""
    lines = ["object_id,label", *(f"{object_id},elliptical" for object_id in ids)]
    Path("hp.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
