/* A Lisp: cells, an evaluator by recursion, and a collector that marks and sweeps. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 96
#endif
#define EXPECTED 0xa6468cb633c0f58fu
#define CELLS 20000
#define NAMES 16

enum { NIL, INTEGER, SYMBOL, PAIR, BUILTIN, CLOSURE };

struct cell {
    u8 kind, marked;
    i64 number;
    struct cell *first, *rest;
};

static struct cell cells[CELLS], nil;
static struct cell *unused, *global, *stack[4096];
static int depth;
static u64 collections, evaluations;
static const char *at;

static const char SOURCE[] =
    "(d f (l (n) (? (< n 2) n (+ (f (- n 1)) (f (- n 2))))))"
    "(d r (l (n) (? (< n 1) 0 (c n (r (- n 1))))))"
    "(d s (l (x) (? (p x) (+ (a x) (s (b x))) 0)))"
    "(d m (l (g x) (? (p x) (c (g (a x)) (m g (b x))) 0)))"
    "(d k (l (i n) (l (j) (+ (* i j) n))))"
    "(f 13)"
    "(s (m (k 3 4) (r 100)))"
    "(s (m (l (n) (s (m (k n 1) (r 20)))) (r 40)))";

static void mark(struct cell *c)
{
    while (c && !c->marked) {
        c->marked = 1;
        if (c->kind == PAIR || c->kind == CLOSURE)
            mark(c->first);
        c = c->rest;
    }
}

static void collect(void)
{
    collections++;
    mark(global);
    for (int i = 0; i < depth; i++)
        mark(stack[i]);
    unused = 0;
    for (int i = 0; i < CELLS; i++) {
        if (!cells[i].marked) {
            cells[i].rest = unused;
            unused = &cells[i];
        }
        cells[i].marked = 0;
    }
    nil.marked = 0;
}

static struct cell *keep(struct cell *c)
{
    return stack[depth++] = c;
}

static struct cell *make(u8 kind, i64 number, struct cell *first, struct cell *rest)
{
    keep(first);
    keep(rest);
    if (!unused)
        collect();
    depth -= 2;
    struct cell *c = unused;
    unused = c->rest;
    *c = (struct cell){ kind, 0, number, first, rest };
    return c;
}

static struct cell *pair(struct cell *first, struct cell *rest)
{
    return make(PAIR, 0, first, rest);
}

static struct cell *read(void)
{
    while (*at == ' ')
        at++;
    if (*at == '(') {
        struct cell *first = 0, *last = 0;
        int base = depth;
        for (at++; *at != ')';) {
            struct cell *one = pair(keep(read()), &nil);
            depth--;
            if (last)
                last->rest = one;
            else
                keep(first = one);
            last = one;
        }
        at++;
        depth = base;
        return first ? first : &nil;
    }
    if (*at >= '0' && *at <= '9') {
        i64 value = 0;
        while (*at >= '0' && *at <= '9')
            value = value * 10 + *at++ - '0';
        return make(INTEGER, value, 0, 0);
    }
    return make(SYMBOL, *at++, 0, 0);
}

static struct cell *look_up(const struct cell *symbol, struct cell *names)
{
    for (; names->kind == PAIR; names = names->rest)
        if (names->first->first->number == symbol->number)
            return names->first->rest;
    for (names = global; names->kind == PAIR; names = names->rest)
        if (names->first->first->number == symbol->number)
            return names->first->rest;
    return make(BUILTIN, symbol->number, 0, 0);
}

static struct cell *apply_builtin(i64 name, struct cell *x, struct cell *y)
{
    switch (name) {
    case '+': return make(INTEGER, x->number + y->number, 0, 0);
    case '-': return make(INTEGER, x->number - y->number, 0, 0);
    case '*': return make(INTEGER, x->number * y->number, 0, 0);
    case '<': return x->number < y->number ? make(INTEGER, 1, 0, 0) : &nil;
    case 'c': return pair(x, y);
    case 'a': return x->first;
    case 'b': return x->rest;
    case 'p': return x->kind == PAIR ? x : &nil;
    default: return &nil;
    }
}

static struct cell *eval(struct cell *form, struct cell *names)
{
    int base = depth;
    struct cell *result;
    evaluations++;
    keep(names);
    if (keep(form)->kind == SYMBOL) {
        result = look_up(form, names);
    } else if (form->kind != PAIR) {
        result = form;
    } else if (form->first->kind == SYMBOL && form->first->number == '?') {
        struct cell *chosen = form->rest->rest;
        result = eval(eval(form->rest->first, names)->kind ? chosen->first : chosen->rest->first, names);
    } else if (form->first->kind == SYMBOL && form->first->number == 'l') {
        result = make(CLOSURE, 0, form->rest, names);
    } else if (form->first->kind == SYMBOL && form->first->number == 'd') {
        struct cell *value = keep(eval(form->rest->rest->first, names));
        global = pair(keep(pair(form->rest->first, value)), global);
        result = value;
    } else {
        struct cell *f = keep(eval(form->first, names)), *given = form->rest, *x, *y;
        if (f->kind == BUILTIN) {
            x = keep(eval(given->first, names));
            y = given->rest->kind == PAIR ? keep(eval(given->rest->first, names)) : &nil;
            result = apply_builtin(f->number, x, y);
        } else {
            struct cell *inner = f->rest;
            int place = depth;
            keep(inner);
            for (x = f->first->first; x->kind == PAIR; x = x->rest, given = given->rest) {
                y = keep(eval(given->first, names));
                inner = pair(keep(pair(x->first, y)), stack[place]);
                depth = place + 1;
                stack[place] = inner;
            }
            result = eval(f->first->rest->first, inner);
        }
    }
    depth = base;
    return result;
}

static u64 round_of_lisp(void)
{
    u64 sum = 0;

    unused = 0;
    depth = 0;
    collections = evaluations = 0;
    global = &nil;
    for (int i = 0; i < CELLS; i++) {
        cells[i] = (struct cell){ .rest = unused };
        unused = &cells[i];
    }
    for (at = SOURCE; *at;)
        sum = mix(sum, (u64)eval(keep(read()), &nil)->number);
    return mix(sum, collections + (evaluations << 16));
}

int main(int argc, char **argv)
{
    return bench("lisp", round_of_lisp, ROUNDS, EXPECTED, argc, argv);
}
