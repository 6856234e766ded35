// CRC-32 (IEEE 802.3) a bit at a time: a short loop of shifts, masks and exclusive ors.
#include "../guest/kernel.h"

#define SIZE 65536
static uint8_t data[SIZE];

void prepare(void) {
  uint32_t random = 1;
  for (int i = 0; i < SIZE; i++) data[i] = (uint8_t)next_random(&random);
}

APART static uint32_t checksum(const uint8_t *bytes, uint32_t size, uint32_t crc) {
  for (uint32_t i = 0; i < size; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0xedb88320u & -(crc & 1));
  }
  return crc;
}

uint32_t run(uint32_t iterations) {
  uint32_t crc = ~0u;
  while (iterations-- > 0) crc = checksum(data, SIZE, crc);
  return ~crc;
}
