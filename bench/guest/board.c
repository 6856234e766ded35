#include "board.h"

// PL011 (Arm DDI 0183, "Summary of registers").
#define UART 0x09000000u
#define UARTDR 0x00
#define UARTFR 0x18
#define UARTCR 0x30
#define UARTFR_TXFF (1u << 5)
#define UARTCR_UARTEN (1u << 0)
#define UARTCR_TXE (1u << 8)
#define UARTCR_RXE (1u << 9)

// PSCI (Arm DEN 0022), SYSTEM_OFF.
#define PSCI_SYSTEM_OFF 0x84000008u

static volatile uint32_t *uart(uint32_t offset) {
  return (volatile uint32_t *)(uintptr_t)(UART + offset);
}

void board_open(void) {
  *uart(UARTCR) = UARTCR_UARTEN | UARTCR_TXE | UARTCR_RXE;
}

void board_print(const char *text) {
  for (; *text != '\0'; text++) {
    while ((*uart(UARTFR) & UARTFR_TXFF) != 0) {}
    *uart(UARTDR) = (unsigned char)*text;
  }
}

void board_print_hex(uint64_t value) {
  char text[17];
  for (int i = 0; i < 16; i++) text[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
  text[16] = '\0';
  board_print(text);
}

void board_power_off(void) {
  register uint64_t function __asm__("x0") = PSCI_SYSTEM_OFF;
  __asm__ volatile("hvc #0" : "+r"(function) : : "memory");
  for (;;) __asm__ volatile("wfi");
}
