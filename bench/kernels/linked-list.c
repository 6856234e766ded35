// Searches and reverses a linked list whose nodes lie in random order, within the first-level cache.
#include "../guest/kernel.h"

#define COUNT 1024
struct node {
  struct node *next;
  uint32_t key;
  uint32_t value;
};
static struct node nodes[COUNT];
static struct node *head;

void prepare(void) {
  static uint32_t order[COUNT];
  uint32_t random = 5;
  for (uint32_t i = 0; i < COUNT; i++) order[i] = i;
  for (uint32_t i = COUNT - 1; i > 0; i--) {
    uint32_t j = next_random(&random) % (i + 1), index = order[i];
    order[i] = order[j];
    order[j] = index;
  }
  head = NULL;
  for (uint32_t i = 0; i < COUNT; i++) {
    nodes[order[i]] = (struct node){head, next_random(&random) % (2 * COUNT), next_random(&random)};
    head = &nodes[order[i]];
  }
}

APART static const struct node *find(const struct node *node, uint32_t key) {
  while (node != NULL && node->key != key) node = node->next;
  return node;
}

APART static struct node *reverse(struct node *node) {
  struct node *reversed = NULL;
  while (node != NULL) {
    struct node *next = node->next;
    node->next = reversed;
    reversed = node;
    node = next;
  }
  return reversed;
}

uint32_t run(uint32_t iterations) {
  uint32_t random = 77, sum = 0;
  for (uint32_t n = 0; n < iterations; n++) {
    const struct node *found = find(head, next_random(&random) % (2 * COUNT));
    sum = fold(sum, found == NULL ? n : found->value);
    if (n % 8 == 0) head = reverse(head);
  }
  return sum;
}
