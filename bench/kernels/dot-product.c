// Dot product of signed bytes with a 32-bit sum, left to the compiler's vectoriser: widening multiplications.
#include "../guest/kernel.h"

#define COUNT 16384
static int8_t left[COUNT], right[COUNT];

void prepare(void) {
  uint32_t random = 23;
  for (int i = 0; i < COUNT; i++) {
    left[i] = (int8_t)next_random(&random);
    right[i] = (int8_t)next_random(&random);
  }
}

APART static int32_t dot(const int8_t *a, const int8_t *b) {
  int32_t sum = 0;
  for (int i = 0; i < COUNT; i++) sum += a[i] * b[i];
  return sum;
}

uint32_t run(uint32_t iterations) {
  uint32_t sum = 0;
  for (uint32_t n = 0; n < iterations; n++) {
    left[n % COUNT] ^= (int8_t)n;
    sum = fold(sum, (uint32_t)dot(left, right));
  }
  return sum;
}
