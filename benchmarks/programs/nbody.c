/* Bodies under gravity, in doubles: multiply, add, divide and square root. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 38
#endif
#define EXPECTED 0xb9164e615bc0af75u
#define BODIES 6
#define STEPS 10000

struct body {
    double x[3], v[3], mass;
};

static struct body bodies[BODIES];

static void place(void)
{
    u32 seed = 1687;
    for (int i = 0; i < BODIES; i++) {
        for (int axis = 0; axis < 3; axis++) {
            bodies[i].x[axis] = (double)(next_random(&seed) >> 8) / 1048576.0 - 8.0;
            bodies[i].v[axis] = (double)(next_random(&seed) >> 8) / 16777216.0 - 0.5;
        }
        bodies[i].mass = i == 0 ? 40.0 : 0.01 * (double)i;
    }
}

static void attract(struct body *a, struct body *b, double dt)
{
    double d[3], square = 0.001;
    for (int axis = 0; axis < 3; axis++) {
        d[axis] = a->x[axis] - b->x[axis];
        square += d[axis] * d[axis];
    }
    double pull = dt / (square * __builtin_sqrt(square));
    for (int axis = 0; axis < 3; axis++) {
        a->v[axis] -= d[axis] * b->mass * pull;
        b->v[axis] += d[axis] * a->mass * pull;
    }
}

static u64 round_of_nbody(void)
{
    u64 sum = 0;

    place();
    for (int step = 0; step < STEPS; step++) {
        for (int i = 0; i < BODIES; i++)
            for (int j = i + 1; j < BODIES; j++)
                attract(&bodies[i], &bodies[j], 0.001);
        for (int i = 0; i < BODIES; i++)
            for (int axis = 0; axis < 3; axis++)
                bodies[i].x[axis] += 0.001 * bodies[i].v[axis];
    }
    for (int i = 0; i < BODIES; i++)
        for (int axis = 0; axis < 3; axis++)
            sum = mix(sum, bits_of(bodies[i].x[axis]));
    return sum;
}

int main(int argc, char **argv)
{
    return bench("nbody", round_of_nbody, ROUNDS, EXPECTED, argc, argv);
}
