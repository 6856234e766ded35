import type { DebugPort, SerialInterface, SpcrInput } from "../acpi/serial-console.ts";
import type { NamedConversion } from "./context.ts";
import type { TreeNode } from "./tree-index.ts";

/** How the registers of a kind of port lie, as a generic address says it. */
interface PortKind {
  readonly interface: SerialInterface;
  /** Bits of a register, and bytes of an access. */
  readonly bits: (node: TreeNode) => 8 | 16 | 32;
}

const narrow = (): 8 => 8;
const wide = (): 32 => 32;
/** A 16550's registers are as far apart as reg-shift says. */
function spaced(node: TreeNode): 8 | 16 | 32 {
  const bits = 8 * 2 ** (node.cell("reg-shift") ?? 0);
  return bits === 8 || bits === 16 ? bits : 32;
}

/** Ports that the Debug Port Table 2 specification has a subtype for, by `compatible`. */
const PORT_KINDS: Readonly<Record<string, PortKind>> = {
  "arm,pl011": { interface: "pl011", bits: wide },
  "arm,sbsa-uart": { interface: "sbsa", bits: wide },
  ns16550a: { interface: "16550-with-address", bits: spaced },
  ns16550: { interface: "16550-with-address", bits: spaced },
  "snps,dw-apb-uart": { interface: "16550-with-address", bits: spaced },
  "brcm,bcm2835-aux-uart": { interface: "bcm2835", bits: narrow },
};

/** SPCR and DBG2 for the port that /chosen names as standard output. */
export interface ConsoleTables {
  readonly spcr: SpcrInput;
  readonly dbg2: DebugPort;
}

/** Undefined where there is no such port, or none that tables can describe. */
export function readConsole(conversion: NamedConversion): ConsoleTables | undefined {
  const { index, account, addresses, interrupts, namespace } = conversion;
  const chosen = index.root.child("chosen");
  const property = chosen?.has("stdout-path") === true ? "stdout-path" : "linux,stdout-path";
  const path = chosen?.text(property);
  if (chosen === undefined || path === undefined) return undefined;
  const node = index.byPath(path);
  if (node === undefined) {
    account.warn(chosen, property, `It names ${path.split(":")[0] ?? path}, which is not there.`);
    return undefined;
  }
  const kind = node.compatible.flatMap((name) =>
    Object.hasOwn(PORT_KINDS, name) ? [PORT_KINDS[name]!] : [],
  )[0];
  if (kind === undefined || !addresses.isMemoryMapped(node.parent)) {
    const name = node.compatible[0] ?? node.path;
    account.property(chosen, property, "left-out", `SPCR has no interface type for ${name}`);
    return undefined;
  }
  const [registers] = addresses.registers(node);
  if (registers === undefined) return undefined;
  account.property(chosen, property, "converted", "SPCR, DBG2");
  const bits = kind.bits(node);
  const address = {
    space: "memory",
    bitWidth: bits,
    accessBytes: accessBytes(bits),
    address: registers.base,
  } as const;
  const [wire] = interrupts.gicWires(node);
  const place = namespace.placeOf(node);
  return {
    spcr: { interface: kind.interface, address, interrupt: wire?.id, baud: baudOf(path) },
    dbg2: {
      interface: kind.interface,
      registers: [{ address, size: registers.size % 2 ** 32 }],
      path: place?.kind === "device" ? place.path : ".",
    },
  };
}

function accessBytes(bits: 8 | 16 | 32): 1 | 2 | 4 {
  if (bits === 8) return 1;
  return bits === 16 ? 2 : 4;
}

/** The speed after the colon ("serial0:115200n8"), where SPCR has a code for it. */
function baudOf(path: string): SpcrInput["baud"] {
  const speed = Number(/:(\d+)/.exec(path)?.[1]);
  return speed === 9600 || speed === 19200 || speed === 57600 || speed === 115200 ? speed : "as-is";
}
