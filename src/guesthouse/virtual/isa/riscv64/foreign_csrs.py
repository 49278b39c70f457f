"""Names of control and status registers that this processor lacks, for assembler and disassembler.

Source: volume II, section 2.2 "CSR Listing"; volume I, chapters 31 (V) and 32 (cryptography); the AIA, state-enable
and debug specifications. What ends in h is the upper half on RV32.
"""


def _numbered(first: int, names: str) -> dict[str, int]:
    """Names of registers with consecutive numbers; `-` is a gap."""
    return {name: first + n for n, name in enumerate(names.split()) if name != "-"}


FOREIGN_CSRS: dict[str, int] = {
    # Vector and entropy.
    **_numbered(0x008, "vstart vxsat vxrm - - - - vcsr"),
    **_numbered(0xC20, "vl vtype vlenb"),
    "seed": 0x015,
    # Supervisor.
    **_numbered(0x10C, "sstateen0 sstateen1 sstateen2 sstateen3"),
    **_numbered(0x114, "sieh"),
    **_numbered(0x150, "siselect sireg - - siph - - - - - - - stopei stimecmph"),
    **_numbered(0x5A8, "scontext"),
    **_numbered(0xDA0, "scountovf"),
    **_numbered(0xDB0, "stopi"),
    # Hypervisor and virtual supervisor.
    **_numbered(0x200, "vsstatus - - - vsie vstvec"),
    **_numbered(0x214, "vsieh"),
    **_numbered(0x240, "vsscratch vsepc vscause vstval vsip - - - - - - - - vstimecmp"),
    **_numbered(0x250, "vsiselect vsireg - - vsiph - - - - - - - vstopei vstimecmph"),
    **_numbered(0x280, "vsatp"),
    **_numbered(0x600, "hstatus - hedeleg hideleg hie htimedelta hcounteren hgeie hvien hvictl henvcfg"),
    **_numbered(0x60C, "hstateen0 hstateen1 hstateen2 hstateen3"),
    **_numbered(0x613, "hidelegh - htimedeltah - - hvienh - henvcfgh"),
    **_numbered(0x61C, "hstateen0h hstateen1h hstateen2h hstateen3h"),
    **_numbered(0x643, "htval hip hvip hviprio1 hviprio2 - - htinst"),
    **_numbered(0x655, "hviph hviprio1h hviprio2h"),
    **_numbered(0x680, "hgatp"),
    **_numbered(0x6A8, "hcontext"),
    **_numbered(0xE12, "hgeip"),
    **_numbered(0xEB0, "vstopi"),
    # Machine.
    **_numbered(0x308, "mvien mvip - - mstateen0 mstateen1 mstateen2 mstateen3"),
    **_numbered(0x310, "mstatush - - midelegh mieh - - - mvienh mviph menvcfgh"),
    **_numbered(0x31C, "mstateen0h mstateen1h mstateen2h mstateen3h"),
    **_numbered(0x34A, "mtinst mtval2"),
    **_numbered(0x350, "miselect mireg - - miph - - - - - - - mtopei"),
    **_numbered(0x757, "mseccfgh"),
    **_numbered(0xFB0, "mtopi"),
    **{f"pmpcfg{n}": 0x3A0 + n for n in range(1, 16, 2)},
    # Debug and trace.
    **_numbered(0x7A5, "tcontrol - - mcontext - mscontext"),
    **_numbered(0x7B0, "dcsr dpc dscratch0 dscratch1"),
    # Upper halves of the counters.
    **_numbered(0xB80, "mcycleh - minstreth"),
    **_numbered(0xC80, "cycleh timeh instreth"),
    **{f"mhpmevent{n}h": 0x720 + n for n in range(3, 32)},
    **{f"mhpmcounter{n}h": 0xB80 + n for n in range(3, 32)},
    **{f"hpmcounter{n}h": 0xC80 + n for n in range(3, 32)},
}
