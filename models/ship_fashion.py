"""Put a trained ``fashion-vit`` into the tree: weights, measured accuracy, calibration and test images.

    python -m vitreous.models.ship_fashion --weights build/fashion/fashion-vit.safetensors

Writes ``weights/fashion-vit.safetensors``, ``weights/fashion-vit.json`` and the two files of ``data/``. Every
figure in the JSON is measured here, from the weights that were just written.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shlex
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vitreous.models import fashion
from vitreous.models.checkpoint import load_checkpoint
from vitreous.models.macs import macs
from vitreous.models.vit import VisionTransformer

CALIBRATION_IMAGES = 256
TEST_IMAGES = 512


def write_data(data: Path) -> None:
    """The first images of the training split for calibration, the first of the test split for testing."""
    for split, count, path in (
        ("train", CALIBRATION_IMAGES, fashion.CALIBRATION),
        ("t10k", TEST_IMAGES, fashion.TEST),
    ):
        images, labels = fashion.read_split(data, split)
        path.parent.mkdir(exist_ok=True)
        np.savez_compressed(
            path, images=images[:count].numpy(), labels=labels[:count].numpy().astype(np.uint8)
        )


def measure(data: Path, command: str, training: list[dict[str, float]]) -> dict[str, object]:
    """Accuracy of the shipped weights on the whole test split and on the shipped part of it."""
    model = VisionTransformer(fashion.CONFIG)
    load_checkpoint(model, fashion.WEIGHTS)
    whole, shipped = fashion.read_split(data, "t10k"), fashion.read_shipped(fashion.TEST)
    return {
        "model": "fashion-vit",
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "macs_per_image": macs(fashion.CONFIG),
        "float_accuracy": {
            "all_test_images": _score(model.eval(), *whole),
            "shipped_test_images": _score(model.eval(), *shipped),
        },
        "measured": datetime.date.today().isoformat(),
        "command": command,
        "torch": torch.__version__,
        "training": training,
    }


def _score(model: VisionTransformer, images: Tensor, labels: Tensor) -> dict[str, float]:
    hits = fashion.correct(model, images, labels)
    return {"images": len(labels), "correct": hits, "accuracy": hits / len(labels)}


def main(argv: list[str] | None = None) -> None:
    """Ship the weights given on the command line."""
    parser = argparse.ArgumentParser(description="Put a trained fashion-vit into the tree and measure it.")
    parser.add_argument(
        "--weights", type=Path, required=True, help="what train_fashion left in its --out folder"
    )
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    fashion.WEIGHTS.parent.mkdir(exist_ok=True)
    save_file(load_file(args.weights), fashion.WEIGHTS)
    fashion.WEIGHTS.chmod(0o644)  # safetensors leaves it readable by its owner only
    write_data(args.data)
    log = args.weights.parent / "log.jsonl"
    training = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    command = shlex.join(["python", "-m", "vitreous.models.ship_fashion", *(argv or sys.argv[1:])])
    record = measure(args.data, command, training)
    fashion.WEIGHTS.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record["float_accuracy"], indent=2))


if __name__ == "__main__":
    main()
