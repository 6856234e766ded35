// Product of square matrices, the inner loop with a stride. ELEMENT is int32_t, double or float.
#include "../guest/kernel.h"

#define SIZE 96
static ELEMENT left[SIZE][SIZE], right[SIZE][SIZE], product[SIZE][SIZE];

void prepare(void) {
  uint32_t random = 7;
  for (int i = 0; i < SIZE; i++) {
    for (int j = 0; j < SIZE; j++) {
      left[i][j] = (ELEMENT)(next_random(&random) & 255) / 2;
      right[i][j] = (ELEMENT)(next_random(&random) & 255) / 4;
    }
  }
}

APART static void multiply(void) {
  for (int i = 0; i < SIZE; i++) {
    for (int j = 0; j < SIZE; j++) {
      ELEMENT sum = 0;
      for (int k = 0; k < SIZE; k++) sum += left[i][k] * right[k][j];
      product[i][j] = sum;
    }
  }
}

uint32_t run(uint32_t iterations) {
  uint32_t sum = 0;
  for (uint32_t n = 0; n < iterations; n++) {
    multiply();
    sum = fold64(sum, (uint64_t)(int64_t)(product[n % SIZE][(n * 7) % SIZE] * 8));
    left[n % SIZE][(n * 5) % SIZE] += 1;
  }
  return sum;
}
