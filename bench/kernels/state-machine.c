// Recognises numbers, names and strings in random text: a switch inside a loop, branches that are hard to guess.
#include "../guest/kernel.h"

#define SIZE 32768
static uint8_t text[SIZE];

enum state { BETWEEN, NAME_, INTEGER, FRACTION, EXPONENT, STRING, ESCAPE, COMMENT, STATES };

void prepare(void) {
  static const char alphabet[] = "abcxyz_019. eE+-\"\\#\n,;()";
  uint32_t random = 31;
  for (int i = 0; i < SIZE; i++) text[i] = (uint8_t)alphabet[next_random(&random) % (sizeof alphabet - 1)];
}

static int is_digit(uint8_t c) { return c >= '0' && c <= '9'; }
static int is_letter(uint8_t c) { return (c >= 'a' && c <= 'z') || c == '_' || c == 'E'; }

static enum state begin(uint8_t c) {
  if (is_digit(c)) return INTEGER;
  if (is_letter(c)) return NAME_;
  if (c == '"') return STRING;
  if (c == '#') return COMMENT;
  return BETWEEN;
}

APART static enum state scan(enum state state, uint32_t counts[STATES]) {
  for (int i = 0; i < SIZE; i++) {
    uint8_t c = text[i];
    switch (state) {
      case BETWEEN: state = begin(c); break;
      case NAME_: if (!is_letter(c) && !is_digit(c)) state = begin(c); break;
      case INTEGER:
        if (c == '.') state = FRACTION;
        else if (c == 'e' || c == 'E') state = EXPONENT;
        else if (!is_digit(c)) state = begin(c);
        break;
      case FRACTION:
        if (c == 'e' || c == 'E') state = EXPONENT;
        else if (!is_digit(c)) state = begin(c);
        break;
      case EXPONENT: if (!is_digit(c) && c != '+' && c != '-') state = begin(c); break;
      case STRING:
        if (c == '\\') state = ESCAPE;
        else if (c == '"') state = BETWEEN;
        break;
      case ESCAPE: state = STRING; break;
      default: if (c == '\n') state = BETWEEN; break;
    }
    counts[state]++;
  }
  return state;
}

uint32_t run(uint32_t iterations) {
  uint32_t counts[STATES] = {0}, sum = 0;
  enum state state = BETWEEN;
  while (iterations-- > 0) state = scan(state, counts);
  for (int i = 0; i < STATES; i++) sum = fold(sum, counts[i]);
  return sum;
}
