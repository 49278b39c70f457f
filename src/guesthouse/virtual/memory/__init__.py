"""Guest memory: RAM and its frames, the shadow page table, and where decoded code lies."""
