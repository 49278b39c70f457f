"""From LLVM IR as text to a relocatable object. Only this imports LLVM, in processes that never run a guest."""

from __future__ import annotations

import llvmlite.binding as llvm

# Passes of LLVM's code generator that take a third of its time and change next to nothing in our code: addresses in it
# are formed once, its loops are the guest compiler's work already, and what leaves a region the same way shares code.
LEFT_OUT = (
    *("-enable-misched=false", "-enable-post-misched=false", "-disable-post-ra", "-disable-lsr"),
    *("-disable-constant-hoisting", "-disable-machine-licm", "-disable-machine-cse", "-disable-machine-sink"),
    *("-disable-early-taildup", "-disable-copyprop", "-disable-ssc", "-disable-partial-libcall-inlining"),
)
# Pays where code is made once: a rare way out becomes a conditional jump to it.
BRANCH_FOLDING = "-disable-branch-fold"


class Compiler:
    """LLVM set up for this host; `level` says how hard it tries: 0 a few passes, 1..3 its own pipelines."""

    def __init__(self) -> None:
        for option in LEFT_OUT:
            llvm.set_option("guesthouse", option)
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        self.cpu = llvm.get_host_cpu_name()
        self.features = llvm.get_host_cpu_features().flatten()
        self._machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=self.cpu, features=self.features, opt=2, reloc="pic", codemodel="small"
        )

    def compile(self, ir: str, level: int = 2) -> bytes:
        """Optimise and generate code; raises RuntimeError with LLVM's words where the IR is wrong."""
        module = self._optimised(ir, level)
        return bytes(self._machine.emit_object(module))

    def assembly(self, ir: str, level: int = 2) -> tuple[str, str]:
        """The optimised IR and the host's assembly, for people."""
        module = self._optimised(ir, level)
        return str(module), str(self._machine.emit_assembly(module))

    def _optimised(self, ir: str, level: int) -> llvm.ModuleRef:
        module = llvm.parse_assembly(ir)
        llvm.set_option("guesthouse", f"{BRANCH_FOLDING}={'true' if level == 0 else 'false'}")
        if level == 0:
            self._quick(module)
            return module
        tuning = llvm.create_pipeline_tuning_options(speed_level=level)
        builder = llvm.create_pass_builder(self._machine, tuning)
        builder.getModulePassManager().run(module, builder)
        return module

    def _quick(self, module: llvm.ModuleRef) -> None:
        """The few passes that pay for a region: its registers into SSA, empty blocks dropped.

        Lowering computes nothing twice in a block, and the code generator folds what is known.
        """
        builder = llvm.create_pass_builder(self._machine, llvm.create_pipeline_tuning_options(speed_level=1))
        passes = llvm.create_new_function_pass_manager()
        passes.add_sroa_pass()
        passes.add_simplify_cfg_pass()
        for function in module.functions:
            if not function.is_declaration:
                passes.run(function, builder)
