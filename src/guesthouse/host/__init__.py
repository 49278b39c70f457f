"""The host's operating system: files, network, terminals, processes and confinement."""
