/*
 * Sets random values through open-vm-tools' library and reads them back: `guestinfo-values SEED COUNT KEY`.
 * Prints the number of values that came back byte for byte.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of libvmtools.so. */
extern char RpcOut_SendOneRaw(void *request, size_t length, char **reply, size_t *replyLength);

#define MOST 65536

static unsigned long state;

static unsigned long next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

int main(int argc, char **argv) {
  static char request[MOST + 256];
  state = strtoul(argv[1], NULL, 10) * 2 + 1;
  int count = atoi(argv[2]);
  int equal = 0;
  for (int round = 0; round < count; round++) {
    int head = sprintf(request, "info-set guestinfo.%s ", argv[3]);
    /* Every other value is short. */
    size_t length = next() % (round & 1 ? MOST + 1 : 64);
    for (size_t at = 0; at < length; at++) request[head + at] = 1 + next() % 255;
    char *reply = NULL;
    size_t replyLength = 0;
    if (!RpcOut_SendOneRaw(request, head + length, &reply, &replyLength)) {
      printf("set %d failed: %s\n", round, reply ? reply : "");
      return 1;
    }
    free(reply);
    reply = NULL;
    char get[256];
    int getLength = sprintf(get, "info-get guestinfo.%s", argv[3]);
    if (!RpcOut_SendOneRaw(get, getLength, &reply, &replyLength)) {
      printf("get %d failed: %s\n", round, reply ? reply : "");
      return 1;
    }
    if (replyLength == length && memcmp(reply, request + head, length) == 0) equal++;
    else printf("round %d: %zu bytes became %zu\n", round, length, replyLength);
    free(reply);
  }
  printf("%d equal\n", equal);
  return 0;
}
