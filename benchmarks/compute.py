"""The parts that run programs: on the bare board, inside Linux, and natively beside them."""

from collections.abc import Iterator, Sequence
from functools import partial

from benchmarks import linux_guest, programs
from benchmarks.measure import MeasureError, Run, between_marks, settle
from benchmarks.report import Row
from benchmarks.session import BUILD, Session, say
from benchmarks.sides import Guest
from benchmarks.work import Work, group_of, prepare_all

# So many programs are run in one guest, then the same in the next column's: "in turn" within minutes.
PROGRAMS_A_GUEST = 16

SECONDS_TO_SETTLE = 10.0


def bare_metal(session: Session) -> list[Row]:
    """The compute programs on the bare board."""
    rows = []
    for name in session.chosen.programs:
        if name not in programs.PROGRAMS or name in programs.LINUX_ONLY:
            continue
        row = Row(name, group=group_of(name))
        rows.append(row)
        try:
            elf = programs.build_bare_metal(name, BUILD, session.chosen.scale)
        except programs.BuildError as error:
            refuse(session, row, str(error))
            continue
        works, failures = (
            prepare_all([name], BUILD, session.chosen.scale) if "native" in session.chosen.columns else ([], {})
        )
        if failures:
            row.cell("native").error = failures[name]
        for _ in range(session.chosen.runs):
            for work in works:
                native(session, row, work)
            for column in session.monitors():
                session.measure(row, column, Guest(firmware=elf), partial(between_marks, name=name))
    return rows


def in_linux(session: Session, guest: Guest) -> list[Row]:
    """The programs, and the work for the kernel, as Linux programs in one guest after the other."""
    works, failures = prepare_all(session.chosen.programs, BUILD, session.chosen.scale)
    rows = {name: Row(name, group=group_of(name)) for name in session.chosen.programs}
    for name, reason in failures.items():
        refuse(session, rows[name], reason)
    for some in _chunks(works):
        loaded = linux_guest.add_programs(guest, {work.file: work.linux for work in some}, session.folder)
        for _ in range(session.chosen.runs):
            for work in some:
                rows[work.name].operations = work.operations
                if "native" in session.chosen.columns:
                    native(session, rows[work.name], work)
            for column in session.monitors():
                _column(session, column, loaded, some, rows)
    return list(rows.values())


def native(session: Session, row: Row, work: Work) -> None:
    """Run the native twin of `work` and note it."""
    if row.cell("native").error:
        return
    try:
        with Run([str(work.native), *work.native_arguments], timeout=session.chosen.timeout) as run:
            session.note(row, "native", between_marks(run, work.name), work.native_times)
    except MeasureError as error:
        session.note(row, "native", error)


def refuse(session: Session, row: Row, reason: str) -> None:
    """Note in every column why there is nothing to measure."""
    say(f"{row.name}: {reason}")
    for column in session.chosen.columns:
        row.cell(column).error = reason


def _column(session: Session, column: str, guest: Guest, works: Sequence[Work], rows: dict[str, Row]) -> None:
    """Run `works` in one guest as `column` wants it; where the guest hangs, those that are left in another."""
    left = [work for work in works if not rows[work.name].cell(column).error]
    while left:
        with session.start(column, guest) as run:
            try:
                linux_guest.boot(run)
                settle(SECONDS_TO_SETTLE)  # the boot's translations are no program's
                results = linux_guest.run_programs(run, {w.name: w.command for w in left}, session.chosen.timeout)
            except MeasureError as error:
                results = dict.fromkeys((work.name for work in left), error)
        for name, got in results.items():
            session.note(rows[name], column, got)
        left = [work for work in left if work.name not in results]


def _chunks(works: list[Work]) -> Iterator[list[Work]]:
    """Work for the kernel apart from the programs, and these in handfuls."""
    for system in (False, True):
        some = [work for work in works if (work.group == "system") == system]
        for start in range(0, len(some), PROGRAMS_A_GUEST):
            yield some[start : start + PROGRAMS_A_GUEST]
