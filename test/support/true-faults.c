// Accesses to what no table of the guest maps: `true-faults ROUNDS`. A round makes 1,000 such faults: most in the
// kernel, which answers EFAULT, others on first touches of memory, by a SIGSEGV that steps over the access, and
// through userfaultfd. Every one of them must end as it should.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 4096
#define IN_KERNEL 900
#define TOUCHED 60
#define SIGNALLED 30
#define SERVED 10

static int userfaults;
static volatile sig_atomic_t signals;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static char *reserve(size_t length, int protection) {
  char *memory = mmap(NULL, length, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) fail("mmap");
  return memory;
}

static void on_signal(int number, siginfo_t *about, void *context) {
  signals++;
  if (number == SIGSEGV) {
    ((ucontext_t *)context)->uc_mcontext.pc += 4;
    return;
  }
  struct uffdio_zeropage zero = {.range = {(uintptr_t)about->si_addr & -PAGE, PAGE}};
  if (ioctl(userfaults, UFFDIO_ZEROPAGE, &zero) != 0) _exit(1);
}

static void open_userfaults(void) {
  userfaults = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
  if (userfaults < 0) fail("userfaultfd");
  struct uffdio_api interface = {.api = UFFD_API, .features = UFFD_FEATURE_SIGBUS};
  if (ioctl(userfaults, UFFDIO_API, &interface) != 0) fail("UFFDIO_API");
}

// Holes of several sizes: one in a table of the last level, others where there are no tables.
static void in_kernel(char *const holes[3]) {
  for (int i = 0; i < IN_KERNEL; i++) {
    if (syscall(SYS_getcpu, holes[i % 3] + i % PAGE / 8 * 8, NULL, NULL) == 0 || errno != EFAULT) fail("getcpu");
  }
}

static void touch(void) {
  char *memory = reserve(TOUCHED * PAGE, PROT_READ | PROT_WRITE);
  for (int i = 0; i < TOUCHED; i++) {
    // Half are read first, and get a page of their own when they are written to.
    if (i % 2 == 0 && *(volatile char *)(memory + i * PAGE) != 0) fail("first read");
    memory[i * PAGE] = (char)i;
  }
  for (int i = 0; i < TOUCHED; i++)
    if (memory[i * PAGE] != (char)i) fail("contents");
  munmap(memory, TOUCHED * PAGE);
}

static void step_over(char *const holes[3]) {
  signals = 0;
  for (int i = 0; i < SIGNALLED; i++) {
    uint64_t seen = 42;
    __asm__ volatile("ldr %0, [%1]" : "+r"(seen) : "r"(holes[i % 3]) : "memory");
    if (seen != 42) fail("a load from nowhere");
  }
  if (signals != SIGNALLED) fail("SIGSEGV");
}

static void serve(void) {
  char *memory = reserve(SERVED * PAGE, PROT_READ | PROT_WRITE);
  struct uffdio_register range = {{(uintptr_t)memory, SERVED * PAGE}, UFFDIO_REGISTER_MODE_MISSING, 0};
  if (ioctl(userfaults, UFFDIO_REGISTER, &range) != 0) fail("UFFDIO_REGISTER");
  signals = 0;
  for (int i = 0; i < SERVED; i++)
    if (*(volatile char *)(memory + i * PAGE) != 0) fail("a page of zeroes");
  if (signals != SERVED) fail("SIGBUS");
  munmap(memory, SERVED * PAGE);
}

int main(int count, char **words) {
  if (count != 2) return 2;
  char *page = reserve(3 * PAGE, PROT_READ | PROT_WRITE);
  page[0] = page[2 * PAGE] = 1;
  munmap(page + PAGE, PAGE);
  char *const holes[] = {page + PAGE, (char *)64, (char *)(1UL << 40)};
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGBUS, &action, NULL);
  open_userfaults();
  for (unsigned long left = strtoul(words[1], NULL, 10); left > 0; left--) {
    in_kernel(holes);
    touch();
    step_over(holes);
    serve();
  }
  puts("all as they should be");
  return 0;
}
