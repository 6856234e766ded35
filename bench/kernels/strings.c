// Lengths, searches, comparisons and copies of zero-terminated strings, a byte or a word at a time.
#include "../guest/kernel.h"

#define COUNT 512
#define LONGEST 120
static char strings[COUNT][LONGEST + 8] __attribute__((aligned(8)));

void prepare(void) {
  uint32_t random = 53;
  for (int i = 0; i < COUNT; i++) {
    uint32_t length = next_random(&random) % LONGEST;
    for (uint32_t j = 0; j < length; j++) strings[i][j] = (char)('a' + (j < 8 ? (uint32_t)i % 3 : next_random(&random) % 26));
  }
}

APART static size_t length_of(const char *text) {
  // Aligned, so a word never reaches into another page.
  const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
  const uint64_t *word = (const uint64_t *)text;
  for (;; word++) {
    uint64_t zeros = (*word - ones) & ~*word & tops;
    if (zeros != 0) return (size_t)((const char *)word - text) + (size_t)(__builtin_ctzll(zeros) / 8);
  }
}

APART static int compare(const char *left, const char *right) {
  while (*left != '\0' && *left == *right) {
    left++;
    right++;
  }
  return (unsigned char)*left - (unsigned char)*right;
}

APART static const char *find(const char *text, char wanted) {
  while (*text != '\0' && *text != wanted) text++;
  return text;
}

APART static char *copy(char *restrict to, const char *restrict from) {
  while ((*to++ = *from++) != '\0') {}
  return to;
}

uint32_t run(uint32_t iterations) {
  static char target[LONGEST + 8];
  uint32_t sum = 0;
  for (uint32_t n = 0; n < iterations; n++) {
    for (int i = 0; i < COUNT; i++) {
      const char *text = strings[i];
      sum += (uint32_t)length_of(text);
      sum = fold(sum, (uint32_t)compare(text, strings[(i + 3) % COUNT]));
      sum += (uint32_t)(find(text, (char)('a' + n % 26)) - text);
      sum += (uint32_t)(copy(target, text) - target);
    }
  }
  return sum;
}
