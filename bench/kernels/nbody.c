// Five bodies under gravity, step by step: multiply-add, square root, division. ELEMENT is double or float.
#include "../guest/kernel.h"

#define BODIES 5
struct body {
  ELEMENT position[3], velocity[3], mass;
};
static struct body bodies[BODIES];

void prepare(void) {
  uint32_t random = 3;
  for (int i = 0; i < BODIES; i++) {
    for (int axis = 0; axis < 3; axis++) {
      bodies[i].position[axis] = (ELEMENT)(int32_t)(next_random(&random) & 0xffff) / 4096 - 8;
      bodies[i].velocity[axis] = (ELEMENT)(int32_t)(next_random(&random) & 0xffff) / 65536 - (ELEMENT)0.5;
    }
    bodies[i].mass = (ELEMENT)(1 + (next_random(&random) & 15));
  }
}

static ELEMENT square_root(ELEMENT value) {
  return sizeof(ELEMENT) == 8 ? (ELEMENT)__builtin_sqrt((double)value)
                              : (ELEMENT)__builtin_sqrtf((float)value);
}

APART static void advance(ELEMENT step) {
  for (int i = 0; i < BODIES; i++) {
    struct body *a = &bodies[i];
    for (int j = i + 1; j < BODIES; j++) {
      struct body *b = &bodies[j];
      ELEMENT distance[3], squared = (ELEMENT)0.01;
      for (int axis = 0; axis < 3; axis++) {
        distance[axis] = a->position[axis] - b->position[axis];
        squared += distance[axis] * distance[axis];
      }
      ELEMENT pull = step / (squared * square_root(squared));
      for (int axis = 0; axis < 3; axis++) {
        a->velocity[axis] -= distance[axis] * b->mass * pull;
        b->velocity[axis] += distance[axis] * a->mass * pull;
      }
    }
  }
  for (int i = 0; i < BODIES; i++) {
    for (int axis = 0; axis < 3; axis++) bodies[i].position[axis] += step * bodies[i].velocity[axis];
  }
}

uint32_t run(uint32_t iterations) {
  uint32_t sum = 0;
  for (uint32_t n = 0; n < iterations * 1000; n++) advance((ELEMENT)0.0001);
  for (int i = 0; i < BODIES; i++) {
    for (int axis = 0; axis < 3; axis++) {
      union { double value; uint64_t bits; } position = {.value = (double)bodies[i].position[axis]};
      sum = fold64(sum, position.bits);
    }
  }
  return sum;
}
