"""The mutations: each changes one place of the hardware description into a mistake that someone could make.

A mutant that is caught by no case is either equivalent (then it does not belong here) or shows a hole in the cases.
"""

from __future__ import annotations

from tests.mutants.mutation import Mutation

CONSTANT = "changed constant"
FIRST = "dropped first flag"
OFF = "off by one"
OPERAND = "swapped or wrong operand"
ROUNDING = "wrong rounding"
SATURATION = "dropped or wrong saturation"
SHIFT = "wrong shift"
ADDRESS = "wrong address"
CONDITION = "wrong condition"
MASK = "dropped mask or padding"
TIMING = "wrong cycle"
TOKEN = "tokens and completion"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(FIRST, "array.py", "dot + Mux(load, 0, acc)", "dot + acc"),
    Mutation(TIMING, "array.py", "copy = stages[3][2]", "copy = stages[2][2]"),
    Mutation(OFF, "feeder.py", "_word_last.eq(self._left == 2)", "_word_last.eq(self._left == 1)"),
    Mutation(CONDITION, "feeder.py", "self._columns <= 2 * self.lanes", "self._columns < 2 * self.lanes"),
    Mutation(
        ADDRESS, "feeder.py", "_b_addr.eq(self._b_tile + current.b_stride)", "_b_addr.eq(self._b_tile + 1)"
    ),
    Mutation(ADDRESS, "feeder.py", "_p_row.eq(self._p_row + self.lanes)", "_p_row.eq(self._p_row + 1)"),
    Mutation(TIMING, "feeder.py", "Const(self.lanes - 1), short", "Const(self.lanes - 2), short"),
    Mutation(CONDITION, "drain.py", "(self._column < fields.columns)", "(self._column <= fields.columns)"),
    Mutation(ADDRESS, "drain.py", "self._row + self._current.fields.o_stride", "self._row + 1"),
    Mutation(
        CONSTANT,
        "drain.py",
        "(tag.index == self.config.array.depth - 1)",
        "(tag.index == 0)",
    ),
    Mutation(ADDRESS, "drain.py", "Mux(per_column, self._column, 0)", "self._column"),
    Mutation(
        MASK,
        "parameters.py",
        "Mux(self.lane_valid, 1 << self.lane, 0)",
        "self.lane_valid.replicate(self.lanes)",
    ),
    Mutation(OPERAND, "fusion.py", "self.acc[lane] + self.bias[lane]", "self.acc[lane] - self.bias[lane]"),
    Mutation(
        SATURATION,
        "fusion.py",
        "Mux(total > INT16.maximum, INT16.maximum, total)",
        "total",
    ),
    Mutation(
        CONDITION,
        "fusion.py",
        "control.activation == Activation.RELU",
        "control.activation != Activation.RELU",
    ),
    Mutation(CONDITION, "fusion.py", "Mux(before.residual, self.residual[lane], 0)", "self.residual[lane]"),
    Mutation(
        SATURATION,
        "fusion.py",
        "Mux(is_gelu, Saturation.INT16, control.saturation)",
        "control.saturation",
    ),
    Mutation(OPERAND, "gelu_unit.py", "self.x[lane] ^ negative.replicate(len(u))", "self.x[lane]"),
    Mutation(
        ROUNDING, "gelu_unit.py", "Cat(Const(1, self.scale_bits + 1)", "Cat(Const(0, self.scale_bits + 1)"
    ),
    Mutation(CONDITION, "gelu_unit.py", "enable[-1] & (x[-1] < 0)", "(x[-1] < 0)"),
    Mutation(SATURATION, "gelu_delta.py", "u[len(near) :].any()", "0"),
    Mutation(OPERAND, "gelu_delta.py", "(fraction ^ index[0].replicate(fine)) + index[0]", "fraction"),
    Mutation(
        ROUNDING, "requantize.py", "Cat(Const(1, 1), zero_points[1])", "Cat(Const(0, 1), zero_points[1])"
    ),
    Mutation(
        SATURATION,
        "requantize.py",
        "Cat(maximum, Const(0, 1)) ^ shifted[-1].replicate(16)",
        "Cat(maximum, Const(0, 1))",
    ),
    Mutation(CONSTANT, "requantize.py", "saturation == Saturation.INT16", "saturation == Saturation.SCORE"),
    Mutation(SATURATION, "requantize.py", "outside = lost |", "outside ="),
    Mutation(MASK, "packer.py", "kept = Mux(start, 0, element) if v else element", "kept = element"),
    Mutation(ADDRESS, "scores.py", "Mux(slot, word + self.config.s_depth, word)", "word"),
    Mutation(OPERAND, "scores.py", "statistics.level_slot.eq(slot)", "statistics.level_slot.eq(0)"),
    Mutation(MASK, "scores.py", "Mux(first, MASKED_CODE, code) if v else code", "code"),
    Mutation(OPERAND, "softmax.py", "enumerate([*sums[1:], Const(0, SUM_BITS)])", "enumerate(sums)"),
    Mutation(OPERAND, "softmax_base2.py", "integer - running", "running - integer"),
    Mutation(SHIFT, "softmax_base2.py", "total >> drop", "total"),
    Mutation(SHIFT, "softmax_base2.py", "difference[3] | ~low", "~low"),
    Mutation(ROUNDING, "softmax_prologue.py", "bits[1:9]) + 1)[1:9]", "bits[1:9]))[1:9]"),
    Mutation(SHIFT, "planes.py", "total >> WIDE_BITS", "total >> 3"),
    Mutation(ADDRESS, "drain.py", "self._tiles + ~self._tile.plane.high", "self._tiles + 1"),
    Mutation(CONDITION, "feeder.py", "self._low.eq(self._again)", "self._low.eq(0)"),
    Mutation(TIMING, "softmax_recurrence.py", "self.o_last.eq(last[-1])", "self.o_last.eq(last[-2])"),
    Mutation(CONSTANT, "softmax_online.py", "scaled + _ONE", "scaled + term"),
    Mutation(SHIFT, "softmax_online.py", "(total * factor) >> 15", "(total * factor) >> 14"),
    Mutation(SHIFT, "softmax_ibert.py", "Cat(0, value) >> places[1]", "Cat(0, value)"),
    Mutation(OFF, "softmax_ibert.py", "active.eq(key != keys)", "active.eq(key + 1 != keys)"),
    Mutation(OPERAND, "softmax_ibert.py", "half.eq(self._half)", "half.eq(~self._half)"),
    Mutation(SHIFT, "softmax_ita.py", ">> Mux(rises, 0, places)", ">> places"),
    Mutation(ROUNDING, "softmax_ita.py", "distance + (1 << (_FRACTION_BITS - 1))", "distance"),
    Mutation(SHIFT, "rowscale.py", "(self.offset - 1) - wide", "(self.offset - 1)"),
    Mutation(OPERAND, "rsqrt.py", "(3 << 16) - b", "(3 << 16) + b"),
    Mutation(ROUNDING, "rsqrt.py", "(seeds[3] * rest) >> 17", "seeds[3]"),
    Mutation(CONSTANT, "norm_one_pass.py", "scaled - square + constants.epsilon", "scaled - square"),
    Mutation(OFF, "norm_scale.py", "self.shift + root.half_exponent + 1", "self.shift + root.half_exponent"),
    Mutation(FIRST, "norm_two_pass.py", "term + Mux(first, 0, total)", "term + total"),
    Mutation(CONDITION, "norm_two_pass.py", "constants.centred & ~read.mean", "constants.centred"),
    Mutation(
        OPERAND,
        "reciprocal.py",
        "Cat(subtract, state.remainder) + divisor",
        "Cat(0, state.remainder) + divisor",
    ),
    Mutation(MASK, "norm_pool.py", "Mux(~self.last | self.mask[lane], self.x[lane], 0)", "self.x[lane]"),
    Mutation(
        TIMING, "norm_pipeline.py", "packer.index.eq(tags[-2].position)", "packer.index.eq(tags[-1].position)"
    ),
    Mutation(ADDRESS, "norm.py", "Mux(last, base + 1, self._address", "Mux(last, base, self._address"),
    Mutation(
        ADDRESS, "norm_words.py", "Mux(last, base + self.stride, address + 1)", "Mux(last, base, address + 1)"
    ),
    Mutation(SHIFT, "patches.py", "taken.rotate_left(8 * position)", "taken"),
    Mutation(MASK, "patches.py", "((1 << count) - 1) << self._inner", "(1 << count) - 1"),
    Mutation(OPERAND, "pixel_rows.py", "Mux(channel == 0, below, next_band)", "below"),
    Mutation(
        MASK,
        "memory.py",
        "port.mask if name in self._masked else Const(-1, len(mask))",
        "Const(-1, len(mask))",
    ),
    Mutation(
        CONSTANT,
        "bursts.py",
        "self._burst_beats - place, self._burst_beats",
        "self._burst_beats, self._burst_beats",
    ),
    Mutation(
        MASK,
        "gearbox.py",
        "filled = (1 << (slot + 1) * word // 8) - 1",
        "filled = (1 << bits // 8) - 1",
    ),
    Mutation(OFF, "store.py", "last.eq(sent == lengths.r_data)", "last.eq(sent + 1 == lengths.r_data)"),
    Mutation(OFF, "store_words.py", "reading_last.eq(words_left == 1)", "reading_last.eq(words_left == 2)"),
    Mutation(
        OFF, "load_back.py", "self._address.eq(self._address + 1)", "self._address.eq(self._address + 2)"
    ),
    Mutation(TOKEN, "issue.py", "header.wait & ~self.available", "header.wait & self.available"),
    Mutation(TOKEN, "completion.py", "kinds.bit_select(head, 1)", "kinds.bit_select(tail, 1)"),
    Mutation(
        TIMING,
        "matrix.py",
        "FusionPipeline.residual_latency(config) - 1",
        "FusionPipeline.residual_latency(config)",
    ),
    Mutation(
        CONSTANT,
        "matrix.py",
        "Mux(tag.destination == Memory.S, 2, tag.destination == Memory.R)",
        "(tag.destination == Memory.R)",
    ),
)
