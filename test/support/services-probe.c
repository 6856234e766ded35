/*
 * What programs see of the hypervisor's doors and of the guest's time; a static program for the guest. The first
 * argument says what is looked at; one line of results is printed.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <elf.h>

#define MAGIC 0x454c5649UL
#define CALL (0x86UL << 32)

static volatile int caught, caught_code;
static volatile uintptr_t caught_address, caught_pc;

static void on_signal(int number, siginfo_t *info, void *context) {
  ucontext_t *user = context;
  caught = number;
  caught_code = info->si_code;
  caught_address = (uintptr_t)info->si_addr;
  caught_pc = user->uc_mcontext.pc;
  user->uc_mcontext.pc += 4;
}

static void catch_all(void) {
  struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
  sigaction(SIGTRAP, &action, NULL);
  sigaction(SIGILL, &action, NULL);
}

/* Calls code with the registers of a call to service 0, or with others. Returns X0 and X1. */
static uint64_t run_code(void *code, uint64_t magic, uint64_t call, uint64_t *second) {
  register uint64_t x0 asm("x0") = magic;
  register uint64_t x1 asm("x1") = 0x1111;
  register uint64_t x2 asm("x2") = 0;
  register uint64_t x3 asm("x3") = 0;
  register uint64_t x7 asm("x7") = call;
  register void *x16 asm("x16") = code;
  asm volatile("blr %5" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x7), "+r"(x16)
               : : "x30", "x4", "x5", "x6", "memory");
  *second = x1;
  return x0;
}

/* Words and a RET behind each. */
static uint32_t *make_code(int count, uint32_t (*word)(int)) {
  size_t bytes = (size_t)count * 8;
  uint32_t *code = mmap(NULL, bytes, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int index = 0; index < count; index++) {
    code[index * 2] = word(index);
    code[index * 2 + 1] = 0xd65f03c0;
  }
  __builtin___clear_cache((char *)code, (char *)code + bytes);
  return code;
}

static uint32_t brk_word(int immediate) { return 0xd4200000u | (uint32_t)immediate << 5; }
static uint32_t channel_word(int rt) { return 0xd5330100u | (uint32_t)rt; }

/* Every so many-th immediate of BRK and 0x5658, with (`calling`) the registers of a call or without. */
static void breakpoints(int every, int calling) {
  uint32_t *code = make_code(65536, brk_word);
  int trapped = 0, served = 0, wrong = 0, last = -1;
  for (int immediate = 0; immediate < 65536; immediate++) {
    uint64_t second;
    if (immediate % every != 0 && immediate != 0x5658) continue;
    caught = 0;
    uint64_t first = run_code(code + immediate * 2, calling ? MAGIC : 1, calling ? CALL : 0, &second);
    uintptr_t here = (uintptr_t)(code + immediate * 2);
    if (caught == SIGTRAP && caught_code == 1 && caught_address == here && caught_pc == here && second == 0x1111)
      trapped++;
    else if (caught == 0 && first == 0 && second == SERVICE_VERSION) served++, last = immediate;
    else wrong++;
  }
  printf("trapped %d, served %d, wrong %d, last %#x\n", trapped, served, wrong, last);
}

/* MRS Xt, MDCCSR_EL0 for every register; then XZR with a call's registers. */
static void channel(void) {
  uint32_t *code = make_code(32, channel_word);
  int ill = 0, other = 0;
  uint64_t second;
  for (int rt = 0; rt < 32; rt++) {
    caught = 0;
    /* The RET behind it needs X30, which an illegal instruction leaves alone. */
    run_code(code + rt * 2, rt == 31 ? 1 : MAGIC, CALL, &second);
    if (caught == SIGILL && caught_code == ILL_ILLOPC) ill++;
    else other++;
  }
  caught = 0;
  uint64_t first = run_code(code + 62, MAGIC, CALL, &second);
  printf("ill %d, other %d, call %s\n", ill, other, caught == SIGILL ? "ill" : first == 0 && second == SERVICE_VERSION ? "served" : "wrong");
}

/* Calls by one door from one element. */
static void calls(const char *door, int count) {
  uint32_t *code = strcmp(door, "channel") == 0 ? make_code(32, channel_word) + 62 : make_code(65536, brk_word) + 0x5658 * 2;
  int served = 0, refused = 0;
  uint64_t second;
  while (served < count) {
    caught = 0;
    if (run_code(code, MAGIC, CALL, &second) == 0 && caught == 0) served++;
    else if (++refused % 1000 == 0) usleep(1000);
  }
  printf("served %d\n", served);
}

static sigjmp_buf on_bad_pointer;
static struct { int number, code; uintptr_t address; } bad;

static void on_bad_access(int number, siginfo_t *info, void *context) {
  (void)context;
  bad.number = number;
  bad.code = info->si_code;
  bad.address = (uintptr_t)info->si_addr;
  siglongjmp(on_bad_pointer, 1);
}

#define REFUSED INT64_MIN

