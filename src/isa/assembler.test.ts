import { expect, test } from "vitest";
import { AssemblyError, assemble, assembleInstruction } from "./assembler.ts";
import { disassemble } from "./disassembler.ts";

const listing = (source: string): string[] => {
  const { bytes, origin } = assemble(source);
  const view = new DataView(bytes.buffer);
  return Array.from({ length: bytes.length / 4 }, (_, index) =>
    disassemble(view.getUint32(index * 4, true), origin + BigInt(index * 4)),
  );
};

test.each([
  ["mov x0, #1", "movz x0, #0x1"],
  ["mov w1, #-1", "movn w1, #0x0"],
  ["mov x1, 0xff00ff00ff00ff00", "orr x1, xzr, #0xff00ff00ff00ff00"],
  ["mov sp, x3", "add sp, x3, #0x0"],
  ["mov wsp, #0x400000", "orr wsp, wzr, #0x400000"],
  ["mov sp, #0xff000000000000", "orr sp, xzr, #0xff000000000000"],
  ["mov x3, x4", "orr x3, xzr, x4"],
  ["cmp w0, w1, uxtb #2", "subs wzr, w0, w1, uxtb #2"],
  ["cmn x0, #4, lsl #12", "adds xzr, x0, #0x4, lsl #12"],
  ["add x0, x1, #-16", "sub x0, x1, #0x10"],
  ["tst x0, #0xff", "ands xzr, x0, #0xff"],
  ["neg x0, x1, lsl #3", "sub x0, xzr, x1, lsl #3"],
  ["mvn w0, w1", "orn w0, wzr, w1"],
  ["lsl x0, x1, #3", "ubfm x0, x1, #61, #60"],
  ["lsl x0, x1, x2", "lsl x0, x1, x2"],
  ["asr w0, w1, #31", "sbfm w0, w1, #31, #31"],
  ["ror x0, x1, #7", "extr x0, x1, x1, #7"],
  ["bfi x0, x1, #3, #4", "bfm x0, x1, #61, #3"],
  ["ubfx w0, w1, #3, #4", "ubfm w0, w1, #3, #6"],
  ["bfc w0, #3, #4", "bfm w0, wzr, #29, #3"],
  ["sxtw x0, w1", "sbfm x0, x1, #0, #31"],
  ["cset w0, hs", "csinc w0, wzr, wzr, cc"],
  ["cneg x0, x1, lt", "csneg x0, x1, x1, ge"],
  ["mul x0, x1, x2", "madd x0, x1, x2, xzr"],
  ["umull x0, w1, w2", "umaddl x0, w1, w2, xzr"],
  ["ldr x0, [x1, #-8]", "ldur x0, [x1, #-8]"],
  ["ldr x0, [x1, 8]!", "ldr x0, [x1, #8]!"],
  ["stp fp, lr, [sp, #-16]!", "stp x29, x30, [sp, #-16]!"],
  ["stadd w0, [x1]", "ldadd w0, wzr, [x1]"],
  ["add x0, sp, x1", "add x0, sp, x1"],
  ["dc civac, x0", "sys #3, c7, c14, #1, x0"],
  ["tlbi vmalle1is", "sys #0, c8, c3, #0"],
  ["MSR DAIFSet, #2", "msr daifset, #0x2"],
  ["mrs x0, SCTLR_EL1", "mrs x0, sctlr_el1"],
  ["msr s3_0_c1_c0_0, x0", "msr sctlr_el1, x0"],
  ["isb sy", "isb"],
  ["ret", "ret"],
  ["tbz x1, #3, 0x10", "tbz w1, #3, 0x10"],
  ["cmp x0, #0x1000", "subs xzr, x0, #0x1, lsl #12"],
  ["cmp x0, #-1", "adds xzr, x0, #0x1"],
  ["mov v0.s[0], w4", "ins v0.s[0], w4"],
  ["mov v0.16b, v1.16b", "orr v0.16b, v1.16b, v1.16b"],
  ["bic x0, x1, #1", "and x0, x1, #0xfffffffffffffffe"],
  ["msr s0_0_c4_c1_5, xzr", "msr spsel, #0x1"],
  ["movi v0.16b, #1", "movi v0.16b, #0x1"],
])("assembles %s", (line, expected) => {
  expect(disassemble(assembleInstruction(line), 0n)).toBe(expected);
});

