"""``python -m benchmarks.accuracy``: quantization of networks that nobody tuned it for: docs/results/accuracy.md.

Two tables. Re-parameterizations of shipped networks (tests/support/quant/reparameterized.py), which leave the float
function as it is. Networks with heavy tails (tests/support/quant/heavy.py), against int8 emulated in floats.
``--json`` keeps the figures, ``--before`` reads those of another version of the tools for the columns beside them.
"""

from __future__ import annotations

import argparse
import json
import platform
import warnings
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.support.quant.heavy import Heavy, images, network
from tests.support.quant.reparameterized import changed, changes_of
from vitreous.golden.interpreter import run_batch
from vitreous.models import catalog, fashion, synthetic
from vitreous.models.checkpoint import load_checkpoint
from vitreous.models.vit import VisionTransformer
from vitreous.quant import quantize
from vitreous.spec.config import ActivationConfig
from vitreous.spec.graph import Graph
from vitreous.spec.images import quantize_images, real_values

MARK = "<!-- results -->"
CALIBRATION = {17: 32, 65: 32, 257: 32, 1370: 8}
"""Calibration images of a heavy-tailed network by its tokens; the small ones have few tokens to learn a range from."""
TEST_IMAGES = 8
OTHERS = {17: 64, 65: 64, 257: 40, 1370: 8}
"""More images that nobody has seen: one image whose sure heads look elsewhere decides the figure of eight."""
SEEDS = {17: 4, 65: 4, 257: 4, 1370: 3}
Results = dict[str, dict[str, Any]]


def shipped(name: str, folder: Path | None) -> tuple[VisionTransformer, Tensor, Tensor, Tensor | None, str]:
    """A shipped network, calibration images, test images, their labels, its activation function."""
    if name == "fashion-vit":
        model = VisionTransformer(fashion.CONFIG)
        load_checkpoint(model, fashion.WEIGHTS)
        calibration, _ = fashion.read_shipped(fashion.CALIBRATION)
        test, labels = fashion.read_split(folder, "t10k") if folder else fashion.read_shipped(fashion.TEST)
        return model.eval(), fashion.normalize(calibration), fashion.normalize(test), labels, "gelu"
    model = VisionTransformer(catalog.RMS_SILU)
    synthetic.randomize(model, 13)
    mean, std = catalog.IMAGENET_MEAN, catalog.IMAGENET_STD
    parts = [
        synthetic.normalize(synthetic.images(n, model.input_shape, s), mean, std)
        for n, s in ((16, 11), (500, 12))
    ]
    return model.eval(), parts[0], parts[1], None, "silu"


def judge(
    model: VisionTransformer, calibration: Tensor, test: Tensor, labels: Tensor | None, function: str = "gelu"
) -> dict[str, Any]:
    """Quantize with defaults and compare golden with float on the test images."""
    return compared(quantized(model, calibration, function), model, test, labels)


