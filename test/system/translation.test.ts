import { describe, expect, it } from "vitest";
import { Random } from "../support/random.ts";
import { BareMachine } from "./bare-machine.ts";
import { runOnQemu } from "./qemu.ts";
import { AT_NAMES, translationProgram } from "./translation-program.ts";

/** Values of PAR_EL1 that are compared, at least: one for each table, address and instruction. */
const VALUES = process.env["ELVISOR_FULL"] === "1" ? 1_000_000 : 1;

const FAULT = 1n;
const ON_WALK = 1n << 8n;
const SHAREABILITY = 3n << 7n;
const OUTER = 2n << 7n;
const LEVEL = 3n << 1n;
/** Address size fault at level 0 of stage 1: the address is no physical address here, with 44 bits. */
const NOT_PHYSICAL = 0x801n;

/** Device memory types of PAR_EL1.ATTR. */
const [nGnRE, nGRE, GRE] = [0x04n, 0x08n, 0x0cn];

/**
 * What QEMU 7.2 says, corrected where it errs. Device memory and Normal memory that is not cacheable are
 * outer shareable in PAR_EL1 (D19.2.108, SH); a stage 2 fault of a table walk has stage 2's level, where
 * QEMU gives stage 1's; Normal memory with 4 in the inner nibble is not nGnRE Device memory when it is combined
 * with Device memory of stage 2; and `neoverse-n1` has 48 bits of physical address.
 */
function corrected(theirs: bigint, ours: bigint): bigint {
  if (ours === NOT_PHYSICAL) return ours;
  if ((theirs & FAULT) !== 0n) {
    return (theirs & ours & ON_WALK) === 0n ? theirs : (theirs & ~LEVEL) | (ours & LEVEL);
  }
  const attributes = theirs >> 56n;
  if (attributes === nGnRE && (ours >> 56n === nGRE || ours >> 56n === GRE)) return ours;
  const isOuter = (attributes & 0xf0n) === 0n || attributes === 0x44n;
  return isOuter ? (theirs & ~SHAREABILITY) | OUTER : theirs;
}

function values(output: string): bigint[][] {
  return output
    .trim()
    .split("\n")
    .map((line) => {
      let last = 0n;
      return line
        .trim()
        .split(/\s+/)
        .map((digits) => {
          if (digits !== "=") last = BigInt(`0x${digits}`);
          return last;
        });
    });
}

describe("AT through random tables", () => {
  it("gives the PAR_EL1 of QEMU", async () => {
    const random = Random.ofThisRun();
    console.log(`seed ${random.seed}`);
    let compared = 0;
    while (compared < VALUES) {
      const { program, cases } = translationProgram(random);
      const theirs = values(await runOnQemu(program));
      const ours = values(new BareMachine(program).run(1e8));
      const addresses = cases.flatMap((each) => each.addresses.map((address) => ({ each, address })));
      expect(theirs).toHaveLength(addresses.length);
      const different: string[] = [];
      addresses.forEach(({ each, address }, line) => {
        AT_NAMES.forEach((name, column) => {
          const mine = ours[line]?.[column] ?? 0n;
          const other = corrected(theirs[line]?.[column] ?? 0n, mine);
          if (mine === other) return;
          const registers = Object.entries(each.registers).map(
            ([key, value]) => `${key}=${value.toString(16)}`,
          );
          const what = `${name} 0x${address.toString(16)}: ours ${mine.toString(16)}, QEMU's ${other.toString(16)}`;
          different.push(`${what} (${registers.join(" ")})`);
        });
      });
      expect(different).toEqual([]);
      compared += addresses.length * AT_NAMES.length;
    }
    console.log(`${compared} values`);
  }, 3_600_000);
});
