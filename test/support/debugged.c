/* A program for a debugger to look at. */
#include <stdio.h>

static int total;

__attribute__((noinline)) int work(int amount) {
  total += amount;
  total += amount;
  return amount * 2;
}

__attribute__((noinline)) void finish(int amount) { printf("finished with %d\n", amount); }

__attribute__((noinline)) void leave(void) { printf("leaving with %d\n", total); }

int main(void) {
  for (int amount = 1; amount < 4; amount++) finish(work(amount));
  leave();
  return 0;
}
