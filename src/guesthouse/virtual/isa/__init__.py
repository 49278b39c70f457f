"""Instruction sets, each described once in the semantics language."""
