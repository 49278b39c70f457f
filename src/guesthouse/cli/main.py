"""The `guesthouse` program: its verbs by name, and how every failure ends.

A verb is a module of this package with a click command named `command`, and one line in `VERBS`. It is imported when it
is called, so that no verb pays for another one's libraries.
"""

import contextlib
import importlib
import os
import platform
import sys
import time
import traceback
from collections.abc import Sequence

import click
from click.exceptions import NoArgsIsHelpError

from guesthouse.errors import UserError
from guesthouse.host.terminal import open_standard_streams
from guesthouse.host.user_folders import cache_folder, write_file
from guesthouse.version import __version__

VERBS = {
    "run": "Run a guest on this terminal, a throw-away one or one that lasts.",
    "exec": "Run a command in a guest that runs.",
    "cp": "Copy files into a guest that runs, or out of it.",
    "guests": "List your guests.",
    "define": "Print or check the definition of a guest.",
    "profile": "Run a guest and tell where its time goes.",
    "pull": "Build an image from Debian's packages into your store.",
    "images": "List, show, remove, export and import the images you have.",
    "disk": "Make, convert, check, resize and look into disk images.",
    "asm": "Assemble a file.",
    "disasm": "Disassemble a file, or instructions written as numbers.",
    "isa": "Show the instruction set, or one instruction in every form.",
    "doctor": "Tell what this host offers and what is active.",
    "build": "Build our own native parts ahead, into your cache.",
}

OUR_ERROR = 2
INTERRUPTED, BROKEN_PIPE = 130, 141
LOGS = "logs"


class Verbs(click.Group):
    """The verbs of the table, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the table's order."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb; None where there is none of that name."""
        if cmd_name not in VERBS:
            return None
        found: click.Command = importlib.import_module(f"guesthouse.cli.{cmd_name}").command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list from the table, without importing the verbs."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="guesthouse")
def program() -> None:
    """Virtual machines in Python: unmodified operating systems without root, without KVM, without QEMU."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program with these arguments (the process's own where None) and end the process with its status."""
    open_standard_streams()
    status = call(arguments)
    try:
        if sys.stdout is not None:  # None where the stream was closed
            sys.stdout.flush()
    except BrokenPipeError:
        with contextlib.suppress(OSError):  # else Python complains once more when it closes the stream
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = status or BROKEN_PIPE
    sys.exit(status)


def call(arguments: Sequence[str] | None) -> int:
    """Run the program and return its status; every failure has become one sentence on standard error."""
    try:
        result = program.main(arguments, prog_name="guesthouse", standalone_mode=False)
    except UserError as error:
        return fail(str(error))
    except NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return OUR_ERROR
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "guesthouse"
        return fail(f"{error.format_message().rstrip('.')} (`{path} --help` tells the options).")
    except click.ClickException as error:
        return fail(error.format_message())
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except (BrokenPipeError, SystemExit):  # click makes a SystemExit of a broken pipe
        return BROKEN_PIPE
    except Exception as error:
        return report_defect(error)
    return result if isinstance(result, int) else 0


def fail(sentence: str) -> int:
    """Print what is wrong and return the status of our own errors."""
    with contextlib.suppress(OSError):
        print(f"guesthouse: {sentence}", file=sys.stderr, flush=True)
    return OUR_ERROR


def report_defect(error: Exception) -> int:
    """Tell of a defect of ours in one sentence, with the traceback in a log file."""
    kind = str(error) if hasattr(error, "details") else f"{type(error).__name__}: {error}"
    details = "".join(traceback.format_exception(error)) + "\n" + getattr(error, "details", "")
    head = f"guesthouse {__version__}, Python {platform.python_version()}, {platform.platform()}\n{sys.argv}\n\n"
    path = cache_folder() / LOGS / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    try:
        write_file(path, (head + details).encode("utf-8", "replace"))
    except UserError:
        return fail(f"this is a defect of ours ({kind}); please report it with this:\n{details}")
    return fail(f"this is a defect of ours ({kind}); please report it with the log {path}.")


if __name__ == "__main__":
    main()
