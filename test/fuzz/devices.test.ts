import { expect, test } from "vitest";
import { CONFIGURATION, ECAM_FUNCTION_SIZE } from "../../src/devices/pci/constants.ts";
import { VirtioBlock } from "../../src/devices/virtio/block.ts";
import { VirtioConsole } from "../../src/devices/virtio/console.ts";
import { VirtioEntropy } from "../../src/devices/virtio/entropy.ts";
import type { Machine } from "../../src/machine/machine.ts";
import { PE_LAYOUT } from "../../src/memory/pe-layout.ts";
import { VIRT_MAP } from "../../src/platform/virt-map.ts";
import { edgeWord, FUZZ_ACCESSES } from "../support/device-fuzz.ts";
import { Random } from "../support/random.ts";
import { smallMachine } from "../support/small-machine.ts";
import { MemoryDisk } from "../support/virtio-machine.ts";

/** Bytes of an access, as instructions have them, aligned or not. */
const WIDTHS = [1, 2, 4, 8, 16] as const;
/** Empty virtio slots are alike: one of them will do. */
const KEPT_SLOTS = 4;
/** PCI functions of the machine below, without the bridge, and where their BARs 1 and 4 are put. */
const FUNCTIONS = 2;
const BAR_STRIDE = 0x1_0000;
/** Accesses after which the BARs are put back to where they are looked for. */
const PLACED = 200;

function devices() {
  return [
    new VirtioBlock(new MemoryDisk(1 << 16)),
    new VirtioEntropy((length) => new Uint8Array(length)),
    new VirtioConsole({ ports: [{ console: true, output: { write: () => {} } }] }),
  ];
}

/** What software at EL3 sees: PCI's functions with their BARs in the memory window, and as bus masters. */
function placeBars({ bus, memory, elements }: Machine): void {
  const scratch = elements[0]!.base + PE_LAYOUT.SCRATCH;
  const write = (address: number, value: number) => {
    memory.view.setUint32(scratch, value, true);
    bus.writeFrom(address, 4, false, scratch);
  };
  for (let index = 0; index < FUNCTIONS; index++) {
    const at = VIRT_MAP.pcieEcam.base + (index + 1) * 8 * ECAM_FUNCTION_SIZE;
    const base = VIRT_MAP.pcieMmio.base + 2 * index * BAR_STRIDE;
    write(at + CONFIGURATION.BAR + 4, base);
    write(at + CONFIGURATION.BAR + 16, base + BAR_STRIDE);
    write(at + CONFIGURATION.BAR + 20, 0);
    write(at + CONFIGURATION.COMMAND, 6);
  }
}

test(`every device of the board survives ${FUZZ_ACCESSES} random accesses of every width`, {
  timeout: 3_600_000,
}, () => {
  const random = Random.ofThisRun();
  console.log(`seed ${random.seed}`);
  const [mmio, pci] = [devices(), devices().slice(0, FUNCTIONS)];
  const options = { memory: new Uint8Array(4), cpus: 2, translationThreshold: undefined };
  const machine = smallMachine({ ...options, virtio: { mmio, pci } });
  const scratch = machine.elements[0]!.base + PE_LAYOUT.SCRATCH;
  const slots = VIRT_MAP.virtio.base;
  const last = slots + KEPT_SLOTS * 0x200;
  const targets = machine.bus
    .list()
    .filter(({ address }) => !(address >= last && address < slots + VIRT_MAP.virtio.size));
  const names = targets.map(({ device }) => device.name);
  expect(names).toEqual(expect.arrayContaining(["pl011", "pl031", "pl061", "pci-memory", "gic-its"]));
  placeBars(machine);
  // The first function's num_queues: the windows lead somewhere.
  machine.bus.readTo(VIRT_MAP.pcieMmio.base + BAR_STRIDE + 0x12, 2, false, scratch);
  expect(machine.memory.view.getUint16(scratch, true)).toBe(1);
  let answered = 0;
  for (const { address, device } of targets) {
    for (let count = 0; count < FUZZ_ACCESSES; count++) {
      if (device.name.startsWith("pci") && count % PLACED === 0) placeBars(machine);
      const width = random.pick(WIDTHS);
      // Half of the accesses go to where most registers are; PCI functions are 32 KiB apart in configuration space.
      const near = device.name.startsWith("pci") ? 4 * BAR_STRIDE : 4096;
      const span = random.below(2) === 0 ? device.size : Math.min(near, device.size);
      const offset = Math.floor((random.u32() / 2 ** 32) * span);
      const at = address + (random.below(4) === 0 ? offset : offset - (offset % width));
      const secure = random.below(2) === 0;
      let done: boolean;
      if (random.below(2) === 0) done = machine.bus.readTo(at, width, secure, scratch);
      else {
        for (let word = 0; word < width; word += 4)
          machine.memory.view.setUint32(scratch + word, edgeWord(random), true);
        done = machine.bus.writeFrom(at, width, secure, scratch);
      }
      if (done) answered++;
    }
  }
  expect(answered).toBeGreaterThan((targets.length * FUZZ_ACCESSES) / 2);
  // The machine is as good as new after a reset.
  machine.board.reset();
  expect(machine.board.serial.read(0x18, 4)).toBe(0x90);
});
