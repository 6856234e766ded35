import type { VirtualMachineOptions } from "../src/machine/virtual-machine-interface.ts";

/** Who is measured. "native" is the same C source as a program of the host. */
export const CONTENDERS = {
  native: { kind: "native", title: "native" },
  "cortex-a57": { kind: "qemu", title: "QEMU cortex-a57", cpu: "cortex-a57", largeSystemExtensions: false },
  "neoverse-n1": { kind: "qemu", title: "QEMU neoverse-n1", cpu: "neoverse-n1", largeSystemExtensions: true },
  interpreter: { kind: "ours", title: "interpreter", engine: "interpreter" },
  translator: { kind: "ours", title: "translator", engine: "translator" },
} as const satisfies Record<string, Contender>;

export type Contender =
  | { readonly kind: "native"; readonly title: string }
  | {
      readonly kind: "qemu";
      readonly title: string;
      /** QEMU's -cpu. */
      readonly cpu: string;
      readonly largeSystemExtensions: boolean;
    }
  | {
      readonly kind: "ours";
      readonly title: string;
      readonly engine: NonNullable<VirtualMachineOptions["engine"]>;
    };

export type ContenderName = keyof typeof CONTENDERS;

export const CONTENDER_NAMES = Object.keys(CONTENDERS) as readonly ContenderName[];

export function isContenderName(name: string): name is ContenderName {
  return name in CONTENDERS;
}
