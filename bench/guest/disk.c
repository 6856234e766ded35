// Work for the disks of a guest: /dev/vda is a raw image, /dev/vdb a qcow2 one. The tests and how often each is
// repeated, "name:count,name:count", are the argument. A repetition moves 4 KiB.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 4096
// Of each disk, this much is used.
#define BLOCKS (128 * 256)

static char *buffer;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static int open_disk(const char *path, int flags) {
  // What the kernel has kept of earlier tests shall not be read again.
  int drop = open("/proc/sys/vm/drop_caches", O_WRONLY);
  if (drop < 0 || write(drop, "3", 1) != 1) fail("drop_caches");
  close(drop);
  int disk = open(path, flags);
  if (disk < 0) fail(path);
  return disk;
}

static uint64_t next(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

// One block after the other through the kernel's cache, which reads ahead and writes behind.
static uint32_t sequential(const char *path, uint32_t count, int writes) {
  int disk = open_disk(path, writes ? O_WRONLY : O_RDONLY);
  uint32_t sum = 0;
  for (uint32_t n = 0; n < count; n++) {
    if (n % BLOCKS == 0) lseek(disk, 0, SEEK_SET);
    if (writes) memset(buffer, (int)(n * 7), BLOCK);
    ssize_t done = writes ? write(disk, buffer, BLOCK) : read(disk, buffer, BLOCK);
    if (done != BLOCK) fail(path);
    sum = sum * 31 + (uint8_t)buffer[n % BLOCK];
  }
  if (writes && fsync(disk) != 0) fail("fsync");
  close(disk);
  return sum;
}

// Blocks anywhere, each a request of its own.
static uint32_t anywhere(const char *path, uint32_t count, int writes) {
  int disk = open_disk(path, (writes ? O_WRONLY : O_RDONLY) | O_DIRECT);
  uint32_t sum = 0;
  uint64_t state = 88172645463325252;
  for (uint32_t n = 0; n < count; n++) {
    off_t at = (off_t)(next(&state) % BLOCKS) * BLOCK;
    if (writes) memset(buffer, (int)(at / BLOCK * 7), BLOCK);
    ssize_t done = writes ? pwrite(disk, buffer, BLOCK, at) : pread(disk, buffer, BLOCK, at);
    if (done != BLOCK) fail(path);
    sum = sum * 31 + (uint8_t)buffer[n % BLOCK];
  }
  if (writes && fdatasync(disk) != 0) fail("fdatasync");
  close(disk);
  return sum;
}

static const struct test {
  const char *name, *path;
  uint32_t (*run)(const char *path, uint32_t count, int writes);
  int writes;
} tests[] = {
  {"sequential-write", "/dev/vda", sequential, 1},       {"sequential-read", "/dev/vda", sequential, 0},
  {"random-write", "/dev/vda", anywhere, 1},             {"random-read", "/dev/vda", anywhere, 0},
  {"qcow2-sequential-write", "/dev/vdb", sequential, 1}, {"qcow2-sequential-read", "/dev/vdb", sequential, 0},
  {"qcow2-random-write", "/dev/vdb", anywhere, 1},       {"qcow2-random-read", "/dev/vdb", anywhere, 0},
};

int main(int argc, char **argv) {
  if (posix_memalign((void **)&buffer, BLOCK, BLOCK) != 0) fail("memory");
  for (char *test = argc > 1 ? strtok(argv[1], ",") : NULL; test != NULL; test = strtok(NULL, ",")) {
    char *count = strchr(test, ':');
    if (count == NULL) continue;
    *count = '\0';
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
      if (strcmp(tests[i].name, test) != 0) continue;
      printf("\n@start %s\n", test);
      fflush(stdout);
      uint32_t sum = tests[i].run(tests[i].path, (uint32_t)strtoul(count + 1, NULL, 10), tests[i].writes);
      printf("\n@end %s %08x\n", test, sum);
      fflush(stdout);
    }
  }
  return 0;
}
