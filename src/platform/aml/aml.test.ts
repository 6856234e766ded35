import { describe, expect, test } from "vitest";
import { executeTables, roundTrip } from "../../../test/support/acpica.ts";
import { concatenate } from "../../base/bytes.ts";
import { littleEndian } from "./bytes.ts";
import { gpioInt, gpioIo, i2cSerialBus, spiSerialBus, uartSerialBus } from "./connections.ts";
import { buffer, eisaId, integer, packageOf, reference, text, uuid } from "./data.ts";
import { deviceData, deviceSpecificData } from "./device-properties.ts";
import { encodeNamePath } from "./name-path.ts";
import { device, method, name, scope } from "./objects.ts";
import { packageLength } from "./package-length.ts";
import {
  dwordIo,
  dwordMemory,
  extendedInterrupt,
  memory32Fixed,
  qwordIo,
  qwordMemory,
  resourceTemplate,
  wordBusNumber,
} from "./resources.ts";
import * as statements from "./statements.ts";

/** A definition block with these terms. */
function definitionBlock(...terms: Uint8Array[]): Uint8Array {
  const body = concatenate(...terms);
  const characters = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value));
  const table = concatenate(
    characters("DSDT"),
    littleEndian(36 + body.length, 4),
    Uint8Array.of(2, 0),
    characters("ELVSR ELVISOR "),
    littleEndian(1, 4),
    characters("ELVS"),
    littleEndian(1, 4),
    body,
  );
  table[9] = -table.reduce((sum, byte) => sum + byte, 0) & 0xff;
  return table;
}

/** Asserts that ACPICA reads what was meant, and writes the same bytes from it. */
async function expectSound(table: Uint8Array, ...patterns: RegExp[]): Promise<void> {
  const { errors, warnings, identical, source, messages } = await roundTrip(table);
  expect({ errors, warnings, identical }, messages + source).toEqual({
    errors: 0,
    warnings: 0,
    identical: true,
  });
  for (const pattern of patterns) expect(source).toMatch(pattern);
}

const HEAD = [name("_HID", text("ACPI0004")), name("_UID", integer(0))];

