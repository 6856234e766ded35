// What every measured piece of work (kernels/*.c) has in common. It is built twice: without a library for the
// guest, and as an ordinary program for the host.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Fills the data; not timed.
void prepare(void);
// Does the work `iterations` times; the result depends on all of it.
uint32_t run(uint32_t iterations);

// Marsaglia's xorshift with 32 bits: the same numbers everywhere. `state` is never 0.
static inline uint32_t next_random(uint32_t *state) {
  uint32_t x = *state;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return *state = x;
}

// Takes a value into a checksum (FNV-1a's step, a word at a time).
static inline uint32_t fold(uint32_t sum, uint32_t value) {
  return (sum ^ value) * 16777619u;
}

static inline uint32_t fold64(uint32_t sum, uint64_t value) {
  return fold(fold(sum, (uint32_t)value), (uint32_t)(value >> 32));
}

// Keeps a function whole, so that the work is what its source says.
#define APART __attribute__((noinline, noclone))
