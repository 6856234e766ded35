// y = a x + y over float vectors, left to the compiler's vectoriser.
#include "../guest/kernel.h"

#define COUNT 8192
static float x[COUNT], y[COUNT];

void prepare(void) {
  uint32_t random = 17;
  for (int i = 0; i < COUNT; i++) {
    x[i] = (float)(next_random(&random) & 0xffff) / 65536;
    y[i] = (float)(next_random(&random) & 0xffff) / 65536;
  }
}

APART static void multiply_add(float factor, const float *restrict from, float *restrict to) {
  for (int i = 0; i < COUNT; i++) to[i] += factor * from[i];
}

uint32_t run(uint32_t iterations) {
  uint32_t sum = 0;
  for (uint32_t n = 0; n < iterations; n++) multiply_add(n % 2 == 0 ? 0.25f : -0.1875f, x, y);
  for (int i = 0; i < COUNT; i++) {
    union { float value; uint32_t bits; } word = {.value = y[i]};
    sum = fold(sum, word.bits);
  }
  return sum;
}
