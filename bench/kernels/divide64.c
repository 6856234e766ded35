// Greatest common divisors and decimal digits by 64-bit division, signed and unsigned.
#include "../guest/kernel.h"

#define COUNT 256
static uint64_t words[COUNT];

void prepare(void) {
  uint32_t random = 61;
  for (int i = 0; i < COUNT; i++) words[i] = (uint64_t)next_random(&random) << 20 | 1;
}

APART static uint64_t divisor(uint64_t a, uint64_t b) {
  while (b != 0) {
    uint64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

APART static uint32_t digits(int64_t value) {
  uint32_t sum = 0;
  for (; value != 0; value /= 1000) sum += (uint32_t)(value % 1000);
  return sum;
}

uint32_t run(uint32_t iterations) {
  uint32_t sum = 0;
  for (uint32_t n = 0; n < iterations; n++) {
    for (int i = 0; i < COUNT; i++) {
      sum = fold64(sum, divisor(words[i] + n, words[(i + n) % COUNT]));
      sum += digits(-(int64_t)words[i]);
    }
  }
  return sum;
}
