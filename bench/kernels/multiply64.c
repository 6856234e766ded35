// A hash by 64-bit multiplications, high halves and rotations.
#include "../guest/kernel.h"

#define COUNT 4096
static uint64_t words[COUNT];

void prepare(void) {
  uint32_t random = 59;
  for (int i = 0; i < COUNT; i++) words[i] = (uint64_t)next_random(&random) << 32 | next_random(&random);
}

APART static uint64_t hash(uint64_t state) {
  for (int i = 0; i < COUNT; i++) {
    unsigned __int128 product = (unsigned __int128)(state ^ words[i]) * 0x9e3779b97f4a7c15u;
    state = (uint64_t)product ^ (uint64_t)(product >> 64);
    state = (state << 27 | state >> 37) * 5 + 0x52dce729;
  }
  return state;
}

uint32_t run(uint32_t iterations) {
  uint64_t state = 1;
  while (iterations-- > 0) state = hash(state);
  return fold64(0, state);
}
