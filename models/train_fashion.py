"""Train ``fashion-vit`` on Fashion-MNIST, one CPU thread, two minutes an epoch; resumable after every epoch.

    python -m vitreous.models.train_fashion --out build/fashion --stop-after 16

Recipe: AdamW with cosine decay after one epoch of warm-up, random flips and shifts of one pixel, light label
smoothing, and an exponential moving average of the weights, which is what is saved. The shipped weights are those
after 16 of the schedule's 22 epochs: the run was ended there, above its goal, to free the machine.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safer
import torch
import torch.nn.functional as F
from rich.progress import track
from safetensors.torch import load_file, save, save_file
from torch import Tensor, nn

from vitreous.models import fashion
from vitreous.models.vit import VisionTransformer

SHIFT = 1  # pixels, in each direction
EMA_DECAY = 0.999
LABEL_SMOOTHING = 0.05
WEIGHT_DECAY = 0.05


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Flip half of the images ``uint8 [n, 28, 28]`` and shift each by up to ``SHIFT`` pixels, black outside."""
    count, height, width = images.shape
    padded = F.pad(images, (SHIFT,) * 4)
    top, left = torch.randint(0, 2 * SHIFT + 1, (2, count, 1), generator=generator)
    flip = torch.randint(0, 2, (count, 1), generator=generator, dtype=torch.bool)
    columns = torch.arange(width).expand(count, -1)
    columns = torch.where(flip, width - 1 - columns, columns) + left
    rows = torch.arange(height) + top
    return padded[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def initialize(model: VisionTransformer) -> None:
    """Widen the start: the usual deviation of 0.02 is made for hundreds of channels, here there are 64."""
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=module.in_features**-0.5)
    nn.init.trunc_normal_(model.pos_embed, std=0.1)


def learning_rate(step: int, steps: int, warmup: int, peak: float) -> float:
    """Linear warm-up to ``peak``, then half a cosine down to zero at ``steps``."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


class Trainer:
    """The state of one run: model, its moving average, optimizer and position; saved and resumed as a whole.

    The optimizer's moments are tensors and go into ``state.safetensors`` beside the weights: no pickle.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        torch.manual_seed(args.seed)
        self.args = args
        self.images, self.labels = fashion.read_split(args.data, "train")
        self.test = fashion.read_split(args.data, "t10k")
        self.model = VisionTransformer(fashion.CONFIG)
        initialize(self.model)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.step_model: Callable[[Tensor], Tensor] = (
            torch.compile(self.model) if args.compile else self.model
        )
        decayed = [p for p in self.model.parameters() if p.ndim > 1]
        plain = [p for p in self.model.parameters() if p.ndim <= 1]
        groups: list[dict[str, Any]] = [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=args.lr, weight_decay=WEIGHT_DECAY, betas=(0.9, 0.98))
        self.steps_per_epoch = len(self.images) // args.batch
        self.epoch = 0
        self.step = 0

    def run_epoch(self) -> float:
        """One pass over the training images; returns the mean loss. Seeded by the epoch, so that it resumes."""
        generator = torch.Generator().manual_seed(self.args.seed * 1000 + self.epoch)
        order = torch.randperm(len(self.images), generator=generator)
        batches = order[: self.steps_per_epoch * self.args.batch].split(self.args.batch)
        self.model.train()
        total = 0.0
        for index in track(batches, f"epoch {self.epoch + 1}/{self.args.epochs}", disable=self.args.quiet):
            total += self._update(augment(self.images[index], generator), self.labels[index])
        self.epoch += 1
        return total / len(batches)

    def _update(self, images: Tensor, labels: Tensor) -> float:
        steps = self.args.epochs * self.steps_per_epoch
        rate = learning_rate(self.step, steps, self.steps_per_epoch, self.args.lr)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        logits = self.step_model(fashion.normalize(images))
        loss = F.cross_entropy(logits, labels, label_smoothing=LABEL_SMOOTHING)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        # A short memory at first, so that the average does not drag the untrained start along.
        decay = min(EMA_DECAY, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)
        return loss.item()

    def save(self) -> None:
        """Write the state after an epoch, replacing the previous one only when it is complete."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for index, slot in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": value for name, value in slot.items()}
        with safer.open(self.args.out / "state.safetensors", "wb") as file:
            file.write(save(tensors, {"epoch": str(self.epoch), "step": str(self.step)}))
        (self.args.out / "position.json").write_text(json.dumps({"epoch": self.epoch, "step": self.step}))

    def resume(self) -> None:
        """Continue from ``state.safetensors`` if there is one."""
        path = self.args.out / "state.safetensors"
        if not path.exists():
            return
        tensors = load_file(path)
        position = json.loads((self.args.out / "position.json").read_text())
        self.epoch, self.step = position["epoch"], position["step"]
        for name, module in (("model", self.model), ("average", self.average)):
            prefix = name + "."
            module.load_state_dict(
                {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            )
        slots: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("adam."):
                _, index, field = key.split(".")
                slots.setdefault(int(index), {})[field] = value
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": slots})


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train fashion-vit on Fashion-MNIST.")
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--out", type=Path, required=True, help="folder for state, log and weights")
    parser.add_argument("--epochs", type=int, default=22)
    parser.add_argument("--stop-after", type=int, help="end after this epoch of the schedule; resumable")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=1.5e-3, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--compile", action="store_true", help="compile the training step (needs a C++ compiler)"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Train, log each epoch to ``log.jsonl``, and leave the averaged weights in ``fashion-vit.safetensors``."""
    args = parse_arguments(argv)
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(args)
    trainer.resume()
    while trainer.epoch < min(args.epochs, args.stop_after or args.epochs):
        start = time.monotonic()
        loss = trainer.run_epoch()
        trainer.save()
        hits = fashion.correct(trainer.average.eval(), *trainer.test)
        entry = {
            "epoch": trainer.epoch,
            "loss": round(loss, 4),
            "test_accuracy": hits / len(trainer.test[1]),
            "seconds": round(time.monotonic() - start, 1),
        }
        with (args.out / "log.jsonl").open("a") as log:
            log.write(json.dumps(entry) + "\n")
        print(entry, flush=True)
        save_file(trainer.average.state_dict(), args.out / "fashion-vit.safetensors")


if __name__ == "__main__":
    main()
