import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { assembleInstruction } from "../../src/isa/assembler.ts";
import { runHostProgram } from "../support/host-program.ts";
import { withTemporaryDirectory } from "../support/temporary-directory.ts";

/** Spellings that GNU's assembler takes and objdump never prints. */
const LINES = `
tbz x0, #3, .+8
tbnz x30, 31, .+8
tbz w5, #31, .-4
tbnz x5, #32, .+0x40
cmp x0, #0x1000
cmp w3, #0xfff000
cmp x0, #-1
cmn sp, #0x3000
cmn x0, #-0x1000
add x0, x1, #0x1000
add w0, w1, 4096
sub sp, sp, #0x20000
adds x1, x2, #-0x5000
subs w1, w2, #-16
add x0, x1, #1, lsl #12
add x0, x1, w2, uxtw
add x0, x1, x2, lsl #0
add sp, sp, x2
add sp, x1, x2, lsl #2
sub x0, sp, w1, sxtb #1
mov v0.s[0], w4
mov v31.d[1], x4
mov v3.b[15], v4.b[0]
mov v0.16b, v1.16b
mov v0.8b, v1.8b
mov w0, v1.s[3]
mov x0, v1.d[1]
mov s0, v1.s[2]
mov d0, v1.d[1]
mov x0, #0x12340000
mov x0, #-5
mov w0, #0xffff0000
mov x0, #0x5555555555555555
mov wsp, w1
mvn v0.16b, v1.16b
mvn x0, x1, asr #3
not v0.8b, v1.8b
uxtl v0.8h, v1.8b
uxtl2 v0.4s, v1.8h
sxtl v0.2d, v1.2s
cmle v0.4s, v1.4s, #0
bic x0, x1, #0xff
bic w0, w1, #1
uxtw x0, w1
sxtw x0, w1
rev64 x0, x1
lslv x0, x1, x2
rorv w0, w1, w2
beq .+4
bne .+8
bhs .+8
blo .-8
b.hs .+4
b.lo .+4
ret x30
ret x1
ldr x0, [x1, #0]
ldr x0, [x1, 16]
ldr x0, [x1], 8
ldr w0, [x1, x2, lsl #2]
ldr x0, [x1, w2, uxtw]
ldr x0, [x1, w2, sxtw 3]
ldrb w0, [x1, x2]
ldrb w0, [x1, x2, lsl #0]
ldr q0, [sp, #-16]!
str d0, [x1, #255]
ldr x0, [x1, #-256]
ldrsw x0, [x1, #3]
ldp x0, x1, [sp], #16
ldr x0, .+16
prfm pldl1keep, [x0, #8]
msr s0_0_c4_c1_5, xzr
msr spsel, #1
msr daifset, 15
msr s3_3_c4_c2_1, x0
mrs x0, nzcv
fmov s0, 1.0
fmov d0, #-0.5
fmov v0.2d, #2.0
fmov v0.d[1], x2
fmov x2, v0.d[1]
fmov s0, wzr
fcmp s0, #0.0
movi v0.4s, #1, lsl #8
movi v0.2d, #0xff00ff00ff00ff00
movi d0, #0xff
mvni v0.4s, 3, msl 8
orr v0.8h, #0x12, lsl #8
bic v0.2s, #1
ld1 {v0.4s}, [x0]
ld1 {v0.4s-v3.4s}, [x0], #64
ld1 {v0.b}[3], [x0], 1
ld4r {v0.8b, v1.8b, v2.8b, v3.8b}, [x0], x5
st2 {v30.2d, v31.2d}, [sp]
tbl v0.16b, {v1.16b, v2.16b}, v3.16b
dup v0.4s, w1
dup v0.4s, v1.s[2]
shl v0.2d, v1.2d, #63
sshr d0, d1, #64
fmla v0.4s, v1.4s, v2.s[3]
sqdmulh v0.8h, v1.8h, v15.h[7]
ccmp x0, #31, #15, hs
ccmn w0, w1, #0, lo
csel x0, x1, x2, al
cset x0, lo
cinc w0, w1, hs
bfi w0, w1, #3, #4
bfc x0, #60, #4
lsl w0, w1, #0
extr x0, x1, x2, #63
svc 0
hint #20
dsb #0xf
dmb ishld
isb #15
sys #0, c7, c5, #0
ic ialluis
dc zva, x0
tlbi vae1is, x0
at s1e1r, x0
ldadd x0, x1, [sp]
stadd x0, [x1]
casp x0, x1, x2, x3, [x4]
swpalb w0, w1, [x2]
clrex
clrex #3
nop
`;

test("every spelling gives the word that GNU's assembler gives", () => {
  const lines = LINES.trim().split("\n");
  const words = withTemporaryDirectory((folder) => {
    const source = join(folder, "lines.s");
    const object = join(folder, "lines.o");
    const binary = join(folder, "lines.bin");
    writeFileSync(source, `${lines.join("\n")}\n`);
    const assembled = runHostProgram("aarch64-linux-gnu-as", [
      "-march=armv8.2-a+crypto",
      source,
      "-o",
      object,
    ]);
    expect(assembled.stderr).toBe("");
    runHostProgram("aarch64-linux-gnu-objcopy", ["-O", "binary", "-j", ".text", object, binary]);
    const bytes = readFileSync(binary);
    return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readUInt32LE(index * 4));
  });
  expect(words).toHaveLength(lines.length);
  const wrong = lines.flatMap((line, index) => {
    const theirs = words[index]!.toString(16);
    try {
      const ours = assembleInstruction(line, BigInt(index * 4)).toString(16);
      return ours === theirs ? [] : [`${line}: ours ${ours}, GNU's ${theirs}`];
    } catch (error) {
      return [`${line}: ${String(error)}, GNU's ${theirs}`];
    }
  });
  expect(wrong).toEqual([]);
});
