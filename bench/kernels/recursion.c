// Fibonacci's numbers by the recursive definition: calls, returns and the stack.
#include "../guest/kernel.h"

void prepare(void) {}

APART static uint32_t fibonacci(uint32_t n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

uint32_t run(uint32_t iterations) {
  uint32_t sum = 0;
  for (uint32_t n = 0; n < iterations; n++) sum = fold(sum, fibonacci(24 + n % 2));
  return sum;
}
