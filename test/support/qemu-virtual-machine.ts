import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type {
  ByteOutput,
  ExitReason,
  VirtualMachine,
  VirtualMachineFactory,
  VirtualMachineOptions,
} from "../../src/machine/virtual-machine-interface.ts";
import { HOST_PACE, NO_GUEST_TOOLS } from "./no-guest-tools.ts";

/** One byte stream between QEMU and us, over a socket in the file system. */
class Channel {
  readonly #server: Server;
  readonly #connected: Promise<Socket>;

  constructor(path: string, output: ByteOutput) {
    this.#server = createServer().listen(path);
    this.#connected = new Promise((resolve) => {
      this.#server.once("connection", (socket) => {
        socket.on("error", () => {});
        socket.on("data", async (bytes) => {
          socket.pause();
          await output(new Uint8Array(bytes));
          socket.resume();
        });
        resolve(socket);
      });
    });
  }

  async send(bytes: Uint8Array): Promise<void> {
    const socket = await this.#connected;
    if (!socket.write(bytes)) await new Promise((resolve) => socket.once("drain", resolve));
  }

  end(): void {
    void this.#connected.then((socket) => socket.end());
  }

  close(): void {
    this.#server.close();
  }
}

/** Our machine's interface to hosts with QEMU behind it: what the command line does can be told from the machine. */
export const createQemuMachine: VirtualMachineFactory = qemuMachineFactory("cortex-a57");

/** The same with another of QEMU's processors. */
export function qemuMachineFactory(processor: string): VirtualMachineFactory {
  return async (options) => new QemuMachine(options, processor);
}

class QemuMachine implements VirtualMachine {
  readonly serial: Channel;
  readonly console: (Channel & { resize(columns: number, rows: number): void }) | undefined;
  readonly ports: ReadonlyMap<string, Channel>;
  readonly publishedPorts = [];
  readonly guest = NO_GUEST_TOOLS;
  readonly pace = HOST_PACE;
  readonly #directory = mkdtempSync(join(tmpdir(), "elvisor-qemu-"));
  readonly #words: string[];
  #process: ChildProcess | undefined;
  #stopped = false;
  /** QEMU ends in the same way for both; Linux says which it is. */
  #rebooted = false;

  constructor(options: VirtualMachineOptions, processor: string) {
    const { memoryBytes, cpus, commandLine, secure, virtualization } = options;
    const machine = `virt,gic-version=3,secure=${secure ? "on" : "off"},virtualization=${virtualization ? "on" : "off"}`;
    this.#words = ["-M", machine, "-cpu", processor, "-m", `${memoryBytes / 2 ** 20}M`, "-smp", String(cpus)];
    this.#words.push(
      "-global",
      "virtio-mmio.force-legacy=false",
      "-display",
      "none",
      "-monitor",
      "none",
      "-no-reboot",
      // Its default network card needs a boot ROM that Debian packs apart.
      "-nic",
      "none",
    );
    this.#file("-kernel", options.kernel?.bytes);
    this.#file("-initrd", options.initrd?.bytes);
    this.#file("-dtb", options.deviceTree?.bytes);
    this.#file("-bios", options.firmware?.bytes);
    if (commandLine !== undefined) this.#words.push("-append", commandLine);
    this.serial = this.#channel("serial", (bytes) => {
      this.#rebooted ||= Buffer.from(bytes).includes("reboot: Restarting system");
      return options.serial(bytes);
    });
    this.#words.push("-serial", "chardev:serial");
    const onPci = options.virtioBus === "pci";
    const serial = onPci ? "virtio-serial-pci,disable-legacy=on" : "virtio-serial-device";
    if (onPci) {
      this.#words.push("-device", "virtio-rng-pci,disable-legacy=on");
      for (const [index, { size }] of (options.drives ?? []).entries()) this.#emptyDrive(index, size);
    }
    if (options.console !== undefined) {
      this.#words.push("-device", serial, "-device", "virtconsole,chardev=console");
      this.console = Object.assign(this.#channel("console", options.console.output), { resize: () => {} });
    }
    const ports = new Map<string, Channel>();
    if (options.ports !== undefined) this.#words.push("-device", `${serial},id=ports`);
    for (const [index, { name, output }] of (options.ports ?? []).entries()) {
      ports.set(name, this.#channel(`port${index}`, output));
      this.#words.push(
        "-device",
        `virtserialport,bus=ports.0,nr=${index + 1},chardev=port${index},name=${name}`,
      );
    }
    this.ports = ports;
  }

  #file(option: string, bytes: Uint8Array | undefined): void {
    if (bytes === undefined) return;
    const path = join(this.#directory, option.slice(1));
    writeFileSync(path, bytes);
    this.#words.push(option, path);
  }

  /** A disk of zeros: the kernel's messages do not depend on what it holds. */
  #emptyDrive(index: number, size: number): void {
    const path = join(this.#directory, `drive${index}`);
    writeFileSync(path, "");
    truncateSync(path, size);
    this.#words.push("-drive", `file=${path},format=raw,if=none,id=drive${index}`);
    this.#words.push("-device", `virtio-blk-pci,disable-legacy=on,drive=drive${index}`);
  }

  #channel(name: string, output: ByteOutput): Channel {
    const path = join(this.#directory, name);
    this.#words.push("-chardev", `socket,id=${name},path=${path}`);
    return new Channel(path, output);
  }

  async run(): Promise<ExitReason> {
    const child = spawn("qemu-system-aarch64", this.#words, { stdio: ["ignore", "ignore", "pipe"] });
    this.#process = child;
    let errors = "";
    child.stderr.on("data", (piece: Buffer) => {
      errors += piece.toString();
    });
    if (this.#stopped) child.kill();
    const status = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    // What QEMU wrote last may still be in a socket.
    await new Promise((resolve) => setTimeout(resolve, 50));
    for (const channel of [this.serial, this.console, ...this.ports.values()]) channel?.close();
    rmSync(this.#directory, { recursive: true, force: true });
    if (this.#stopped) return { kind: "stopped" };
    return status === 0
      ? { kind: "power-off" }
      : { kind: "failed", sentence: `QEMU ended with ${status}: ${errors}` };
  }

  stop(): void {
    this.#stopped = true;
    this.#process?.kill();
  }

  stats() {
    return { engine: "qemu" };
  }
}
