// Points of the Mandelbrot set: a dependent chain of multiply-add and a compare. ELEMENT is double or float.
#include "../guest/kernel.h"

#define SIZE 64
#define DEPTH 200

void prepare(void) {}

APART static uint32_t depth(ELEMENT re, ELEMENT im) {
  ELEMENT x = 0, y = 0;
  for (uint32_t n = 0; n < DEPTH; n++) {
    ELEMENT xx = x * x, yy = y * y;
    if (xx + yy > 4) return n;
    y = 2 * x * y + im;
    x = xx - yy + re;
  }
  return DEPTH;
}

uint32_t run(uint32_t iterations) {
  uint32_t sum = 0;
  for (uint32_t n = 0; n < iterations; n++) {
    ELEMENT shift = (ELEMENT)(n % 16) / 1024;
    for (int row = 0; row < SIZE; row++) {
      for (int column = 0; column < SIZE; column++) {
        sum = fold(sum, depth((ELEMENT)column * 3 / SIZE - 2 + shift, (ELEMENT)row * 2 / SIZE - 1));
      }
    }
  }
  return sum;
}
