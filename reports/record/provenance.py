"""How each figure of a report was obtained: a sentence, and one of a few words that the page shows beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

How = Literal["measured", "defined", "given", "published", "elsewhere", "modelled", "assumed"]
"""From the one that can be trusted most to the one that can be trusted least."""

HOWS: tuple[How, ...] = get_args(How)

HOW_MEANING: Mapping[How, str] = {
    "measured": "on this run: read from the simulated RTL's counters and trace, or counted on images; of areas: Yosys "
    "on a piece of exactly these sizes",
    "defined": "follows from the model, the program and the configuration; nothing to measure",
    "given": "computed with a number that the user gave, such as the clock",
    "published": "taken from a publication, which is named",
    "elsewhere": "measured by the Vitreous project, but not on this run: on other configurations, models or images, "
    "which are named",
    "modelled": "computed by a model: the cycle model, energies of events, areas composed of blocks",
    "assumed": "computed with a number that nobody gave or measured",
}

HOW_SHORT: Mapping[How, str] = {
    "measured": "on this run",
    "defined": "follows from model, program and configuration",
    "given": "with a number of yours, such as the clock",
    "published": "from a named publication",
    "elsewhere": "measured by the project on other runs",
    "modelled": "computed by a model",
    "assumed": "with a number that nobody gave or measured",
}
"""The same in a few words, for the legend on top of a page."""

HOW: Mapping[str, How] = {
    "accuracy_float": "measured",
    "accuracy_int": "measured",
    "agreement": "measured",
    "accuracy_float_interval": "measured",
    "accuracy_int_interval": "measured",
    "agreement_interval": "measured",
    "accuracy_test": "given",
    "images_simulated": "measured",
    "values_compared": "measured",
    "values_different": "measured",
    "bytes_compared": "measured",
    "bytes_different": "measured",
    "cycles_per_image": "measured",
    "macs_per_image": "defined",
    "utilization": "measured",
    "occupancy": "measured",
    "clock_mhz": "given",
    "latency_ms": "given",
    "images_per_second": "given",
    "sim_cycles_per_second": "measured",
    "simulate_seconds": "measured",
    "build_seconds": "measured",
    "build_original_seconds": "measured",
    "layers": "measured",
    "layers.array_words": "defined",
    "attention": "measured",
    "probabilities": "measured",
    "output_error": "measured",
    "losses": "measured",
    "saturation": "measured",
    "attention.cycles": "defined",
    "stalls": "measured",
    "queues": "measured",
    "traffic": "measured",
    "schedule": "measured",
    "schedule.waits": "measured",
    "counters": "measured",
    "memory_map": "defined",
    "dram_bytes": "defined",
    "roofline": "given",
    "roofline.intensity": "defined",
    "transfers": "measured",
    "energy": "modelled",
    "energy.layers": "modelled",
    "energy.technologies": "modelled",
    "area": "modelled",
    "area.devices": "modelled",
    "timing": "modelled",
    "clock_note": "modelled",
    "clock_too_fast": "modelled",
    "findings": "modelled",
    "activity": "elsewhere",
    "units": "elsewhere",
    "exploration": "modelled",
    "ablation": "modelled",
}
"""By figure; what depends on the clock becomes ``assumed`` where the clock is (``hows``)."""

_CLOCKED = tuple(name for name, how in HOW.items() if how == "given")


SOURCES: dict[str, str] = {
    "accuracy_float": "float model in PyTorch on accuracy_images images; fraction whose largest logit is the label",
    "accuracy_int": "integer graph run by golden.interpreter on the same images; the same fraction",
    "agreement": "fraction of the same images to which float model and integer graph give the same class",
    "accuracy_float_interval": "95 % interval of accuracy_float after Wilson, for images drawn independently",
    "accuracy_int_interval": "95 % interval of accuracy_int after Wilson, for images drawn independently",
    "output_error": "integer graph in golden.interpreter against the float network on output_error_images calibration "
    "images that the ranges were judged on: sqrt(sum (integer - float)**2 / sum float**2) of the logits",
    "losses": "the same error in float arithmetic with one operation's values rounded, nothing else",
    "saturation": "values of all calibration images beyond the range of their format, counted in float arithmetic",
    "agreement_interval": "95 % interval of agreement after Wilson, for images drawn independently",
    "accuracy_test": "whose images accuracy and agreement were counted on, and how many of how many",
    "images_simulated": "images for which the RTL ran the whole program",
    "values_compared": "entries of output and intermediate tensors read from the RTL's memory and compared with "
    "golden.interpreter, over all simulated images",
    "values_different": "of these, the entries that are not equal",
    "bytes_compared": "bytes of the write window left by the RTL and compared with golden.machine",
    "bytes_different": "of these, the bytes that are not equal",
    "cycles_per_image": "measured on the RTL: counter `cycles`, mean over the simulated images",
    "macs_per_image": "definition: multiply-accumulates of the float model's matrix products; no padding, no biases, "
    "no layer norm, softmax or GELU",
    "utilization": "macs_per_image / (cycles_per_image * N**2 * V * G); N = array.lanes, V = array.depth, "
    "G = array.groups; each MAC once, however often the array passes over its operands",
    "occupancy": "measured on the RTL: counter `array_busy` / counter `cycles`, over the simulated images; second "
    "passes and padding count",
    "clock_mhz": "given by the user, or assumed where clock_source says so; timing has what is estimated",
    "latency_ms": "cycles_per_image / clock_mhz / 1000",
    "images_per_second": "1000 / latency_ms, one image after the other",
    "sim_cycles_per_second": "simulated cycles / wall seconds while images ran, all images together",
    "simulate_seconds": "wall time of the simulation process, its start included, the build not",
    "build_seconds": "wall time that this run spent on building the simulator; 0 when build_cached",
    "build_original_seconds": "wall time of the build when it was made",
    "layers": "first image: cycles from the RTL's trace of retirement, by the instructions' labels: a layer owns the "
    "cycles from the retirement of the previous matrix instruction to that of its own; load, vector unit and store "
    "count in their own queues, from issue or from the previous retirement",
    "layers.array_words": "definition: row_tiles * ceil(columns / N) * k_words of the layer's matrix instructions, "
    "twice for a two-pass operand; their sum over all layers equals counter `array_busy`",
    "attention": "cycles by definition: heads * query tiles * ceil(d / N) * max(ceil(keys / V), N) for 8 bits, "
    "twice that for 16 (two passes); errors measured with golden's softmax of the integer graph's scores on "
    "calibration images: largest of a probability, against the float network and (rounding) against float64 softmax of "
    "the same scores; root mean square and largest of a row's 1 - sum",
    "probabilities": "integer graph in golden.interpreter against the float network on calibration images, with 8 bits "
    "in all attentions, with 16 and as chosen: sqrt(sum (integer - float)**2 / sum float**2) of the logits; gain: 1 - "
    "geometric mean over these images of the factor by which 16 bits change the squared error, in one attention alone "
    "or everywhere; 95 % interval after Student",
    "stalls": "measured on the RTL, first image: counters of the matrix unit; `other` is the rest of `cycles`",
    "queues": "measured on the RTL, first image: busy and wait counters of each queue",
    "traffic": "measured on the RTL, first image: counter of words or beats * bytes of one",
    "schedule": "measured on the RTL, first image: trace of issue and retirement of each instruction",
    "counters": "measured on the RTL: every counter of every image, as read over AXI4-Lite",
    "attention.cycles": "definition: the formula of `attention`",
    "schedule.waits": "first image: from the retirement of one instruction of a queue to the issue of the next, by the "
    "queue whose retirement gave the last token that it waited for; tokens as the program's masks pair them",
    "memory_map": "definition: the program's layout, by its instructions and its compiler's allocation",
    "dram_bytes": "first image: beats of each load and store, by its fields, * bytes of a beat, with the cause that "
    "the compiler noted; instructions: counter `fetch_beats` * bytes of a beat. Their sums are those of the counters "
    "`load_beats`, `fetch_beats` and `store_beats`, or there is no report. minimum: each beat of what the network "
    "cannot do without (image, constants, weights, parameters, output) once, with the padding that it has in DRAM",
    "roofline": "ceilings: N**2 * V * G * clock_mhz, and bytes of a beat or word * clock_mhz (times the memory's "
    "throughput for DRAM); points: a layer's MAC over its cycles * clock_mhz",
    "roofline.intensity": "definition: a layer's MAC over the DRAM bytes of its loads and stores, by their fields; "
    "instruction fetch is not counted",
    "transfers": "first image: time from the trace, between retirements of a queue; bytes of the beats that the "
    "instruction's fields ask for",
    "energy": "first image: counters (measured) * energy of each event + static power * cycles / clock_mhz; energies "
    "from reports/energy/tech with the source of each; low and high take every value at its low, or its high, end",
    "energy.layers": "the same events by the instructions of each layer; clock and static power by the layer's cycles",
    "area": "synthesis of the accelerator's pieces with Yosys, added up: measured where a piece was run at these "
    "sizes, else from a formula fitted to runs at other sizes; before placement, so without routing and clock tree",
    "area.devices": "composed area over what the device has; low: less the error of every formula on a run that was "
    "left out of it, and less what a sum of pieces is known to be too large by (docs/results/area.md); high: with the "
    "error of every formula; block memory only, no UltraRAM; before placement and routing",
    "timing": "static timing analysis of the whole machine as Yosys maps it, with stated delays of cells and wires "
    "(docs/timing.md); low and high: with the largest and the smallest factor between that sum and a routed design",
    "clock_note": "the estimate of `timing` on the technology's target, beside clock_mhz",
    "clock_too_fast": "whether clock_mhz is above the high end of `timing` on the technology's target",
    "findings": "the first image's counters with the cycles of one cause taken away, all others as they are, and never "
    "below beats / throughput of DRAM: an estimate without second-order effects, no run",
    "ablation": "cycles of the RTL where the table says measured, else of the cycle model or composed of its parts; "
    "energy and area as above, of each accelerator; all at one clock",
    "activity": "the project's measurement (`make activity`), not of this run: toggles of each net in Verilator "
    "(SAIF), units of the named accelerators alone, on operands of real images, random bytes and zeros; deviation: "
    "random / real - 1; a proxy for energy, without glitches and clock (docs/activity.md)",
    "units": "the project's comparison of the nonlinear units (`make units`): each unit alone, and accuracy with the "
    "shipped model, not with this run's; its sources are below its tables",
    "exploration": "cycle model, energies of events and composed areas for each design; accuracy on images; the "
    "designs with RTL cycles were simulated",
    "energy.technologies": "the same counters and clock on each technology",
}


def worst(*hows: How) -> How:
    """What a figure is that is computed from figures obtained in these ways: the one to be trusted least."""
    return max(hows, key=HOWS.index)


ClockSource = Literal["given", "assumed"]


def hows(clock_source: ClockSource) -> dict[str, How]:
    """``HOW`` for a report whose clock is given or assumed."""
    clocked: dict[str, How] = dict.fromkeys(_CLOCKED, clock_source)
    return {**HOW, **clocked}
