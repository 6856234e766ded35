import { describe, expect, test } from "vitest";
import { smallMachine } from "../../test/support/small-machine.ts";
import { REGISTER_DOOR, SERVICE_MAGIC } from "../hypervisor/services/register-doors.ts";
import { SERVICE_VERSION } from "../hypervisor/services/service-table.ts";
import { assemble } from "../isa/assembler.ts";
import { VIRT_MAP } from "../platform/virt-map.ts";

/**
 * The doors from EL1, without a kernel: each word of a list is executed with the registers of a call to service 0, and
 * what comes of it is counted. x25 exceptions as the architecture has them, x26 others, x27 calls served, x28 the last
 * such word's index, x24 values of X16 that are not 0.
 */
function image(words: readonly number[], mdscr: number, expectedClass: number): Uint8Array {
  // The vectors' 16 entries of 128 bytes; only "current level with SP_ELx, synchronous" is right.
  const entries = Array.from(
    { length: 16 },
    (_, at) => `${at === 4 ? "b taken" : "b lost"}\n        .balign 128`,
  );
  const source = `
        b start
        .balign 2048
vectors:
${entries.join("\n")}
lost:   mov x26, #-1
        b .
taken:  mrs x9, esr_el1
        mrs x10, elr_el1
        lsr x11, x9, #26
        cmp x11, #${expectedClass}
        b.ne 1f
        cmp x10, x22
        b.ne 1f
        and x11, x9, #0xffff
        cmp x11, x23
        b.ne 1f
        add x25, x25, #1
        b 2f
1:      add x26, x26, #1
2:      mov x21, #1
        add x10, x10, #4
        msr elr_el1, x10
        eret
start:  adr x0, vectors
        msr vbar_el1, x0
        msr oslar_el1, xzr
        mov x0, #${mdscr}
        msr mdscr_el1, x0
        isb
        mov x19, #0
        mov x23, #0
        mov x24, #0
        mov x25, #0
        mov x26, #0
        mov x27, #0
        ldr x20, =${words.length}
        adr x22, list
next:   mov x21, #0
        mov x16, #0
        ldr x0, =${SERVICE_MAGIC}
        mov x1, #0x1111
        mov x2, #0
        ldr x7, =${REGISTER_DOOR.call}
        blr x22
        cbnz x21, done
        cmp x1, #${SERVICE_VERSION}
        b.ne status
        cbnz x0, status
        add x27, x27, #1
        mov x28, x23
        b done
status: cmp x16, #0
        cinc x24, x24, ne
done:   add x22, x22, #8
        add x23, x23, #1
        cmp x23, x20
        b.ne next
        mov x19, #1
        b .
        .ltorg
        .balign 8
list:
`;
  const { bytes } = assemble(source, { origin: BigInt(VIRT_MAP.ram.base) });
  const all = new Uint8Array(bytes.length + words.length * 8);
  all.set(bytes);
  const view = new DataView(all.buffer, bytes.length);
  for (const [index, word] of words.entries()) {
    view.setUint32(index * 8, word, true);
    view.setUint32(index * 8 + 4, 0xd65f03c0, true);
  }
  return all;
}

function run(words: readonly number[], { open = true, mdscr = 0, expectedClass = 0x3c } = {}) {
  const memory = image(words, mdscr, expectedClass);
  const machine = smallMachine({ memory, cpus: 1, translationThreshold: undefined, plain: true });
  machine.services.enabled = open;
  const { state } = machine.elements[0]!.processor;
  for (let bursts = 0; state.x(19) !== 1n && bursts < 10_000; bursts++) machine.loop.burst(() => true);
  return {
    done: state.x(19),
    taken: Number(state.x(25)),
    wrong: Number(state.x(26)),
    served: Number(state.x(27)),
    last: Number(state.x(28)),
    values: Number(state.x(24)),
  };
}

/** BRK with every immediate. */
const BREAKPOINTS = Array.from({ length: 65_536 }, (_, immediate) => (0xd4200000 | (immediate << 5)) >>> 0);
/** MRS X16, MDCCSR_EL0, and into XZR. */
const CHANNEL_READ = 0xd5330110;
const CHANNEL_CALL = 0xd533011f;
const MDE = 1 << 15;

describe("the doors from EL1", () => {
  test("all 65,536 immediates of BRK: one is a call, the others are exceptions at their instruction", () => {
    expect(run(BREAKPOINTS)).toMatchObject({ done: 1n, taken: 65_535, wrong: 0, served: 1, last: 0x5658 });
    expect(run(BREAKPOINTS, { open: false })).toMatchObject({ done: 1n, taken: 65_536, wrong: 0, served: 0 });
  });

  test("BRK is the guest's while its debugger uses breakpoints, the channel stays open", () => {
    const words = [BREAKPOINTS[0x5658]!, CHANNEL_CALL];
    expect(run(words)).toMatchObject({ done: 1n, taken: 0, served: 2 });
    // The one exception is counted as wrong: its immediate is not the word's index.
    expect(run(words, { mdscr: MDE })).toMatchObject({ done: 1n, taken: 0, wrong: 1, served: 1, last: 1 });
  });

  test("the debug channel's status is 0, except for a call", () => {
    expect(run([CHANNEL_READ, CHANNEL_CALL])).toMatchObject({
      done: 1n,
      wrong: 0,
      served: 1,
      last: 1,
      values: 0,
    });
    const closed = run([CHANNEL_READ, CHANNEL_CALL], { open: false });
    expect(closed).toMatchObject({ done: 1n, taken: 0, wrong: 0, served: 0, values: 0 });
  });
});
