// Calls through a table of functions in random order.
#include "../guest/kernel.h"

#define COUNT 4096
typedef uint32_t operation(uint32_t, uint32_t);
static uint8_t program[COUNT];

APART static uint32_t add(uint32_t a, uint32_t b) { return a + b; }
APART static uint32_t subtract(uint32_t a, uint32_t b) { return a - b; }
APART static uint32_t exclusive_or(uint32_t a, uint32_t b) { return a ^ b; }
APART static uint32_t multiply(uint32_t a, uint32_t b) { return a * (b | 1); }
APART static uint32_t rotate(uint32_t a, uint32_t b) { return a << (b & 31) | a >> (-b & 31); }
APART static uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a + 1 : b; }
APART static uint32_t swap(uint32_t a, uint32_t b) { return __builtin_bswap32(a) + b; }
APART static uint32_t complement(uint32_t a, uint32_t b) { return ~a + b; }

static operation *const operations[8] = {add,    subtract, exclusive_or, multiply,
                                         rotate, smaller,  swap,         complement};

void prepare(void) {
  uint32_t random = 47;
  for (int i = 0; i < COUNT; i++) program[i] = (uint8_t)(next_random(&random) >> 8 & 7);
}

APART static uint32_t interpret(operation *const *table, uint32_t value) {
  for (uint32_t i = 0; i < COUNT; i++) value = table[program[i]](value, i);
  return value;
}

uint32_t run(uint32_t iterations) {
  uint32_t value = 1;
  while (iterations-- > 0) value = interpret(operations, value + 1);
  return value;
}
