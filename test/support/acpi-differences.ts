/**
 * Everything in which our static ACPI tables may differ from those of QEMU's `-M virt,gic-version=3`. A test checks
 * exactly that. Each is a field of a table's own head.
 */
export const ACPI_DIFFERENCES = [
  {
    table: /./,
    field: /^(Checksum|Oem ID|Oem Table ID|Asl Compiler ID)$/,
    reason: "who made the tables",
  },
  { table: /^FACP$/, field: /^Hypervisor ID$/, reason: "it is not QEMU" },
  {
    table: /^GTDT$/,
    field: /^(EL1|VT|NEL2) Flags/,
    reason:
      "all four timers go on while an element sleeps, as both device trees say; QEMU's table says it of one",
  },
  {
    table: /^DBG2$/,
    field: /^(Table Length|Length|Namepath Length|Namepath)$/,
    reason: "the specification wants the device's full path",
  },
] as const;
