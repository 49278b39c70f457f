"""The host's side of the guest's agent: commands, files and the guest's own affairs over one stream of bytes."""
