/* Pictures of bytes: blurring, edges, histogram, scaling with interpolation, dithering. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 570
#endif
#define EXPECTED 0x7a419f702f5cc6fdu
#define SIDE 192

static u8 picture[SIDE][SIDE], blurred[SIDE][SIDE], edges[SIDE][SIDE], half[SIDE / 2][SIDE / 2];
static i32 errors[2][SIDE + 2];

static void blur(void)
{
    static const i32 WEIGHTS[5] = { 1, 4, 6, 4, 1 };
    for (int i = 2; i < SIDE - 2; i++)
        for (int j = 2; j < SIDE - 2; j++) {
            i32 sum = 0;
            for (int k = 0; k < 5; k++)
                sum += WEIGHTS[k] * (picture[i][j + k - 2] + picture[i + k - 2][j]);
            blurred[i][j] = (u8)(sum >> 5);
        }
}

static void find_edges(void)
{
    for (int i = 1; i < SIDE - 1; i++)
        for (int j = 1; j < SIDE - 1; j++) {
            i32 x = blurred[i - 1][j + 1] + 2 * blurred[i][j + 1] + blurred[i + 1][j + 1] - blurred[i - 1][j - 1] -
                    2 * blurred[i][j - 1] - blurred[i + 1][j - 1];
            i32 y = blurred[i + 1][j - 1] + 2 * blurred[i + 1][j] + blurred[i + 1][j + 1] - blurred[i - 1][j - 1] -
                    2 * blurred[i - 1][j] - blurred[i - 1][j + 1];
            i32 strength = (x < 0 ? -x : x) + (y < 0 ? -y : y);
            edges[i][j] = (u8)(strength > 255 ? 255 : strength);
        }
}

static u64 dither(void)
{
    u64 sum = 0;
    for (int j = 0; j < SIDE + 2; j++)
        errors[0][j] = errors[1][j] = 0;
    for (int i = 0; i < SIDE; i++) {
        i32 *now = errors[i % 2], *next = errors[1 - i % 2];
        for (int j = 0; j < SIDE; j++) {
            i32 value = picture[i][j] + now[j + 1] / 16, black = value < 128, left = value - (black ? 0 : 255);
            now[j + 2] += left * 7;
            next[j] += left * 3;
            next[j + 1] += left * 5;
            next[j + 2] += left;
            now[j + 1] = 0;
            sum = sum * 5 + (u64)black;
        }
        now[0] = now[SIDE + 1] = 0;
    }
    return sum;
}

static u64 round_of_image(void)
{
    u32 seed = 1839, counts[256] = { 0 };
    u64 sum = 0;

    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            picture[i][j] = (u8)((i * j / 37) ^ (next_random(&seed) & 15));
    blur();
    find_edges();
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            counts[edges[i][j]]++;
    for (int i = 0; i < SIDE / 2; i++)
        for (int j = 0; j < SIDE / 2; j++)
            half[i][j] = (u8)((blurred[2 * i][2 * j] + blurred[2 * i][2 * j + 1] + blurred[2 * i + 1][2 * j] +
                               blurred[2 * i + 1][2 * j + 1] + 2) / 4);
    for (int i = 0; i < 256; i++)
        sum = mix(sum, counts[i]);
    for (int i = 0; i < SIDE / 2; i++)
        sum = mix(sum, half[i][SIDE / 2 - 1 - i]);
    return mix(sum, dither());
}

int main(int argc, char **argv)
{
    return bench("image", round_of_image, ROUNDS, EXPECTED, argc, argv);
}