/* Sets (service 4) or gets (service 3) a value from or to where a program says. REFUSED where the limit does. */
static int64_t value_call(int service, const char *key, void *value, size_t length) {
  size_t key_length = strlen(key);
  caught = 0;
  register uint64_t x0 asm("x0") = MAGIC;
  register uint64_t x1 asm("x1") = (uint64_t)key;
  register uint64_t x2 asm("x2") = service;
  register uint64_t x3 asm("x3") = 0;
  register uint64_t x4 asm("x4") = key_length;
  register uint64_t x5 asm("x5") = (uint64_t)value;
  register uint64_t x6 asm("x6") = length;
  register uint64_t x7 asm("x7") = CALL;
  asm volatile("mrs xzr, mdccsr_el0"
               : "+r"(x0), "+r"(x1), "+r"(x3), "+r"(x4), "+r"(x5), "+r"(x6) : "r"(x2), "r"(x7) : "memory");
  return caught != 0 ? REFUSED : (int64_t)x0;
}

#define PAGES 64
static uint64_t random_state;
static uint64_t random_word(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  return random_state ^= random_state << 17;
}

/* Bad and good pointers for the hypervisor: each call must end as a program's own access of the same bytes does. */
static void pointers(uint64_t seed, int count) {
  struct sigaction action = {.sa_sigaction = on_bad_access, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGBUS, &action, NULL);
  random_state = seed | 1;
  static char big[65536];
  while (value_call(4, "big", big, sizeof big) == REFUSED) usleep(1000);
  char *area = NULL;
  int equal = 0, fine = 0, unmapped = 0, forbidden = 0;
  for (volatile int round = 0; round < count; round++) {
    /* New pages, which nobody has touched: mapped, to be read only, to be left alone, and none. */
    if (round % 256 == 0) {
      if (area != NULL) munmap(area, PAGES * 4096);
      area = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      for (int page = 0; page < PAGES; page++) {
        char *at = area + page * 4096;
        switch (random_word() % 8) {
          case 0: mprotect(at, 4096, PROT_NONE); break;
          case 1: case 2: mprotect(at, 4096, PROT_READ); break;
          case 3: munmap(at, 4096); break;
        }
      }
    }
    uint64_t kind = random_word() % 16, any = random_word();
    uintptr_t at = (uintptr_t)area + any % PAGES * 4096 + ((any >> 32) % 2 ? 4095 - (any >> 40) % 64 : (any >> 40) % 4096);
    if (kind == 0) at = any;
    if (kind == 1) at = any | 0xffff000000000000UL;
    if (kind == 2) at = any & 0xffffffffffffUL;
    if (kind == 3) at = any % 65536;
    if (kind == 4) at |= any & 0xff00000000000000UL;
    volatile size_t length = 1 + random_word() % (random_word() % 8 == 0 ? 12288 : 128);
    volatile char *pointer = (volatile char *)at;
    volatile int writes = random_word() & 1;
    volatile int64_t status = 0;
    volatile int number = 0, code = 0;
    volatile uintptr_t address = 0;
    if (sigsetjmp(on_bad_pointer, 1) == 0)
      while ((status = value_call(writes ? 3 : 4, writes ? "big" : "small", (void *)pointer, length)) == REFUSED) usleep(1000);
    else number = bad.number, code = bad.code, address = bad.address;
    bad.number = bad.code = 0;
    bad.address = 0;
    if (sigsetjmp(on_bad_pointer, 1) == 0)
      for (volatile size_t index = 0; index < length; index++) {
        if (writes) pointer[index] = 1;
        else (void)pointer[index];
      }
    if (number == bad.number && code == bad.code && address == bad.address && status == 0) equal++;
    else if (equal == round)
      printf("%s %p, %zu bytes: %d %d %#lx status %ld, own %d %d %#lx\n", writes ? "to" : "from", (void *)pointer,
             length, number, code, address, status, bad.number, bad.code, bad.address);
    if (bad.number == 0) fine++;
    else if (bad.code == SEGV_MAPERR) unmapped++;
    else if (bad.code == SEGV_ACCERR) forbidden++;
  }
  printf("equal %d, fine %s, unmapped %s, forbidden %s\n", equal, fine > count / 16 ? "many" : "few",
         unmapped > count / 16 ? "many" : "few", forbidden > count / 16 ? "many" : "few");
}

