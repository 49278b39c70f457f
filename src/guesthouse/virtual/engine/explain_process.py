"""A child process that shows people what LLVM makes of a text: optimised IR and the host's assembly."""

from __future__ import annotations

import sys

from guesthouse.host.messages import read_message, write_message
from guesthouse.virtual.engine.compiler import Compiler


def main() -> None:
    """Answer requests (`ir`: a module's text, `level`) with `optimised` and `assembly`, or `error`, until the end."""
    compiler = Compiler()
    while (request := read_message(sys.stdin.buffer)) is not None:
        try:
            optimised, assembly = compiler.assembly(request["ir"], request["level"])
            answer = {"optimised": optimised, "assembly": assembly}
        except RuntimeError as error:
            answer = {"error": str(error)}
        write_message(sys.stdout.buffer, answer)


if __name__ == "__main__":
    main()
