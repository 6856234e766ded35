// Sieve of Eratosthenes over bits.
#include "../guest/kernel.h"

#define LIMIT (1u << 19)
static uint32_t composite[LIMIT / 32];

void prepare(void) {}

APART static uint32_t count_primes(uint32_t limit) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < LIMIT / 32; i++) composite[i] = 0;
  for (uint32_t i = 2; i < limit; i++) {
    if ((composite[i / 32] >> i % 32 & 1) != 0) continue;
    count++;
    for (uint32_t multiple = 2 * i; multiple < limit; multiple += i) {
      composite[multiple / 32] |= 1u << multiple % 32;
    }
  }
  return count;
}

uint32_t run(uint32_t iterations) {
  uint32_t sum = 0;
  for (uint32_t n = 0; n < iterations; n++) sum = fold(sum, count_primes(LIMIT - n % 1000));
  return sum;
}
