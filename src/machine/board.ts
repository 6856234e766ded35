import type { Clock } from "../base/clock.ts";
import type { InterruptSignals } from "../base/interrupt-controller.ts";
import type { AccessLog } from "../devices/access-log.ts";
import type { ByteSink } from "../devices/byte-sink.ts";
import { EmptyWindow } from "../devices/empty-window.ts";
import { Flash } from "../devices/flash.ts";
import { FW_CFG_ITEM, FwCfg } from "../devices/fw-cfg.ts";
import { GicV3 } from "../devices/gic/gic-v3.ts";
import { Pl011 } from "../devices/pl011.ts";
import { Pl031 } from "../devices/pl031.ts";
import { Pl061 } from "../devices/pl061.ts";
import type { VirtioDevice } from "../devices/virtio/device.ts";
import { VirtioMmio } from "../devices/virtio/mmio-transport.ts";
import type { Bus } from "../memory/bus.ts";
import type { PhysicalMap } from "../memory/physical-map.ts";
import type { TracedMemory } from "../memory/traced-memory.ts";
import { cpuAffinity, VIRTIO_MMIO_SLOTS } from "../platform/virt-board.ts";
import { VIRT_GPIO, VIRT_MAP, VIRT_SPI, VIRTIO_SLOT_SIZE } from "../platform/virt-map.ts";
import type { BootPlan } from "./boot/boot-plan.ts";
import { FlashContents, type FlashWritten } from "./flash-contents.ts";

export interface BoardParts {
  readonly map: PhysicalMap;
  readonly bus: Bus;
  readonly guest: TracedMemory;
  readonly clock: Clock;
  readonly log: AccessLog;
  readonly memoryBytes: number;
  readonly cpus: number;
  readonly secure: boolean;
  readonly virtualization: boolean;
  readonly plan: BootPlan;
  readonly serial: ByteSink;
  readonly onSignal: (element: number, signals: InterruptSignals) => void;
  /** The guest wrote to flash 1; see {@link FlashWritten}. */
  readonly onVariablesWritten?: FlashWritten | undefined;
  /** The guest asks through the Secure GPIO to switch off or to restart. */
  readonly onSecurePower: (what: "off" | "restart") => void;
}

/** The devices of the `virt` board, on the bus and wired to the interrupt controller. */
export class VirtBoard {
  readonly gic: GicV3;
  readonly serial: Pl011;
  /** What the flash banks hold. */
  readonly flash: readonly FlashContents[];
  readonly #gpio: Pl061;
  readonly #resettable: { reset(): void }[] = [];
  readonly #parts: BoardParts;

