// A module that shows what Debian's kernel itself says of its translation tables, as /proc/kernel_page_tables. The kernel
// has that (it looks for W+X with it) but shows it to nobody.
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <asm/ptdump.h>
#include <asm/sysreg.h>

static unsigned long walk;
module_param(walk, ulong, 0);
MODULE_PARM_DESC(walk, "address of ptdump_walk");

static struct mm_struct space;
static const struct addr_marker markers[] = {{PAGE_OFFSET, "kernel"}, {-1, NULL}};

static int show(struct seq_file *file, void *unused)
{
  struct ptdump_info info = {.mm = &space, .markers = markers, .base_addr = PAGE_OFFSET};

  ((void (*)(struct seq_file *, struct ptdump_info *))walk)(file, &info);
  return 0;
}

static int __init begin(void)
{
  init_rwsem(&space.mmap_lock);
  space.pgd = phys_to_virt(read_sysreg(ttbr1_el1) & GENMASK_ULL(47, 12));
  return proc_create_single("kernel_page_tables", 0400, NULL, show) ? 0 : -ENOMEM;
}

module_init(begin);
MODULE_LICENSE("Apache-2.0");
