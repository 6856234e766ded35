// Announces the work, does it, tells the checksum. NAME and ITERATIONS come from the command line of the compiler.
#include "kernel.h"

#ifdef GUEST

#include "board.h"

void guest_main(void) {
  board_open();
  prepare();
  board_print("@start " NAME "\n");
  uint32_t sum = run(ITERATIONS);
  board_print("@end " NAME " ");
  board_print_hex(sum);
  board_print("\n");
  board_power_off();
}

// Called by the exception vectors: whatever arrives here is a mistake of the program or of the machine.
void guest_exception(uint64_t vector, uint64_t esr, uint64_t elr, uint64_t far) {
  board_print("@exception vector ");
  board_print_hex(vector);
  board_print(" ESR ");
  board_print_hex(esr);
  board_print(" ELR ");
  board_print_hex(elr);
  board_print(" FAR ");
  board_print_hex(far);
  board_print("\n");
  board_power_off();
}

#else

#include <stdio.h>

int main(void) {
  prepare();
  printf("@start " NAME "\n");
  fflush(stdout);
  uint32_t sum = run(ITERATIONS);
  printf("@end " NAME " %016x\n", sum);
  return 0;
}

#endif
