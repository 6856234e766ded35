import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { buildInitramfs } from "../../src/node/images/initramfs.ts";
import { encodeCells, encodeStrings } from "../../src/platform/device-tree/property-values.ts";
import { readDeviceTree } from "../../src/platform/device-tree/reader.ts";
import { createNode, type DeviceTreeNode, findNode } from "../../src/platform/device-tree/tree.ts";
import { writeDeviceTree } from "../../src/platform/device-tree/writer.ts";
import { virtDeviceTreeBlob } from "../../src/platform/virt-device-tree.ts";
import { kernelWith, programArchive } from "../support/debian-packages.ts";
import { type Guest, withGuest } from "../support/guest.ts";
import { busyboxFile } from "../support/guest-images.ts";

const FULL = process.env["ELVISOR_FULL"] === "1";
const MEBIBYTES = 512;
/** A kernel for every machine, which evaluates AML besides, on a busy host. */
const BOOT_SECONDS = 400;
const LED_LINE = 5;
const KEY_LINE = 4;
/** Linux's input event code KEY_ENTER. */
const KEY_ENTER = 28;
/** What a machine that does not know them drives in the guest: modules of Debian's kernel for every machine. */
const MODULES = ["leds_gpio", "gpio_keys", "evdev"];
const DIRECTORIES = /\/kernel\/(drivers\/(virtio|block|char|leds|input)|lib)\/.*\.ko(\.(xz|gz|zst))?$/;

function node(name: string, properties: Readonly<Record<string, Uint8Array>>): DeviceTreeNode {
  const made = createNode(name);
  for (const [key, value] of Object.entries(properties)) made.properties.set(key, value);
  return made;
}

/** Our board, on whose GPIO controller there are a light and a key besides the power button. */
function board(): Uint8Array {
  const options = { memoryBytes: MEBIBYTES * 2 ** 20, cpus: 1, secure: false, virtualization: false };
  const tree = readDeviceTree(virtDeviceTreeBlob(options), "virt");
  const phandle = findNode(tree, "/pl061@9030000")!.properties.get("phandle")!;
  const gpios = (line: number) => new Uint8Array([...phandle, ...encodeCells(line, 0)]);
  const leds = node("leds", { compatible: encodeStrings("gpio-leds") });
  leds.children.push(node("led-0", { label: encodeStrings("probe:green"), gpios: gpios(LED_LINE) }));
  const key = { label: encodeStrings("Probe"), "linux,code": encodeCells(KEY_ENTER), gpios: gpios(KEY_LINE) };
  findNode(tree, "/gpio-keys")!.children.push(node("enter", key));
  tree.root.children.push(leds);
  return writeDeviceTree(tree);
}

/** "path driver" of the devices that drivers were bound to by names of a device tree, under ACPI. */
const BOUND = `for d in /sys/bus/platform/devices/PRP0001:*; do
  [ -e $d/driver ] && echo $(cat $d/firmware_node/path) $(basename $(readlink $d/driver)); done`;

async function until(what: () => boolean): Promise<void> {
  for (let tries = 0; !what(); tries++) {
    if (tries > 600) throw new Error("the machine's lines do not change");
    await delay(50);
  }
}

async function pressKey({ machine }: Guest): Promise<void> {
  machine.gpio!.set(KEY_LINE, true);
  // Longer than the driver's time against bouncing, in a guest that may be slow.
  await delay(1500);
  machine.gpio!.set(KEY_LINE, false);
  await delay(1500);
}

test.runIf(FULL).each(["auto", "off"] as const)(
  "lights and keys on the GPIO controller work by the drivers for device trees, --acpi %s",
  async (acpi) => {
    const { kernel, modules } = await kernelWith("kernel:6.12-generic", MODULES, DIRECTORIES);
    const session = { kind: "shell", terminal: "dumb", size: undefined } as const;
    const initrd = {
      name: "initrd",
      bytes: Buffer.concat([
        buildInitramfs((await busyboxFile()).bytes, modules, session),
        await programArchive({ evtest: "evtest" }),
      ]),
    };
    const options = {
      kernel: "kernel:6.12-generic",
      boot: { kernel, initrd },
      memoryMebibytes: MEBIBYTES,
    } as const;
    const probe = async (guest: Guest) => {
      const { gpio } = guest.machine;
      await guest.output(
        "for d in /sys/bus/platform/devices/*; do modprobe -q $(cat $d/modalias); done; true",
      );
      await guest.output("modprobe evdev");
      if (acpi === "auto") {
        const bound = (await guest.output(BOUND)).trim().split("\n").toSorted();
        expect(bound.map((line) => line.replace(/^\S+\./, ""))).toEqual(
          expect.arrayContaining([
            expect.stringMatching(/ gpio-keys$/),
            expect.stringMatching(/ leds-gpio$/),
          ]),
        );
      }
      const led = "/sys/class/leds/probe:green/brightness";
      for (const [value, level] of [
        ["1", 1 << LED_LINE],
        ["0", 0],
        ["1", 1 << LED_LINE],
      ] as const) {
        await guest.output(`echo ${value} >${led}`);
        await until(() => (gpio!.levels & (1 << LED_LINE)) === level);
      }
      await guest.output("evtest /dev/input/event0 >/tmp/events 2>&1 & sleep 2");
      await pressKey(guest);
      const events = await guest.output("cat /tmp/events");
      expect(events).toMatch(/EV_KEY\), code 28 \(KEY_ENTER\), value 1/);
      expect(events).toMatch(/EV_KEY\), code 28 \(KEY_ENTER\), value 0/);
      expect(await guest.output("dmesg")).not.toMatch(
        /ACPI (BIOS )?(Error|Warning|Exception)|Firmware (Bug|Warn)/i,
      );
    };
    await withGuest({ ...options, acpi, deviceTree: board() }, probe, BOOT_SECONDS);
  },
  800_000,
);
