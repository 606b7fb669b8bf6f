"""``vitreous list``."""

from __future__ import annotations

from typing import Any

from vitreous.commands.output import Json, Output, Quiet


def list_command(as_json: Json = False, quiet: Quiet = False) -> None:
    """Show the named models, accelerators, technologies and types of DRAM.

    \b
    Example:
      vitreous list
      vitreous list --json
    """
    from vitreous.reports.energy import technology

    out, known = Output(command="list", quiet=quiet, as_json=as_json), _known()
    out.text("models")
    for entry in known["models"]:
        out.text(f"  {entry['name']:<14} {entry['title']}")
    out.text("  also: package.module:factory of your own, or a .pt2 file of torch.export")
    out.text("accelerators")
    for entry in known["accelerators"]:
        out.text(f"  {entry['name']:<12} {entry['title']}")
    out.text("  also: a .toml file of your own")
    out.text("technologies, for energy")
    for entry in known["technologies"]:
        default = ", the default" if entry["name"] == technology.DEFAULT_TECHNOLOGY else ""
        out.text(f"  {entry['name']:<21} {entry['title']}{default}")
    out.text("  also: a .toml file of your own")
    out.text(
        f"DRAM: {', '.join(known['dram'])}; default {technology.DEFAULT_DRAM}; also a .toml file of your own"
    )
    out.result(**known)


def _known() -> dict[str, Any]:
    from vitreous.models.names import available
    from vitreous.reports.energy import technology
    from vitreous.spec.config import load_accelerator, named_accelerators

    configs = [load_accelerator(name) for name in named_accelerators()]
    accelerators = []
    for config in sorted(configs, key=lambda c: (c.array.macs_per_cycle, c.name)):
        array, memory = config.array, config.memory
        on_chip = memory.activation_kib + memory.weight_kib + memory.residual_kib
        title = (
            f"{array.macs_per_cycle} MAC a cycle as {array.lanes}x{array.lanes}x{array.depth}, "
            f"{on_chip} KiB on chip, {config.bus.data_bits}-bit bus"
        )
        accelerators.append({"name": config.name, "title": title})
    return {
        "models": [{"name": name, "title": title} for name, title in available()],
        "accelerators": accelerators,
        "technologies": [
            {"name": name, "title": technology.load_technology(name).title}
            for name in technology.named_technologies()
        ],
        "dram": list(technology.named_drams()),
    }
