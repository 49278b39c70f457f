"""The semantics language: vocabulary, encodings, state; and the readers that need no engine."""
