import { ByteWriter } from "../../base/byte-writer.ts";
import { type GenericAddress, writeGenericAddress } from "./generic-address.ts";
import { acpiTable, type TableIdentity } from "./table.ts";

/** Preferred_PM_Profile (ACPI 6.4, table 5.9). */
export const POWER_PROFILE = {
  unspecified: 0,
  desktop: 1,
  mobile: 2,
  workstation: 3,
  enterpriseServer: 4,
  tablet: 8,
} as const;

/** A machine without the fixed hardware of PCs. */
export interface FadtInput {
  /** Physical address of the DSDT. */
  readonly dsdt: number;
  readonly powerProfile?: keyof typeof POWER_PROFILE;
  /** How power is controlled; left out, there is no PSCI. */
  readonly psci?: "hvc" | "smc" | undefined;
  readonly resetRegister?: { readonly address: GenericAddress; readonly value: number };
  /** All video is by other means: there is no display (HEADLESS). */
  readonly headless?: boolean;
  /** At most 8 characters that name the hypervisor (Hypervisor Vendor Identity). */
  readonly hypervisor?: string;
  readonly identity?: TableIdentity;
}

/** Bytes from the start of the FADT to the 64-bit address of the DSDT. */
export const FADT_DSDT_OFFSET = 140;

/** Feature flags (ACPI 6.4, table 5.10). */
const FLAG = { resetRegister: 1 << 10, headless: 1 << 12, hardwareReduced: 1 << 20 } as const;
/** ARM_BOOT_ARCH (table 5.12). */
const ARM_BOOT = { psciCompliant: 1 << 0, psciUsesHvc: 1 << 1 } as const;

/** Bytes of the parts that a hardware-reduced machine leaves at zero. */
const PC_REGISTERS_1 = 60;
const PC_REGISTERS_2 = 8 * 12;

/** The Fixed ACPI Description Table, revision 6.0, hardware reduced (section 5.2.9). */
export function writeFadt(input: FadtInput): Uint8Array {
  const { resetRegister, psci } = input;
  const flags =
    FLAG.hardwareReduced |
    (resetRegister === undefined ? 0 : FLAG.resetRegister) |
    (input.headless === true ? FLAG.headless : 0);
  const armBoot =
    psci === undefined ? 0 : ARM_BOOT.psciCompliant | (psci === "hvc" ? ARM_BOOT.psciUsesHvc : 0);
  const body = new ByteWriter()
    // FIRMWARE_CTRL and the 32-bit DSDT, which X_DSDT replaces.
    .u32(0)
    .u32(0)
    .u8(0)
    .u8(POWER_PROFILE[input.powerProfile ?? "unspecified"])
    // SCI_INT to CENTURY, IAPC_BOOT_ARCH.
    .zeros(PC_REGISTERS_1 + 6)
    .u32(flags);
  writeGenericAddress(body, resetRegister?.address)
    .u8(resetRegister?.value ?? 0)
    .u16(armBoot)
    // The minor revision.
    .u8(0)
    // X_FIRMWARE_CTRL.
    .u64(0)
    .u64(input.dsdt)
    // X_PM1a_EVT_BLK to X_GPE1_BLK, then the sleep control and status registers.
    .zeros(PC_REGISTERS_2 + 2 * 12)
    .text(input.hypervisor ?? "", 8);
  return acpiTable("FACP", 6, body.finish(), input.identity);
}
