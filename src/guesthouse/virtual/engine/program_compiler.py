"""A process that compiles programs for guests: each message in is LLVM IR, each one out the RISC-V object.

Not the compile service: what is compiled here is our own, and asked for once an installation.
"""

from __future__ import annotations

import sys

import llvmlite.binding as llvm

from guesthouse.host.messages import read_message, write_message

TRIPLE = "riscv64-unknown-linux-gnu"
FEATURES = "+m,+a,+c"
"""Every guest has these; without floating point, so that nothing of it need be kept for the kernel."""


def compile_program(ir: str) -> bytes:
    """The object; raises RuntimeError with LLVM's words where the IR is wrong."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple(TRIPLE)
    machine = target.create_target_machine(
        cpu="generic-rv64", features=FEATURES, opt=2, reloc="static", codemodel="medium", abiname="lp64"
    )
    module = llvm.parse_assembly(ir)
    module.verify()
    tuning = llvm.create_pipeline_tuning_options(speed_level=2)
    builder = llvm.create_pass_builder(machine, tuning)
    builder.getModulePassManager().run(module, builder)
    return bytes(machine.emit_object(module))


def main() -> None:
    """Compile what comes, until nobody asks any more; an answer is `object`, or `error` with the reason."""
    while (ir := read_message(sys.stdin.buffer)) is not None:
        try:
            answer: dict[str, bytes | str] = {"object": compile_program(ir)}
        except RuntimeError as error:
            answer = {"error": str(error)}
        write_message(sys.stdout.buffer, answer)


if __name__ == "__main__":
    main()
