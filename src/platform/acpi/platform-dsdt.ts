import { concatenate } from "../../base/bytes.ts";
import { gpioInt } from "../aml/connections.ts";
import { integer, text } from "../aml/data.ts";
import { device, method, name, scope } from "../aml/objects.ts";
import {
  extendedInterrupt,
  type InterruptSignal,
  memory32Fixed,
  resourceTemplate,
} from "../aml/resources.ts";
import { notify } from "../aml/statements.ts";
import {
  allDevices,
  type DeviceKind,
  type DeviceSpec,
  type InterruptSpec,
  interruptId,
  type PlatformSpec,
} from "../platform-spec.ts";
import { pciHostDevice } from "./pci-host-device.ts";
import { acpiTable } from "./table.ts";

/** Where everything is. */
const SYSTEM_BUS = "\\_SB";

/** How kinds of devices with registers appear in the namespace: their ids, and the letters of their names. */
const NAMED: Partial<Record<DeviceKind, { readonly hid: string; readonly letters: string }>> = {
  pl011: { hid: "ARMH0011", letters: "COM" },
  pl061: { hid: "ARMH0061", letters: "GPO" },
  "fw-cfg": { hid: "QEMU0002", letters: "FWC" },
  "virtio-mmio": { hid: "LNRO0005", letters: "VR" },
};

const PROCESSOR = "ACPI0007";
const POWER_BUTTON = "PNP0C0C";
/** _STA of a device that works but is not shown to people (ACPI 6.4, section 6.3.7). */
const HIDDEN = 0x0b;
/** Notification of a device that was pressed. */
const BUTTON_PRESSED = 0x80;
/** Revision of a definition block with 64-bit integers. */
const DSDT_REVISION = 2;

/** The path of a device in the namespace; undefined where it is not there. */
export function devicePath(platform: PlatformSpec, id: string): string | undefined {
  const found = namedDevices(platform).find(({ device: { id: other } }) => other === id);
  return found === undefined ? undefined : `${SYSTEM_BUS}.${found.name}`;
}

/** The Differentiated System Description Table: what of a platform no other table tells. */
export function platformDsdt(platform: PlatformSpec): Uint8Array {
  const processors = platform.cpus.map((_, uid) =>
    device(`C${hexadecimal(uid, 3)}`, name("_HID", text(PROCESSOR)), name("_UID", integer(uid))),
  );
  const devices = namedDevices(platform).map((entry) => describe(platform, entry));
  const hosts = [...allDevices(platform.devices)]
    .filter(({ pciHost }) => pciHost !== undefined)
    .map((host, uid) => describePciHost(host, uid));
  return acpiTable("DSDT", DSDT_REVISION, scope(SYSTEM_BUS, ...processors, ...devices, ...hosts));
}

/** Slots of a PCI bus, and pins of a slot. */
const PCI_SLOTS = 32;
const PCI_PINS = 4;

function describePciHost({ registers: [configuration], properties, pciHost }: DeviceSpec, uid: number) {
  const { segment, firstBus, lastBus, windows, interrupts } = pciHost!;
  const routes = Array.from({ length: PCI_SLOTS * PCI_PINS }, (_, index) => {
    const [slot, pin] = [Math.floor(index / PCI_PINS), index % PCI_PINS];
    const wire = interrupts[(slot + pin) % interrupts.length]!;
    return { slot, pin, interrupt: interruptId(wire), signal: signalOf(wire) };
  });
  return pciHostDevice({
    name: `PCI${hexadecimal(uid, 1)}`,
    ...{ uid, segment, firstBus, lastBus, routes },
    configuration: configuration!.base,
    coherent: properties["dma-coherent"] === true,
    windows: windows.map(({ space, range, busAddress }) => ({
      space: space === "io" ? "io" : "memory",
      base: busAddress,
      size: range.size,
      translation: range.base - busAddress,
    })),
  });
}

function signalOf({ trigger }: InterruptSpec): InterruptSignal {
  return { mode: trigger === "edge-rising" ? "edge" : "level", polarity: "active-high" };
}

interface NamedDevice {
  readonly device: DeviceSpec;
  readonly hid: string;
  readonly name: string;
  readonly uid: number;
}

/** The devices that Normal-world software may use, with numbers that count from 0 for each kind. */
function namedDevices(platform: PlatformSpec): NamedDevice[] {
  const counts = new Map<DeviceKind, number>();
  const named: NamedDevice[] = [];
  for (const spec of allDevices(platform.devices)) {
    const kind = NAMED[spec.kind];
    if (kind === undefined || spec.world === "secure") continue;
    const uid = counts.get(spec.kind) ?? 0;
    counts.set(spec.kind, uid + 1);
    const digits = 4 - kind.letters.length;
    named.push({ device: spec, hid: kind.hid, name: kind.letters + hexadecimal(uid, digits), uid });
  }
  return named;
}

function describe(platform: PlatformSpec, { device: spec, hid, name: path, uid }: NamedDevice): Uint8Array {
  const registers = spec.registers.map(({ base, size }) => memory32Fixed(base, size));
  const interrupts = spec.interrupts.map((interrupt) =>
    extendedInterrupt([interruptId(interrupt)], signalOf(interrupt)),
  );
  const buttons = spec.kind === "pl061" ? buttonsOf(platform, spec.id) : [];
  return concatenate(
    device(
      path,
      name("_HID", text(hid)),
      name("_UID", integer(uid)),
      ...(spec.kind === "fw-cfg" ? [name("_STA", integer(HIDDEN))] : []),
      ...(spec.properties["dma-coherent"] === true ? [name("_CCA", integer(1))] : []),
      name("_CRS", resourceTemplate(...registers, ...interrupts)),
      ...(buttons.length === 0 ? [] : buttonEvents(path, buttons)),
    ),
    ...buttons.map(({ path: button }, index) =>
      device(button, name("_HID", text(POWER_BUTTON)), name("_UID", integer(index))),
    ),
  );
}

interface Button {
  readonly path: string;
  readonly line: number;
}

/** The keys on a GPIO controller's lines. The board's only one is its power button. */
function buttonsOf(platform: PlatformSpec, controller: string): Button[] {
  const lines = [...allDevices(platform.devices)]
    .filter(({ kind, world }) => kind === "key" && world === "any")
    .flatMap(({ gpios }) => gpios.filter((gpio) => gpio.controller === controller));
  return lines.map(({ line }, index) => ({
    path: index === 0 ? "PWRB" : `PWR${hexadecimal(index, 1)}`,
    line,
  }));
}

/** Events that system software handles on its own: a rising edge of a line tells its button. */
function buttonEvents(controller: string, buttons: readonly Button[]): Uint8Array[] {
  const connections = buttons.map(({ line }) =>
    gpioInt({ controller, pins: [line], pull: "up" }, { mode: "edge", polarity: "active-high" }),
  );
  return [
    name("_AEI", resourceTemplate(...connections)),
    ...buttons.map(({ path, line }) =>
      method(`_E${hexadecimal(line, 2)}`, {}, notify(path, integer(BUTTON_PRESSED))),
    ),
  ];
}

function hexadecimal(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, "0");
}
