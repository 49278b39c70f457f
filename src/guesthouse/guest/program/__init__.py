"""Small programs for a guest, written in a subset of Python: from functions to LLVM IR to a static executable."""
