"""The built-in guest `hello`: a small supervisor-mode program, in assembly language, that needs no download.

It runs wherever in RAM it is put, started as a kernel is by SBI firmware (hart number in a0, paging off). It greets
through the firmware and through the UART, takes three timer interrupts, builds page tables (Sv39), moves itself to the
upper half, takes a page fault on purpose, mends it, and powers off. Sources: the RISC-V Instruction Set Manual, volume
II, chapters 12.1 (supervisor CSRs), 12.4 (Sv39) and "Sstc"; SBI 2.0, chapters 10 and 12; the 16550's data sheet.
"""

TICKS = 3
TICK_MILLISECONDS = 20

# What the page holds that appears only once its fault has been taken.
FOUND = "this page came on demand"

SOURCE = rf"""
# Registers that keep their meaning all through: s0 virtual minus physical address, s1 the UART, s2 ticks taken,
# s3 ticks of the clock between two interrupts, s4 page faults taken.
.equ UART,          0x10000000      # of the board `virt`
.equ LINE_STATUS,   5
.equ CAN_SEND,      0x20
.equ CLOCK_HZ,      10000000        # of the board's device tree
.equ HIGHER,        0xffffffc000000000  # what moving to the upper half of Sv39 adds to an address
.equ ON_DEMAND,     0xffffffffc0000000  # the last gigabyte: its first page is not there at first
.equ SIE,           1 << 1          # sstatus: supervisor interrupts enabled
.equ STI,           1 << 5          # sie: the timer's
.equ TIMER,         5               # scause, with the top bit set
.equ LOAD_FAULT,    13
.equ SV39,          8 << 60         # satp
.equ DEVICE_PAGE,   0xc7            # D A W R V
.equ PROGRAM_PAGE,  0xcf            # D A X W R V
.equ READ_PAGE,     0x43            # A R V
.equ NEXT_TABLE,    0x01            # V
.equ CONSOLE,       0x4442434e      # SBI extension DBCN
.equ RESET,         0x53525354      # SBI extension SRST

start:
    la      sp, stack_end
    li      s0, 0
    li      s1, UART
    li      s2, 0
    li      s3, CLOCK_HZ / 1000 * {TICK_MILLISECONDS}
    li      s4, 0
    la      t0, trap
    csrw    stvec, t0

    # The firmware prints: a length and a physical address.
    li      a0, hello_end - hello
    la      a1, hello
    li      a2, 0
    li      a6, 0
    li      a7, CONSOLE
    ecall

    la      a0, by_uart
    call    print

# Timer interrupts: `trap` counts them in s2 and sets the next.
    rdtime  t0
    add     t0, t0, s3
    csrw    stimecmp, t0
    li      t0, STI
    csrw    sie, t0
    csrsi   sstatus, SIE
1:  wfi
    li      t0, {TICKS}
    bltu    s2, t0, 1b
    csrci   sstatus, SIE
    csrw    sie, zero

# Page tables: devices and this program at their own addresses, this program in the upper half too, and a table with
# nothing in it for the pages on demand.
    la      t0, root
    li      t1, DEVICE_PAGE
    sd      t1, 0(t0)               # the first gigabyte
    la      t1, start
    srli    t1, t1, 30              # number of the gigabyte where this runs
    slli    t2, t1, 28
    ori     t2, t2, PROGRAM_PAGE
    slli    t1, t1, 3
    add     t3, t0, t1
    sd      t2, 0(t3)
    li      t4, 256 * 8
    add     t4, t3, t4
    sd      t2, 0(t4)
    la      t1, middle
    la      t2, last
    srli    t4, t1, 12 - 10
    ori     t4, t4, NEXT_TABLE
    li      t5, 511 * 8
    add     t5, t0, t5
    sd      t4, 0(t5)
    srli    t4, t2, 12 - 10
    ori     t4, t4, NEXT_TABLE
    sd      t4, 0(t1)
    srli    t1, t0, 12
    li      t2, SV39
    or      t1, t1, t2
    sfence.vma
    csrw    satp, t1
    sfence.vma

# The very same instructions go on in the upper half; then the lower one is taken away.
    li      s0, HIGHER
    la      t1, higher
    add     t1, t1, s0
    jr      t1
higher:
    add     sp, sp, s0
    la      t1, trap
    csrw    stvec, t1
    sd      zero, 0(t3)             # by its old address for the last time
    sfence.vma
    la      a0, paging
    call    print
    la      a0, higher
    call    print_address
    la      a0, which_is
    call    print
    la      a0, higher
    sub     a0, a0, s0
    call    print_address
    la      a0, newline
    call    print

# The page fault: `trap` puts the page there, and the load happens again.
    li      s5, ON_DEMAND
    lbu     t0, 0(s5)
    la      a0, found
    call    print
    mv      a0, s5
    call    print
    la      a0, newline
    call    print

    la      a0, bye
    call    print
    rdinstret a0
    call    print_number
    la      a0, instructions
    call    print
    li      a1, 0                   # no failure
    j       power_off

power_off:                          # a1: the reason
    li      a0, 0
    li      a6, 0
    li      a7, RESET
    ecall
1:  wfi
    j       1b

# Interrupts and exceptions. Every register that a routine here may change is kept.
.align 2
trap:
    addi    sp, sp, -80
    sd      ra, 0(sp)
    sd      a0, 8(sp)
    sd      a1, 16(sp)
    sd      t0, 24(sp)
    sd      t1, 32(sp)
    sd      t2, 40(sp)
    sd      t3, 48(sp)
    csrr    t0, scause
    li      t1, 1 << 63 | TIMER
    beq     t0, t1, timer
    li      t1, LOAD_FAULT
    bne     t0, t1, unexpected
    csrr    t0, stval
    li      t1, ON_DEMAND
    bne     t0, t1, unexpected

    addi    s4, s4, 1
    la      a0, fault
    call    print
    csrr    a0, stval
    call    print_address
    la      a0, mended
    call    print
    la      t0, on_demand
    sub     t0, t0, s0
    srli    t0, t0, 12 - 10
    ori     t0, t0, READ_PAGE
    la      t1, last
    sd      t0, 0(t1)
    csrr    t0, stval
    sfence.vma t0
    j       back

timer:
    csrr    t0, stimecmp
    add     t0, t0, s3
    csrw    stimecmp, t0
    addi    s2, s2, 1
    la      a0, tick
    call    print
    mv      a0, s2
    call    print_number
    la      a0, newline
    call    print

back:
    ld      ra, 0(sp)
    ld      a0, 8(sp)
    ld      a1, 16(sp)
    ld      t0, 24(sp)
    ld      t1, 32(sp)
    ld      t2, 40(sp)
    ld      t3, 48(sp)
    addi    sp, sp, 80
    sret

unexpected:
    la      a0, unknown
    call    print
    csrr    a0, scause
    call    print_address
    la      a0, at
    call    print
    csrr    a0, sepc
    call    print_address
    la      a0, newline
    call    print
    li      a1, 1                   # system failure
    j       power_off

# Print the text at a0, up to its zero byte.
print:
    lbu     t0, 0(a0)
    beqz    t0, 2f
1:  lbu     t1, LINE_STATUS(s1)
    andi    t1, t1, CAN_SEND
    beqz    t1, 1b
    sb      t0, 0(s1)
    addi    a0, a0, 1
    j       print
2:  ret

# Print a0 in base 16, as an address.
print_address:
    la      t3, text_end
    li      t0, 16
1:  andi    t1, a0, 15
    srli    a0, a0, 4
    addi    t2, t1, '0'
    sltiu   t1, t1, 10
    bnez    t1, 2f
    addi    t2, t2, 'a' - '0' - 10
2:  addi    t3, t3, -1
    sb      t2, 0(t3)
    bnez    a0, 1b
    addi    t3, t3, -2
    li      t0, '0'
    sb      t0, 0(t3)
    li      t0, 'x'
    sb      t0, 1(t3)
    mv      a0, t3
    j       print

# Print a0 in base 10.
print_number:
    la      t3, text_end
    li      t0, 10
1:  remu    t1, a0, t0
    divu    a0, a0, t0
    addi    t1, t1, '0'
    addi    t3, t3, -1
    sb      t1, 0(t3)
    bnez    a0, 1b
    mv      a0, t3
    j       print

.section .rodata
hello:          .ascii "Hello! This is a guest, in supervisor mode; the firmware prints this line.\n"
hello_end:
by_uart:        .asciz "And this one went through the UART.\n"
tick:           .asciz "Timer interrupt "
paging:         .asciz "Paging is on (Sv39), and I run at "
which_is:       .asciz ", which is physically "
fault:          .asciz "Page fault on "
mended:         .asciz ": there was nothing. I put a page there and go on.\n"
found:          .asciz "On it stands: "
bye:            .asciz "All of that took "
instructions:   .asciz " instructions. Powering off.\n"
unknown:        .asciz "Unexpected trap, cause "
at:             .asciz " at "
newline:        .asciz "\n"

.section .pages
.balign 4096
root:           .zero 4096
middle:         .zero 4096
last:           .zero 4096
on_demand:      .asciz "{FOUND}"
.balign 4096

.bss
text:           .zero 24
text_end:       .byte 0
.balign 16
stack:          .zero 1024
stack_end:
"""
