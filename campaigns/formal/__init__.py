"""Proofs of hardware units with SymbiYosys, and a seeded bug for every proof (docs/proofs.md)."""