static int64_t raw_nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Service 1, the host's time; 0 where it is not served. */
static int64_t host_nanoseconds(void) {
  register uint64_t x0 asm("x0") = MAGIC;
  register uint64_t x1 asm("x1") = 0;
  register uint64_t x2 asm("x2") = 1;
  register uint64_t x3 asm("x3") = 0;
  register uint64_t x7 asm("x7") = CALL;
  asm volatile("mrs xzr, mdccsr_el0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x7) : : "x4", "x5", "x6", "memory");
  return x0 == 0 ? (int64_t)x1 : 0;
}

/* Both clocks at one moment: of some readings those that are closest together. */
static void both_clocks(int64_t *guest, int64_t *host) {
  int64_t best = INT64_MAX;
  for (int reading = 0; reading < 200; reading++) {
    int64_t before = host_nanoseconds(), now = raw_nanoseconds(), after = host_nanoseconds();
    if (after - before >= best) continue;
    best = after - before;
    *guest = now;
    *host = before + best / 2;
  }
}

/* Guest's time in the host's, over so many milliseconds of the host's. */
static void ratio(int milliseconds) {
  int64_t guest0, host0, guest1, host1;
  both_clocks(&guest0, &host0);
  do usleep(2000);
  while (host_nanoseconds() - host0 < milliseconds * 1000000LL);
  both_clocks(&guest1, &host1);
  printf("%.6f\n", (double)(guest1 - guest0) / (double)(host1 - host0));
}

/* The host's seconds in which so many of the guest's are slept. */
static void sleep_for(int seconds) {
  struct timespec wanted = {.tv_sec = seconds};
  int64_t before = host_nanoseconds();
  clock_nanosleep(CLOCK_MONOTONIC, 0, &wanted, NULL);
  printf("%.6f\n", (double)(host_nanoseconds() - before) / 1e9);
}

/* Interrupts of the timer on the first element so far. */
static long timer_interrupts(void) {
  char line[512], name[64] = "";
  long count = -1;
  FILE *interrupts = fopen("/proc/interrupts", "r");
  while (interrupts != NULL && fgets(line, sizeof line, interrupts) != NULL)
    if (strstr(line, "arch_timer") != NULL) sscanf(line, "%63s %ld", name, &count);
  if (interrupts != NULL) fclose(interrupts);
  return count;
}

/* Timer interrupts in a second of the host's on an element that computes, over so many milliseconds of the host's. */
static void ticks(int milliseconds) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(0, &set);
  sched_setaffinity(0, sizeof set, &set);
  long count = timer_interrupts();
  int64_t begin = host_nanoseconds(), now;
  do {
    for (volatile int round = 0; round < 100000; round++);
    now = host_nanoseconds();
  } while (now - begin < milliseconds * 1000000LL);
  printf("%.3f\n", (double)(timer_interrupts() - count) * 1e9 / (double)(now - begin));
}

/* Four processes look at the clock in turn until the host sets the value "stop": it must not go back. */
static void monotonic(void) {
  struct { atomic_int lock; int64_t last; int back; int64_t readings; } *shared =
      mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  char byte;
  for (int cpu = 0; cpu < 4; cpu++) {
    if (fork() != 0) continue;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
    for (int round = 0; round % 256 != 0 || value_call(3, "stop", &byte, 1) != 0; round++) {
      int zero = 0;
      while (!atomic_compare_exchange_weak(&shared->lock, &zero, 1)) zero = 0, sched_yield();
      int64_t now = raw_nanoseconds();
      if (now < shared->last) shared->back++;
      shared->last = now;
      shared->readings++;
      atomic_store(&shared->lock, 0);
    }
    _exit(0);
  }
  while (wait(NULL) > 0);
  printf("back %d of %s\n", shared->back, shared->readings > 1000 ? "many" : "few");
}

/* Steps through a program and mixes every PC and signal into one number. */
static void steps(int count, char **command) {
  pid_t child = fork();
  if (child == 0) {
    personality(ADDR_NO_RANDOMIZE);
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    execv(command[0], command);
    _exit(127);
  }
  uint64_t hash = 0;
  int status, done = 0;
  waitpid(child, &status, 0);
  for (; done < count && WIFSTOPPED(status); done++) {
    struct { uint64_t x[31], sp, pc, pstate; } registers;
    struct iovec vector = {&registers, sizeof registers};
    ptrace(PTRACE_GETREGSET, child, NT_PRSTATUS, &vector);
    hash = (hash ^ registers.pc ^ WSTOPSIG(status)) * 0x100000001b3UL;
    ptrace(PTRACE_SINGLESTEP, child, NULL, NULL);
    waitpid(child, &status, 0);
  }
  kill(child, SIGKILL);
  printf("%d steps, %016lx\n", done, hash);
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  catch_all();
  if (strcmp(what, "breakpoints") == 0) breakpoints(atoi(argv[2]), argc > 3);
  else if (strcmp(what, "channel") == 0) channel();
  else if (strcmp(what, "calls") == 0) calls(argv[2], atoi(argv[3]));
  else if (strcmp(what, "pointers") == 0) pointers(strtoull(argv[2], NULL, 0), atoi(argv[3]));
  else if (strcmp(what, "ratio") == 0) ratio(atoi(argv[2]));
  else if (strcmp(what, "monotonic") == 0) monotonic();
  else if (strcmp(what, "sleep") == 0) sleep_for(atoi(argv[2]));
  else if (strcmp(what, "ticks") == 0) ticks(atoi(argv[2]));
  else if (strcmp(what, "steps") == 0) steps(atoi(argv[2]), argv + 3);
  else return 2;
  return 0;
}
