/* Pictures by marching rays to surfaces given by distance, in single precision: square roots and divisions. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 25
#endif
#define EXPECTED 0xf2ed6c6cabe4ac8du
#define WIDTH 64
#define HEIGHT 48

struct vector {
    float x, y, z;
};

static struct vector add(struct vector a, struct vector b, float times)
{
    return (struct vector){ a.x + b.x * times, a.y + b.y * times, a.z + b.z * times };
}

static float dot(struct vector a, struct vector b)
{
    return a.x * b.x + a.y * b.y + a.z * b.z;
}

static struct vector unit(struct vector a)
{
    return add((struct vector){ 0, 0, 0 }, a, 1.0f / __builtin_sqrtf(dot(a, a)));
}

static float larger(float a, float b)
{
    return a > b ? a : b;
}

static float distance(struct vector p)
{
    struct vector to_ball = { p.x - 0.6f, p.y, p.z - 4.0f };
    float ball = __builtin_sqrtf(dot(to_ball, to_ball)) - 1.0f;
    float around = __builtin_sqrtf((p.x + 1.0f) * (p.x + 1.0f) + (p.z - 3.5f) * (p.z - 3.5f)) - 0.7f;
    float ring = __builtin_sqrtf(around * around + p.y * p.y) - 0.25f;
    float box = larger(larger(__builtin_fabsf(p.x), __builtin_fabsf(p.y + 0.5f)), __builtin_fabsf(p.z - 5.0f)) - 0.4f;
    float ground = p.y + 1.0f, least = ball < ring ? ball : ring;
    least = box < least ? box : least;
    return ground < least ? ground : least;
}

static struct vector normal(struct vector p)
{
    const float e = 0.002f;
    float here = distance(p);
    struct vector n = { distance(add(p, (struct vector){ 1, 0, 0 }, e)) - here,
                        distance(add(p, (struct vector){ 0, 1, 0 }, e)) - here,
                        distance(add(p, (struct vector){ 0, 0, 1 }, e)) - here };
    return unit(n);
}

static int march(struct vector from, struct vector along, float *length)
{
    for (int step = 0; step < 60 && *length < 20.0f; step++) {
        float d = distance(add(from, along, *length));
        if (d < 0.002f)
            return 1;
        *length += d;
    }
    return 0;
}

static u64 round_of_ray_march(void)
{
    const struct vector eye = { 0, 0.3f, -1 }, light = unit((struct vector){ -0.5f, 0.8f, -0.4f });
    u64 sum = 0;

    for (int row = 0; row < HEIGHT; row++)
        for (int column = 0; column < WIDTH; column++) {
            struct vector along = unit((struct vector){ (float)(column - WIDTH / 2) / 40.0f, (float)(HEIGHT / 2 - row) / 40.0f, 1 });
            float length = 0, shade = 0;
            if (march(eye, along, &length)) {
                struct vector at = add(eye, along, length), n = normal(at);
                float away = 0.02f;
                shade = larger(dot(n, light), 0.1f);
                if (march(at, light, &away))
                    shade *= 0.5f;
            }
            sum = sum * 33 + (u64)(i32)(shade * 255.0f);
        }
    return sum;
}

int main(int argc, char **argv)
{
    return bench("ray_march", round_of_ray_march, ROUNDS, EXPECTED, argc, argv);
}
