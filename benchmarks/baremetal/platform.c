/* The platform of a bare-metal benchmark: the virt board's UART and power switch, and what gcc calls by itself. */
#include "bench.h"

#define UART ((volatile u8 *)0x10000000)
#define UART_LINE_STATUS 5
#define UART_TRANSMITTER_EMPTY 0x20
#define POWER (*(volatile u32 *)0x100000)
#define POWER_OFF 0x5555
#define POWER_FAIL 0x3333

void put_text(const char *text)
{
    for (; *text; text++) {
        while (!(UART[UART_LINE_STATUS] & UART_TRANSMITTER_EMPTY))
            ;
        UART[0] = (u8)*text;
    }
}

/* End the machine; a status other than 0 becomes the exit status of the monitor. */
void power_off(int status)
{
    POWER = status ? (u32)status << 16 | POWER_FAIL : POWER_OFF;
}

void trapped(u64 cause, u64 pc)
{
    static char text[] = "@trap cause ................ pc ................\n";
    for (int i = 0; i < 16; i++) {
        text[12 + i] = "0123456789abcdef"[(cause >> (60 - 4 * i)) & 15];
        text[32 + i] = "0123456789abcdef"[(pc >> (60 - 4 * i)) & 15];
    }
    put_text(text);
    power_off(2);
}

/* gcc may call these for structures and loops even in a freestanding program. */
void *memset(void *to, int value, u64 length)
{
    for (u64 i = 0; i < length; i++)
        ((volatile u8 *)to)[i] = (u8)value;
    return to;
}

void *memcpy(void *to, const void *from, u64 length)
{
    u64 *words = to;
    const u64 *source = from;
    u64 i = 0;
    if ((((u64)to | (u64)from) & 7) == 0)
        for (; i + 8 <= length; i += 8)
            *words++ = *source++;
    for (; i < length; i++)
        ((volatile u8 *)to)[i] = ((const u8 *)from)[i];
    return to;
}

double fma(double a, double b, double c)
{
    __asm__("fmadd.d %0, %1, %2, %3" : "=f"(a) : "f"(a), "f"(b), "f"(c));
    return a;
}
