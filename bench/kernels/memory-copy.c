// Copies 64 MiB, 64 bytes a step through vector registers.
#include "../guest/kernel.h"

#define SIZE (64u << 20)
typedef uint8_t vector __attribute__((vector_size(16)));
static uint8_t from[SIZE] __attribute__((aligned(4096))), to[SIZE] __attribute__((aligned(4096)));

void prepare(void) {
  uint32_t random = 41;
  uint32_t *word = (uint32_t *)from;
  for (uint32_t i = 0; i < SIZE / 4; i++) {
    word[i] = next_random(&random);
    ((uint32_t *)to)[i] = i;
  }
}

APART static void copy(vector *restrict target, const vector *restrict source) {
  for (uint32_t i = 0; i < SIZE / sizeof(vector); i += 4) {
    vector a = source[i], b = source[i + 1], c = source[i + 2], d = source[i + 3];
    target[i] = a;
    target[i + 1] = b;
    target[i + 2] = c;
    target[i + 3] = d;
  }
}

uint32_t run(uint32_t iterations) {
  uint32_t sum = 0;
  for (uint32_t n = 0; n < iterations; n++) {
    from[n * 4099 % SIZE] ^= (uint8_t)n;
    copy((vector *)to, (const vector *)from);
    sum = fold(sum, to[n * 4099 % SIZE]);
  }
  for (uint32_t i = 0; i < SIZE / 4; i += 1021) sum = fold(sum, ((uint32_t *)to)[i]);
  return sum;
}
