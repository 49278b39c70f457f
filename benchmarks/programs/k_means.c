/* Clusters: distances in single precision, comparisons, means. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 26
#endif
#define EXPECTED 0xd35cb3883df515c9u
#define POINTS 2000
#define CLUSTERS 12
#define AXES 4
#define TURNS 10

static float points[POINTS][AXES], centres[CLUSTERS][AXES];
static u8 nearest[POINTS];

static int assign(void)
{
    int changed = 0;
    for (int p = 0; p < POINTS; p++) {
        float least = 1e30f;
        int best = 0;
        for (int c = 0; c < CLUSTERS; c++) {
            float square = 0;
            for (int axis = 0; axis < AXES; axis++) {
                float d = points[p][axis] - centres[c][axis];
                square += d * d;
            }
            if (square < least) {
                least = square;
                best = c;
            }
        }
        changed += nearest[p] != best;
        nearest[p] = (u8)best;
    }
    return changed;
}

static void move(void)
{
    float sums[CLUSTERS][AXES] = { { 0 } };
    u32 counts[CLUSTERS] = { 0 };
    for (int p = 0; p < POINTS; p++) {
        counts[nearest[p]]++;
        for (int axis = 0; axis < AXES; axis++)
            sums[nearest[p]][axis] += points[p][axis];
    }
    for (int c = 0; c < CLUSTERS; c++)
        for (int axis = 0; axis < AXES; axis++)
            if (counts[c])
                centres[c][axis] = sums[c][axis] / (float)counts[c];
}

static u64 round_of_k_means(void)
{
    u32 seed = 1957;
    u64 sum = 0;

    for (int p = 0; p < POINTS; p++) {
        u32 blob = next_random(&seed) % 7;
        nearest[p] = 0;
        for (int axis = 0; axis < AXES; axis++)
            points[p][axis] = (float)((blob + 3u) * (u32)(axis + 1) % 11) + (float)(next_random(&seed) & 0xffff) / 16384.0f;
    }
    for (int c = 0; c < CLUSTERS; c++)
        for (int axis = 0; axis < AXES; axis++)
            centres[c][axis] = points[c * 17][axis];
    for (int turn = 0; turn < TURNS; turn++) {
        sum = mix(sum, (u64)assign());
        move();
    }
    for (int c = 0; c < CLUSTERS; c++)
        for (int axis = 0; axis < AXES; axis++)
            sum = mix(sum, bits_of((double)centres[c][axis]));
    return sum;
}

int main(int argc, char **argv)
{
    return bench("k_means", round_of_k_means, ROUNDS, EXPECTED, argc, argv);
}
