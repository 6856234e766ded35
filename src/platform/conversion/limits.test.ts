import { describe, expect, test } from "vitest";
import { encodeStrings } from "../device-tree/property-values.ts";
import { readDeviceTree } from "../device-tree/reader.ts";
import type { DeviceTreeNode } from "../device-tree/tree.ts";
import { writeDeviceTree } from "../device-tree/writer.ts";
import { virtDeviceTreeBlob } from "../virt-device-tree.ts";
import { convertDeviceTree } from "./convert-blob.ts";

/** Milliseconds of CPU time: two seconds, and five times that on a slow and busy machine; squares would take minutes. */
const LIMIT = 10_000;

type Values = Readonly<Record<string, string | readonly number[]>>;

function node(name: string, values: Values, children: DeviceTreeNode[] = []): DeviceTreeNode {
  const properties = Object.entries(values).map(
    ([key, value]) => [key, typeof value === "string" ? encodeStrings(value) : cellsOf(value)] as const,
  );
  return { name, properties: new Map(properties), children };
}

/** encodeCells() takes its cells as arguments, and functions do not take as many as these. */
function cellsOf(cells: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * cells.length);
  const view = new DataView(bytes.buffer);
  for (const [at, cell] of cells.entries()) view.setUint32(4 * at, cell);
  return bytes;
}

/** `count` things, made from their numbers. */
function many<Thing>(count: number, make: (number: number) => Thing): Thing[] {
  return Array.from({ length: count }, (_, number) => make(number));
}

/** Nodes in each other, the innermost with these values. */
function nest(depth: number, innermost: DeviceTreeNode): DeviceTreeNode {
  let inner = innermost;
  for (let level = 0; level < depth; level++) inner = node(`l${level}`, { compatible: "a,bus" }, [inner]);
  return inner;
}

/** What becomes of our board with these nodes at its root. */
function convert(nodes: readonly DeviceTreeNode[], change?: (root: DeviceTreeNode) => void) {
  const machine = { memoryBytes: 2 ** 29, cpus: 1, secure: false, virtualization: false };
  const tree = readDeviceTree(virtDeviceTreeBlob(machine), "virt");
  tree.root.children.push(...nodes);
  change?.(tree.root);
  const blob = writeDeviceTree(tree);
  expect(blob.length).toBeGreaterThan(500_000);
  expect(blob.length).toBeLessThan(2 ** 21);
  const start = process.cpuUsage();
  const result = convertDeviceTree(blob, { source: "large.dtb" });
  result.report();
  const { user, system } = process.cpuUsage(start);
  return {
    outcome: result.status === "refused" ? result.reason : "converted",
    milliseconds: (user + system) / 1000,
  };
}

const TOO_MANY_BYTES =
  /^Its devices as far as \S+ take more than the 2097152 bytes of AML that go into DSDT; /;
const TOO_MANY_STEPS = /^Its maps and windows take more than \d+ steps to follow; /;
const PHANDLE = 0x7777;
const SMALL_MAP = { "#interrupt-cells": [1], "#address-cells": [0], "interrupt-map-mask": [0xffff_ffff] };

