// A small virtual machine that counts primes: the loop of every interpreter, through a table of labels.
#include "../guest/kernel.h"

enum opcode { LOAD, ADD, SUBTRACT, REMAINDER, JUMP, IF_ZERO, IF_LESS, STOP };
struct step {
  uint8_t opcode, a, b, c;
};

// Registers: 0 candidate, 1 divisor, 2 rest, 3 count, 4 one, 5 limit, 6 two.
static const struct step program[] = {
  {LOAD, 3, 0, 0},     {LOAD, 4, 1, 0},  {LOAD, 6, 2, 0},  {LOAD, 0, 2, 0},
  {LOAD, 1, 2, 0},  // 4: next candidate
  {IF_LESS, 1, 0, 7},  // 5: while divisor < candidate
  {JUMP, 11, 0, 0},
  {REMAINDER, 2, 0, 1},  // 7
  {IF_ZERO, 2, 12, 0},
  {ADD, 1, 1, 4},      {JUMP, 5, 0, 0},
  {ADD, 3, 3, 4},  // 11: a prime
  {ADD, 0, 0, 4},  // 12
  {IF_LESS, 0, 5, 4},  {STOP, 0, 0, 0},
};

void prepare(void) {}

APART static uint32_t interpret(const struct step *code, uint32_t limit) {
  static const void *const labels[] = {&&load,  &&add,     &&subtract, &&remainder,
                                       &&jump, &&if_zero, &&if_less,  &&stop};
  uint32_t registers[8] = {0};
  const struct step *step = code;
  registers[5] = limit;
#define NEXT goto *labels[step->opcode]
  NEXT;
load:
  registers[step->a] = step->b;
  step++;
  NEXT;
add:
  registers[step->a] = registers[step->b] + registers[step->c];
  step++;
  NEXT;
subtract:
  registers[step->a] = registers[step->b] - registers[step->c];
  step++;
  NEXT;
remainder:
  registers[step->a] = registers[step->b] % registers[step->c];
  step++;
  NEXT;
jump:
  step = code + step->a;
  NEXT;
if_zero:
  step = registers[step->a] == 0 ? code + step->b : step + 1;
  NEXT;
if_less:
  step = registers[step->a] < registers[step->b] ? code + step->c : step + 1;
  NEXT;
stop:
  return registers[3];
}

uint32_t run(uint32_t iterations) {
  uint32_t sum = 0;
  for (uint32_t n = 0; n < iterations; n++) sum = fold(sum, interpret(program, 1000 + n % 7));
  return sum;
}
