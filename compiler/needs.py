"""What a model needs of a machine: sizes as data, and the refusal that names every one that is too small at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vitreous.compiler.errors import CompileError
from vitreous.spec.config import named_accelerators


@dataclass(frozen=True, kw_only=True)
class Need:
    """``needed`` of something of which the machine has ``available``, both in ``unit``.

    what : the memory, field or limit. who : what needs that much: layer and buffer, or node. field : of the
    configuration, which gives it; empty where it is the same in every machine. most : what the largest value of
    ``field`` gives with this array; ``available`` without a field. unit_bytes : bytes of one unit, 0 where it has none.
    remedy : what helps where no value of ``field`` does. mendable : whether another accelerator can be enough.
    """

    what: str
    needed: int
    available: int
    unit: str
    who: str
    most: int
    field: str = ""
    unit_bytes: int = 0
    remedy: str = ""
    mendable: bool = True

    @property
    def short(self) -> bool:
        """Whether the machine has too little."""
        return self.needed > self.available

    @property
    def beyond(self) -> bool:
        """Whether no value of ``field`` is enough with this array."""
        return self.needed > self.most

    def size(self, count: int) -> str:
        """``count`` with its unit, and in KiB where a unit has bytes."""
        text = f"{count} {self.unit}"
        return f"{text} ({count * self.unit_bytes / 1024:.1f} KiB)" if self.unit_bytes else text

    def __str__(self) -> str:
        remedy = f": {self.remedy}" if self.remedy else ""
        if not self.field:
            return f"{self.who}: {self.needed} {self.unit}, and {self.what} takes at most {self.available}{remedy}"
        text = (
            f"{self.what} needs {self.size(self.needed)} for {self.who} and has {self.size(self.available)} "
            f"({self.field})"
        )
        return f"{text}, and no more than {self.most} can be had{remedy}" if self.beyond else text


def constant_need(
    what: str, needed: int, available: int, unit: str, who: str, *, mendable: bool = False
) -> Need:
    """Of something that is the same in every machine."""
    return Need(
        what=what, needed=needed, available=available, unit=unit, who=who, most=available, mendable=mendable
    )


def shortages(needs: Iterable[Need]) -> list[Need]:
    """Of those that are not met the largest of each kind."""
    worst: dict[str, Need] = {}
    for need in needs:
        if need.short and (need.what not in worst or worst[need.what].needed < need.needed):
            worst[need.what] = need
    return list(worst.values())


class DoesNotFitError(CompileError):
    """A model that is too large for an accelerator. ``shortages`` : every need that is not met."""

    def __init__(self, model: str, accelerator: str, short: Sequence[Need]) -> None:
        listed = "; ".join(str(need) for need in short)
        file = accelerator if accelerator in named_accelerators() else f"{accelerator}.toml"
        mended = f"vitreous fit {model} --accelerator {file} --out mine.toml"
        end = f". `{mended}` writes an accelerator that holds it"
        super().__init__(
            f"{model} does not fit {accelerator}: {listed}"
            f"{end if all(need.mendable for need in short) else ''}"
        )
        self.shortages = tuple(short)
