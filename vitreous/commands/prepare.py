"""``vitreous compile`` and ``vitreous rtl``: a program, and its hardware."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from vitreous.commands.arguments import Accelerator, folder_path, safetensors_path
from vitreous.commands.output import Output, with_output


@with_output("compile")
def compile_command(
    output: Output,
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
    from vitreous.fitting.fit import chosen
    from vitreous.spec import graph as graphs
    from vitreous.spec import program as programs

    path = safetensors_path(out)
    loaded = graphs.load(graph)
    config = chosen(accelerator, loaded)
    if output.dry_run:
        output.planned({"compile": "to do"}, graph=graph, accelerator=config.name, program=path)
        return
    display = dataclasses.replace(output, quiet=output.quiet or listing).display
    with display.stage("compile") as stage:
        program = compile_graph(loaded, config, observe=observe)
        programs.save(program, path)
        stage.note(f"{len(program.instructions)} instructions -> {out}")
    if listing:
        output.text(listing_of(program))
    output.result(
        graph=graph,
        accelerator=config.name,
        program=path,
        instructions=len(program.instructions),
        read_bytes=program.read_size,
        write_bytes=program.write_size,
    )


@with_output("rtl")
def rtl(
    output: Output,
    accelerator: Accelerator,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the core.")],
    target: Annotated[
        str,
        typer.Option(
            metavar="generic|ultrascale-plus|ecp5",
            help="Primitives of a family in the array: ultrascale-plus has DSP48E2 where its multiplier is packed or "
            "accumulate, ecp5 MULT18X18D where it is plain.",
        ),
    ] = "generic",
    prefix: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Name of the Verilog module, with which the names of all modules and files begin: two accelerators "
            "with different ones stand in one design.",
        ),
    ] = "accelerator",
    clock: Annotated[
        float | None,
        typer.Option(metavar="MHZ", help="Clock of the constraints for synthesis (default: 200)."),
    ] = None,
) -> None:
    """Write the Verilog of an accelerator as a FuseSoC core, with a bench and constraints.

    \b
    Examples:
      vitreous rtl --accelerator edge64 --out build/rtl
      vitreous rtl --accelerator mine.toml --out build/rtl --target ultrascale-plus
      vitreous rtl --accelerator edge64 --out build/rtl --prefix first --clock 150
    """
    from vitreous.flow import steps
    from vitreous.spec.config import load_accelerator

    config, folder = load_accelerator(accelerator), folder_path(out)
    steps.check_target(target)
    if output.dry_run:
        output.planned({"rtl": "to do"}, accelerator=config.name, folder=folder)
        return
    with output.display.stage("rtl") as stage:
        written = steps.write_rtl(config, folder, target, prefix=prefix, clock_mhz=clock)
        stage.note(f"-> {', '.join(str(path) for path in written)}")
    output.result(accelerator=config.name, folder=folder, files=written)
