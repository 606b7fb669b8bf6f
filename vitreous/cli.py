"""The command line. Every command reads and writes files that the next one takes; torch is imported only where
it is used.

An error of ours is one line on stderr and exit status 2; a comparison with golden that fails is exit status 1.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from vitreous.arguments import (
    DEFAULT_BUILDS,
    Accelerator,
    BuildDir,
    Calibration,
    Checkpoint,
    Clock,
    Latency,
    Model,
    Observer,
    ProbabilityBits,
    Throughput,
    cycle_window,
    folder_path,
    safetensors_path,
    width_of,
)

app = typer.Typer(
    name="vitreous",
    help="Co-design of transformer accelerators: from a PyTorch model to simulated RTL, bit for bit, with a report.",
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

INTERRUPTED = "interrupted; the same command goes on where it stopped"


def _version(show: bool) -> None:
    if show:
        from vitreous import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command("list")
def list_command() -> None:
    """Show the named models and accelerators.

    \b
    Example:
      vitreous list
    """
    from vitreous.models.names import available
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


@app.command()
def quantize(
    model: Model,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="The integer graph (.safetensors, with a .json beside).")
    ],
    accelerator: Accelerator = "edge256",
    observer: Observer = "mse",
    calibration: Calibration = None,
    probability_bits: ProbabilityBits = "auto",
    checkpoint: Checkpoint = None,
) -> None:
    """Quantize a float model to an integer graph.

    Softmax, GELU and layer norm take their variants and number formats from the accelerator.

    \b
    Examples:
      vitreous quantize fashion-vit --out build/graph.safetensors
      vitreous quantize deit-tiny --checkpoint deit.safetensors --observer percentile --out deit.safetensors
      vitreous quantize my_package.models:make --accelerator mine.toml --calibration 64 --out mine.safetensors
    """
    from vitreous import steps
    from vitreous.display import Display
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


@app.command("compile")
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
    from vitreous.display import Display
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


@app.command()
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
    from vitreous import steps
    from vitreous.display import Display
    from vitreous.spec.config import load_accelerator

    config = load_accelerator(accelerator)
    with Display().stage("rtl") as stage:
        written = steps.write_rtl(config, folder_path(out), target)
        stage.note(f"-> {', '.join(str(path) for path in written)}")


@app.command()
def simulate(
    program: Annotated[Path, typer.Argument(metavar="PROGRAM", help="A program of `vitreous compile`.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for outputs, counters and the record.")],
    images: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A .npy of images [n, C, H, W]: int8, or normalised floats."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Take the images from this model's test images instead."),
    ] = None,
    count: Annotated[int, typer.Option(metavar="N", help="How many of the images.", min=1)] = 1,
    graph: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The integer graph, to quantize float images and to compare with "
            "(default: graph.safetensors beside the program).",
        ),
    ] = None,
    waves: Annotated[
        str | None, typer.Option(metavar="FIRST:LAST", help="Record waves.vcd of these cycles, and stop.")
    ] = None,
    memory_latency: Latency = 40,
    memory_throughput: Throughput = 100,
    build_dir: BuildDir = DEFAULT_BUILDS,
) -> None:
    """Run a program on the simulated RTL and compare what it stores with golden.

    Writes outputs.npy and recorded.json, which `vitreous report` takes. Exit status 1 when anything differs.

    \b
    Examples:
      vitreous simulate build/program.safetensors --model fashion-vit --count 16 --out build/simulated
      vitreous simulate build/program.safetensors --images images.npy --memory-latency 100 --out build/simulated
      vitreous simulate build/program.safetensors --images images.npy --waves 0:5000 --out build/waves
    """
    from vitreous.simulation import SimulateOptions, simulate_program

    options = SimulateOptions(
        images=images,
        model=model,
        count=count,
        graph=graph,
        waves=None if waves is None else cycle_window(waves),
        memory_latency=memory_latency,
        memory_throughput=memory_throughput,
        build_root=build_dir,
    )
    if not simulate_program(program, folder_path(out), options):
        raise typer.Exit(1)


@app.command()
def report(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of `run` or `simulate`.")],
    clock: Clock = None,
) -> None:
    """Write index.html and report.json anew from what a run recorded.

    \b
    Examples:
      vitreous report build/demo
      vitreous report build/demo build/simulated --clock 300
    """
    from vitreous.reports import record, summarize, write

    for folder in folders:
        page, data = write(summarize(record.load(folder), clock_mhz=clock), folder)
        print(f"{page} {data}")


@app.command()
def run(
    model: Model,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for everything; a repeated run goes on in it.")
    ],
    accelerator: Accelerator = "edge256",
    images: Annotated[int, typer.Option(metavar="N", help="Test images to simulate in RTL.", min=1)] = 1,
    observer: Observer = "mse",
    calibration: Calibration = None,
    probability_bits: ProbabilityBits = "auto",
    checkpoint: Checkpoint = None,
    clock: Clock = None,
    memory_latency: Latency = 40,
    memory_throughput: Throughput = 100,
    build_dir: BuildDir = DEFAULT_BUILDS,
) -> None:
    """Do everything: quantize, compile, write RTL, simulate, compare with golden, report.

    What is done already and unchanged is not done again. Exit status 1 when anything differs from golden.

    \b
    Examples:
      vitreous run fashion-vit --accelerator edge256 --images 16 --out build/demo
      vitreous run deit-tiny --accelerator mine.toml --clock 300 --out build/deit
      vitreous run my_package.models:make --images 2 --out build/mine
    """
    from vitreous import pipeline

    options = pipeline.Options(
        observer=observer,
        calibration_images=calibration,
        probability_bits=width_of(probability_bits),
        checkpoint=checkpoint,
        clock_mhz=clock,
        memory_latency=memory_latency,
        memory_throughput=memory_throughput,
        build_root=build_dir,
    )
    result = pipeline.run(
        model, accelerator, out=folder_path(out), images=images, options=options, quiet=False
    )
    if not result.equal:
        print("vitreous: the simulated accelerator differs from golden", file=sys.stderr)
        raise typer.Exit(1)


@app.command("explore-approx")
def explore_approx(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for tables and pictures.")],
    function: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="gelu, silu, softmax, reciprocal or rsqrt; may be repeated (default: all)."
        ),
    ] = None,
    family: Annotated[str, typer.Option(help="FPGA family of the area: xcup, ecp5 or ice40.")] = "xcup",
    points: Annotated[
        int, typer.Option(metavar="N", help="Settings of each function to synthesize.", min=1)
    ] = 16,
    cache: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of synthesis results, shared by all runs.")
    ] = (Path("build/synthesis")),
) -> None:
    """Sweep the nonlinear functions: error against float64, area by Yosys, and the front of both.

    Writes for each function a .csv and a .json with all points and a picture as .svg and .png. Interrupted, it leaves
    the points that it has; the same command goes on from the synthesis results in the cache.

    \b
    Examples:
      vitreous explore-approx --out build/approx
      vitreous explore-approx --function gelu --points 24 --family ecp5 --out build/approx
    """
    from vitreous import approx, distributions
    from vitreous.display import Display

    chosen, target = approx.checked(function or list(approx.FUNCTIONS), family)
    folder, display = folder_path(out), Display()
    with display.stage("real inputs") as stage:
        shipped = distributions.shipped(cache)
        stage.note(f"{len(shipped.scores):,} attention rows of {distributions.SHIPPED_MODEL}")
    for name in chosen:
        with display.stage(name) as stage:
            found = approx.explore(
                name, folder, family=target, points=points, cache=cache, shipped=shipped, progress=stage.part
            )
            front = sum(point.front for point in found)
            stage.note(f"{len(found)} points, {front} on the front -> {folder / name}.svg, .png, .csv, .json")


def _stop(sentence: str, status: int = 2) -> NoReturn:
    print(f"vitreous: {' '.join(sentence.split())}", file=sys.stderr)
    sys.exit(status)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; leaves through ``sys.exit``."""
    try:
        status = app(
            args=None if arguments is None else list(arguments), prog_name="vitreous", standalone_mode=False
        )
    except (KeyboardInterrupt, typer.Abort):
        _stop(INTERRUPTED, 130)
    except Exception as error:
        # Every exception class of ours is defined in a room; asking for the module imports none of them.
        if type(error).__module__.startswith("vitreous."):
            _stop(str(error))
        if isinstance(error, OSError) and error.filename is not None:
            _stop(f"{error.strerror}: {error.filename}")
        # A wrong option or argument. By its shape: the class has moved between versions of typer.
        if hasattr(error, "format_message"):
            context = getattr(error, "ctx", None)
            command = context.command_path if context is not None else "vitreous"
            _stop(f"{error.format_message().rstrip('.?')}; see `{command} --help`")
        raise
    if status == 130:  # typer's own answer to an interruption
        _stop(INTERRUPTED, 130)
    sys.exit(status if isinstance(status, int) else 0)


if __name__ == "__main__":
    main()
