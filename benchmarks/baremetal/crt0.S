/* First instructions of a bare-metal benchmark: machine mode at 0x80000000, floating point on, a stack, main(). */
    .section .text.start, "ax"
    .globl _start
_start:
    csrw    mie, zero
    la      t0, unexpected_trap
    csrw    mtvec, t0
    csrr    t0, mhartid
    bnez    t0, park                /* only hart 0 works */
    li      t0, 1 << 13             /* mstatus.FS = Initial */
    csrs    mstatus, t0
    fscsr   zero
    .option push
    .option norelax
    la      gp, __global_pointer$
    .option pop
    la      sp, __stack_top
    la      t0, __bss_start
    la      t1, __bss_end
1:  bgeu    t0, t1, 2f
    sd      zero, 0(t0)
    addi    t0, t0, 8
    j       1b
2:  li      a0, 0                   /* main(0, 0) */
    li      a1, 0
    call    main
    call    power_off
park:
    wfi
    j       park

    .balign 4
unexpected_trap:
    csrr    a0, mcause
    csrr    a1, mepc
    la      sp, __stack_top
    call    trapped
    j       park
