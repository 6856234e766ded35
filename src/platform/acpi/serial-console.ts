import { ByteWriter } from "../../base/byte-writer.ts";
import { GENERIC_ADDRESS_SIZE, type GenericAddress, writeGenericAddress } from "./generic-address.ts";
import { acpiTable, TABLE_HEADER_SIZE, type TableIdentity } from "./table.ts";

/** Serial port subtypes of DBG2, which are also SPCR's interface types (Microsoft's DBG2 specification, table 3). */
export const SERIAL_INTERFACE = {
  "16550": 0x00,
  "16550-subset": 0x01,
  pl011: 0x03,
  "sbsa-32-bit": 0x0d,
  sbsa: 0x0e,
  dcc: 0x0f,
  bcm2835: 0x10,
  "16550-with-address": 0x12,
} as const;

export type SerialInterface = keyof typeof SERIAL_INTERFACE;

/** Line speeds that SPCR has a code for, in baud; "as-is" leaves what firmware has set. */
export const BAUD_CODE = { "as-is": 0, 9600: 3, 19200: 4, 57600: 6, 115200: 7 } as const;

const TERMINAL = { vt100: 0, "extended-vt100": 1, "vt-utf8": 2, ansi: 3 } as const;
/** Flow control bits: DCD, RTS/CTS, XON/XOFF. */
const FLOW = { none: 0, "rts-cts": 2, "xon-xoff": 4 } as const;
/** Interrupt type: a GIC's INTID. */
const GIC_INTERRUPT = 1 << 3;
const NOT_PCI = 0xffff;

/** The console of firmware and system software. */
export interface SpcrInput {
  readonly interface: SerialInterface;
  readonly address: GenericAddress;
  /** INTID; left out, the port has none. */
  readonly interrupt?: number | undefined;
  readonly baud: keyof typeof BAUD_CODE;
  readonly flowControl?: keyof typeof FLOW;
  readonly terminal?: keyof typeof TERMINAL;
  readonly identity?: TableIdentity;
}

/** The Serial Port Console Redirection table, revision 2 (Microsoft's specification). No parity, one stop bit. */
export function writeSpcr(input: SpcrInput): Uint8Array {
  const body = new ByteWriter().u8(SERIAL_INTERFACE[input.interface]).zeros(3);
  writeGenericAddress(body, input.address)
    .u8(input.interrupt === undefined ? 0 : GIC_INTERRUPT)
    .u8(0)
    .u32(input.interrupt ?? 0)
    .u8(BAUD_CODE[input.baud])
    .u8(0)
    .u8(1)
    .u8(FLOW[input.flowControl ?? "none"])
    .u8(TERMINAL[input.terminal ?? "vt100"])
    .u8(0)
    .u16(NOT_PCI)
    .u16(NOT_PCI)
    // Bus, device, function, flags, segment, reserved.
    .zeros(3 + 4 + 1 + 4);
  return acpiTable("SPCR", 2, body.finish(), input.identity);
}

/** One port for a debugger. */
export interface DebugPort {
  readonly interface: SerialInterface;
  readonly registers: readonly { readonly address: GenericAddress; readonly size: number }[];
  /** The device in the DSDT, such as "\\_SB.COM0"; "." where it has none. */
  readonly path: string;
}

const SERIAL_PORT = 0x8000;
const DEVICE_HEADER = 22;

/** The Debug Port Table 2, revision 0 (Microsoft's specification). */
export function writeDbg2(ports: readonly DebugPort[], identity?: TableIdentity): Uint8Array {
  const body = new ByteWriter().u32(TABLE_HEADER_SIZE + 8).u32(ports.length);
  for (const { registers, path, interface: subtype } of ports) {
    const addresses = DEVICE_HEADER;
    const sizes = addresses + registers.length * GENERIC_ADDRESS_SIZE;
    const name = sizes + registers.length * 4;
    const nameLength = path.length + 1;
    body
      .u8(0)
      .u16(name + nameLength)
      .u8(registers.length);
    // Namespace string, then OEM data, of which there is none.
    body.u16(nameLength).u16(name).u16(0).u16(0);
    body.u16(SERIAL_PORT).u16(SERIAL_INTERFACE[subtype]).u16(0).u16(addresses).u16(sizes);
    for (const { address } of registers) writeGenericAddress(body, address);
    for (const { size } of registers) body.u32(size);
    body.text(path, nameLength);
  }
  return acpiTable("DBG2", 0, body.finish(), identity);
}
