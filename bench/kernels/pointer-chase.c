// Follows pointers in random order through 64 MiB: every step misses caches and TLBs.
#include "../guest/kernel.h"

#define LINE 64
#define COUNT ((64u << 20) / LINE)
struct line {
  uint32_t next;
  uint32_t value;
  uint8_t rest[LINE - 8];
};
static struct line lines[COUNT] __attribute__((aligned(4096)));

void prepare(void) {
  uint32_t random = 43;
  // Sattolo's shuffle: one cycle through all lines.
  for (uint32_t i = 0; i < COUNT; i++) lines[i] = (struct line){i, next_random(&random), {0}};
  for (uint32_t i = COUNT - 1; i > 0; i--) {
    uint32_t j = next_random(&random) % i, next = lines[i].next;
    lines[i].next = lines[j].next;
    lines[j].next = next;
  }
}

APART static uint32_t chase(uint32_t *at, uint32_t steps) {
  uint32_t index = *at, sum = 0;
  while (steps-- > 0) {
    sum += lines[index].value;
    index = lines[index].next;
  }
  *at = index;
  return sum;
}

uint32_t run(uint32_t iterations) {
  uint32_t at = 0, sum = 0;
  while (iterations-- > 0) sum = fold(sum, chase(&at, 10000));
  return sum;
}
