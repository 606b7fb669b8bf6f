"""Commands up to a program and its hardware: list, quantize, compile, rtl."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vitreous.commands.arguments import (
    Accelerator,
    Calibration,
    Checkpoint,
    Model,
    Observer,
    ProbabilityBits,
    folder_path,
    safetensors_path,
    width_of,
)


def list_command() -> None:
    """Show the named models, accelerators, technologies and types of DRAM.

    \b
    Example:
      vitreous list
    """
    from vitreous.models.names import available
    from vitreous.reports.energy import technology
    from vitreous.spec.config import load_accelerator, named_accelerators

    print("models")
    for name, description in available():
        print(f"  {name:<12} {description}")
    print("  also: package.module:factory of your own, or a .pt2 file of torch.export")
    print("accelerators")
    configs = [load_accelerator(name) for name in named_accelerators()]
    for config in sorted(configs, key=lambda c: (c.array.macs_per_cycle, c.name)):
        array, memory = config.array, config.memory
        on_chip = memory.activation_kib + memory.weight_kib + memory.residual_kib
        print(
            f"  {config.name:<12} {array.macs_per_cycle} MAC a cycle as {array.lanes}x{array.lanes}x{array.depth}, "
            f"{on_chip} KiB on chip, {config.bus.data_bits}-bit bus"
        )
    print("  also: a .toml file of your own")
    print("technologies, for energy")
    for name in technology.named_technologies():
        default = ", the default" if name == technology.DEFAULT_TECHNOLOGY else ""
        print(f"  {name:<21} {technology.load_technology(name).title}{default}")
    print("  also: a .toml file of your own")
    print(
        f"DRAM: {', '.join(technology.named_drams())}; default {technology.DEFAULT_DRAM}; also a .toml file of your own"
    )


def quantize(
    model: Model,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="The integer graph (.safetensors, with a .json beside).")
    ],
    accelerator: Accelerator = "edge256",
    observer: Observer = "output",
    calibration: Calibration = None,
    probability_bits: ProbabilityBits = "auto",
    checkpoint: Checkpoint = None,
) -> None:
    """Quantize a float model to an integer graph.

    Softmax, activation and norm take their variants and number formats from the accelerator.

    \b
    Examples:
      vitreous quantize fashion-vit --out build/graph.safetensors
      vitreous quantize deit-tiny --checkpoint deit.safetensors --observer percentile --out deit.safetensors
      vitreous quantize my_package.models:make --accelerator mine.toml --calibration 64 --out mine.safetensors
    """
    from vitreous.flow import steps
    from vitreous.flow.display import Display
    from vitreous.spec import graph as graphs
    from vitreous.spec.config import load_accelerator

    config, path, bits = load_accelerator(accelerator), safetensors_path(out), width_of(probability_bits)
    display = Display()
    with display.stage("load model") as stage:
        loaded = steps.load_model(model, checkpoint)
        stage.note(loaded.source)
    with display.stage("quantize") as stage:
        graph = steps.quantize(
            loaded,
            config,
            observer=observer,
            calibration_images=calibration,
            probability_bits=bits,
            progress=stage.part,
        )
        graphs.save(graph, path)
        stage.note(f"{len(graph.nodes)} operations, {graph.macs:,} MAC -> {out}")
    display.line(f"  {steps.widths_line(graph)}")


def compile_command(
    graph: Annotated[Path, typer.Argument(metavar="GRAPH", help="An integer graph of `vitreous quantize`.")],
    accelerator: Accelerator,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="The program (.safetensors, with a .json beside).")
    ],
    listing: Annotated[bool, typer.Option("--listing", help="Print the program in readable form.")] = False,
    observe: Annotated[bool, typer.Option("--observe", help="Store every intermediate tensor too.")] = False,
) -> None:
    """Compile an integer graph to a program for an accelerator.

    \b
    Examples:
      vitreous compile build/graph.safetensors --accelerator edge256 --out build/program.safetensors
      vitreous compile build/graph.safetensors --accelerator mine.toml --out build/program.safetensors --listing
    """
    from vitreous.compiler import compile as compile_graph
    from vitreous.compiler.listing import listing as listing_of
    from vitreous.flow.display import Display
    from vitreous.spec import graph as graphs
    from vitreous.spec import program as programs
    from vitreous.spec.config import load_accelerator

    config, path = load_accelerator(accelerator), safetensors_path(out)
    display = Display(quiet=listing)
    with display.stage("compile") as stage:
        program = compile_graph(graphs.load(graph), config, observe=observe)
        programs.save(program, path)
        stage.note(f"{len(program.instructions)} instructions -> {out}")
    if listing:
        print(listing_of(program))


def rtl(
    accelerator: Accelerator,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for the Verilog and the FuseSoC core file.")
    ],
    target: Annotated[
        str,
        typer.Option(
            metavar="generic|ultrascale-plus",
            help="ultrascale-plus: DSP48E2 primitives in an array whose multiplier is packed or accumulate.",
        ),
    ] = "generic",
) -> None:
    """Write the Verilog of an accelerator and its FuseSoC core file.

    \b
    Examples:
      vitreous rtl --accelerator edge64 --out build/rtl
      vitreous rtl --accelerator mine.toml --out build/rtl --target ultrascale-plus
    """
    from vitreous.flow import steps
    from vitreous.flow.display import Display
    from vitreous.spec.config import load_accelerator

    config = load_accelerator(accelerator)
    with Display().stage("rtl") as stage:
        written = steps.write_rtl(config, folder_path(out), target)
        stage.note(f"-> {', '.join(str(path) for path in written)}")
