import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { hex } from "../../base/bits.ts";
import { UserError } from "../../base/errors.ts";
import { assemble } from "../../isa/assembler.ts";
import { disassemble } from "../../isa/disassembler.ts";
import type { Host } from "./host.ts";
import { readInputFile, writeOutputFile } from "./user-files.ts";

const WORD_SIZE = 4;

/** `elvisor asm`: assembles a file, a line given as the argument, or standard input. */
export async function asmCommand(
  source: string | undefined,
  options: { readonly address?: bigint; readonly output?: string | undefined },
  host: Host,
): Promise<void> {
  const { address = 0n } = options;
  if (address % BigInt(WORD_SIZE) !== 0n) {
    throw new UserError(`The address ${hex(address)} is no multiple of 4; instructions begin at one.`, {
      exitStatus: 2,
    });
  }
  const { bytes, origin } = assemble(await readSource(source, host), { origin: address });
  if (options.output === undefined) listWords(bytes, origin, host);
  else await writeOutputFile(options.output, bytes);
}

/** Something with a blank, or that names no file and looks like none, is the program itself. */
async function readSource(source: string | undefined, host: Host): Promise<string> {
  if (source === undefined || source === "-") return await text(host.stdin);
  if (!existsSync(source) && (/\s/.test(source) || !/[./]/.test(source))) return source;
  return new TextDecoder().decode((await readInputFile(source, "assembly source")).bytes);
}

/** `elvisor disasm`: disassembles words given as arguments, a binary file, or standard input. */
export async function disasmCommand(
  sources: readonly string[],
  options: { readonly address?: bigint },
  host: Host,
): Promise<void> {
  listWords(await readWords(sources, host), options.address ?? 0n, host);
}

async function readWords(sources: readonly string[], host: Host): Promise<Uint8Array> {
  const [first] = sources;
  if (first === undefined || first === "-") {
    const pieces: Uint8Array[] = [];
    for await (const piece of host.stdin) pieces.push(piece as Uint8Array);
    return Buffer.concat(pieces);
  }
  if (sources.length === 1 && existsSync(first)) return await readFile(first);
  const words = Buffer.alloc(sources.length * WORD_SIZE);
  for (const [index, source] of sources.entries()) {
    if (!/^(0x)?[0-9a-f]{1,8}$/i.test(source)) {
      if (sources.length === 1) return (await readInputFile(source, "binary file")).bytes;
      throw new UserError(
        `"${source}" is not an instruction word; give 32 bits in hexadecimal, such as d503201f.`,
        {
          exitStatus: 2,
        },
      );
    }
    words.writeUInt32LE(Number.parseInt(source, 16), index * WORD_SIZE);
  }
  return words;
}

/** One line a word; bytes left over at the end are shown as bytes. */
function listWords(bytes: Uint8Array, origin: bigint, host: Host): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const lines: string[] = [];
  const whole = bytes.length - (bytes.length % WORD_SIZE);
  for (let offset = 0; offset < whole; offset += WORD_SIZE) {
    const word = view.getUint32(offset, true);
    const address = BigInt.asUintN(64, origin + BigInt(offset));
    lines.push(`${addressText(address)}:  ${hex(word, 8).slice(2)}  ${disassemble(word, address)}`);
  }
  if (whole < bytes.length) {
    const rest = [...bytes.subarray(whole)].map((byte) => hex(byte));
    lines.push(`${addressText(origin + BigInt(whole))}:  .byte ${rest.join(", ")}`);
  }
  host.stdout.write(lines.map((line) => `${line}\n`).join(""));
}

function addressText(address: bigint): string {
  return hex(address, 8).slice(2);
}
