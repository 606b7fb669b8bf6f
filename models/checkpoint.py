"""Loading of safetensors checkpoints in timm's format: parameter name to tensor, nothing else."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vitreous.models.errors import ModelError

_NAMED = 4  # how many names an error sentence lists before it counts the rest


def load_checkpoint(model: nn.Module, path: str | Path) -> None:
    """Copy the tensors of a safetensors file into ``model``, in place; every name and shape must match.

    Tensors of another floating-point type are converted to the model's. Nothing is changed on an error.

    Raises ``ModelError`` for a missing, truncated or foreign file and for missing, unexpected, integer or
    mis-shaped tensors.
    """
    found = _read(Path(path))
    wanted = model.state_dict()
    if missing := sorted(wanted.keys() - found.keys()):
        raise ModelError(f"{path} lacks {_listed(missing)}")
    if unexpected := sorted(found.keys() - wanted.keys()):
        raise ModelError(f"{path} has {_listed(unexpected)}, which the model does not have")
    for name, tensor in wanted.items():
        if found[name].shape != tensor.shape:
            have, want = tuple(found[name].shape), tuple(tensor.shape)
            raise ModelError(f"{path}: {name} has shape {have}, the model needs {want}")
        if found[name].is_floating_point() != tensor.is_floating_point():
            raise ModelError(f"{path}: {name} is {found[name].dtype}, the model needs {tensor.dtype}")
    model.load_state_dict(found)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError:
        raise ModelError(f"checkpoint {path} does not exist") from None
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is not a complete safetensors file: {error}") from None


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    rest = len(names) - _NAMED
    return f"{shown} and {rest} more" if rest > 0 else shown
