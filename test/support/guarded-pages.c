// A module that registers pages of its own with the hypervisor (row M7), and attacks them: each reading of
// /proc/attacks writes `count` times at random places, in `target` 0 into the tree's own page, in 1 into the protected one.
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/random.h>
#include <linux/seq_file.h>

static uint count = 1000, target;
module_param(count, uint, 0600);
module_param(target, uint, 0600);

#define MAGIC 0x454c5649UL
#define CALL (0x86UL << 32)
#define DENY (1UL << 32)
#define COOKIE 77

static u64 *pages[2];

static u64 call(u64 service, u64 first, u64 second, u64 third, u64 fourth, u64 *result)
{
  register u64 x0 asm("x0") = MAGIC;
  register u64 x1 asm("x1") = first;
  register u64 x2 asm("x2") = service;
  register u64 x3 asm("x3") = 0;
  register u64 x4 asm("x4") = second;
  register u64 x5 asm("x5") = third;
  register u64 x6 asm("x6") = fourth;
  register u64 x7 asm("x7") = CALL;

  asm volatile("mrs xzr, mdccsr_el0"
               : "+r"(x0), "+r"(x1), "+r"(x3) : "r"(x2), "r"(x4), "r"(x5), "r"(x6), "r"(x7) : "memory");
  *result = x1;
  return x0;
}

static int show(struct seq_file *file, void *unused)
{
  u64 *page = pages[target & 1], *copy = (u64 *)__get_free_page(GFP_KERNEL);
  uint index, changed = 0;

  if (!copy)
    return -ENOMEM;
  memcpy(copy, page, PAGE_SIZE);
  for (index = 0; index < count; index++) {
    u32 random = get_random_u32();

    if (random & 0x80000000)
      WRITE_ONCE(page[random % 512], ~copy[random % 512]);
    else
      WRITE_ONCE(((u8 *)page)[random % PAGE_SIZE], ~((u8 *)copy)[random % PAGE_SIZE]);
  }
  for (index = 0; index < 512; index++)
    changed += READ_ONCE(page[index]) != copy[index];
  free_page((unsigned long)copy);
  seq_printf(file, "changed %u\n", changed);
  return 0;
}

static int __init begin(void)
{
  u64 handle, result, status;

  pages[0] = (u64 *)get_zeroed_page(GFP_KERNEL);
  pages[1] = (u64 *)get_zeroed_page(GFP_KERNEL);
  if (!pages[0] || !pages[1])
    return -ENOMEM;
  status = call(16, virt_to_phys(pages[0]), 0, 0, 0, &handle);
  if (status == 0)
    status = call(17, handle, virt_to_phys(pages[1]), 1 | DENY, COOKIE, &result);
  if (status == 0)
    status = call(18, handle, 0, 0, 0, &result);
  pr_info("guarded: status %lld, %llu pages, tree at 0x%llx, page at 0x%llx\n", (s64)status, result,
          virt_to_phys(pages[0]), virt_to_phys(pages[1]));
  if (status != 0)
    return -EINVAL;
  return proc_create_single("attacks", 0400, NULL, show) ? 0 : -ENOMEM;
}

module_init(begin);
MODULE_LICENSE("Apache-2.0");
