"""Every opcode with what it states about itself."""

from __future__ import annotations

from collections.abc import Mapping

from vitreous.spec.opcodes.end import END
from vitreous.spec.opcodes.fill import FILL
from vitreous.spec.opcodes.kinds import Opcode
from vitreous.spec.opcodes.load import LOAD
from vitreous.spec.opcodes.load_patches import LOAD_PATCHES
from vitreous.spec.opcodes.matmul import MATMUL
from vitreous.spec.opcodes.norm import NORM
from vitreous.spec.opcodes.opcode import OpcodeSpec
from vitreous.spec.opcodes.pool import POOL
from vitreous.spec.opcodes.store import STORE

OPCODES: Mapping[Opcode, OpcodeSpec] = {
    Opcode.END: END,
    Opcode.LOAD: LOAD,
    Opcode.LOAD_PATCHES: LOAD_PATCHES,
    Opcode.FILL: FILL,
    Opcode.MATMUL: MATMUL,
    Opcode.NORM: NORM,
    Opcode.POOL: POOL,
    Opcode.STORE: STORE,
}
