import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { FW_CFG_ITEM, FW_CFG_REGISTERS } from "../../src/devices/fw-cfg.ts";
import { VIRT_MAP } from "../../src/platform/virt-map.ts";

/** Where the DMA request, and what it reads, lie in QEMU's memory. */
const REQUEST = VIRT_MAP.ram.base;
const BUFFER = VIRT_MAP.ram.base + 0x1000;
/** Control word of an FWCfgDmaAccess: select the item in the upper half, and read. */
const SELECT_AND_READ = 8 | 2;
const DIRECTORY_ENTRY = 64;

/**
 * All named files in the firmware configuration device of a QEMU machine: what firmware would see there. No
 * processor runs; the device is driven through QEMU's test protocol.
 */
export async function qemuFirmwareFiles(
  machineArguments: readonly string[],
): Promise<Map<string, Uint8Array>> {
  const qemu = spawn(
    "qemu-system-aarch64",
    [...machineArguments, "-display", "none", "-nodefaults", "-S", "-qtest", "stdio", "-qtest-log", "none"],
    { stdio: ["pipe", "pipe", "pipe"] },
  );
  const errors: string[] = [];
  qemu.stderr.setEncoding("utf8").on("data", (text: string) => errors.push(text));
  try {
    const lines = createInterface({ input: qemu.stdout })[Symbol.asyncIterator]();
    const command = async (text: string): Promise<string> => {
      qemu.stdin.write(`${text}\n`);
      for (;;) {
        const line = await lines.next();
        if (line.done === true) throw new Error(`QEMU ended: ${errors.join("")}`);
        if (line.value.startsWith("OK")) return line.value.slice(3);
        if (!line.value.startsWith("IRQ")) throw new Error(`QEMU answers "${line.value}" to ${text}`);
      }
    };
    const item = async (selector: number, length: number): Promise<Uint8Array> => {
      const request = Buffer.alloc(16);
      request.writeUInt32BE(selector * 0x1_0000 + SELECT_AND_READ, 0);
      request.writeUInt32BE(length, 4);
      request.writeBigUInt64BE(BigInt(BUFFER), 8);
      await command(`write ${REQUEST} 16 0x${request.toString("hex")}`);
      const address = Buffer.alloc(8);
      address.writeBigUInt64BE(BigInt(REQUEST));
      const register = VIRT_MAP.fwCfg.base + FW_CFG_REGISTERS.DMA_HIGH;
      await command(`writeq ${register} 0x${address.readBigUInt64LE().toString(16)}`);
      const answer = await command(`read ${BUFFER} ${length}`);
      return new Uint8Array(Buffer.from(answer.slice(2), "hex"));
    };
    const count = Buffer.from(await item(FW_CFG_ITEM.FILE_DIRECTORY, 4)).readUInt32BE();
    const directory = Buffer.from(await item(FW_CFG_ITEM.FILE_DIRECTORY, 4 + count * DIRECTORY_ENTRY));
    const files = new Map<string, Uint8Array>();
    for (let at = 4; at < directory.length; at += DIRECTORY_ENTRY) {
      const name = directory.toString("latin1", at + 8, at + DIRECTORY_ENTRY).replace(/\0.*$/s, "");
      const [length, selector] = [directory.readUInt32BE(at), directory.readUInt16BE(at + 4)];
      files.set(name, length === 0 ? new Uint8Array(0) : await item(selector, length));
    }
    return files;
  } finally {
    const ended = once(qemu, "exit");
    qemu.kill();
    await ended;
  }
}
