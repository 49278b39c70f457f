"""`python -m guesthouse` is the program `guesthouse`."""

from guesthouse.cli.main import main

main()
