// Blends two pictures of bytes with saturation and rounding, left to the compiler's vectoriser.
#include "../guest/kernel.h"

#define COUNT 16384
static uint8_t back[COUNT], front[COUNT], alpha[COUNT];

void prepare(void) {
  uint32_t random = 29;
  for (int i = 0; i < COUNT; i++) {
    back[i] = (uint8_t)next_random(&random);
    front[i] = (uint8_t)next_random(&random);
    alpha[i] = (uint8_t)next_random(&random);
  }
}

APART static void blend(uint8_t *restrict below, const uint8_t *restrict above, const uint8_t *restrict weight) {
  for (int i = 0; i < COUNT; i++) {
    uint16_t mixed = (uint16_t)(above[i] * weight[i] + below[i] * (255 - weight[i]) + 128);
    below[i] = (uint8_t)((mixed + (mixed >> 8)) >> 8);
  }
}

uint32_t run(uint32_t iterations) {
  uint32_t sum = 0;
  for (uint32_t n = 0; n < iterations; n++) {
    blend(back, front, alpha);
    front[n % COUNT] += 3;
  }
  for (int i = 0; i < COUNT; i++) sum = fold(sum, back[i]);
  return sum;
}
