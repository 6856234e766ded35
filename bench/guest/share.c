// Work for a directory of the host that is mounted in a guest: `share DIRECTORY name:count,name:count`.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEBIBYTE (1 << 20)
#define PIECE (128 << 10)
#define SMALL 2000

static char buffer[PIECE];

static void fail(const char *what) {
  perror(what);
  exit(1);
}

// What the kernel has kept of earlier tests shall not be read again.
static void forget(void) {
  sync();
  int drop = open("/proc/sys/vm/drop_caches", O_WRONLY);
  if (drop < 0 || write(drop, "3", 1) != 1) fail("drop_caches");
  close(drop);
}

// One file, so many mebibytes.
static uint32_t write_bytes(uint32_t count) {
  int file = open("bytes", O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file < 0) fail("bytes");
  for (uint32_t n = 0; n < count * (MEBIBYTE / PIECE); n++) {
    memset(buffer, (int)(n * 7), PIECE);
    if (write(file, buffer, PIECE) != PIECE) fail("write");
  }
  if (fsync(file) != 0) fail("fsync");
  close(file);
  return count;
}

static uint32_t read_bytes(uint32_t count) {
  uint32_t sum = 0;
  forget();
  int file = open("bytes", O_RDONLY);
  if (file < 0) fail("bytes");
  for (uint32_t n = 0; n < count * (MEBIBYTE / PIECE); n++) {
    ssize_t length = read(file, buffer, PIECE);
    if (length == 0) lseek(file, 0, SEEK_SET);
    else if (length != PIECE) fail("read");
    sum = sum * 31 + (uint8_t)buffer[n % PIECE];
  }
  close(file);
  return sum;
}

// Small files: each made, written, looked at, read and removed.
static uint32_t files(uint32_t count) {
  char name[32];
  uint32_t sum = 0;
  for (uint32_t n = 0; n < count; n++) {
    snprintf(name, sizeof name, "file%u", n);
    int file = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (file < 0) fail(name);
    memset(buffer, (int)n, SMALL);
    if (write(file, buffer, SMALL) != SMALL || fchmod(file, 0644) != 0) fail(name);
    close(file);
  }
  forget();
  for (uint32_t n = 0; n < count; n++) {
    snprintf(name, sizeof name, "file%u", n);
    struct stat status;
    if (stat(name, &status) != 0 || status.st_size != SMALL) fail(name);
    int file = open(name, O_RDONLY);
    if (file < 0 || read(file, buffer, PIECE) != SMALL) fail(name);
    sum = sum * 31 + (uint8_t)buffer[SMALL - 1];
    close(file);
    if (unlink(name) != 0) fail(name);
  }
  return sum;
}

static const struct {
  const char *name;
  uint32_t (*run)(uint32_t);
} tests[] = {
    {"share-write", write_bytes},
    {"share-read", read_bytes},
    {"share-files", files},
};

int main(int count, char **words) {
  if (count != 3 || chdir(words[1]) != 0) return 2;
  for (char *test = strtok(words[2], ","); test != NULL; test = strtok(NULL, ",")) {
    char *colon = strchr(test, ':');
    if (colon == NULL) return 2;
    *colon = 0;
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
      if (strcmp(tests[i].name, test) != 0) continue;
      printf("\n@start %s\n", test);
      fflush(stdout);
      uint32_t sum = tests[i].run((uint32_t)strtoul(colon + 1, NULL, 10));
      printf("\n@end %s %08x\n", test, sum);
      fflush(stdout);
    }
  }
  return 0;
}
