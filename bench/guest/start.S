// First instructions of a bare program on `virt`, entered at EL1 with the MMU off. Turns on floating point, the
// MMU and the caches, with RAM as Normal memory in 4 KiB pages and the devices as 1 GiB of Device memory, all at
// their physical addresses; then calls guest_main.

#define PAGE_SHIFT 12
#define RAM_BASE 0x40000000
#define RAM_PAGES 0x10000               // 256 MiB
#define TABLE_ENTRIES 512
#define RAM_TABLES (RAM_PAGES / TABLE_ENTRIES)

// VMSAv8-64 descriptors (Arm ARM D8.3).
#define DESCRIPTOR_BLOCK 0x1
#define DESCRIPTOR_TABLE 0x3
#define DESCRIPTOR_PAGE 0x3
#define ATTRIBUTE_NORMAL (0 << 2)
#define ATTRIBUTE_DEVICE (1 << 2)
#define INNER_SHAREABLE (3 << 8)
#define ACCESS_FLAG (1 << 10)

// MAIR_EL1: 0 is Normal, write-back, read- and write-allocate; 1 is Device-nGnRE.
#define MEMORY_ATTRIBUTES 0x04ff
// TCR_EL1: T0SZ 25 (39-bit addresses, walks from level 1), write-back walks, inner shareable, no TTBR1, 40-bit PA.
#define TRANSLATION_CONTROL (25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 2 << 32)
#define SCTLR_M (1 << 0)
#define SCTLR_C (1 << 2)
#define SCTLR_I (1 << 12)
#define CPACR_FPEN (3 << 20)

  .section .text.start, "ax"
  .globl _start
_start:
  ldr x0, =vectors
  msr VBAR_EL1, x0
  mov x0, #CPACR_FPEN
  msr CPACR_EL1, x0
  isb
  ldr x0, =stack_top
  mov sp, x0

  // Level 1: the devices' gigabyte, then the table for RAM.
  ldr x1, =level1
  mov x0, #(ACCESS_FLAG | ATTRIBUTE_DEVICE | DESCRIPTOR_BLOCK)
  str x0, [x1]
  ldr x2, =level2
  orr x0, x2, #DESCRIPTOR_TABLE
  str x0, [x1, #8]
  // Level 2: the tables of level 3 lie one after the other.
  ldr x3, =level3
  mov x4, #0
1:
  add x0, x3, x4, lsl #PAGE_SHIFT
  orr x0, x0, #DESCRIPTOR_TABLE
  str x0, [x2, x4, lsl #3]
  add x4, x4, #1
  cmp x4, #RAM_TABLES
  b.ne 1b
  // Level 3: each page of RAM.
  ldr x0, =(RAM_BASE | ACCESS_FLAG | INNER_SHAREABLE | ATTRIBUTE_NORMAL | DESCRIPTOR_PAGE)
  mov x4, #RAM_PAGES
2:
  str x0, [x3], #8
  add x0, x0, #(1 << PAGE_SHIFT)
  subs x4, x4, #1
  b.ne 2b

  dsb sy
  mov x0, #MEMORY_ATTRIBUTES
  msr MAIR_EL1, x0
  ldr x0, =TRANSLATION_CONTROL
  msr TCR_EL1, x0
  msr TTBR0_EL1, x1
  isb
  tlbi vmalle1
  dsb nsh
  isb
  mrs x0, SCTLR_EL1
  ldr x1, =(SCTLR_M | SCTLR_C | SCTLR_I)
  orr x0, x0, x1
  msr SCTLR_EL1, x0
  isb

  bl guest_main
  b .

  .macro vector number
  .balign 0x80
  mov x0, #\number
  b report
  .endm

  .section .text.vectors, "ax"
  .balign 0x800
vectors:
  vector 0
  vector 1
  vector 2
  vector 3
  vector 4
  vector 5
  vector 6
  vector 7
  vector 8
  vector 9
  vector 10
  vector 11
  vector 12
  vector 13
  vector 14
  vector 15
report:
  mrs x1, ESR_EL1
  mrs x2, ELR_EL1
  mrs x3, FAR_EL1
  bl guest_exception
  b .

  .section .bss
  .balign 4096
level1: .space 4096
level2: .space 4096
level3: .space RAM_PAGES * 8
  .balign 16
  .space 0x100000
stack_top:
