// The parts of QEMU's `virt` board that a bare program speaks to.
#pragma once
#include <stdint.h>

void board_open(void);
void board_print(const char *text);
// Sixteen digits.
void board_print_hex(uint64_t value);
void board_power_off(void) __attribute__((noreturn));
