/* The Mandelbrot set in doubles: short loops of multiply, add and compare that end early or late. */
#include "bench.h"

#ifndef ROUNDS
#define ROUNDS 70
#endif
#define EXPECTED 0x236213ee56b73454u
#define WIDTH 120
#define HEIGHT 80
#define MOST 200

static int escape(double re, double im)
{
    double x = 0, y = 0;
    int n = 0;
    while (n < MOST && x * x + y * y <= 4.0) {
        double next = x * x - y * y + re;
        y = 2.0 * x * y + im;
        x = next;
        n++;
    }
    return n;
}

static u64 round_of_mandelbrot(void)
{
    u64 sum = 0;

    for (int row = 0; row < HEIGHT; row++)
        for (int column = 0; column < WIDTH; column++)
            sum = mix(sum, (u64)escape(-2.2 + 3.2 * column / WIDTH, -1.2 + 2.4 * row / HEIGHT));
    return sum;
}

int main(int argc, char **argv)
{
    return bench("mandelbrot", round_of_mandelbrot, ROUNDS, EXPECTED, argc, argv);
}
