"""`guesthouse doctor`: what this host offers and what is active."""

import click

from guesthouse.host import survey
from guesthouse.host.confinement import offered, try_confinement
from guesthouse.host.user_folders import cache_folder, config_folder, data_folder
from guesthouse.manager.native_parts import compile_service_status, missing_native_parts
from guesthouse.manager.store import ImageStore
from guesthouse.version import __version__

PACKAGES = ("llvmlite", "msgspec", "click", "rich", "zstandard", "pyelftools", "pysequoia")


@click.command("doctor")
def command() -> None:
    """Tell what this host offers, and what of it a guest's worker process has active."""
    host = {
        "guesthouse": __version__,
        "python": survey.python_version(),
        "packages": ", ".join(f"{name} {survey.package_version(name)}" for name in PACKAGES),
        "kernel": survey.kernel(),
        "processor": survey.processor(),
        "memory": survey.memory(),
        "kvm": f"{survey.kvm()} (not needed)",
        **offered(),
    }
    show("This host", host)
    show("Folders", {
        "images": survey.folder(data_folder()),
        "cache": survey.folder(cache_folder()),
        "settings": survey.folder(config_folder()),
    })  # fmt: skip
    show("Guesthouse", {
        "images": ", ".join(["hello", *ImageStore().names()]),
        "native parts": "missing; `guesthouse build` makes them" if missing_native_parts() else "in the cache",
        "compile service": compile_service_status(),
    })  # fmt: skip
    measures = try_confinement()
    show("Confinement of a guest's worker process", {
        name: f"not active: {reason}" if reason else "active" for name, reason in measures.items()
    })  # fmt: skip


def show(title: str, facts: dict[str, str]) -> None:
    """Print a heading and the facts below it, aligned."""
    click.echo(f"{title}:")
    width = max(len(name) for name in facts)
    for name, fact in facts.items():
        click.echo(f"  {name:{width}}  {fact}")
