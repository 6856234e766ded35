// Quicksort of random words by a recursive function (Hoare's partition).
#include "../guest/kernel.h"

#define COUNT 8192
static uint32_t words[COUNT];

void prepare(void) {}

APART static void sort(uint32_t *from, uint32_t *to) {
  while (from < to) {
    uint32_t pivot = from[(to - from) / 2];
    uint32_t *low = from, *high = to;
    while (low <= high) {
      while (*low < pivot) low++;
      while (*high > pivot) high--;
      if (low > high) break;
      uint32_t word = *low;
      *low++ = *high;
      *high-- = word;
    }
    if (high - from < to - low) {
      sort(from, high);
      from = low;
    } else {
      sort(low, to);
      to = high;
    }
  }
}

uint32_t run(uint32_t iterations) {
  uint32_t random = 99, sum = 0;
  for (uint32_t n = 0; n < iterations; n++) {
    for (int i = 0; i < COUNT; i++) words[i] = next_random(&random);
    sort(words, words + COUNT - 1);
    sum = fold(sum, words[n % COUNT]);
    for (int i = 1; i < COUNT; i++) sum += words[i - 1] > words[i];
  }
  return sum;
}
