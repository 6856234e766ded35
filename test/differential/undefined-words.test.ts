import { expect, test } from "vitest";
import { disassemble } from "../../src/isa/disassembler.ts";
import { DECODER, IMPLEMENTED_FEATURES } from "../../src/isa/table.ts";
import { undefinedInQemu } from "../support/qemu-undefined.ts";
import { Random } from "../support/random.ts";

const COUNT = process.env["ELVISOR_FULL"] ? 10_000_000 : 1_000_000;
const BATCH = 1_000_000;

/** Rows whose being UNDEFINED depends on the exception level or the register named: not the decoder's business. */
const PROCESSOR_DECIDES =
  /^(HVC|SMC|HLT|DCPS|DC)_|exception$|^(MSR|MRS|SYS|SYSL)_|^MSR_imm|^DC_ZVA|^(ERET|DRPS)_/;

/** Words that QEMU 7.2 treats as instructions although DDI 0487 leaves them unallocated. */
const QEMU_ACCEPTS: readonly { readonly mask: number; readonly value: number; readonly reason: string }[] = [
  {
    mask: 0xbff8fc00,
    value: 0x2f00fc00,
    reason: "C4.1 modified immediate: FMOV of half precision has op 0 only",
  },
  {
    mask: 0xaf7fcc00,
    value: 0x0e70c800,
    reason: "C4.1 scalar pairwise, across lanes: bit 22 is 0 for half precision",
  },
];

/** Words that cannot be tried. */
function isUntried(word: number): boolean {
  // QEMU 7.2 aborts on unallocated words of "two-register miscellaneous (FP16)" (C4.1).
  if ((word & 0x8f7e0c00) === 0x0e780800 && !DECODER.match(word)) return true;
  // A branch to itself never ends.
  return disassemble(word, 0n).endsWith(" 0x0");
}

test(`${COUNT} random words are UNDEFINED where QEMU's Neoverse N1 raises SIGILL`, {
  timeout: 1_800_000,
}, () => {
  const random = Random.ofThisRun();
  console.log(`seed ${random.seed}`);
  const differences: string[] = [];
  let compared = 0;
  for (let rest = COUNT; rest > 0; rest -= BATCH) {
    const words: number[] = [];
    while (words.length < Math.min(rest, BATCH)) {
      const word = random.u32();
      if (!isUntried(word)) words.push(word);
    }
    const answers = undefinedInQemu(words, "neoverse-n1");
    words.forEach((word, index) => {
      const row = DECODER.match(word)?.row.instruction;
      const ours = DECODER.decode(word, IMPLEMENTED_FEATURES) === undefined;
      // Later extensions are UNDEFINED here and may be implemented there.
      if (row && (!row.execute || PROCESSOR_DECIDES.test(row.name))) return;
      compared++;
      const theirs = answers[index]!;
      if (ours === theirs) return;
      if (ours && QEMU_ACCEPTS.some(({ mask, value }) => (word & mask) >>> 0 === value)) return;
      const what = `${row?.name ?? "no row"}: ${disassemble(word, 0n)}`;
      differences.push(
        `${word.toString(16).padStart(8, "0")} ${ours ? "ours" : "QEMU's"} UNDEFINED, ${what}`,
      );
    });
  }
  expect(differences.slice(0, 40)).toEqual([]);
  expect(compared).toBeGreaterThan(COUNT / 2);
});
