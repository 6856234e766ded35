// A mix in the spirit of CoreMark: list sorting and searching, small matrices, a scanner, a CRC over the results.
#include "../guest/kernel.h"

#define NODES 128
#define MATRIX 12
#define TEXT 512

struct item {
  struct item *next;
  int16_t key, index;
};
static struct item items[NODES];
static int16_t a[MATRIX][MATRIX], b[MATRIX][MATRIX];
static int32_t c[MATRIX][MATRIX];
static char text[TEXT];

void prepare(void) {
  uint32_t random = 67;
  for (int i = 0; i < MATRIX; i++) {
    for (int j = 0; j < MATRIX; j++) {
      a[i][j] = (int16_t)next_random(&random);
      b[i][j] = (int16_t)next_random(&random);
    }
  }
  for (int i = 0; i < TEXT; i++) text[i] = "0123456789+-.eE, x"[next_random(&random) % 18];
}

static uint16_t crc16(uint16_t crc, uint16_t value) {
  for (int bit = 0; bit < 16; bit++, value >>= 1) {
    uint16_t out = (uint16_t)((crc ^ value) & 1);
    crc = (uint16_t)(crc >> 1 ^ (out != 0 ? 0xa001 : 0));
  }
  return crc;
}

static int by_key(const struct item *x, const struct item *y) { return x->key - y->key; }
static int by_index(const struct item *x, const struct item *y) { return x->index - y->index; }

// Merge sort from short runs to long ones, the order given by a function.
APART static struct item *sort(struct item *list, int (*order)(const struct item *, const struct item *)) {
  for (uint32_t size = 1;; size *= 2) {
    struct item *left = list, **end = &list;
    uint32_t merges = 0;
    while (left != NULL) {
      struct item *right = left;
      uint32_t lefts = 0, rights = size;
      merges++;
      while (lefts < size && right != NULL) {
        lefts++;
        right = right->next;
      }
      while (lefts > 0 || (rights > 0 && right != NULL)) {
        struct item **from = &left;
        if (lefts == 0 || (rights > 0 && right != NULL && order(left, right) > 0)) from = &right;
        if (from == &left) lefts--;
        else rights--;
        *end = *from;
        end = &(*end)->next;
        *from = *end;
      }
      left = right;
    }
    *end = NULL;
    if (merges <= 1) return list;
  }
}

APART static uint16_t lists(uint32_t seed) {
  uint16_t crc = 0;
  for (int i = 0; i < NODES; i++) {
    items[i] = (struct item){i + 1 < NODES ? &items[i + 1] : NULL, (int16_t)next_random(&seed), (int16_t)i};
  }
  struct item *list = sort(items, by_key);
  for (const struct item *item = list; item != NULL; item = item->next) crc = crc16(crc, (uint16_t)item->index);
  list = sort(list, by_index);
  for (int wanted = 0; wanted < NODES; wanted += 16) {
    const struct item *item = list;
    while (item != NULL && item->index != wanted) item = item->next;
    crc = crc16(crc, item == NULL ? 0 : (uint16_t)item->key);
  }
  return crc;
}

APART static uint16_t matrices(int16_t bias) {
  int32_t sum = 0;
  for (int i = 0; i < MATRIX; i++) {
    for (int j = 0; j < MATRIX; j++) {
      int32_t cell = 0;
      for (int k = 0; k < MATRIX; k++) cell += (a[i][k] + bias) * b[k][j];
      c[i][j] = cell >> 2;
      sum += (cell >> 5 & 0x7f) * (cell & 15);
    }
  }
  return (uint16_t)(sum ^ sum >> 16 ^ c[3][5]);
}

APART static uint16_t scanner(uint32_t start) {
  uint32_t counts[5] = {0}, state = 0;
  for (uint32_t i = 0; i < TEXT; i++) {
    char next = text[(i + start) % TEXT];
    int digit = next >= '0' && next <= '9';
    switch (state) {
      case 0: state = digit ? 1 : next == '.' ? 2 : next == '+' || next == '-' ? 1 : 4; break;
      case 1: state = digit ? 1 : next == '.' ? 2 : next == 'e' || next == 'E' ? 3 : 0; break;
      case 2: state = digit ? 2 : next == 'e' || next == 'E' ? 3 : 0; break;
      case 3: state = digit || next == '+' || next == '-' ? 3 : 0; break;
      default: state = next == ',' ? 0 : 4; break;
    }
    counts[state]++;
  }
  return (uint16_t)(counts[0] + 3 * counts[1] + 5 * counts[2] + 7 * counts[3] + 11 * counts[4]);
}

uint32_t run(uint32_t iterations) {
  uint16_t crc = 0;
  for (uint32_t n = 0; n < iterations; n++) {
    crc = crc16(crc, lists(n + 1));
    crc = crc16(crc, matrices((int16_t)n));
    crc = crc16(crc, scanner(n));
  }
  return crc;
}
