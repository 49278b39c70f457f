"""Why an engine stopped: the contract between engines and the machine, shaped like KVM's exits."""

from enum import IntEnum


class Exit(IntEnum):
    """The reason `run(cpu, budget)` came back."""

    BUDGET = 1  # the instruction budget is spent
    WAIT = 2  # the guest waits for an interrupt
    HYPERCALL = 3  # the guest calls its monitor (arguments are in its registers)
    DEVICE_READ = 4  # exit_address, exit_size; answer with `exit_value` and run again
    DEVICE_WRITE = 5  # exit_address, exit_size, exit_value; run again
    SHUTDOWN = 6  # the monitor or a device ended the run
    BREAKPOINT = 7  # a hook or a breakpoint at pc
    ATTENTION = 8  # someone outside asked for a stop
    SERVICE = 9  # the engine's own need (memory for code, a page that must be brought in)
    WATCH = 10  # a watched address was touched
