"""The mutations: each changes one place of the hardware description into a mistake that someone could make.

A mutant that is caught by no case is either equivalent (then it does not belong here) or shows a hole in the cases.
"""

from __future__ import annotations

from campaigns.mutants.mutation import Mutation

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
TOKEN = "tokens and retiring"

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(FIRST, "matrix/processing_element.py", "dot + Mux(flags.load, 0, acc)", "dot + acc"),
    Mutation(TIMING, "matrix/array.py", "copy=stages[3][2]", "copy=stages[2][2]"),
    Mutation(OPERAND, "matrix/mult18x18d.py", "product.eq(a * b)", "product.eq(a * a)"),
    Mutation(
        OFF, "matrix/tile_walk.py", "word_last.eq(current.left == 2)", "word_last.eq(current.left == 1)"
    ),
    Mutation(CONDITION, "matrix/tile_walk.py", "current.columns <= 2 * lanes", "current.columns < 2 * lanes"),
    Mutation(
        ADDRESS, "matrix/tile_walk.py", "at.b.eq(at.b_tile + fields.b_stride)", "at.b.eq(at.b_tile + 1)"
    ),
    Mutation(ADDRESS, "matrix/tile_walk.py", "p_row.eq(at.p_row + lanes)", "p_row.eq(at.p_row + 1)"),
    Mutation(
        TIMING, "matrix/operand_sequencer.py", "Const(self.lanes - 1), words", "Const(self.lanes - 2), words"
    ),
    Mutation(CONDITION, "matrix/readout.py", "(at.column < fields.columns)", "(at.column <= fields.columns)"),
    Mutation(ADDRESS, "matrix/readout.py", "at.row + at.current.fields.o_stride", "at.row + 1"),
    Mutation(
        CONSTANT,
        "matrix/readout.py",
        "(tag.index == self.config.array.depth - 1)",
        "(tag.index == 0)",
    ),
    Mutation(ADDRESS, "matrix/readout.py", "Mux(per_column, at.column, 0)", "at.column"),
    Mutation(
        MASK,
        "matrix/parameters.py",
        "Mux(self.lane_valid, 1 << self.lane, 0)",
        "self.lane_valid.replicate(self.lanes)",
    ),
    Mutation(
        OPERAND,
        "matrix/epilogue.py",
        "Cat(1, self.acc[lane]) + Cat(self.carry[lane], self.bias[lane])",
        "Cat(1, self.acc[lane]) - Cat(self.carry[lane], self.bias[lane])",
    ),
    Mutation(
        SATURATION,
        "matrix/epilogue.py",
        "Mux(above, INT16.maximum, total)",
        "total",
    ),
    Mutation(
        CONDITION,
        "matrix/epilogue.py",
        "control.activation == Activation.RELU",
        "control.activation != Activation.RELU",
    ),
    Mutation(
        CONDITION, "matrix/epilogue.py", "Mux(before.residual, self.residual[lane], 0)", "self.residual[lane]"
    ),
    Mutation(
        SATURATION,
        "matrix/epilogue.py",
        "Mux(is_smooth, Saturation.INT16, control.saturation)",
        "control.saturation",
    ),
    Mutation(OPERAND, "matrix/epilogue.py", "Mux(is_smooth, sign, above[lane])", "sign"),
    Mutation(OPERAND, "activation/unit.py", "self.x[lane] ^ negative.replicate(len(u))", "self.x[lane]"),
    Mutation(
        ROUNDING,
        "activation/unit.py",
        "Cat(Const(1, self.scale_bits + 1)",
        "Cat(Const(0, self.scale_bits + 1)",
    ),
    Mutation(CONDITION, "activation/unit.py", "enable[-1] & (x[-1] < 0)", "(x[-1] < 0)"),
    Mutation(SATURATION, "activation/delta.py", "u[len(near) :].any()", "0"),
    Mutation(OPERAND, "activation/delta.py", "(fraction ^ index[0].replicate(fine)) + index[0]", "fraction"),
    Mutation(
        ROUNDING,
        "arith/requantize.py",
        "Cat(Const(1, 1), zero_points[1])",
        "Cat(Const(0, 1), zero_points[1])",
    ),
    Mutation(
        SATURATION,
        "arith/requantize.py",
        "Cat(maximum, Const(0, 1)) ^ shifted[-1].replicate(result)",
        "Cat(maximum, Const(0, 1))",
    ),
    Mutation(
        CONSTANT, "arith/requantize.py", "for known in ranges[index:]", "for known in ranges[index + 1 :]"
    ),
    Mutation(SATURATION, "arith/requantize.py", "outside = lost |", "outside ="),
    Mutation(MASK, "matrix/packer.py", "kept = Mux(start, 0, element) if v else element", "kept = element"),
    Mutation(
        ADDRESS,
        "matrix/scores.py",
        "self._address(self.read_slot, self.read_word)",
        "self._address(~self.read_slot, self.read_word)",
    ),
    Mutation(OPERAND, "matrix/scores.py", "statistics.level_slot.eq(slot)", "statistics.level_slot.eq(0)"),
    # Not here: codes of keys that pad a word. In compiled programs they meet values that are zero, so no byte differs;
    # tests/hw/matrix/test_matrix.py has other values there.
    Mutation(OPERAND, "softmax/softmax.py", "enumerate([*kept[1:], Const(0, size)])", "enumerate(kept)"),
    Mutation(OPERAND, "softmax/base2.py", "integer - running", "running - integer"),
    Mutation(SHIFT, "softmax/base2.py", "total >> drop", "total"),
    Mutation(SHIFT, "softmax/base2.py", "places.eq(difference)", "places.eq(difference[:3])"),
    Mutation(CONDITION, "softmax/base2.py", "difference[4:].any()", "difference[5:].any()"),
    Mutation(FIRST, "softmax/rounding.py", "Mux(first, 1 << (REMAINDER_BITS - 1), remainder)", "remainder"),
    Mutation(
        CONSTANT,
        "softmax/rounding.py",
        "Mux(first, 1 << (REMAINDER_BITS - 1), remainder)",
        "Mux(first, 0, remainder)",
    ),
    Mutation(TIMING, "softmax/rounding.py", "total: Value = Mux(first,", "total: Value = Mux(self.first,"),
    Mutation(OPERAND, "softmax/rounding.py", "(total + level[:REMAINDER_BITS])", "level[:REMAINDER_BITS]"),
    Mutation(CONDITION, "softmax/rounding.py", "total[-1] ^ odd", "total[-1]"),
    Mutation(CONDITION, "softmax/rounding.py", "odd = total[-1]", "odd = Const(0, 1)"),
    Mutation(OPERAND, "softmax/rounding.py", "remainder.eq(total)", "remainder.eq(levels[0])"),
    Mutation(ROUNDING, "softmax/rounding.py", "(upper + 1)[:8]", "upper"),
    Mutation(CONDITION, "softmax/rounding.py", "Mux(plane.high | plane.low, (", "Mux(plane.high, ("),
    Mutation(SHIFT, "softmax/rounding.py", "level[:9], Cat(level[8:]", "level[:9], Cat(level[7:15]"),
    Mutation(TIMING, "softmax/prologue.py", "self.first, levels.LATENCY", "self.first, levels.LATENCY + 1"),
    Mutation(TIMING, "softmax/prologue.py", "self.plane, levels.LATENCY", "self.plane, levels.LATENCY - 1"),
    Mutation(CONDITION, "matrix/scores.py", "first.eq(self.read_first)", "first.eq(0)"),
    # Not here: a level with 8 ones at its end, and an inverse of 255: too rare in these programs. The vectors of
    # tests/hw/softmax/test_softmax.py have both.
    # Blocks of keys: sums.
    Mutation(
        OPERAND, "softmax/blocks.py", "maximum.eq(Mux(up, self.maximum, former))", "maximum.eq(self.maximum)"
    ),
    Mutation(FIRST, "softmax/blocks.py", "row.eq(Mux(self.first, 0, former_sum))", "row.eq(former_sum)"),
    Mutation(CONDITION, "softmax/blocks.py", "up = self.first | (difference > 0)", "up = difference > 0"),
    Mutation(SHIFT, "softmax/blocks.py", "Mux(rises, row, block) >> places", "Mux(rises, row, block)"),
    Mutation(
        OPERAND, "softmax/blocks.py", "other.eq(Mux(rises, block, row))", "other.eq(Mux(rises, row, block))"
    ),
    Mutation(TIMING, "softmax/blocks.py", "write.addr.eq(lanes[2])", "write.addr.eq(lanes[1])"),
    Mutation(OPERAND, "softmax/softmax.py", "result.sum.eq(blocks.o_sum)", "result.sum.eq(first_sum)"),
    Mutation(
        CONDITION, "softmax/softmax.py", "rows.o_maximum & ~rows.o_constants.last_block", "rows.o_maximum & 0"
    ),
    # Blocks of keys: contexts.
    Mutation(
        FIRST,
        "matrix/partial_contexts.py",
        "difference.eq(Mux(self.first_block, 0, taken - largest))",
        "difference.eq(taken - largest)",
    ),
    Mutation(
        SHIFT, "matrix/partial_contexts.py", "shifts.older.eq(Mux(up, places, 0))", "shifts.older.eq(0)"
    ),
    Mutation(SHIFT, "matrix/partial_contexts.py", "shifts.new.eq(Mux(up, 0, places))", "shifts.new.eq(0)"),
    Mutation(
        CONDITION, "matrix/partial_contexts.py", "m.If(self.first_block | up)", "m.If(self.first_block)"
    ),
    # Not here: the roundings of both shifts, a sixteenth of a unit of an accumulator, which no int8 result of these
    # programs shows. tests/hw/matrix/test_partial_contexts.py looks at the sums themselves.
    Mutation(SHIFT, "matrix/partial_contexts.py", "Mux(part.low, 0, shifts.older)", "shifts.older"),
    Mutation(SHIFT, "matrix/partial_contexts.py", "new + Mux(part.low, _LOW_PLACES, 0)", "new"),
    Mutation(CONDITION, "matrix/partial_contexts.py", "part.summed & part.older, 0", "part.summed, 0"),
    Mutation(
        ADDRESS, "matrix/partial_contexts.py", "write.addr.eq(self.write_index)", "write.addr.eq(self.index)"
    ),
    Mutation(
        CONDITION, "matrix/matrix.py", "(total.flags.valid | total.flags.hold) &", "total.flags.valid &"
    ),
    Mutation(
        OPERAND, "matrix/matrix.py", "context_slot.eq(following.slot)", "context_slot.eq(~following.slot)"
    ),
    Mutation(FIRST, "matrix/matrix.py", "first.eq(following.first_block)", "first.eq(1)"),
    Mutation(CONDITION, "matrix/results.py", " & ~column.tag.kept", ""),
    Mutation(CONDITION, "matrix/readout.py", "at.tile.plane.low | ~fields.first_block", "at.tile.plane.low"),
    Mutation(CONDITION, "matrix/readout.py", "(context & ~whole)", "(context & ~fields.last_block)"),
    Mutation(ADDRESS, "matrix/readout.py", "tiles + ~at.tile.plane.high", "tiles + 1"),
    Mutation(CONDITION, "matrix/faults.py", "word.eq(self.word | met)", "word.eq(self.word | ~met)"),
    Mutation(CONDITION, "matrix/tile_walk.py", "current.low.eq(current.again)", "current.low.eq(0)"),
    Mutation(TIMING, "softmax/recurrence.py", "self.o_last.eq(last[-1])", "self.o_last.eq(last[-2])"),
    Mutation(CONSTANT, "softmax/online.py", "scaled + _ONE", "scaled + term"),
    Mutation(SHIFT, "softmax/online.py", "(total * factor) >> 15", "(total * factor) >> 14"),
    Mutation(SHIFT, "softmax/ibert.py", "Cat(0, value) >> places[1]", "Cat(0, value)"),
    Mutation(OFF, "softmax/ibert.py", "active.eq(key != keys)", "active.eq(key + 1 != keys)"),
    Mutation(OPERAND, "softmax/ibert.py", "half.eq(self._half)", "half.eq(~self._half)"),
    Mutation(SHIFT, "softmax/ita.py", ">> Mux(rises, 0, places)", ">> places"),
    Mutation(ROUNDING, "softmax/ita.py", "distance + (1 << (_FRACTION_BITS - 1))", "distance"),
    Mutation(SHIFT, "softmax/rowscale.py", "(self.offset - 1) - wide", "(self.offset - 1)"),
    Mutation(OPERAND, "arith/rsqrt.py", "(3 << 16) - b", "(3 << 16) + b"),
    Mutation(ROUNDING, "arith/rsqrt.py", "(seeds[3] * rest) >> 17", "seeds[3]"),
    Mutation(CONSTANT, "norm/one_pass.py", "scaled - square + constants.epsilon", "scaled - square"),
    Mutation(OFF, "norm/scale.py", "self.shift + root.half_exponent + 1", "self.shift + root.half_exponent"),
    Mutation(FIRST, "norm/two_pass.py", "term + Mux(first, 0, total)", "term + total"),
    Mutation(CONDITION, "norm/two_pass.py", "constants.centred & ~read.mean", "constants.centred"),
    Mutation(
        OPERAND,
        "arith/reciprocal.py",
        "Cat(subtract, state.remainder) + divisor",
        "Cat(0, state.remainder) + divisor",
    ),
    Mutation(MASK, "vector/pool.py", "Mux(inside, self.x[lane], 0)", "self.x[lane]"),
    Mutation(
        TIMING,
        "vector/pipeline.py",
        "packer.index.eq(tags[-2].position)",
        "packer.index.eq(tags[-1].position)",
    ),
    Mutation(ADDRESS, "vector/vector_unit.py", "Mux(last, walk.base + 1, walk", "Mux(last, walk.base, walk"),
    Mutation(
        ADDRESS,
        "vector/words.py",
        "Mux(last, base + self.stride, address + 1)",
        "Mux(last, base, address + 1)",
    ),
    Mutation(
        SHIFT,
        "vector/pipeline.py",
        "others.shift[lane - 1].eq(norm.row_shift[lane] + channel_shift)",
        "others.shift[lane - 1].eq(norm.row_shift[lane])",
    ),
    Mutation(
        TIMING,
        "vector/pipeline.py",
        "tags[_X + norm.LATENCY].channel_shift",
        "tags[_X + norm.LATENCY - 1].channel_shift",
    ),
    Mutation(ADDRESS, "vector/shifts.py", "self.base + index", "self.base"),
    Mutation(SHIFT, "vector/shifts.py", "word.eq(word >> CHANNEL_SHIFT_BITS)", "word.eq(word >> 1)"),
    Mutation(CONDITION, "vector/shifts.py", "reading & room & ~arrives", "reading & ~arrives"),
    Mutation(CONDITION, "vector/vector_unit.py", "place.all() | walk.last_channel", "walk.last_channel"),
    Mutation(OFF, "vector/sequence.py", "begin_tile.eq(~self.last_tile)", "begin_tile.eq(1)"),
    Mutation(SHIFT, "load/patches.py", "taken.rotate_left(8 * position)", "taken"),
    Mutation(MASK, "load/patches.py", "((1 << plan.count) - 1) << plan.inner", "(1 << plan.count) - 1"),
    Mutation(OPERAND, "load/pixel_rows.py", "Mux(channel == 0, below, next_band)", "below"),
    Mutation(
        MASK,
        "memory/scratchpad.py",
        "port.mask if name in self._masked else Const(-1, len(mask))",
        "Const(-1, len(mask))",
    ),
    Mutation(OPERAND, "matrix/scores.py", "self._address(self.read_slot,", "self._address(~self.read_slot,"),
    Mutation(
        CONSTANT,
        "axi/bursts.py",
        "self._burst_beats - place, self._burst_beats",
        "self._burst_beats, self._burst_beats",
    ),
    Mutation(
        MASK,
        "axi/gearbox.py",
        "filled = (1 << (slot + 1) * word // 8) - 1",
        "filled = (1 << bits // 8) - 1",
    ),
    Mutation(OFF, "store/store.py", "last.eq(sent == lengths.r_data)", "last.eq(sent + 1 == lengths.r_data)"),
    Mutation(
        OFF, "store/store_words.py", "reading_last.eq(words_left == 1)", "reading_last.eq(words_left == 2)"
    ),
    Mutation(OFF, "load/load_back.py", "address.eq(place.address + 1)", "address.eq(place.address + 2)"),
    Mutation(
        OPERAND,
        "load/write_queue.py",
        "Mux(get, words[1].as_value(), words[0].as_value())",
        "words[0].as_value()",
    ),
    Mutation(TOKEN, "control/issue.py", "header.wait & ~self.available", "header.wait & self.available"),
    Mutation(TOKEN, "control/retire.py", "oldest.eq(endings[head])", "oldest.eq(endings[tail])"),
    Mutation(
        TIMING,
        "matrix/matrix.py",
        "Epilogue.residual_latency(config) - 1",
        "Epilogue.residual_latency(config)",
    ),
    Mutation(
        CONSTANT,
        "matrix/matrix.py",
        "Mux(tag.destination == Memory.S, Saturation.SCORE, tag.destination == Memory.R)",
        "(tag.destination == Memory.R)",
    ),
)
