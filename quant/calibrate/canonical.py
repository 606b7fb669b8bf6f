"""One form for all float networks that compute the same: what the float function leaves free is fixed by calibration.

Attention and layer norm cannot see much of what a network's weights say. Each of these changes weights and biases in
float64 and nothing that the network computes; none costs an operation:

- ``centre_keys``: a constant added to all keys adds one number to a row of scores, which softmax ignores. The keys'
  mean over calibration is taken off. Most of what large networks' scores have beyond their range is such a constant.
- ``centre_values``: probabilities add up to 1, so a constant in all values is a constant in the context, and moves on
  into the bias that follows. What a rounded row of probabilities loses of its sum then scales less.
- ``balance``: a channel of q may be multiplied and that of k divided by the same number; of v, and with it of the
  context, against the columns that read the context; of ReLU's input against those that read its output. Two get the
  geometric mean of their sizes. A context is a mean of values, and in a head that looks at many tokens far smaller than
  they are: with its reach in the balance, its small channels do not vanish in the step of the large ones.
- ``centre_stream``: layer norm takes the mean of a row off, so it can be taken off what is written.
- ``rotate_stream``: layer norm of a row turned by an orthogonal matrix that keeps the row of ones is the turned layer
  norm (RMS norm: by any). Turned by a random one, the few channels and tokens that are massive in a trained network
  are spread over all channels.

A network that differs from another by a change of this kind gets the same integer graph up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from vitreous.quant.calibrate.forward import Forward
from vitreous.quant.importer import float_ir as ir

_SEED = 20240229
"""Of the rotation: any would do."""


@dataclass(eq=False)
class Channels:
    """What calibration saw of each channel ``[width]`` of one tensor."""

    low: Tensor
    high: Tensor
    total: Tensor
    rows: int = 0

    def add(self, value: Tensor) -> None:
        """``[n, tokens, width]``."""
        rows = value.flatten(0, 1).double()
        self.low, self.high = torch.minimum(self.low, rows.amin(0)), torch.maximum(self.high, rows.amax(0))
        self.total = self.total + rows.sum(0)
        self.rows += len(rows)

    @property
    def mean(self) -> Tensor:
        return self.total / self.rows

    def reach(self, centre: Tensor | float = 0.0) -> Tensor:
        """The largest distance from ``centre``."""
        return torch.maximum(self.high - centre, centre - self.low)


def copied(encoder: ir.Encoder) -> ir.Encoder:
    """The same encoder of sources of its own, so that weights can be replaced; serials, names and nodes stay."""
    made: dict[int, ir.Source] = {}
    for source in encoder.sources:
        values: dict[str, Any] = {entry.name: getattr(source, entry.name) for entry in fields(source)}
        parts: dict[str, Any] = {
            key: made[value.serial] for key, value in values.items() if isinstance(value, ir.Source)
        }
        if isinstance(source, ir.HeadSum):
            parts["terms"] = tuple(made[term.serial] for term in source.terms)
        made[source.serial] = type(source)(**{**values, **parts})
    return replace(encoder, sources=tuple(made.values()))


def observe_channels(encoder: ir.Encoder, batches: Iterator[Tensor]) -> dict[int, Channels]:
    """Of q, k, v, contexts, ReLU's outputs and inputs of other activations, by serial, over ``batches`` of images."""
    wanted = {part.serial for s in encoder.each(ir.Attention) for part in (*s.inputs, s)}
    for activation in encoder.each(ir.Activation):
        wanted.add(activation.serial if activation.function == "relu" else activation.input.serial)
    found: dict[int, Channels] = {}

    def look(source: ir.Source, value: Tensor) -> Tensor:
        if source.serial in wanted:
            if source.serial not in found:
                empty = torch.zeros(source.width, dtype=torch.float64)
                found[source.serial] = Channels(empty + torch.inf, empty - torch.inf, empty)
            found[source.serial].add(value)
        return value

    forward = Forward(encoder)
    for batch in batches:
        forward(batch, look)
    return found


