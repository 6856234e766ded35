import { hex } from "../base/bits.ts";
import type { Clock } from "../base/clock.ts";
import type { InterruptSignals } from "../base/interrupt-controller.ts";
import type { AccessLog } from "../devices/access-log.ts";
import type { ByteSink } from "../devices/byte-sink.ts";
import { Flash } from "../devices/flash.ts";
import { FW_CFG_ITEM, FwCfg } from "../devices/fw-cfg.ts";
import { GicV3 } from "../devices/gic/gic-v3.ts";
import { GITS_TRANSLATER } from "../devices/gic/its.ts";
import { PciHost } from "../devices/pci/host-bridge.ts";
import { Pl011 } from "../devices/pl011.ts";
import { Pl031 } from "../devices/pl031.ts";
import { Pl061 } from "../devices/pl061.ts";
import type { VirtioDevice } from "../devices/virtio/device.ts";
import { VirtioMmio } from "../devices/virtio/mmio-transport.ts";
import { VirtioPci } from "../devices/virtio/pci-transport.ts";
import type { Bus } from "../memory/bus.ts";
import type { PhysicalMap } from "../memory/physical-map.ts";
import type { TracedMemory } from "../memory/traced-memory.ts";
import { cpuAffinity, VIRTIO_MMIO_SLOTS } from "../platform/virt-board.ts";
import { PCI_WIRES, VIRT_GPIO, VIRT_MAP, VIRT_SPI, VIRTIO_SLOT_SIZE } from "../platform/virt-map.ts";
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
  readonly #pci: PciHost;
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
    this.#pci = this.#pciHost();
    if (secure) this.#secureDevices();
  }

  /** Puts virtio devices into the slots of each bus, in their order; other slots stay empty. To be called once. */
  connectVirtio(mmio: readonly VirtioDevice[], pci: readonly VirtioDevice[] = []): void {
    const memory = this.#parts.guest.inWorld(false);
    const { log } = this.#parts;
    for (let slot = 0; slot < VIRTIO_MMIO_SLOTS; slot++) {
      const device = mmio[slot];
      const line = this.gic.spi(VIRT_SPI.firstVirtio + slot);
      const transport = new VirtioMmio({ memory, line, log, ...(device && { device }) });
      this.#add(VIRT_MAP.virtio.base + slot * VIRTIO_SLOT_SIZE, transport);
    }
    // Slot 0 is the host bridge's.
    pci.forEach((device, index) => {
      this.#pci.plug(index + 1, (slot) => new VirtioPci({ memory, device, log }, slot));
    });
  }

  /** Back to power-on, disks and flash contents aside. */
  reset(): void {
    for (const device of this.#resettable) device.reset();
  }

  /** Levels of the lines of the GPIO controller; bit N is line N. */
  get gpioLevels(): number {
    return this.#gpio.levels;
  }

  /** Drives a line of the GPIO controller from outside. */
  setGpioLine(line: number, level: boolean): void {
    this.#gpio.input(line).set(level);
  }

  /** Presses and releases the power button. */
  pressPowerButton(): void {
    this.setGpioLine(VIRT_GPIO.powerButton, true);
    this.setGpioLine(VIRT_GPIO.powerButton, false);
  }

  #add<T extends Parameters<Bus["attach"]>[1]>(address: number, device: T, secure = false): T {
    this.#parts.bus.attach(address, device, { secure });
    this.#resettable.push(device);
    return device;
  }

  #interruptController(): GicV3 {
    const { cpus, secure, virtualization, plan, bus, guest, log, onSignal } = this.#parts;
    const gic = new GicV3({
      peCount: cpus,
      affinities: Array.from({ length: cpus }, (_, index) => {
        const affinity = cpuAffinity(index);
        return { aff0: affinity & 0xff, aff1: (affinity >> 8) & 0xff, aff2: 0, aff3: 0 };
      }),
      security: secure,
      virtualization,
      resetNonSecure: plan.interruptsNonSecure,
      lpiMemory: guest.inWorld(false),
      onSignal,
      log,
    });
    bus.attach(VIRT_MAP.gicDistributor.base, gic.distributor);
    bus.attach(VIRT_MAP.gicRedistributors.base, gic.redistributors);
    if (gic.translationService !== undefined)
      bus.attach(VIRT_MAP.gicTranslationService.base, gic.translationService);
    this.#resettable.push(gic);
    return gic;
  }

  #pciHost(): PciHost {
    const { pcieMmio, pciePio, pcieHighMmio, pcieEcam } = VIRT_MAP;
    const host = new PciHost({
      ecamSize: pcieEcam.size,
      windows: [
        { name: "pci-memory", space: "memory", busAddress: pcieMmio.base, size: pcieMmio.size },
        { name: "pci-io", space: "io", busAddress: 0, size: pciePio.size },
        { name: "pci-high-memory", space: "memory", busAddress: pcieHighMmio.base, size: pcieHighMmio.size },
      ],
      interrupts: Array.from({ length: PCI_WIRES }, (_, wire) => this.gic.spi(VIRT_SPI.firstPci + wire)),
      sendMessage: (requester, address, data) => this.#deliverMessage(requester, address, data),
    });
    this.#add(pcieEcam.base, host.ecam);
    [pcieMmio, pciePio, pcieHighMmio].forEach(({ base }, index) => {
      this.#add(base, host.windows[index]!);
    });
    return host;
  }

  /** A device's message is a write like any other; the translation service sees who wrote. */
  #deliverMessage(requester: number, address: number, data: number): void {
    const { guest, log } = this.#parts;
    if (address === VIRT_MAP.gicTranslationService.base + GITS_TRANSLATER)
      this.gic.translationService?.translate(requester, data);
    else if (!guest.inWorld(false).write32(address, data))
      log.report("pci", `message to ${hex(address)}, where nothing takes it`);
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
