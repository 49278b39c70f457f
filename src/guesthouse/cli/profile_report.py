"""A profile as lines of text: by engine, by exit, by function, and the hottest places with their code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec

from guesthouse.cli.profile_names import ProfileNames
from guesthouse.manager.profile import Profile
from guesthouse.virtual.isa.riscv64 import ISA
from guesthouse.virtual.isa.riscv64.pseudo import RISCV64_SYNTAX
from guesthouse.virtual.spec.disassembly import Disassembler

MODES = {0: "user", 1: "supervisor", 3: "machine"}
MONITOR, WAITING = "monitor", "waiting"
OUR_OWN = ("ATTENTION", "BUDGET")  # what a sampler has the engine come out by
PAGE = 4096
MOST_LINES = 32
CONTEXT, LONGEST = 4, 4  # instructions shown behind the last one sampled; bytes of one


class HotPlace(msgspec.Struct, frozen=True):
    """A function's part on one page: its samples by page offset."""

    page: int
    function: str
    weights: Counter[int]
    address: int  # guest-virtual, of the page

    @property
    def hottest(self) -> int:
        """Page offset of the instruction with the most samples."""
        return max(self.weights, key=lambda offset: (self.weights[offset], -offset))


class ProfileReport:
    """The lines of one profile; `top` limits the rows of each table."""

    def __init__(self, profile: Profile, names: ProfileNames, top: int) -> None:
        self._profile = profile
        self._names = names
        self._top = top
        self._whole = max(sum(sample.weight for sample in profile.samples), 1)
        self._disassembler = Disassembler(ISA, RISCV64_SYNTAX)

    def lines(self, places: int) -> Iterator[str]:
        """Everything but the code of engines; with the code of so many hot places."""
        yield from self._head()
        yield from self._by_cpu()
        yield from self._by_engine()
        yield from self._by_exit()
        yield from self._by_function()
        for place in self.hot_places()[:places]:
            yield from self._code(place)

    # --- tables -------------------------------------------------------------------------------------------------------

    def _head(self) -> Iterator[str]:
        profile = self._profile
        count = sum(sample.count for sample in profile.samples)
        if profile.counted:
            yield f"{count} samples of {sum(profile.steps.values()):,} steps"
        else:
            python = sum(profile.answering.values())
            yield (
                f"{count} samples; {profile.engine / 1e9:.3f} s of native code, {python / 1e9:.3f} s of Python,"
                f" {profile.waiting / 1e9:.3f} s waiting"
            )
        if profile.no_names and any(s.mode and not self._names.symbol(s.stack[0]) for s in profile.samples):
            yield profile.no_names
        by_mode = Counter[str]()
        for sample in profile.samples:
            by_mode[MODES.get(sample.mode, "?")] += sample.weight
        yield ", ".join(f"{mode} mode {self._share(weight)}" for mode, weight in by_mode.most_common())

    def _by_cpu(self) -> Iterator[str]:
        """Nothing where there is only one."""
        cpus, counted = self._profile.cpus, self._profile.counted
        if len(cpus) < 2:
            return
        yield ""
        times = "" if counted else f"{'native':>8}  {'Python':>8}  {'waiting':>8}  "
        yield f"{'samples':>8}  {times}{'steps':>16}  CPU"
        for number, cpu in enumerate(cpus):
            seconds = "".join(f"{n / 1e9:>6.3f} s  " for n in (cpu.engine, cpu.answering, cpu.waiting))
            yield f"{self._share(cpu.weight):>8}  {'' if counted else seconds}{cpu.steps:>16,}  {number}"

    def _by_engine(self) -> Iterator[str]:
        weights = Counter[str]()
        for sample in self._profile.samples:
            weights[sample.tier] += sample.weight
        steps = self._profile.steps
        done = max(sum(steps.values()), 1)
        yield ""
        yield f"{'samples':>8}  {'steps':>8}  engine that holds the code"
        for tier in sorted({*weights, *(name for name, count in steps.items() if count)}, key=lambda t: -weights[t]):
            shown = f"{100 * steps[tier] / done:.1f} %" if tier in steps else ""
            note = " (Python: devices and firmware)" if tier == MONITOR else ""
            yield f"{self._share(weights[tier]):>8}  {shown:>8}  {tier}{note}"

    def _by_exit(self) -> Iterator[str]:
        yield ""
        counted = self._profile.counted
        yield f"{'number':>10}  {'' if counted else 'seconds':>8}  exit to Python"
        answering, exits = self._profile.answering, self._profile.exits
        for reason in sorted(exits, key=lambda r: (0 if counted else -answering.get(r, 0), -exits[r])):
            seconds = "" if counted else f"{answering.get(reason, 0) / 1e9:.3f}"
            note = " (sampling's own among them)" if reason in OUR_OWN else ""
            yield f"{exits[reason]:>10}  {seconds:>8}  {reason.lower().replace('_', ' ')}{note}"

    def _by_function(self) -> Iterator[str]:
        own, whole = Counter[str](), Counter[str]()
        tiers: dict[str, Counter[str]] = {}
        for sample in self._profile.samples:
            function = self._names.function(sample)
            own[function] += sample.weight
            tiers.setdefault(function, Counter())[sample.tier] += sample.weight
            for name in {*self._names.stack(sample)} - {f"[{sample.cause}]"}:
                whole[name] += sample.weight
        yield ""
        yield f"{'itself':>8}  {'with all':>8}  {'mostly in':>16}  function"
        for function, weight in own.most_common(self._top):
            tier, most = tiers[function].most_common(1)[0]
            mostly = f"{tier} {100 * most / max(weight, 1):3.0f} %"
            yield f"{self._share(weight):>8}  {self._share(whole[function]):>8}  {mostly:>16}  {function}"
        if len(own) > self._top:
            rest = sum(weight for _, weight in own.most_common()[self._top :])
            yield f"{self._share(rest):>8}  {'':>8}  {'':>16}  ({len(own) - self._top} more functions)"

    def _share(self, weight: int) -> str:
        return f"{100 * weight / self._whole:.1f} %"

    # --- code ---------------------------------------------------------------------------------------------------------

    def hot_places(self) -> list[HotPlace]:
        """Functions' parts on pages whose code is known, hottest first."""
        found: dict[tuple[int, str], HotPlace] = {}
        for sample in self._profile.samples:
            if sample.cause or sample.physical & -PAGE not in self._profile.pages:
                continue
            page, function = sample.physical & -PAGE, self._names.function(sample)
            new = HotPlace(page, function, Counter(), sample.stack[0] & -PAGE)
            found.setdefault((page, function), new).weights[sample.physical % PAGE] += sample.weight
        return sorted(found.values(), key=lambda place: -place.weights.total())

    def _code(self, place: HotPlace) -> Iterator[str]:
        yield ""
        yield f"{self._share(place.weights.total())} in {place.function}:"
        for offset, text in self._instructions(place):
            share = self._share(place.weights[offset]) if offset in place.weights else ""
            yield f"{share:>8}  {place.address + offset:x}: {text}"

    def _instructions(self, place: HotPlace) -> list[tuple[int, str]]:
        """Page offset and text of the row of instructions with the most samples, and of a few behind it."""
        first = min(place.weights)  # a place that was sampled is where an instruction begins
        code = self._profile.pages[place.page][first:]
        found = [
            (address - place.address, text.expandtabs(8))
            for address, data, text in self._disassembler.disassemble(code, place.address + first)
            if data and address - place.address <= max(place.weights) + CONTEXT * LONGEST
        ]
        weights = [place.weights[offset] for offset, _ in found]
        starts = range(max(1, len(found) - MOST_LINES + 1))
        best = max(starts, key=lambda start: (sum(weights[start : start + MOST_LINES]), -start))
        return found[best : best + MOST_LINES]


def weighted_stacks(profile: Profile, names: ProfileNames) -> Iterator[tuple[tuple[str, ...], str, int]]:
    """What a flame graph is made of; waiting is a stack of its own."""
    for sample in profile.samples:
        yield names.stack(sample), sample.tier, sample.weight
    if profile.waiting and not profile.counted:
        yield ("[waiting]",), WAITING, profile.waiting