class Canonical:
    """Changes ``encoder`` (a copy of its own) with what ``channels`` says of the original's tensors."""

    def __init__(self, encoder: ir.Encoder, channels: dict[int, Channels]) -> None:
        self.encoder, self.channels = encoder, channels
        self._readers: dict[int, list[ir.Source]] = {}
        for source in encoder.sources:
            for part in source.inputs:
                self._readers.setdefault(part.serial, []).append(source)

    def centre_and_balance(self) -> None:
        """Keys, values, and the pairs of scales."""
        for attention in self.encoder.each(ir.Attention):
            q, k, v = (self.channels[part.serial] for part in attention.inputs)
            context = self.channels[attention.serial]
            attention.k.bias = attention.k.bias - k.mean
            factor = _balance(k.reach(k.mean), q.reach())
            scale_rows(attention.q, 1 / factor)
            scale_rows(attention.k, factor)
            after = self._linear_readers(attention)
            if after is not None:
                for reader in after:
                    reader.bias = reader.bias + reader.weight @ v.mean
                attention.v.bias = attention.v.bias - v.mean
                self._balance_columns(attention.v, after, v.reach(v.mean), context.reach(v.mean))
        for activation in self.encoder.each(ir.Activation):
            after = self._linear_readers(activation)
            if activation.function == "relu" and after is not None:
                self._balance_columns(activation.input, after, self.channels[activation.serial].reach())

    def _balance_columns(self, before: ir.Linear, after: list[ir.Linear], *reaches: Tensor) -> None:
        """Between ``before`` and the columns of ``after``; ``reaches`` of the tensors that shrink with ``before``."""
        columns = torch.stack([reader.weight.abs().amax(0) for reader in after]).amax(0)
        factor = _balance(columns, *reaches)
        scale_rows(before, 1 / factor)
        for reader in after:
            reader.weight = reader.weight * factor

    def _linear_readers(self, source: ir.Source) -> list[ir.Linear] | None:
        readers = self._readers.get(source.serial, [])
        linear = [reader for reader in readers if isinstance(reader, ir.Linear)]
        return linear if readers and len(linear) == len(readers) else None

    def _writers(self) -> Iterator[ir.Linear]:
        for start in self.encoder.each(ir.Start):
            yield start.embedding
        for add in self.encoder.each(ir.Add):
            yield add.branch
        for restart in self.encoder.each(ir.Restart):
            yield restart.scaled

    def centre_stream(self) -> bool:
        """Take the mean over channels off everything that the stream is made of. False where a reader sees it."""
        for source in self.encoder.sources:
            for part in source.inputs:
                if isinstance(part, ir.STREAM) and not (
                    isinstance(source, ir.STREAM) or (isinstance(source, ir.Norm) and source.centred)
                ):
                    return False
        for writer in self._writers():
            writer.weight = writer.weight - writer.weight.mean(0)
            writer.bias = writer.bias - writer.bias.mean()
        for start in self.encoder.each(ir.Start):
            start.constant = start.constant - start.constant.mean(1, keepdim=True)
        return True

    def rotate_stream(self) -> bool:
        """Turn the stream. False where something other than a norm and a linear layer reads it."""
        norms = list(self.encoder.each(ir.Norm))
        readers = [self._linear_readers(norm) for norm in norms]
        streams = [part for s in self.encoder.sources for part in s.inputs if isinstance(part, ir.STREAM)]
        direct = [s for s in self.encoder.sources for part in s.inputs if part in streams]
        if None in readers or not all(isinstance(s, ir.STREAM | ir.Norm) for s in direct):
            return False
        width = norms[0].width
        turn = rotation(width, keep_ones=any(norm.centred for norm in norms))
        for writer in self._writers():
            writer.weight, writer.bias = turn @ writer.weight, turn @ writer.bias
        for start in self.encoder.each(ir.Start):
            start.constant = start.constant @ turn.T
        for reader in (linear for found in readers if found is not None for linear in found):
            reader.weight = reader.weight @ turn.T
        return True


def rotation(width: int, *, keep_ones: bool) -> Tensor:
    """A random orthogonal matrix, float64 ``[width, width]``; with ``keep_ones`` it maps the row of ones to itself."""
    generator = torch.Generator().manual_seed(_SEED)
    if not keep_ones or width == 1:
        return _orthogonal(torch.randn(width, width, generator=generator, dtype=torch.float64))
    basis = torch.randn(width, width, generator=generator, dtype=torch.float64)
    basis[:, 0] = 1.0
    basis = _orthogonal(basis)  # its first column is the ones, up to their length
    turned = _orthogonal(torch.randn(width - 1, width - 1, generator=generator, dtype=torch.float64))
    inner = basis[:, 1:]
    return inner @ turned @ inner.T + torch.full((width, width), 1 / width, dtype=torch.float64)


def _orthogonal(matrix: Tensor) -> Tensor:
    q, r = torch.linalg.qr(matrix)
    turned: Tensor = q * r.diagonal().sign()
    return turned


def _balance(right: Tensor, *left: Tensor) -> Tensor:
    """What to divide all ``left`` by and multiply ``right`` with, by channel; 1 beside a 0.

    Of one left both become their geometric mean. Of several, the factor's logarithm is the mean of what each of them
    and, for the right, no factor at all would have: with ``n`` on the left, ``(product of left / right)**(1/(n + 1))``.
    """
    usable = right > 0
    product = 1 / right.clamp(min=1e-300)
    for each in left:
        usable = usable & (each > 0)
        product = product * each
    return torch.where(usable, product ** (1 / (len(left) + 1)), torch.ones_like(right))


def scale_rows(linear: ir.Linear, factor: Tensor) -> None:
    """Multiply what a linear layer gives by ``factor [O]``."""
    linear.weight, linear.bias = linear.weight * factor[:, None], linear.bias * factor
