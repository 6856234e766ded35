import { describe, expect, test } from "vitest";
import { executeTables, roundTrip } from "../../../test/support/acpica.ts";
import { runHostProgram } from "../../../test/support/host-program.ts";
import { virtDeviceTreeBlob } from "../virt-device-tree.ts";
import type { ConversionResult } from "./convert.ts";
import { convertDeviceTree } from "./convert-blob.ts";
import { printReport } from "./report.ts";

/** A board with what ACPI asks of every one, and `content` on its bus. */
function board(content: string, root = ""): string {
  return `/dts-v1/;
/ {
  #address-cells = <2>; #size-cells = <2>; interrupt-parent = <&gic>; model = "Test"; compatible = "test,board";
  cpus {
    #address-cells = <1>; #size-cells = <0>;
    cpu0: cpu@0 { device_type = "cpu"; compatible = "arm,cortex-a57"; reg = <0>; enable-method = "psci";
      d-cache-size = <0x8000>; d-cache-line-size = <64>; d-cache-sets = <256>; next-level-cache = <&l2>; };
    cpu1: cpu@1 { device_type = "cpu"; compatible = "arm,cortex-a57"; reg = <0x101>; enable-method = "psci"; next-level-cache = <&l2>; };
    l2: l2-cache { compatible = "cache"; cache-level = <2>; cache-unified; cache-size = <0x100000>; cache-line-size = <64>; cache-sets = <1024>; };
  };
  psci { compatible = "arm,psci-1.0"; method = "smc"; };
  timer { compatible = "arm,armv8-timer"; interrupts = <1 13 8>, <1 14 8>, <1 11 8>, <1 10 8>; };
  gic: interrupt-controller@2c010000 {
    compatible = "arm,gic-400"; #interrupt-cells = <3>; #address-cells = <1>; #size-cells = <1>; interrupt-controller;
    reg = <0 0x2c010000 0 0x1000>, <0 0x2c02f000 0 0x2000>, <0 0x2c04f000 0 0x2000>, <0 0x2c06f000 0 0x2000>;
    interrupts = <1 9 4>; ranges = <0 0 0x2c1c0000 0x40000>;
    v2m: v2m@0 { compatible = "arm,gic-v2m-frame"; msi-controller; reg = <0 0x10000>; };
  };
  soc: soc { compatible = "simple-bus"; #address-cells = <1>; #size-cells = <1>; ranges = <0 0 0x10000000 0x10000000>;
    ${content}
  };
  ${root}
};`;
}

function compile(source: string): Uint8Array {
  const { status, stdout, stderr } = runHostProgram("dtc", ["-q", "-q", "-I", "dts", "-O", "dtb"], {
    input: new TextEncoder().encode(source),
  });
  expect(status, stderr).toBe(0);
  return new Uint8Array(stdout);
}

function convert(source: string, strict = false): ConversionResult {
  return convertDeviceTree(compile(source), { source: "test.dtb", strict });
}