test("assemble() resolves labels, local labels, expressions and literal pools", () => {
  const lines = listing(`
    .equ size, (3 + 1) * 4    // a comment
    start: ldr x1, =0x123456789abcdef; ldr x2, =end
    1:  subs x0, x0, #size - 1
        b.ne 1b
        cbz x0, 1f
        adr x2, end
        add x3, x3, :lo12:end
    1:  b start
    end:`);
  expect(lines.slice(0, 8)).toEqual([
    "ldr x1, 0x20",
    "ldr x2, 0x28",
    "subs x0, x0, #0xf",
    "b.ne 0x8",
    "cbz x0, 0x1c",
    "adr x2, 0x20",
    "add x3, x3, #0x20",
    "b 0x0",
  ]);
  const { bytes, symbols } = assemble("ldr x0, =end\nend:", { origin: 0x4000_0000n });
  expect(symbols.get("end")).toBe(0x4000_0004n);
  expect(new DataView(bytes.buffer).getBigUint64(8, true)).toBe(0x4000_0004n);
});

test("assemble() lays out data", () => {
  const { bytes } = assemble(`
    .byte 1, 'A', -1
    .balign 4, 0xee
    .asciz "a\\n\\x7f"
    .quad 0x1122334455667788
    .org 0x18
    .hword 0xbeef`);
  expect(Buffer.from(bytes).toString("hex")).toBe(
    "0141ffee610a7f008877665544332211" + "0000000000000000" + "efbe",
  );
});

test("assemble() names line, column and mistake, all of them", () => {
  const source = "nop\n add x0, x1, #5000\n frob x1\n b nowhere\nx: mov x0\nx:\n";
  const mistakes = mistakesOf(source.replace("x:\n", ""));
  expect(mistakes.map(({ line, column }) => [line, column])).toEqual([
    [2, 19],
    [3, 2],
    [4, 2],
    [5, 4],
  ]);
  expect(mistakes[1]?.message).toContain('there is no instruction "frob"');
  expect(mistakes[2]?.message).toContain('"nowhere" a symbol');
  expect(mistakesOf("x:\nx: nop")[0]?.message).toBe('the symbol "x" is defined twice');
  expect(mistakesOf(".byte 1\nnop")[0]?.message).toContain("not word-aligned");
  expect(mistakesOf("nop\nnop\n.org 4")[0]?.message).toBe(".org goes backwards");
});

function mistakesOf(source: string): AssemblyError["mistakes"] {
  try {
    assemble(source);
  } catch (error) {
    if (error instanceof AssemblyError) return error.mistakes;
    throw error;
  }
  return [];
}

test("assemble() answers damaged sources with mistakes, never otherwise", () => {
  const seeds = [
    "add x0, x1, #(3+4)*2 // c",
    "ldr x1, =0x12345; ldp q0, q1, [sp, #-32]!",
    'x: .asciz "a\\n", "b"; .byte \'a\', 1',
    "1: ld4 {v0.4s-v3.4s}, [x0], #64; b 1b",
    ".org 0x10, 1; .balign 8; .equ a, 1; b.ne a",
    "msr daifset, #2; mrs x0, s3_0_c1_c0_0; movi v0.2d, #0xff",
  ];
  const noise = "#[]{}(),.:;'\"\\-+*/~=<> x0vws19\n\t";
  let state = 12345;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % limit;
  };
  for (let round = 0; round < 2000; round++) {
    let source = seeds[below(seeds.length)]!;
    for (let change = 0; change <= below(4); change++) {
      const at = below(source.length + 1);
      source = source.slice(0, at) + noise[below(noise.length)]! + source.slice(at + below(3));
    }
    expect(() => mistakesOf(source), source).not.toThrow();
  }
  for (const long of ["(", "-", "'", '"', "{", "[", ":"])
    expect(() => mistakesOf(`mov x0, ${long.repeat(50_000)}`)).not.toThrow();
});