def quantized(model: VisionTransformer, calibration: Tensor, function: str = "gelu") -> Graph:
    """The integer graph with defaults."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return quantize(model, calibration, name="net", activation=ActivationConfig(function=function))


def compared(graph: Graph, model: VisionTransformer, test: Tensor, labels: Tensor | None) -> dict[str, Any]:
    """Golden against float on the test images."""
    with torch.no_grad():
        exact = torch.cat([model(part) for part in test.split(100)]).double().numpy()
    batch = 64 if model.config.tokens < 200 else 2
    found = real_values(graph.output, run_batch(graph, quantize_images(graph, test.numpy()), batch=batch))
    found = found.reshape(exact.shape)
    classes = found.argmax(1)
    return {
        "error": float(np.linalg.norm(found - exact) / np.linalg.norm(exact)),
        "agree": float((classes == exact.argmax(1)).mean()),
        "correct": None if labels is None else float((classes == labels.numpy()).mean()),
        "correct_float": None if labels is None else float((exact.argmax(1) == labels.numpy()).mean()),
        "images": len(test),
    }


def reparameterized(name: str, folder: Path | None, limit: int | None, kept: Results) -> None:
    """Fill ``kept`` with a row for the network as it is, with each change, and with all of them."""
    model, calibration, test, labels, function = shipped(name, folder)
    test, labels = test[:limit], None if labels is None else labels[:limit]
    names = list(changes_of(model))
    rows: dict[str, list[str]] = {"as it is": [], **{each: [each] for each in names}, "all of them": names}
    cases = [(row, changes, len(calibration)) for row, changes in rows.items()]
    cases += [(f"all of them, {n} calibration images", names, n) for n in (8, 64) if n < len(calibration)]
    for row, changes, count in cases:
        key = f"{name}: {row}"
        if key not in kept:
            kept[key] = judge(changed(model, changes), calibration[:count], test, labels, function)
            print(key, kept[key], flush=True)


def heavy(tokens: int, seed: int, kept: Results, *, emulate: bool) -> None:
    """Fill ``kept`` with one network with heavy tails."""
    key = f"heavy: {tokens} tokens, seed {seed}"
    if key in kept:
        return
    what = Heavy(seed=seed, tokens=tokens)
    model, calibration = network(what), images(what, CALIBRATION[tokens])
    test = images(what, TEST_IMAGES, stream=1)
    graph = quantized(model, calibration)
    kept[key] = compared(graph, model, test, None)
    kept[key]["others"] = compared(graph, model, images(what, OTHERS[tokens], stream=5), None)["error"]
    if emulate:
        from tests.support.quant.emulated import emulated_error

        kept[key]["emulated"] = emulated_error(model, calibration, test)
    print(key, kept[key], flush=True)


def page(kept: Results, before: Results) -> str:
    """Both tables in Markdown."""
    lines = [
        f"{date.today()}, {platform.machine()}, torch {torch.__version__}, one thread, `make accuracy`.",
        "",
        "| network and change | images | top-1, float | before | now | same class as float, before | now |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for key, row in kept.items():
        if not key.startswith("heavy"):
            old = before.get(key, {})
            cells = [key, f"{row['images']:,}", _share(row["correct_float"]), _share(old.get("correct"))]
            cells += [_share(row["correct"]), _share(old.get("agree")), _share(row["agree"])]
            lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "| network with heavy tails | output_error before | now | on 8 to 64 more images | int8 emulated |",
        "| --- | --- | --- | --- | --- |",
    ]
    for key, row in kept.items():
        if key.startswith("heavy"):
            cells = [
                key.removeprefix("heavy: "),
                _error(before.get(key, {}).get("error")),
                _error(row["error"]),
                _error(row.get("others")),
                _error(row.get("emulated")),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _error(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def main() -> None:
    """Measure what is not kept yet; replace what is between the two marks of the page."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--page", type=Path, help="replace what is between its marks")
    parser.add_argument(
        "--json", type=Path, required=True, help="figures, which are kept: a row is measured once"
    )
    parser.add_argument("--before", type=Path, help="figures of another version")
    parser.add_argument(
        "--fashion", type=Path, help="folder of the 10,000 test images of Fashion-MNIST, gzip IDX"
    )
    parser.add_argument("--images", type=int, help="at most so many test images of each network")
    parser.add_argument(
        "--tokens", type=int, nargs="*", default=list(SEEDS), help="of the heavy-tailed networks"
    )
    parser.add_argument("--no-emulation", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    kept: Results = json.loads(options.json.read_text()) if options.json.is_file() else {}
    try:
        for tokens in options.tokens:
            for seed in range(SEEDS[tokens]):
                heavy(tokens, seed, kept, emulate=not options.no_emulation)
        for name in ("fashion-vit", "rms-silu-vit"):
            reparameterized(name, options.fashion, options.images, kept)
    finally:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(kept, indent=1) + "\n")
    if options.page:
        before = json.loads(options.before.read_text()) if options.before else {}
        head, _, rest = options.page.read_text().partition(MARK)
        options.page.write_text(f"{head}{MARK}\n{page(kept, before)}\n{MARK}{rest.partition(MARK)[2]}")


if __name__ == "__main__":
    main()