describe("trees that are as large as trees may be, and would cost more than their size", () => {
  test.each<[string, RegExp, () => DeviceTreeNode[]]>([
    [
      "references to a node with a long path",
      TOO_MANY_BYTES,
      () => [
        nest(58, node("clock", { compatible: "a,clock", phandle: [PHANDLE], "#clock-cells": [0] })),
        node("user", { compatible: "a,user", clocks: many(450_000, () => PHANDLE) }),
      ],
    ],
    [
      "pins of a controller with a long path",
      TOO_MANY_BYTES,
      () => [
        nest(
          58,
          node("pins", {
            compatible: "a,pins",
            phandle: [PHANDLE],
            "gpio-controller": [],
            "#gpio-cells": [2],
          }),
        ),
        node("user", { compatible: "a,user", "x-gpios": many(120_000, () => [PHANDLE, 1, 0]).flat() }),
      ],
    ],
    [
      "a reference with hundreds of thousands of arguments",
      /^converted$/,
      () => [
        node("clock", { compatible: "a,clock", phandle: [PHANDLE], "#clock-cells": [400_000] }),
        node("user", { compatible: "a,user", clocks: [PHANDLE, ...many(400_000, () => 1)] }),
      ],
    ],
    [
      "interrupts that are looked up in a long map",
      TOO_MANY_STEPS,
      () => [
        node("map", {
          ...SMALL_MAP,
          phandle: [PHANDLE],
          "interrupt-map": many(50_000, (row) => [row, 0x8002, 0, 0, 0, 1, 4]).flat(),
        }),
        ...many(100, (number) =>
          node(`d${number}`, {
            compatible: "a,d",
            "interrupt-parent": [PHANDLE],
            interrupts: many(1000, () => 49_999),
          }),
        ),
      ],
    ],
    [
      "registers behind long lists of windows",
      TOO_MANY_STEPS,
      () => {
        const ranges = many(1024, (row) => [row * 16, row * 16, 16]).flat();
        const cells = { "#address-cells": [1], "#size-cells": [1] };
        let inner = node("d", { compatible: "a,d", reg: many(70_000, () => [1023 * 16, 4]).flat() });
        for (let level = 0; level < 50; level++) {
          inner = node(`b${level}`, { ...cells, ranges, compatible: "a,bus" }, [inner]);
        }
        return [node("top", { ...cells, ranges: [0, 0, 0, 0x4000], compatible: "a,bus" }, [inner])];
      },
    ],
    [
      "nodes with one name for all",
      /^converted$/,
      () => many(15_000, (number) => node(`same@${number}`, { compatible: "a,same" })),
    ],
    [
      "as many devices as a tree may have",
      /^converted$/,
      () => many(50_000, (number) => node(`d${number.toString(36)}`, { compatible: "a" })),
    ],
    [
      "a device with very many properties",
      /^converted$/,
      () => [
        node("d", { compatible: "a,d", ...Object.fromEntries(many(90_000, (number) => [`p${number}`, []])) }),
      ],
    ],
    [
      "distances between a great many domains",
      /^converted$/,
      () => [
        node("distances", {
          compatible: "numa-distance-map-v1",
          "distance-matrix": many(160_000, (row) => [row, row + 1, 20]).flat(),
        }),
      ],
    ],
  ])("%s", (_, outcome, make) => {
    const { outcome: found, milliseconds } = convert(make());
    expect(found).toMatch(outcome);
    expect(milliseconds).toBeLessThan(LIMIT);
  });

  test("redistributors without end", () => {
    const { outcome, milliseconds } = convert([], (root) => {
      const gic = root.children.find(({ name }) => name.startsWith("intc"))!;
      const regions = many(120_000, (number) => [0, 0x1000_0000 + number * 0x2_0000, 0, 0x2_0000]);
      gic.properties.set("reg", cellsOf([0, 0x800_0000, 0, 0x1_0000, ...regions.flat()]));
    });
    expect(outcome).toBe("converted");
    expect(milliseconds).toBeLessThan(LIMIT);
  });

  test("caches below /cpus", () => {
    const { outcome, milliseconds } = convert([], (root) => {
      const cpus = root.children.find(({ name }) => name === "cpus")!;
      cpus.children.push(...many(30_000, (number) => node(`c${number}`, { reg: [number] })));
      root.children.unshift(...many(10_000, (number) => node(`r${number}`, {})));
    });
    expect(outcome).toBe("converted");
    expect(milliseconds).toBeLessThan(LIMIT);
  });

  test("performance monitors of thousands of processors", () => {
    const { outcome, milliseconds } = convert(
      many(8000, (number) =>
        node(`pmu${number}`, {
          compatible: "arm,armv8-pmuv3",
          interrupts: [1, 7, 4, 1, 8, 4],
          "interrupt-affinity": [1],
        }),
      ),
      (root) => {
        const cpus = root.children.find(({ name }) => name === "cpus")!;
        cpus.children.push(...many(4000, (number) => node(`cpu@${number + 1}`, { reg: [number + 1] })));
      },
    );
    expect(outcome).toMatch(TOO_MANY_STEPS);
    expect(milliseconds).toBeLessThan(LIMIT);
  });
});
