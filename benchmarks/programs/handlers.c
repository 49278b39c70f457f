/* A register machine whose every operation is a function called through a table: sorts and sums its own memory. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 41
#endif
#define EXPECTED 0xcb8a6786a3c92f15u
#define MEMORY 256

struct machine;
struct operation {
    void (*handler)(struct machine *, const struct operation *);
    u8 a, b, c;
    i32 number;
};
struct machine {
    const struct operation *next;
    i64 r[16], memory[MEMORY];
    u64 steps;
    int running;
};

static void do_set(struct machine *m, const struct operation *o) { m->r[o->a] = o->number; }
static void do_move(struct machine *m, const struct operation *o) { m->r[o->a] = m->r[o->b]; }
static void do_add(struct machine *m, const struct operation *o) { m->r[o->a] = m->r[o->b] + m->r[o->c]; }
static void do_add_number(struct machine *m, const struct operation *o) { m->r[o->a] = m->r[o->b] + o->number; }
static void do_multiply(struct machine *m, const struct operation *o) { m->r[o->a] = (i64)((u64)m->r[o->b] * (u64)m->r[o->c]); }
static void do_exclusive(struct machine *m, const struct operation *o) { m->r[o->a] = m->r[o->b] ^ m->r[o->c]; }
static void do_shift(struct machine *m, const struct operation *o) { m->r[o->a] = (i64)((u64)m->r[o->b] >> o->number); }
static void do_load(struct machine *m, const struct operation *o) { m->r[o->a] = m->memory[m->r[o->b] % MEMORY]; }
static void do_store(struct machine *m, const struct operation *o) { m->memory[m->r[o->b] % MEMORY] = m->r[o->a]; }
static void do_jump(struct machine *m, const struct operation *o) { m->next = o + o->number; }
static void do_jump_less(struct machine *m, const struct operation *o)
{
    if (m->r[o->a] < m->r[o->b])
        m->next = o + o->number;
}
static void do_halt(struct machine *m, const struct operation *o) { m->running = o->number; }

/* r1 = i, r2 = j, r3 = value, r4 = neighbour, r5 = one below j, r6 = MEMORY, r7 = seed, r8 = sum, r0 = 0. */
static const struct operation PROGRAM[] = {
    { do_set, 0, 0, 0, 0 }, { do_set, 1, 0, 0, 0 }, { do_set, 6, 0, 0, MEMORY }, { do_set, 9, 0, 0, 1103515245 },
    /* 4: fill */
    { do_multiply, 7, 7, 9, 0 }, { do_add_number, 7, 7, 0, 12345 }, { do_shift, 3, 7, 0, 40 }, { do_store, 3, 1, 0, 0 },
    { do_add_number, 1, 1, 0, 1 }, { do_jump_less, 1, 6, 0, -5 },
    /* 10: insertion sort */
    { do_set, 1, 0, 0, 1 },
    { do_move, 2, 1, 0, 0 }, { do_load, 3, 1, 0, 0 },
    { do_jump_less, 0, 2, 0, 2 }, { do_jump, 0, 0, 0, 6 },
    { do_add_number, 5, 2, 0, -1 }, { do_load, 4, 5, 0, 0 }, { do_jump_less, 4, 3, 0, 3 },
    { do_store, 4, 2, 0, 0 }, { do_jump, 0, 0, 0, 5 },
    { do_store, 3, 2, 0, 0 }, { do_add_number, 1, 1, 0, 1 }, { do_jump_less, 1, 6, 0, -11 }, { do_jump, 0, 0, 0, 3 },
    /* 24: go on sinking */
    { do_move, 2, 5, 0, 0 }, { do_jump, 0, 0, 0, -12 },
    /* 26: sum */
    { do_set, 1, 0, 0, 0 }, { do_load, 3, 1, 0, 0 }, { do_multiply, 8, 8, 9, 0 }, { do_exclusive, 8, 8, 3, 0 },
    { do_add, 8, 8, 1, 0 }, { do_add_number, 1, 1, 0, 1 }, { do_jump_less, 1, 6, 0, -5 }, { do_halt, 0, 0, 0, 0 },
};

static u64 round_of_handlers(void)
{
    static struct machine m;
    u64 sum = 0;

    m = (struct machine){ 0 };
    m.r[7] = 42;
    for (int again = 0; again < 4; again++) {
        m.running = 1;
        m.next = PROGRAM;
        while (m.running) {
            const struct operation *now = m.next++;
            now->handler(&m, now);
            m.steps++;
        }
        sum = mix(sum, (u64)m.r[8]);
    }
    return mix(sum, m.steps);
}

int main(int argc, char **argv)
{
    return bench("handlers", round_of_handlers, ROUNDS, EXPECTED, argc, argv);
}