/** ACPICA's listings of the tables of a board that converts without a fault. */
async function listings(source: string): Promise<Record<string, string>> {
  const result = convert(source, true);
  if (result.status === "refused") throw new Error(result.reason);
  const found: Record<string, string> = {};
  for (const [signature, table] of result.tables) {
    const { errors, warnings, identical, source: text, messages } = await roundTrip(table);
    expect({ errors, warnings, identical }, messages + text).toEqual({
      errors: 0,
      warnings: 0,
      identical: true,
    });
    // Comments and layout are ACPICA's.
    found[signature] = text.replaceAll(/\/\/[^\n]*|\/\*[^*]*\*\//g, "").replaceAll(/\s+/g, " ");
  }
  const output = await executeTables([result.tables.get("DSDT")!], ["execute predefined"]);
  expect(output).not.toMatch(/returned AE_(?!OK)|ACPI Error/);
  return found;
}

describe("first tables", () => {
  test("processors, GIC, timers, PSCI, caches", async () => {
    const { APIC, GTDT, FACP, PPTT, DSDT } = await listings(board(""));
    expect(APIC).toMatch(/Distributor Base Address|Base Address : 000000002C010000/);
    expect(APIC).toMatch(/Base Address : 000000002C02F000/);
    expect(APIC).toMatch(/ARM MPIDR : 0000000000000101/);
    expect(APIC).toMatch(/Virtual GIC Interrupt : 00000019/);
    expect(APIC).toMatch(/Base Address : 000000002C1C0000/);
    expect(GTDT).toMatch(/Secure EL1 Interrupt : 0000001D/);
    expect(GTDT).toMatch(/Polarity : 1/);
    expect(FACP).toMatch(/PSCI Compliant : 1 Must use HVC for PSCI : 0/);
    expect(PPTT).toMatch(/Size : 00100000/);
    expect(DSDT).toMatch(/Device \(CPU0?\) \{ Name \(_HID, "ACPI0007" \)/);
    expect(DSDT).toMatch(/"ACPI0010"/);
  });

  test("console, host bridge, SMMU and translation service", async () => {
    const tables = await listings(
      board(
        `uart: serial@1000 { compatible = "arm,pl011", "arm,primecell"; reg = <0x1000 0x1000>; interrupts = <0 5 4>; };
         smmu: iommu@20000 { compatible = "arm,mmu-500"; #iommu-cells = <1>; reg = <0x20000 0x10000>; #global-interrupts = <1>;
           interrupts = <0 10 4>, <0 11 4>; };
         usb@5000 { compatible = "acme,usb"; reg = <0x5000 0x100>; iommus = <&smmu 7>, <&smmu 9>; dma-coherent; };`,
        `chosen { stdout-path = "/soc/serial@1000:115200n8"; };
         pcie@40000000 { compatible = "pci-host-ecam-generic"; device_type = "pci"; #address-cells = <3>; #size-cells = <2>;
           reg = <0 0x40000000 0 0x1000000>; bus-range = <0 15>; dma-coherent; iommu-map = <0 &smmu 0x100 0x1000>;
           ranges = <0x01000000 0 0 0 0x5f800000 0 0x800000>, <0x02000000 0 0x50000000 0 0x50000000 0 0x8000000>,
             <0x42000000 0x40 0 0x40 0 0x1 0>;
           #interrupt-cells = <1>; interrupt-map-mask = <0x1800 0 0 7>;
           interrupt-map = <0 0 0 1 &gic 0 0 136 4>, <0 0 0 2 &gic 0 0 137 4>, <0x800 0 0 1 &gic 0 0 137 4>; };`,
      ),
    );
    expect(tables["SPCR"]).toMatch(/Interface Type : 03/);
    expect(tables["SPCR"]).toMatch(/Address : 0000000010001000/);
    expect(tables["SPCR"]).toMatch(/Interrupt : 00000025 \[[^\]]*\] Baud Rate : 07/);
    expect(tables["DBG2"]).toMatch(/Namepath : "\\_SB.SOC0.SERI"/);
    expect(tables["MCFG"]).toMatch(/Base Address : 0000000040000000 .*End Bus Number : 0F/);
    expect(tables["IORT"]).toMatch(/Device Name : "\\_SB.SOC0.USB0"/);
    expect(tables["IORT"]).toMatch(/Output Base : 00000009 .*Single Mapping : 1/);
    expect(tables["IORT"]).toMatch(/Output Base : 00000100/);
    const dsdt = tables["DSDT"]!;
    expect(dsdt).toMatch(/"ARMH0011"/);
    expect(dsdt).toMatch(/EisaId \("PNP0A08"\)/);
    // Three of four slots and pins of the map, eight times each.
    expect(dsdt).toMatch(/Name \(_PRT, Package \(0x18\)/);
    expect(dsdt).toMatch(/Package \(0x04\) \{ 0x0001FFFF, Zero, GSI1, Zero \}/);
    expect(dsdt).toMatch(/0x0000000040000000,\s*0x000000004[0-9A-F]+,|0x5F800000/);
  });
});

describe("devices", () => {
  test("PRP0001 with registers, interrupts, properties, references and coherency", async () => {
    const { DSDT } = await listings(
      board(
        `clk: clock { compatible = "fixed-clock"; #clock-cells = <0>; clock-frequency = <24000000>; };
         dma: dma@2000 { compatible = "acme,dma"; reg = <0x2000 0x100>; #dma-cells = <2>; dma-coherent; };
         dev@3000 { compatible = "acme,new", "acme,old"; reg = <0x3000 0x100>, <0xfff0000 0x10>; interrupts = <0 40 1>;
           clocks = <&clk>; clock-names = "bus"; dmas = <&dma 1 2>, <&dma 3 4>; dma-names = "tx", "rx";
           acme,list = <1 2 3>; acme,flag; acme,bytes = [01 02 03]; status = "disabled"; };`,
      ),
    );
    expect(DSDT).toMatch(
      /Device \(DEV0\) \{ Name \(_HID, "PRP0001"\) Name \(_UID, 0x0?\w+\) Name \(_STA, Zero\) Name \(_CCA, Zero\) Name \(_CRS, ResourceTemplate \(\) \{ Memory32Fixed \(ReadWrite, 0x10003000, 0x00000100, \) Memory32Fixed \(ReadWrite, 0x1FFF0000, 0x00000010, \) Interrupt \(ResourceConsumer, Edge, ActiveHigh, Exclusive, ,, \) \{ 0x00000048, \} \}\)/,
    );
    expect(DSDT).toMatch(
      /Package \(0x02\) \{ "compatible", Package \(0x02\) \{ "acme,new", "acme,old" \} \}/,
    );
    expect(DSDT).toMatch(/"clocks", \\_SB.SOC0.CLOC/);
    expect(DSDT).toMatch(
      /"dmas", Package \(0x06\) \{ \\_SB.SOC0.DMA0, One, 0x02, \\_SB.SOC0.DMA0, 0x03, 0x04 \}/,
    );
    expect(DSDT).toMatch(/"acme,list", Package \(0x03\) \{ One, 0x02, 0x03 \}/);
    expect(DSDT).toMatch(/"acme,flag", One/);
    expect(DSDT).toMatch(/"acme,bytes", Package \(0x03\) \{ One, 0x02, 0x03 \}/);
    expect(DSDT).toMatch(/Device \(DMA0\) \{ [^{]*Name \(_CCA, One\)/);
    // What the structure says is not said again.
    expect(DSDT).not.toMatch(/"(phandle|status|reg|interrupts|dma-coherent)"/);
  });

  test("pins: GpioIo and GpioInt, and what refers to them, in devices and data nodes", async () => {
    const { DSDT } = await listings(
      board(
        `gpio: gpio@4000 { compatible = "arm,pl061", "arm,primecell"; reg = <0x4000 0x1000>; gpio-controller; #gpio-cells = <2>;
           interrupt-controller; #interrupt-cells = <2>; interrupts = <0 7 4>; };
         leds { compatible = "gpio-leds"; led-0 { label = "red"; gpios = <&gpio 3 1>; }; led-1 { gpios = <&gpio 4 0>; }; };
         touch@6000 { compatible = "acme,touch"; reg = <0x6000 0x10>; interrupts-extended = <&gpio 6 2>, <&gic 0 9 4>; reset-gpios = <&gpio 5 0>; };`,
      ),
    );
    expect(DSDT).toMatch(/"ARMH0061"/);
    expect(DSDT).toMatch(/Package \(0x02\) \{ "led-0", "LED0" \}, Package \(0x02\) \{ "led-1", "LED1" \}/);
    expect(DSDT).toMatch(
      /Package \(0x02\) \{ "label", "red" \}, Package \(0x02\) \{ "gpios", Package \(0x04\) \{ \\_SB.SOC0.LEDS, Zero, Zero, One \} \}/,
    );
    expect(DSDT).toMatch(/"gpios", Package \(0x04\) \{ \\_SB.SOC0.LEDS, One, Zero, Zero \}/);
    expect(DSDT).toMatch(
      /GpioIo \(Exclusive, PullDefault, 0x0000, 0x0000, IoRestrictionNone, "\\\\_SB.SOC0.GPIO", 0x00, ResourceConsumer, , \) \{ 0x0003 \}/,
    );
    // The interrupt pin is the first pin of the device, the reset pin the second.
    expect(DSDT).toMatch(
      /GpioInt \(Edge, ActiveLow, Exclusive, PullDefault, 0x0000, "\\\\_SB.SOC0.GPIO", 0x00, ResourceConsumer, , \) \{ 0x0006 \}/,
    );
    expect(DSDT).toMatch(/"reset-gpios", Package \(0x04\) \{ \\_SB.SOC0.TOUC, One, Zero, Zero \}/);
  });

  test("serial buses, secondary controllers, maps, graphs, USB ports", async () => {
    const { DSDT } = await listings(
      board(
        `i2c@7000 { compatible = "acme,i2c"; reg = <0x7000 0x100>; #address-cells = <1>; #size-cells = <0>; clock-frequency = <400000>;
           sensor@1a { compatible = "acme,sensor"; reg = <0x1a>; interrupt-parent = <&irq>; interrupts = <5 4>; }; };
         spi@8000 { compatible = "acme,spi"; reg = <0x8000 0x100>; #address-cells = <1>; #size-cells = <0>;
           flash@1 { compatible = "jedec,spi-nor"; reg = <1>; spi-max-frequency = <20000000>; spi-cpol; spi-cpha; }; };
         serial@8800 { compatible = "acme,uart"; reg = <0x8800 0x100>; bluetooth { compatible = "acme,bt"; max-speed = <3000000>; }; };
         irq: irq@9000 { compatible = "acme,irq"; reg = <0x9000 0x100>; interrupt-controller; #interrupt-cells = <2>; interrupts = <0 50 4>; };
         nexus: nexus { compatible = "acme,nexus"; #interrupt-cells = <1>; #address-cells = <0>; interrupt-map-mask = <0xff>;
           interrupt-map = <3 &gic 0 0 60 4>; };
         card@a000 { compatible = "acme,card"; reg = <0xa000 0x100>; interrupt-parent = <&nexus>; interrupts = <3>; };
         display@b000 { compatible = "acme,display"; reg = <0xb000 0x100>;
           ports { #address-cells = <1>; #size-cells = <0>; port@1 { reg = <1>; out: endpoint { remote-endpoint = <&in>; }; }; }; };
         panel { compatible = "acme,panel"; port { in: endpoint { remote-endpoint = <&out>; }; }; };
         usb@c000 { compatible = "acme,ehci"; reg = <0xc000 0x100>; #address-cells = <1>; #size-cells = <0>;
           hub@1 { compatible = "usb424,9514"; reg = <1>; }; };`,
      ),
    );
    expect(DSDT).toMatch(
      /I2cSerialBusV2 \(0x001A, ControllerInitiated, 0x00061A80, AddressingMode7Bit, "\\\\_SB.SOC0.I2C0"/,
    );
    expect(DSDT).toMatch(
      /Interrupt \(ResourceConsumer, Level, ActiveHigh, Exclusive, 0x00, "\\\\_SB.SOC0.IRQ0", \) \{ 0x00000005, \}/,
    );
    expect(DSDT).toMatch(
      /SpiSerialBusV2 \(0x0001, PolarityLow, FourWireMode, 0x08, ControllerInitiated, 0x01312D00, ClockPolarityHigh, ClockPhaseSecond, "\\\\_SB.SOC0.SPI0"/,
    );
    expect(DSDT).toMatch(/UartSerialBusV2 \(0x002DC6C0,/);
    // Through the map: SPI 60 is INTID 92.
    expect(DSDT).toMatch(/0x1000A000, 0x00000100, \) Interrupt \([^)]*\) \{ 0x0000005C, \}/);
    expect(DSDT).toMatch(/Package \(0x02\) \{ "port@1", "PORT" \}/);
    expect(DSDT).toMatch(/"remote-endpoint", Package \(0x03\) \{ \\_SB.SOC0.PANE, "port@0", "endpoint@0" \}/);
    expect(DSDT).toMatch(/"remote-endpoint", Package \(0x03\) \{ \\_SB.SOC0.DISP, "port@1", "endpoint@0" \}/);
    expect(DSDT).toMatch(/Device \(HUB0\) \{ Name \(_ADR, One\)/);
  });
});

describe("what cannot be converted", () => {
  const unknown = 'odd: odd { compatible = "acme,odd"; interrupt-controller; #interrupt-cells = <4>; };';
  test.each<[string, string, RegExp]>([
    [
      "an unknown interrupt specifier",
      `${unknown} d@1000 { compatible = "a,b"; reg = <0x1000 4>; interrupt-parent = <&odd>; interrupts = <1 2 3 4>; };`,
      /d@1000, interrupts: The interrupt controller acme,odd has specifiers of 4 cells/,
    ],
    [
      "an interrupt that no GIC has",
      'd@1000 { compatible = "a,b"; reg = <0x1000 4>; interrupts = <0 2000 4>; };',
      /has no interrupt <0 2000 4>/,
    ],
    [
      "a register list that does not fit its bus",
      'd@1000 { compatible = "a,b"; reg = <0x1000 4 5>; };',
      /d@1000, reg: It is no list of entries of 2 cells/,
    ],
    [
      "registers outside of all windows",
      'd@20000000 { compatible = "a,b"; reg = <0x20000000 4>; };',
      /lies in no window/,
    ],
    [
      "registers that cross",
      'd@1000 { compatible = "a,b"; reg = <0x1000 0x100>; }; e@1080 { compatible = "a,c"; reg = <0x1080 0x100>; };',
      /e@1080, reg: 0x10001080 to 0x1000117f crosses the registers of \/soc\/d@1000/,
    ],
    [
      "a phandle that nobody has",
      'd@1000 { compatible = "a,b"; reg = <0x1000 4>; clocks = <77>; };',
      /No node has the phandle 77/,
    ],
    ["a pin of nobody", 'd { compatible = "a,b"; reset-gpios = <77 1 2>; };', /names no GPIO controller/],
    [
      "interrupt maps that lead in a circle",
      "m1: m1 { #interrupt-cells = <1>; #address-cells = <0>; interrupt-map-mask = <0>; interrupt-map = <0 &m2 0>; };" +
        "m2: m2 { #interrupt-cells = <1>; #address-cells = <0>; interrupt-map-mask = <0>; interrupt-map = <0 &m1 0>; };" +
        'd@1000 { compatible = "a,b"; reg = <0x1000 4>; interrupt-parent = <&m1>; interrupts = <0>; };',
      /d@1000, interrupts: It goes through more than 8 interrupt maps/,
    ],
    [
      "an address that I2C has not",
      'i2c@7000 { compatible = "a,i"; reg = <0x7000 4>; #address-cells = <1>; #size-cells = <0>; s@100 { compatible = "a,s"; reg = <0x100>; }; };',
      /no address on an I2C bus/,
    ],
  ])("%s is a warning, and refused in strict conversions", (_, content, pattern) => {
    const lenient = convert(board(content));
    expect(lenient.status).toBe("converted");
    const said = lenient.warnings.map(({ path, property, text }) => `${path}, ${property}: ${text}`);
    expect(said.join("\n")).toMatch(pattern);
    const strict = convert(board(content), true);
    expect(strict.status === "refused" && strict.reason).toMatch(pattern);
  });

  test.each<[string, string, RegExp]>([
    [
      "no GIC",
      board("").replace('"arm,gic-400"', '"acme,intc"'),
      /no Generic Interrupt Controller.*acme,intc/,
    ],
    ["no timer", board("").replace('"arm,armv8-timer"', '"acme,timer"'), /no arm,armv8-timer/],
    ["no processors", board("").replace("cpus {", "others {"), /no processors below \/cpus/],
    ["an overlay", board("", "fragment { __overlay__ { }; };"), /is an overlay/],
  ])("a board with %s is refused", (_, source, pattern) => {
    const result = convert(source);
    expect(result.status === "refused" && result.reason).toMatch(pattern);
  });

  test("caches and graphs that lead in circles do not hold it up", () => {
    const circular = board(
      'a { compatible = "a,a"; port { x: endpoint { remote-endpoint = <&y>; }; }; };' +
        'b { compatible = "a,b"; port { y: endpoint { remote-endpoint = <&x>; }; }; };',
    ).replace("cache-level = <2>;", "cache-level = <2>; next-level-cache = <&l2>;");
    const start = process.cpuUsage().user;
    expect(["converted", "refused"]).toContain(convert(circular).status);
    expect((process.cpuUsage().user - start) / 1000).toBeLessThan(1000);
  });

  test("what is no device tree is refused with the place", () => {
    const blob = compile(board(""));
    const result = convertDeviceTree(blob.subarray(0, 100), { source: "cut.dtb" });
    expect(result.status === "refused" && result.reason).toMatch(
      /cut.dtb is truncated: it has 100 bytes of \d+/,
    );
    expect(result.report().nodes).toEqual([]);
  });
});

test("the report accounts for every node and property of our own board", () => {
  const blob = virtDeviceTreeBlob({ memoryBytes: 2 ** 29, cpus: 2, secure: false, virtualization: true });
  const result = convertDeviceTree(blob, { source: "virt.dtb", strict: true });
  expect(result.status).toBe("converted");
  const report = result.report();
  expect(report.nodes.filter(({ how }) => how === "")).toEqual([]);
  expect(report.nodes.flatMap(({ properties }) => properties.filter(({ how }) => how === ""))).toEqual([]);
  const fates = new Map(report.nodes.map(({ path, how }) => [path, how]));
  expect(fates.get("/pl011@9000000")).toMatch(/ARMH0011/);
  expect(fates.get("/virtio_mmio@a000000")).toMatch(/LNRO0005/);
  expect(fates.get("/timer")).toBe("GTDT");
  expect(printReport(report)).toMatch(/^\+ \/fw-cfg@9020000: \\_SB\.FWCF \(QEMU0002\)$/m);
});
