// Atomic add, compare-and-swap and exchange: exclusive loads and stores, or one instruction with FEAT_LSE.
#include "../guest/kernel.h"

static uint64_t counters[16];
static uint32_t lock;

void prepare(void) {}

APART static void count(uint32_t times) {
  for (uint32_t i = 0; i < times; i++) {
    uint64_t *counter = &counters[i % 16];
    __atomic_fetch_add(counter, i, __ATOMIC_SEQ_CST);
    uint32_t open = 0;
    while (!__atomic_compare_exchange_n(&lock, &open, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) open = 0;
    counters[(i + 1) % 16] ^= *counter;
    __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
    __atomic_exchange_n(&counters[(i + 5) % 16], i, __ATOMIC_RELAXED);
  }
}

uint32_t run(uint32_t iterations) {
  uint32_t sum = 0;
  while (iterations-- > 0) count(1000);
  for (int i = 0; i < 16; i++) sum = fold64(sum, counters[i]);
  return sum;
}
