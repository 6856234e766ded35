import { hex } from "../../base/bits.ts";
import { eisaId, integer, packageOf, reference, uuid } from "../aml/data.ts";
import { device, method, name } from "../aml/objects.ts";
import {
  type AddressWindow,
  dwordIo,
  dwordMemory,
  extendedInterrupt,
  type InterruptSignal,
  qwordIo,
  qwordMemory,
  resourceTemplate,
  wordBusNumber,
} from "../aml/resources.ts";
import {
  and,
  argument,
  createDwordField,
  equal,
  logicalNot,
  or,
  otherwise,
  returns,
  store,
  when,
} from "../aml/statements.ts";

/** A window from a host bridge to what is behind it. Addresses are those on the bus; `translation` is added to reach them. */
export interface PciWindow {
  readonly space: "io" | "memory" | "prefetchable";
  readonly base: number;
  readonly size: number;
  /** The processor's address of the window less its address on the bus; ports start near 0. */
  readonly translation: number;
}

/** A wire of the root bus: slot number (0 to 31), pin (0 is INTA#), and what it reaches. */
export interface PciRoute {
  readonly slot: number;
  readonly pin: number;
  /** INTID. */
  readonly interrupt: number;
  readonly signal: InterruptSignal;
}

/** A PCI Express host bridge whose configuration space is memory-mapped. */
export interface PciHost {
  /** Its four-character name. */
  readonly name: string;
  readonly uid: number;
  readonly segment: number;
  readonly firstBus: number;
  readonly lastBus: number;
  /** Where the configuration space of `firstBus` is. */
  readonly configuration: number;
  readonly coherent: boolean;
  readonly windows: readonly PciWindow[];
  readonly routes: readonly PciRoute[];
  /** Further objects. */
  readonly terms?: readonly Uint8Array[];
}

/** PCI Firmware Specification 3.2, section 4.5.1: the host bridge's capabilities. */
const HOST_BRIDGE_CAPABILITIES = "33db4d5b-1ff7-401c-9657-7441c03dd766";
/** Of the controls of table 4-6: hot-plug, power management events, error reporting, capability structure. */
const GRANTED_CONTROLS = 0x1f;
/** Bits of the first capability word: the UUID or the revision is unknown; some controls were not granted. */
const ANSWER = { unknownIdentifier: 1 << 2, unknownRevision: 1 << 3, masked: 1 << 4 } as const;
const EVERY_FUNCTION = 0xffff;
const CONFIGURATION_BYTES_PER_BUS = 1 << 20;

/** Bits of an address that a 32-bit descriptor can hold. */
const FOUR_GIBIBYTES = 2 ** 32;

/** The device of a host bridge: ids, routing, windows, _OSC, and the reservation of its configuration space. */
export function pciHostDevice(host: PciHost): Uint8Array {
  const buses = host.lastBus - host.firstBus + 1;
  return device(
    host.name,
    name("_HID", eisaId("PNP0A08")),
    name("_CID", eisaId("PNP0A03")),
    name("_SEG", integer(host.segment)),
    name("_BBN", integer(host.firstBus)),
    name("_UID", integer(host.uid)),
    name("_CCA", integer(host.coherent ? 1 : 0)),
    ...interruptRouting(host.routes),
    name("_CBA", integer(host.configuration - host.firstBus * CONFIGURATION_BYTES_PER_BUS)),
    name(
      "_CRS",
      resourceTemplate(
        wordBusNumber({ base: host.firstBus, size: buses, usage: "producer" }),
        ...host.windows.map(windowDescriptor),
      ),
    ),
    name("SUPP", integer(0)),
    name("CTRL", integer(0)),
    operatingSystemCapabilities(),
    device(
      "RES0",
      name("_HID", eisaId("PNP0C02")),
      name("_UID", integer(host.uid)),
      name(
        "_CRS",
        resourceTemplate(
          qwordMemory({
            base: host.configuration,
            size: buses * CONFIGURATION_BYTES_PER_BUS,
            usage: "producer",
          }),
        ),
      ),
    ),
    host.terms ?? [],
  );
}

function windowDescriptor({ space, base, size, translation }: PciWindow): Uint8Array {
  // A bridge that subtracts is one that adds, modulo 2^64.
  const window: AddressWindow = {
    base,
    size,
    translation: translation < 0 ? BigInt.asUintN(64, BigInt(translation)) : translation,
    usage: "producer",
  };
  const narrow =
    base + size <= FOUR_GIBIBYTES && translation >= 0 && base + translation + size <= FOUR_GIBIBYTES;
  if (space === "io") return narrow ? dwordIo(window) : qwordIo(window);
  const cacheability = space === "prefetchable" ? "prefetchable" : "non-cacheable";
  return narrow ? dwordMemory(window, cacheability) : qwordMemory(window, cacheability);
}

/** _PRT, and an interrupt link device for each wire that it names, which says how the wire signals. */
function interruptRouting(routes: readonly PciRoute[]): Uint8Array[] {
  if (routes.length === 0) return [];
  const links = new Map<number, { path: string; signal: InterruptSignal }>();
  for (const { interrupt, signal } of routes) {
    if (!links.has(interrupt)) links.set(interrupt, { path: linkName(links.size), signal });
  }
  const rows = routes.map(({ slot, pin, interrupt }) =>
    packageOf(
      integer(slot * 2 ** 16 + EVERY_FUNCTION),
      integer(pin),
      reference(links.get(interrupt)!.path),
      integer(0),
    ),
  );
  return [
    name("_PRT", packageOf(...rows)),
    ...[...links].map(([interrupt, { path, signal }], index) =>
      interruptLink(path, index, interrupt, signal),
    ),
  ];
}

function linkName(index: number): string {
  return index < 16 ? `GSI${hex(index).slice(2).toUpperCase()}` : `L${index.toString().padStart(3, "0")}`;
}

function interruptLink(path: string, uid: number, interrupt: number, signal: InterruptSignal): Uint8Array {
  const wire = resourceTemplate(extendedInterrupt([interrupt], signal));
  return device(
    path,
    name("_HID", eisaId("PNP0C0F")),
    name("_UID", integer(uid)),
    name("_PRS", wire),
    name("_CRS", wire),
    // The wire is fixed.
    method("_SRS", { parameters: 1 }),
  );
}

/** _OSC: the operating system gets control of everything that PCI Express hands over but latency reporting. */
function operatingSystemCapabilities(): Uint8Array {
  const [first, second, third] = ["CDW1", "CDW2", "CDW3"] as const;
  const raise = (bit: number): Uint8Array => or(reference(first), integer(bit), reference(first));
  const answer = argument(3);
  return method(
    "_OSC",
    { parameters: 4, serialized: true },
    createDwordField(answer, integer(0), first),
    when(
      equal(argument(0), uuid(HOST_BRIDGE_CAPABILITIES)),
      createDwordField(answer, integer(4), second),
      createDwordField(answer, integer(8), third),
      store(reference(second), reference("SUPP")),
      store(reference(third), reference("CTRL")),
      and(reference("CTRL"), integer(GRANTED_CONTROLS), reference("CTRL")),
      when(logicalNot(equal(argument(1), integer(1))), raise(ANSWER.unknownRevision)),
      when(logicalNot(equal(reference(third), reference("CTRL"))), raise(ANSWER.masked)),
      store(reference("CTRL"), reference(third)),
      returns(answer),
    ),
    otherwise(raise(ANSWER.unknownIdentifier), returns(answer)),
  );
}
