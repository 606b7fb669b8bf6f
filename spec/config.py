"""The hardware configuration: one frozen object from which every width, depth and option of an accelerator
follows.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from vitreous.spec.errors import near
from vitreous.spec.limits import ATTENTION_KEYS
from vitreous.spec.ranges import Choice, Told, Within, check
from vitreous.spec.ranges import ConfigError as ConfigError
from vitreous.spec.storage import StorageError, read_toml
from vitreous.spec.variants import (
    ACTIVATIONS,
    EXACT,
    FUNCTIONS,
    NORMS,
    ActivationFunction,
    ActivationVariant,
    MemoryStyle,
    Multiplier,
    NormVariant,
    SoftmaxVariant,
    in_hardware,
)


@dataclass(frozen=True, kw_only=True)
class ArrayConfig:
    """The shared compute unit: ``groups`` arrays of ``lanes x lanes`` dot products, each ``depth`` deep.

    lanes : rows and columns of the array; also the rows of a tile and the lanes of every unit beside it.
    depth : products that a processing element adds in one cycle.
    groups : arrays; one today.
    multiplier : ``plain`` (one product a multiplier, summed in logic), ``accumulate`` (one product a DSP block, which
        also sums), or ``packed`` (two products a DSP block, which also sums): the same numbers in the same cycles.
    """

    lanes: Annotated[int, Choice(4, 8, 16, 32)] = 8
    depth: Annotated[int, Choice(1, 2, 4, 8)] = 4
    groups: Annotated[int, Choice(1)] = 1
    multiplier: Multiplier = Multiplier.PLAIN

    def __post_init__(self) -> None:
        check(self, "array")

    @property
    def macs_per_cycle(self) -> int:
        return self.lanes * self.lanes * self.depth * self.groups


@dataclass(frozen=True, kw_only=True)
class MemoryConfig:
    """On-chip memories, in KiB unless the name says otherwise.

    activation_kib : X, the panel memory of 8-bit activations.
    weight_kib : W, the panel memory of weights and of attention's keys and values.
    residual_kib : R, the 16-bit residual stream.
    parameter_entries : P, one 64-bit bias, multiplier and shift for each output channel in flight.
    score_keys : S, the longest block of a score row (keys) that one query tile may have; the buffer holds two of them.
    context_columns : columns of a head whose partial contexts are kept from block to block of a score row.
    style : what X, W, R and P lie in on an FPGA: ``auto`` (what the tools choose, block memory at these sizes) or
        ``ultra`` (UltraRAM, which UltraScale+ alone has, in units of 4096 words of 72 bits): the same in every cycle.
    """

    activation_kib: Annotated[int, Within(1, 16384)] = 256
    weight_kib: Annotated[int, Within(1, 16384)] = 128
    residual_kib: Annotated[int, Within(1, 16384)] = 160
    parameter_entries: Annotated[int, Within(32, 65536)] = 4096
    score_keys: Annotated[int, Within(8, ATTENTION_KEYS, multiple=8)] = 256
    context_columns: Annotated[int, Choice(32, 64, 128, 256, 512)] = 64
    style: MemoryStyle = MemoryStyle.AUTO

    def __post_init__(self) -> None:
        check(self, "memory")


@dataclass(frozen=True, kw_only=True)
class BusConfig:
    """The AXI4 memory port.

    data_bits : width of the data in bits.
    burst_beats : beats of the longest burst.
    outstanding_reads : read bursts in flight.
    """

    data_bits: Annotated[int, Choice(64, 128, 256)] = 64
    burst_beats: Annotated[int, Choice(4, 8, 16, 32, 64)] = 16
    outstanding_reads: Annotated[int, Choice(1, 2, 4, 8, 16)] = 8

    def __post_init__(self) -> None:
        check(self, "bus")

    @property
    def beat_bytes(self) -> int:
        return self.data_bits // 8


@dataclass(frozen=True, kw_only=True)
class SoftmaxConfig:
    """Which softmax, and its number formats: docs/numerics.md has the formulas, ``spec.softmax`` what they imply.

    variant : ``base2`` (integer maximum, rescale by shift), ``online`` (running maximum, rescale by multiplication),
        ``ibert`` (second-order polynomial, two passes), ``ita`` (shifts only, 8 bits), or ``exact`` (float64, in
        ``golden`` only).
    fraction_bits : fraction bits of a score, a logarithm to base 2. With 8 of them scores saturate at 256 octaves on
        either side of 0, and each bit more halves that.
    probability_bits : the most that the machine multiplies: 8 (7 bits in one pass) or 16 (two byte planes, two passes,
        14 bits; each layer chooses).
    """

    variant: SoftmaxVariant = SoftmaxVariant.BASE2
    fraction_bits: Annotated[int, Within(6, 9)] = 8
    probability_bits: Annotated[int, Choice(8, 16)] = 8

    def __post_init__(self) -> None:
        check(self, "softmax")


@dataclass(frozen=True, kw_only=True)
class ActivationConfig:
    """The smooth activation: which function, how it is approximated; docs/numerics.md has the formulas.

    function : ``gelu``, ``gelu_tanh`` (tanh in place of erf), ``quick_gelu`` (``x * sigmoid(1.702 x)``) or ``silu``.
    variant : ``delta`` (relu minus a short even table), ``table`` (direct), ``poly`` (I-BERT's polynomial, GELU only),
        ``shift`` (I-ViT's shifts and a division), or ``exact`` (float64, in ``golden`` only).
    step_bits, range : the table's steps are ``2**-step_bits`` over ``[0, range)`` (``delta``) or ``[-range, range)``.
    fraction_bits : of the result, before it is requantized.
    interpolate : ``delta`` is linear between two values of its table, or else constant over a step.
    """

    function: ActivationFunction = ActivationFunction.GELU
    variant: ActivationVariant = ActivationVariant.DELTA
    step_bits: Annotated[int, Within(2, 8)] = 5
    range: Annotated[
        float,
        Told("above 0, at most 16, a multiple of 2**-step_bits", {"exclusiveMinimum": 0, "maximum": 16}),
    ] = 4.5
    fraction_bits: Annotated[int, Within(10, 22)] = 14
    interpolate: bool = True

    def __post_init__(self) -> None:
        check(self, "activation")
        function, variant = self.function, self.variant
        if function not in ACTIVATIONS[variant].functions:
            known = " and ".join(member.upper() for member in ACTIVATIONS[variant].functions)
            others = [
                str(other)
                for other in in_hardware(ActivationVariant)
                if function in ACTIVATIONS[other].functions
            ]
            raise ConfigError(
                f"activation.variant {variant} approximates {known} only; for {function} use "
                f"{', '.join(others[:-1])} or {others[-1]}"
            )
        if not (
            isinstance(self.range, int | float)
            and 0 < self.range <= 16
            and self.range * (1 << self.step_bits) == int(self.range * (1 << self.step_bits))
        ):
            raise ConfigError(
                f"activation.range must be in (0, 16] and a multiple of the table's step, not {self.range!r}"
            )

    @property
    def entries(self) -> int:
        """Steps over ``[0, range)``. An interpolated ``delta`` has one value more, ``table`` twice as many values."""
        return int(self.range * (1 << self.step_bits))


@dataclass(frozen=True, kw_only=True)
class NormConfig:
    """Layer norm and RMS norm.

    variant : ``one_pass`` (sum and sum of squares together), ``two_pass`` (mean first, then centred squares), or
        ``exact`` (float64, in ``golden`` only).
    """

    variant: NormVariant = NormVariant.ONE_PASS

    def __post_init__(self) -> None:
        check(self, "norm")

    @property
    def mean_pass(self) -> bool:
        """Whether a layer norm reads each row once more, for its mean (RMS norm never does)."""
        return NORMS[self.variant].mean_pass


@dataclass(frozen=True, kw_only=True)
class QueueConfig:
    """Between dispatch and the units.

    depth : instructions that each of the four queues can hold.
    """

    depth: Annotated[int, Choice(2, 4, 8, 16, 32)] = 8

    def __post_init__(self) -> None:
        check(self, "queue")


@dataclass(frozen=True, kw_only=True)
class ProtectConfig:
    """What the machine checks of its own state; the numbers and the cycles are the same.

    parity : a parity bit for tokens, instructions on their way to a unit, bursts and host registers, compared in every
        cycle; a flipped bit of these stops the machine with PARITY, and no burst that it changed goes to the bus.
    """

    parity: bool = False

    def __post_init__(self) -> None:
        check(self, "protect")


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """What the compiler makes of the machine; the hardware is the same, so this is not part of the digest.

    double_buffer : the operands of a product arrive while the previous product runs; else after it, in the same words.
    fused_attention : a row of scores stays on chip; else it goes to DRAM and back before the values are multiplied
        (docs/compiler.md says what represents that).
    """

    double_buffer: bool = True
    fused_attention: bool = True

    def __post_init__(self) -> None:
        check(self, "schedule")


_PARTS: dict[str, type] = {
    "array": ArrayConfig,
    "memory": MemoryConfig,
    "bus": BusConfig,
    "softmax": SoftmaxConfig,
    "activation": ActivationConfig,
    "norm": NormConfig,
    "queue": QueueConfig,
    "protect": ProtectConfig,
    "schedule": ScheduleConfig,
}


@dataclass(frozen=True, kw_only=True, repr=False)
class AcceleratorConfig:
    """A whole accelerator. ``name`` is a label and ``schedule`` the compiler's: neither is part of the digest.

    name : a label; of a TOML file its name, where it gives none.
    """

    name: str = "custom"
    array: ArrayConfig = field(default_factory=ArrayConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    bus: BusConfig = field(default_factory=BusConfig)
    softmax: SoftmaxConfig = field(default_factory=SoftmaxConfig)
    activation: ActivationConfig = field(default_factory=ActivationConfig)
    norm: NormConfig = field(default_factory=NormConfig)
    queue: QueueConfig = field(default_factory=QueueConfig)
    protect: ProtectConfig = field(default_factory=ProtectConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)

    def __post_init__(self) -> None:
        for label, part in (("softmax", self.softmax), ("activation", self.activation), ("norm", self.norm)):
            if part.variant == EXACT:
                raise ConfigError(f"{label}.variant exact is float64: golden computes it, no hardware does")
        least = FUNCTIONS[self.activation.function].least_range
        if ACTIVATIONS[self.activation.variant].tabulated and self.activation.range < least:
            raise ConfigError(
                f"activation.range must be at least {least:g} for {self.activation.function}, "
                f"not {self.activation.range:g}: beyond it the result is relu"
            )
        for label, depth in (
            ("memory.activation_kib", self.x_depth),
            ("memory.weight_kib", self.w_depth),
            ("memory.residual_kib", self.r_depth),
        ):
            if not 2 <= depth <= 1 << 16:
                raise ConfigError(f"{label} gives {depth} words, outside 2..65536 for this array")

    # Words of the five memories. Every address in an instruction counts these words.
    @property
    def panel_word_bytes(self) -> int:
        """Bytes of a word of X or W: ``lanes * depth``."""
        return self.array.lanes * self.array.depth

    @property
    def residual_word_bytes(self) -> int:
        """Bytes of a word of R: 16 bits for each lane."""
        return 2 * self.array.lanes

    @property
    def x_depth(self) -> int:
        return self.memory.activation_kib * 1024 // self.panel_word_bytes

    @property
    def w_depth(self) -> int:
        return self.memory.weight_kib * 1024 // self.panel_word_bytes

    @property
    def r_depth(self) -> int:
        return self.memory.residual_kib * 1024 // self.residual_word_bytes

    @property
    def p_depth(self) -> int:
        return self.memory.parameter_entries

    @property
    def s_depth(self) -> int:
        """Words (``lanes * depth`` coded scores) of one of the two halves of S."""
        return self.memory.score_keys // self.array.depth

    def __repr__(self) -> str:
        array, memory = self.array, self.memory
        on_chip = memory.activation_kib + memory.weight_kib + memory.residual_kib
        return (
            f"<AcceleratorConfig {self.name}: {array.macs_per_cycle} MAC a cycle as {array.lanes}x{array.lanes}x"
            f"{array.depth}, {on_chip} KiB, {self.bus.data_bits}-bit bus, {self.digest}>"
        )

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @property
    def digest(self) -> str:
        """Hexadecimal digest of the hardware: of everything but name and schedule, and of protection where there is
        some: a machine without it is the one that it was before it could be protected."""
        contents = {key: value for key, value in self.as_dict().items() if key not in ("name", "schedule")}
        if self.protect == ProtectConfig():
            del contents["protect"]
        return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def digest32(self) -> int:
        """The first 32 bits of the digest: the value of the machine's CONFIG register."""
        return int(self.digest[:8], 16)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> AcceleratorConfig:
        """Raises ConfigError that names an unknown part or field."""
        arguments: dict[str, Any] = {}
        for key, value in data.items():
            if key == "name":
                arguments[key] = str(value)
                continue
            part = _PARTS.get(key)
            if part is None:
                raise ConfigError(
                    f"Unknown part [{key}]; the parts are name, {', '.join(_PARTS)}{near(key, _PARTS)}"
                )
            if not isinstance(value, Mapping):
                raise ConfigError(f"{key} must be a table, not {value!r}")
            known = {f.name for f in dataclasses.fields(part)}
            for name in value:
                if name not in known:
                    raise ConfigError(
                        f"Unknown field {key}.{name}; the fields are {', '.join(sorted(known))}{near(name, known)}"
                    )
            arguments[key] = part(**value)
        return cls(**arguments)

    @classmethod
    def from_toml(cls, path: str | Path) -> AcceleratorConfig:
        path = Path(path)
        try:
            data = read_toml(path, "accelerator file")
        except StorageError as error:
            raise ConfigError(str(error)) from None
        return cls.from_dict({"name": path.stem, **data})


def presets_folder() -> Path:
    """The folder of the named accelerators, in a checkout and in an installed wheel alike."""
    return Path(__file__).absolute().parent.parent / "configs"


def named_accelerators() -> list[str]:
    """The names that ``load_accelerator`` knows, sorted."""
    return sorted(path.stem for path in presets_folder().glob("*.toml"))


def load_accelerator(name_or_path: str) -> AcceleratorConfig:
    """A named accelerator of ``configs/`` or a TOML file. Raises ConfigError that lists the known names."""
    if name_or_path.endswith(".toml"):
        return AcceleratorConfig.from_toml(name_or_path)
    path = presets_folder() / f"{name_or_path}.toml"
    if not path.is_file():
        raise ConfigError(
            f"Unknown accelerator {name_or_path!r}; named ones are {', '.join(named_accelerators())}, "
            f"or give a .toml file{near(name_or_path, named_accelerators())}"
        )
    return AcceleratorConfig.from_toml(path)
