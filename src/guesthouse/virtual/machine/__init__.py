"""The machine: a board, its processor, and what runs them together."""
