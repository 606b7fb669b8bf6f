"""All proofs, in the order of docs/proofs.md."""

from __future__ import annotations

from campaigns.formal import activation as activation
from campaigns.formal import arithmetic, bounds, norms, packing, tokens, transfers, units
from campaigns.formal.prover import Proof

PROOFS: tuple[Proof, ...] = (
    *arithmetic.PROOFS,
    *activation.PROOFS,
    *bounds.PROOFS,
    *norms.PROOFS,
    *packing.PROOFS,
    *tokens.PROOFS,
    *transfers.PROOFS,
    *units.PROOFS,
)


def find(name: str) -> Proof:
    """The proof of that name. Raises KeyError when there is none."""
    return {proof.name: proof for proof in PROOFS}[name]