  constructor(parts: BoardParts) {
    this.#parts = parts;
    const { map, memoryBytes, secure } = parts;
    map.mapRam(VIRT_MAP.ram.base, memoryBytes);
    if (secure) map.mapRam(VIRT_MAP.secureRam.base, VIRT_MAP.secureRam.size, { secure: true });
    this.gic = this.#interruptController();
    this.serial = this.#serialPort("pl011", VIRT_MAP.pl011.base, VIRT_SPI.pl011, parts.serial);
    this.#gpio = this.#add(
      VIRT_MAP.pl061.base,
      new Pl061({ line: this.gic.spi(VIRT_SPI.pl061), log: parts.log }),
    );
    this.#add(
      VIRT_MAP.pl031.base,
      new Pl031({ clock: parts.clock, line: this.gic.spi(VIRT_SPI.pl031), log: parts.log }),
    );
    this.#firmwareConfiguration();
    this.flash = [
      this.#flashBank("flash0", VIRT_MAP.flash0.base, secure, parts.plan.flash),
      this.#flashBank("flash1", VIRT_MAP.flash1.base, false, parts.plan.variables, parts.onVariablesWritten),
    ];
    // Not in our device tree; QEMU's names it, and a kernel that was given that one looks for devices there.
    const { base, size } = VIRT_MAP.pcieEcam;
    this.#add(base, new EmptyWindow("pci-configuration", size));
    if (secure) this.#secureDevices();
  }

  /** Puts virtio devices into the slots, in their order; the other slots stay empty. To be called once. */
  connectVirtio(devices: readonly VirtioDevice[]): void {
    const memory = this.#parts.guest.inWorld(false);
    for (let slot = 0; slot < VIRTIO_MMIO_SLOTS; slot++) {
      const device = devices[slot];
      const line = this.gic.spi(VIRT_SPI.firstVirtio + slot);
      const transport = new VirtioMmio({ memory, line, log: this.#parts.log, ...(device && { device }) });
      this.#add(VIRT_MAP.virtio.base + slot * VIRTIO_SLOT_SIZE, transport);
    }
  }

  /** Back to power-on, disks and flash contents aside. */
  reset(): void {
    for (const device of this.#resettable) device.reset();
  }

  /** Presses and releases the power button. */
  pressPowerButton(): void {
    const button = this.#gpio.input(VIRT_GPIO.powerButton);
    button.set(true);
    button.set(false);
  }

  #add<T extends Parameters<Bus["attach"]>[1]>(address: number, device: T, secure = false): T {
    this.#parts.bus.attach(address, device, { secure });
    this.#resettable.push(device);
    return device;
  }

  #interruptController(): GicV3 {
    const { cpus, secure, virtualization, plan, bus, log, onSignal } = this.#parts;
    const gic = new GicV3({
      peCount: cpus,
      affinities: Array.from({ length: cpus }, (_, index) => {
        const affinity = cpuAffinity(index);
        return { aff0: affinity & 0xff, aff1: (affinity >> 8) & 0xff, aff2: 0, aff3: 0 };
      }),
      security: secure,
      virtualization,
      resetNonSecure: plan.interruptsNonSecure,
      onSignal,
      log,
    });
    bus.attach(VIRT_MAP.gicDistributor.base, gic.distributor);
    bus.attach(VIRT_MAP.gicRedistributors.base, gic.redistributors);
    this.#resettable.push(gic);
    return gic;
  }

  #serialPort(name: string, address: number, interrupt: number, output: ByteSink, secure = false): Pl011 {
    const line = this.gic.spi(interrupt);
    return this.#add(address, new Pl011({ name, line, output, log: this.#parts.log }), secure);
  }

  #firmwareConfiguration(): void {
    const { guest, plan, memoryBytes, cpus, log } = this.#parts;
    const { kernel, initrd, commandLine } = plan.firmwareConfiguration ?? {};
    const line = commandLine === undefined ? undefined : new TextEncoder().encode(`${commandLine}\0`);
    const items = new Map<number, Uint8Array>([
      [FW_CFG_ITEM.RAM_SIZE, integer(memoryBytes, 8)],
      [FW_CFG_ITEM.CPU_COUNT, integer(cpus, 2)],
      [FW_CFG_ITEM.KERNEL_SIZE, integer(kernel?.length ?? 0, 4)],
      [FW_CFG_ITEM.INITRD_SIZE, integer(initrd?.length ?? 0, 4)],
      [FW_CFG_ITEM.COMMAND_LINE_SIZE, integer(line?.length ?? 0, 4)],
    ]);
    if (kernel !== undefined) items.set(FW_CFG_ITEM.KERNEL_DATA, kernel);
    if (initrd !== undefined) items.set(FW_CFG_ITEM.INITRD_DATA, initrd);
    if (line !== undefined) items.set(FW_CFG_ITEM.COMMAND_LINE_DATA, line);
    this.#add(
      VIRT_MAP.fwCfg.base,
      new FwCfg({ memory: guest.inWorld(false), files: plan.firmwareFiles, items, log }),
    );
  }

  #flashBank(
    name: string,
    address: number,
    secure: boolean,
    contents: Uint8Array | undefined,
    written?: FlashWritten,
  ): FlashContents {
    const { map, guest, log } = this.#parts;
    const { size } = VIRT_MAP.flash0;
    const storage = new FlashContents({ map, guest, address, secure, contents, written });
    const onModeChange = (arrayMode: boolean): void => storage.setVisible(arrayMode);
    this.#add(address, new Flash({ name, size, storage, onModeChange, log }), secure);
    return storage;
  }

  #secureDevices(): void {
    const { serial, log, onSecurePower } = this.#parts;
    this.#serialPort("secure pl011", VIRT_MAP.securePl011.base, VIRT_SPI.securePl011, serial, true);
    const line = this.gic.spi(VIRT_SPI.securePl061);
    const onOutput = (index: number, level: boolean): void => {
      if (!level) return;
      if (index === VIRT_GPIO.securePowerOff) onSecurePower("off");
      if (index === VIRT_GPIO.secureRestart) onSecurePower("restart");
    };
    this.#add(VIRT_MAP.securePl061.base, new Pl061({ name: "secure pl061", line, onOutput, log }), true);
  }
}

/** Little-endian bytes of an integer below 2^53. */
function integer(value: number, length: 2 | 4 | 8): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes.slice(0, length);
}