describe("AML as iasl sees it", () => {
  test("integers, strings, buffers, packages, names", async () => {
    const integers = [
      0,
      1,
      2,
      0xff,
      0x100,
      0xffff,
      0x1_0000,
      0xffff_ffff,
      2 ** 32,
      2n ** 63n,
      2n ** 64n - 1n,
    ];
    await expectSound(
      definitionBlock(
        scope(
          "\\_SB",
          device(
            "DEV0",
            ...HEAD,
            name("INTS", packageOf(...integers.map(integer))),
            name("TEXT", text('a "quoted\\" text')),
            name("BYTE", buffer(Uint8Array.from({ length: 300 }, (_, index) => index))),
            name("MANY", packageOf(...Array.from({ length: 256 }, () => integer(7)))),
            name("NONE", packageOf()),
            name(
              "REFS",
              packageOf(reference("\\_SB.DEV0"), reference("^DEV0"), reference("\\_SB.DEV0.INTS")),
            ),
            name("_CID", eisaId("PNP0A03")),
          ),
        ),
      ),
      /Name \(_CID, EisaId \("PNP0A03"\)/,
      /Package \(0x0100\)/,
      /"a \\"quoted\\\\\\" text"/,
    );
  });

  test("resources", async () => {
    const window = { base: 0x1000, size: 0x1000 } as const;
    await expectSound(
      definitionBlock(
        scope(
          "\\_SB",
          device("GPI0", ...HEAD),
          device(
            "DEV0",
            name("_HID", text("PRP0001")),
            name("_UID", integer(1)),
            name(
              "_CRS",
              resourceTemplate(
                memory32Fixed(0x900_0000, 0x1000),
                memory32Fixed(0xffff_0000, 0x1_0000, "read-only"),
                qwordMemory({ base: 0x80_0000_0000n, size: 1n << 39n, usage: "producer" }),
                qwordMemory({ ...window, usage: "consumer" }, "prefetchable"),
                dwordMemory({ ...window, usage: "producer", translation: 0 }),
                qwordIo({ base: 0, size: 0x1_0000, translation: 0x3eff_0000, usage: "producer" }),
                dwordIo({ base: 0, size: 0x1_0000, translation: 0x3eff_0000, usage: "producer" }),
                wordBusNumber({ base: 0, size: 256, usage: "producer" }),
                extendedInterrupt([33], { mode: "level", polarity: "active-high" }),
                extendedInterrupt([34, 35], {
                  mode: "edge",
                  polarity: "active-low",
                  sharing: "shared",
                  wake: true,
                }),
                extendedInterrupt([3], { mode: "edge", polarity: "active-high" }, "\\_SB.GPI0"),
                gpioInt(
                  { controller: "\\_SB.GPI0", pins: [3], pull: "up" },
                  { mode: "edge", polarity: "active-both", wake: true },
                ),
                gpioIo({ controller: "\\_SB.GPI0", pins: [4, 5] }, "output"),
                i2cSerialBus({ controller: "\\_SB.GPI0", address: 0x1a, speed: 400_000 }),
                i2cSerialBus({ controller: "\\_SB.GPI0", address: 0x21a, tenBits: true, speed: 100_000 }),
                spiSerialBus({ controller: "\\_SB.GPI0", chipSelect: 1, speed: 1_000_000 }),
                spiSerialBus({
                  controller: "\\_SB.GPI0",
                  chipSelect: 0,
                  speed: 1_000_000,
                  clockHigh: true,
                  secondEdge: true,
                  threeWires: true,
                  selectHigh: true,
                }),
                uartSerialBus({ controller: "\\_SB.GPI0", speed: 115_200 }),
                uartSerialBus({ controller: "\\_SB.GPI0", speed: 115_200, hardwareFlowControl: true }),
              ),
            ),
          ),
        ),
      ),
      /Memory32Fixed \(ReadOnly,\s*0xFFFF0000/,
      /QWordMemory \(ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,\s*0x0+, [^\n]*\n\s*0x0000008000000000,[^\n]*\n\s*0x000000FFFFFFFFFF/,
      /QWordMemory \(ResourceConsumer, PosDecode, MinFixed, MaxFixed, Prefetchable, ReadWrite/,
      /QWordIO \(ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange/,
      /TypeTranslation/,
      /WordBusNumber \(ResourceProducer/,
      /Interrupt \(ResourceConsumer, Level, ActiveHigh, Exclusive, ,, \)\s*\{\s*0x00000021/,
      /Interrupt \(ResourceConsumer, Edge, ActiveLow, SharedAndWake, ,, \)/,
      /Interrupt \(ResourceConsumer, Edge, ActiveHigh, Exclusive, 0x00, "\\\\_SB.GPI0", \)/,
      /GpioInt \(Edge, ActiveBoth, ExclusiveAndWake, PullUp, 0x0000,\s*"\\\\_SB.GPI0"/,
      /GpioIo \(Exclusive, PullDefault, 0x0000, 0x0000, IoRestrictionOutputOnly/,
      /I2cSerialBusV2 \(0x001A, ControllerInitiated, 0x00061A80,\s*AddressingMode7Bit, "\\\\_SB.GPI0"/,
      /I2cSerialBusV2 \(0x021A, ControllerInitiated, 0x000186A0,\s*AddressingMode10Bit/,
      /SpiSerialBusV2 \(0x0001, PolarityLow, FourWireMode, 0x08,\s*ControllerInitiated, 0x000F4240, ClockPolarityLow,\s*ClockPhaseFirst/,
      /SpiSerialBusV2 \(0x0000, PolarityHigh, ThreeWireMode, 0x08,\s*ControllerInitiated, 0x000F4240, ClockPolarityHigh,\s*ClockPhaseSecond/,
      /UartSerialBusV2 \(0x0001C200, DataBitsEight, StopBitsOne,\s*0x00, LittleEndian, ParityTypeNone, FlowControlNone/,
      /UartSerialBusV2 \(0x0001C200, DataBitsEight, StopBitsOne,\s*0xC0, LittleEndian, ParityTypeNone, FlowControlHardware/,
    );
  });

  test("device properties, and what ACPICA evaluates", async () => {
    const led = deviceData({
      properties: new Map([["gpios", [{ device: "\\_SB.LEDS" }, 0, 0, 1]]]),
      nodes: new Map(),
    });
    const table = definitionBlock(
      scope(
        "\\_SB",
        device(
          "LEDS",
          name("_HID", text("PRP0001")),
          name("_UID", integer(3)),
          name("_CCA", integer(1)),
          name("_STA", integer(15)),
          deviceSpecificData({
            properties: new Map<string, string | string[] | number>([
              ["compatible", ["acme,leds", "gpio-leds"]],
              ["flag", 1],
              ["label", "x"],
            ]),
            nodes: new Map([["led@0", "LED0"]]),
          }),
          name("LED0", led),
        ),
      ),
    );
    await expectSound(
      table,
      /ToUUID \("daffd814-6eba-4d8c-8a91-bc9bbf4aa301"\)/,
      /ToUUID \("dbb8e3e6-5886-4ba6-8795-1319f52a966b"\) [^,]*,\s*Package \(0x01\)\s*\{\s*Package \(0x02\)\s*\{\s*"led@0",\s*"LED0"/,
    );
    const output = await executeTables([table], ["execute \\_SB.LEDS._DSD", "execute \\_SB.LEDS.LED0"]);
    expect(output).not.toMatch(/AE_|Exception|Error/);
    expect(output).toMatch(/"acme,leds"/);
    expect(output).toMatch(/\[Object Reference\][^\n]*LEDS|Reference/);
  });

  test("methods", async () => {
    const s = statements;
    const [zero, one] = [integer(0), integer(1)];
    const table = definitionBlock(
      scope(
        "\\_SB",
        device(
          "PCI0",
          name("_HID", eisaId("PNP0A08")),
          name("_CID", eisaId("PNP0A03")),
          name("SUPP", zero),
          method(
            "_OSC",
            { parameters: 4, serialized: true },
            s.createDwordField(s.argument(3), zero, "CDW1"),
            s.when(
              s.logicalOr(s.equal(s.argument(0), uuid("33db4d5b-1ff7-401c-9657-7441c03dd766")), zero),
              s.createDwordField(s.argument(3), integer(4), "CDW2"),
              s.store(reference("CDW2"), reference("SUPP")),
              s.and(reference("SUPP"), integer(0x1d), reference("SUPP")),
              s.when(
                s.logicalNot(s.equal(s.argument(1), one)),
                s.or(reference("CDW1"), integer(8), reference("CDW1")),
              ),
            ),
            s.otherwise(s.or(reference("CDW1"), integer(4), reference("CDW1"))),
            s.returns(s.argument(3)),
          ),
        ),
        device("PWRB", name("_HID", text("PNP0C0C")), name("_UID", zero)),
        method(
          "SUMS",
          { parameters: 2 },
          s.store(packageOf(integer(10), integer(20)), s.local(0)),
          s.when(
            s.logicalAnd(s.greater(s.argument(0), one), s.less(s.argument(1), integer(9))),
            s.returns(zero),
          ),
          s.subtract(s.argument(0), one, s.local(1)),
          s.add(s.local(1), s.argument(1), s.index(s.local(0), one)),
          s.returns(s.local(0)),
        ),
        method("EVNT", {}, s.notify("PWRB", integer(0x80))),
      ),
    );
    await expectSound(
      table,
      /Notify \(PWRB, 0x80\)/,
      /CreateDWordField \(Arg3, Zero, CDW1\)/,
      /ToUUID \("33db4d5b/,
    );
    const output = await executeTables([table], ["execute \\_SB.SUMS 1 5", "execute \\_SB.SUMS 2 5"]);
    expect(output).toMatch(/\[Integer\] = 0000000000000005/);
    expect(output).toMatch(/\[Integer\] = 0000000000000000/);
  });
});

describe("encodings", () => {
  test("a package length counts itself", () => {
    expect([...packageLength(0)]).toEqual([1]);
    expect([...packageLength(62)]).toEqual([63]);
    expect([...packageLength(63)]).toEqual([0x41, 0x04]);
    expect([...packageLength(0xfff - 2)]).toEqual([0x4f, 0xff]);
    expect([...packageLength(0xfff - 1)]).toEqual([0x81, 0x00, 0x01]);
    expect([...packageLength(0x10_0000 - 3)]).toEqual([0xc1, 0x00, 0x00, 0x01]);
    expect(() => packageLength(1 << 28)).toThrow(/longer than/);
  });

  test("names are checked", () => {
    expect([...encodeNamePath("\\")]).toEqual([0x5c, 0]);
    expect([...encodeNamePath("^^AB")]).toEqual([0x5e, 0x5e, 0x41, 0x42, 0x5f, 0x5f]);
    for (const bad of ["abcd", "ABCDE", "1ABC", "A..B", "A-B"])
      expect(() => encodeNamePath(bad)).toThrow(/no ACPI name/);
  });

  test("values that AML cannot say are refused", () => {
    expect(() => integer(-1)).toThrow();
    expect(() => integer(1n << 64n)).toThrow();
    expect(() => text("µ")).toThrow(/ASCII/);
    expect(() => eisaId("QEMU0002")).toThrow();
    expect(() => uuid("x")).toThrow();
  });
});
