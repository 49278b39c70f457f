/* Heat on a plate: each point becomes the mean of its neighbours, in doubles and in single precision. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 22
#endif
#define EXPECTED 0x10f0fa8bdd35eb07u
#define SIDE 130
#define STEPS 20

static double plate[2][SIDE][SIDE];
static float thin[2][SIDE][SIDE];

static u64 round_of_stencil(void)
{
    u32 seed = 1822;
    u64 sum = 0;

    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            double heat = i == 0 ? 100.0 : (double)(next_random(&seed) % 64) / 8.0;
            plate[0][i][j] = plate[1][i][j] = heat;
            thin[0][i][j] = thin[1][i][j] = (float)heat;
        }
    for (int step = 0; step < STEPS; step++) {
        double(*from)[SIDE] = plate[step % 2], (*to)[SIDE] = plate[1 - step % 2];
        float(*thin_from)[SIDE] = thin[step % 2], (*thin_to)[SIDE] = thin[1 - step % 2];
        double change = 0;
        for (int i = 1; i < SIDE - 1; i++)
            for (int j = 1; j < SIDE - 1; j++) {
                to[i][j] = 0.25 * (from[i - 1][j] + from[i + 1][j] + from[i][j - 1] + from[i][j + 1]);
                change += __builtin_fabs(to[i][j] - from[i][j]);
            }
        for (int i = 1; i < SIDE - 1; i++)
            for (int j = 1; j < SIDE - 1; j++)
                thin_to[i][j] = thin_from[i][j] + 0.2f * (thin_from[i - 1][j] + thin_from[i + 1][j] + thin_from[i][j - 1] +
                                                          thin_from[i][j + 1] - 4.0f * thin_from[i][j]);
        sum = mix(sum, bits_of(change));
    }
    for (int i = 0; i < SIDE; i++)
        sum = mix(sum, bits_of(plate[0][i][SIDE - 1 - i]) + bits_of((double)thin[0][i][i]));
    return sum;
}

int main(int argc, char **argv)
{
    return bench("stencil", round_of_stencil, ROUNDS, EXPECTED, argc, argv);
}
