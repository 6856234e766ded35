// Work for the operating system, as process 1 of a guest and as a program of the host. The tests and how often
// each is repeated, "name:count,name:count", are the first argument or, for process 1, the variable BENCH.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define MAPPED (512 * PAGE)

static char self[4096];

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static uint32_t system_calls(uint32_t count) {
  uint32_t sum = 0;
  while (count-- > 0) sum += syscall(SYS_getppid) >= 0;
  return sum;
}

static volatile uint32_t signals_taken;

static void on_signal(int number) {
  signals_taken += (uint32_t)number;
}

static uint32_t signals(uint32_t count) {
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGUSR1, &action, NULL);
  pid_t own = getpid();
  signals_taken = 0;
  while (count-- > 0) kill(own, SIGUSR1);
  return signals_taken;
}

static uint32_t ping_pong(uint32_t count) {
  int there[2], back[2];
  uint32_t value = 0;
  if (pipe(there) != 0 || pipe(back) != 0) fail("pipe");
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    close(there[1]);
    while (read(there[0], &value, sizeof value) == sizeof value) {
      value = value * 3 + 1;
      if (write(back[1], &value, sizeof value) != sizeof value) break;
    }
    _exit(0);
  }
  while (count-- > 0) {
    if (write(there[1], &value, sizeof value) != sizeof value) fail("write");
    if (read(back[0], &value, sizeof value) != sizeof value) fail("read");
  }
  close(there[1]);
  waitpid(child, NULL, 0);
  close(there[0]);
  close(back[0]);
  close(back[1]);
  return value;
}

static uint32_t children(uint32_t count, int execute) {
  uint32_t sum = 0;
  for (uint32_t n = 0; n < count; n++) {
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) {
      if (execute) {
        execl(self, self, "exit", (char *)NULL);
        _exit(127);
      }
      _exit(7);
    }
    int status;
    waitpid(child, &status, 0);
    sum = sum * 3 + (uint32_t)WEXITSTATUS(status);
  }
  return sum;
}

static uint32_t forks(uint32_t count) { return children(count, 0); }
static uint32_t fork_executes(uint32_t count) { return children(count, 1); }

static uint32_t maps(uint32_t count) {
  uint32_t sum = 0;
  for (uint32_t n = 0; n < count; n++) {
    uint8_t *memory = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) fail("mmap");
    // The host would otherwise use one large page where the guest uses small ones.
    madvise(memory, MAPPED, MADV_NOHUGEPAGE);
    for (uint32_t at = 0; at < MAPPED; at += PAGE) {
      sum += memory[at];
      memory[at] = (uint8_t)n;
    }
    sum += memory[n % 512 * PAGE];
    munmap(memory, MAPPED);
  }
  return sum;
}

static uint32_t clocks(uint32_t count) {
  struct timespec time, last = {0};
  uint32_t sum = 0;
  while (count-- > 0) {
    clock_gettime(CLOCK_MONOTONIC, &time);
    sum += time.tv_sec > last.tv_sec || (time.tv_sec == last.tv_sec && time.tv_nsec >= last.tv_nsec);
    last = time;
  }
  return sum;
}

// Through volatile pointers, so that the library's own functions are called.
static size_t (*volatile length_of)(const char *) = strlen;
static void *(*volatile find)(const void *, int, size_t) = memchr;
static int (*volatile compare)(const char *, const char *) = strcmp;
static void *(*volatile copy)(void *, const void *, size_t) = memcpy;
static void *(*volatile set)(void *, int, size_t) = memset;

static uint32_t strings(uint32_t count) {
  static char texts[64][512], target[512];
  uint32_t sum = 0;
  for (int i = 0; i < 64; i++) memset(texts[i], 'a' + i % 2, (size_t)(8 * i + 5));
  for (uint32_t n = 0; n < count; n++) {
    for (int i = 0; i < 64; i++) {
      size_t length = length_of(texts[i]);
      const char *found = find(texts[i], 0, sizeof texts[i]);
      copy(target, texts[i], length + 1);
      sum = sum * 5 + (uint32_t)(length + (size_t)(found - texts[i]));
      sum += (uint32_t)compare(target, texts[(i + 2) & 63]) >> 31;
      set(target, i, length);
    }
  }
  return sum;
}

static const struct test {
  const char *name;
  uint32_t (*run)(uint32_t count);
} tests[] = {
  {"system-call", system_calls}, {"signal", signals},   {"ping-pong", ping_pong},
  {"fork", forks},               {"fork-exec", fork_executes}, {"map-touch-unmap", maps},
  {"clock", clocks},             {"string-functions", strings},
};

static void run(const char *name, uint32_t count) {
  for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
    if (strcmp(tests[i].name, name) != 0) continue;
    // The line begins anew, whatever the kernel has just said.
    printf("\n@start %s\n", name);
    fflush(stdout);
    printf("\n@end %s %08x\n", name, tests[i].run(count));
    fflush(stdout);
  }
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "exit") == 0) return 7;
  int first = getpid() == 1;
  if (realpath(argv[0], self) == NULL) fail(argv[0]);
  char *list = first ? getenv("BENCH") : argc > 1 ? argv[1] : NULL;
  if (list != NULL) {
    list = strdup(list);
    for (char *test = strtok(list, ","); test != NULL; test = strtok(NULL, ",")) {
      char *count = strchr(test, ':');
      if (count == NULL) continue;
      *count = '\0';
      run(test, (uint32_t)strtoul(count + 1, NULL, 10));
    }
  }
  if (first) {
    sync();
    reboot(RB_POWER_OFF);
  }
  return 0;
}
