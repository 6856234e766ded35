/**
 * Everything in which our device tree may differ from the one of QEMU's `-M virt,gic-version=3,acpi=off`,
 * apart from the numbers of phandles and the order of properties. A test checks exactly that.
 */
export const DEVICE_TREE_DIFFERENCES = [
  {
    path: /^\/cpus\/cpu@\d+$/,
    property: "compatible",
    only: undefined,
    reason: "the processor is no Cortex-A57 but the one that the binding calls arm,armv8: software only",
  },
  {
    path: /^\/platform-bus@c000000$/,
    property: "interrupt-parent",
    only: "QEMU",
    reason: "the binding of this bus has no such property, and the root says the same",
  },
] as const;
