"""Engines: what runs a described instruction set, from plain calls in Python to translated regions."""
