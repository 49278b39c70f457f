/* The mixture CoreMark made usual, written anew: a linked list, a small matrix, a state machine, a CRC over it all. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 900
#endif
#define EXPECTED 0xc500b397c352faffu
#define ITEMS 64
#define SIDE 12
#define INPUT_SIZE 400
#define TURNS 20

struct item {
    struct item *next;
    short key, payload;
};

static struct item items[ITEMS];
static short left[SIDE][SIDE], right[SIDE][SIDE];
static i32 product[SIDE][SIDE];
static char input[INPUT_SIZE + 1];

static u16 crc_step(u16 crc, u16 value)
{
    for (int bit = 0; bit < 16; bit++) {
        int carry = (crc ^ value) & 1;
        value >>= 1;
        crc >>= 1;
        if (carry)
            crc ^= 0xA001;
    }
    return crc;
}

/* ---- the list: reverse, search, merge sort by key or by payload */

static struct item *reversed(struct item *list)
{
    struct item *done = 0;
    while (list) {
        struct item *next = list->next;
        list->next = done;
        done = list;
        list = next;
    }
    return done;
}

static struct item *merged(struct item *a, struct item *b, int by_key)
{
    struct item *first = 0, **end = &first;
    while (a && b) {
        int take_a = by_key ? a->key <= b->key : a->payload <= b->payload;
        struct item **from = take_a ? &a : &b;
        *end = *from;
        end = &(*end)->next;
        *from = *end;
    }
    *end = a ? a : b;
    return first;
}

static struct item *sorted(struct item *list, int by_key)
{
    struct item *slow = list, *fast, *second;
    if (!list || !list->next)
        return list;
    for (fast = list->next; fast && fast->next; fast = fast->next->next)
        slow = slow->next;
    second = slow->next;
    slow->next = 0;
    return merged(sorted(list, by_key), sorted(second, by_key), by_key);
}

static u16 work_on_list(u16 crc)
{
    struct item *list = items;
    u32 seed = 17;
    for (int i = 0; i < ITEMS; i++) {
        items[i].next = i + 1 < ITEMS ? &items[i + 1] : 0;
        items[i].key = (short)(next_random(&seed) & 0x7FFF);
        items[i].payload = (short)i;
    }
    for (short wanted = 0; wanted < ITEMS; wanted += 7) {
        list = reversed(list);
        for (const struct item *at = list; at; at = at->next)
            if (at->payload == wanted) {
                crc = crc_step(crc, (u16)at->key);
                break;
            }
    }
    list = sorted(list, 1);
    crc = crc_step(crc, (u16)list->payload);
    list = sorted(list, 0);
    for (const struct item *at = list; at; at = at->next)
        crc = crc_step(crc, (u16)at->key);
    return crc;
}

/* ---- the matrix */

static u16 work_on_matrix(u16 crc)
{
    u32 seed = 23;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            left[i][j] = (short)next_random(&seed);
            right[i][j] = (short)(next_random(&seed) & 0xFF);
        }
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            i32 sum = 0;
            for (int k = 0; k < SIDE; k++)
                sum += ((left[i][k] >> 2) & 0x7F) * right[k][j];
            product[i][j] = sum;
        }
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            crc = product[i][j] > 9000 ? crc_step(crc, (u16)product[i][j]) : (u16)(crc + product[i][j]);
    return crc;
}

/* ---- the state machine: which of the words in the input are numbers, and of what kind */

enum state { START, SIGN, INTEGER, POINT, FRACTION, EXPONENT, EXPONENT_SIGN, SCIENTIFIC, INVALID, STATES };

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static enum state after(enum state state, char c)
{
    switch (state) {
    case START:
        return is_digit(c) ? INTEGER : c == '+' || c == '-' ? SIGN : c == '.' ? POINT : INVALID;
    case SIGN:
        return is_digit(c) ? INTEGER : c == '.' ? POINT : INVALID;
    case INTEGER:
        return is_digit(c) ? INTEGER : c == '.' ? FRACTION : c == 'e' ? EXPONENT : INVALID;
    case POINT:
        return is_digit(c) ? FRACTION : INVALID;
    case FRACTION:
        return is_digit(c) ? FRACTION : c == 'e' ? EXPONENT : INVALID;
    case EXPONENT:
        return is_digit(c) ? SCIENTIFIC : c == '+' || c == '-' ? EXPONENT_SIGN : INVALID;
    case EXPONENT_SIGN:
    case SCIENTIFIC:
        return is_digit(c) ? SCIENTIFIC : INVALID;
    default:
        return INVALID;
    }
}

static u16 work_on_text(u16 crc)
{
    static const char *const PIECES[] = { "1066", "-3.25", "+.5e10", "7e", "guest", "2.e-3", "--1", "0x1f" };
    u32 finals[STATES] = { 0 }, seed = 29;
    enum state state = START;
    int length = 0;

    while (length < INPUT_SIZE - 8) {
        for (const char *from = PIECES[next_random(&seed) % 8]; *from; from++)
            input[length++] = *from;
        input[length++] = ',';
    }
    input[length] = 0;
    for (const char *at = input; *at; at++)
        if (*at == ',') {
            finals[state]++;
            state = START;
        } else {
            state = after(state, *at);
        }
    for (int i = 0; i < STATES; i++)
        crc = crc_step(crc, (u16)finals[i]);
    return crc;
}

static u64 round_of_coremark(void)
{
    u16 crc = 0xFFFF;
    u64 sum = 0;

    for (int turn = 0; turn < TURNS; turn++) {
        crc = work_on_list(crc);
        crc = work_on_matrix(crc);
        crc = work_on_text(crc);
        sum = mix(sum, crc);
    }
    return sum;
}

int main(int argc, char **argv)
{
    return bench("coremark", round_of_coremark, ROUNDS, EXPECTED, argc, argv);
}
