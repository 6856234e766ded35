/**
 * What a low-bandwidth call of the debug channel costs its guest (row H1: at most 5 us). A program at EL1 makes bursts
 * of calls, which the rate limit allows, and prints the counter's ticks of each; it calls VMware's GETVERSION and our
 * own service 0. `npm run bench:services`
 */
import { COUNTER_FREQUENCY } from "../src/base/clock.ts";
import { CALL_LIMITS } from "../src/hypervisor/services/rate-limit.ts";
import { REGISTER_DOOR, SERVICE_MAGIC } from "../src/hypervisor/services/register-doors.ts";
import { assemble } from "../src/isa/assembler.ts";
import { createMachine } from "../src/node/create-machine.ts";

const CALLS = CALL_LIMITS.burst - 1_000;
const BURSTS = 20;
const MAGIC = 0x564d_5868;
const PORT = 0x5658;
const LOW_BANDWIDTH = 0x86_0000_000en;
const GETVERSION = 10;
/** Ticks in which the limit allows a burst again, and a little more. */
const PAUSE = Math.ceil((COUNTER_FREQUENCY * CALL_LIMITS.burst) / CALL_LIMITS.perSecond) * 1.2;

const call = (magic: number | bigint, number: number, way: bigint): string => `
        ldr x0, =${magic}
        mov x1, #0
        mov x2, #${number}
        mov x3, #${PORT}
        ldr x7, =${way}
        mrs xzr, mdccsr_el0`;

const burst = (body: string): string => `
        mov x19, #${BURSTS}
1:      mrs x21, cntvct_el0
2:      mrs x22, cntvct_el0
        sub x22, x22, x21
        ldr x23, =${Math.ceil(PAUSE)}
        cmp x22, x23
        b.lo 2b
        mov x20, #${CALLS}
        isb
        mrs x21, cntvct_el0
3:      ${body}
        subs x20, x20, #1
        b.ne 3b
        isb
        mrs x9, cntvct_el0
        sub x9, x9, x21
        bl print
        subs x19, x19, #1
        b.ne 1b`;

const PROGRAM = `
        mov x25, #0x9000000
        ${burst(call(MAGIC, GETVERSION, LOW_BANDWIDTH))}
        ${burst(call(SERVICE_MAGIC, 0, REGISTER_DOOR.call))}
        ldr x0, =0x84000008             // PSCI SYSTEM_OFF
        hvc #0
        b .
print:  mov w22, #28
4:      lsr x23, x9, x22
        and w23, w23, #0xf
        add w24, w23, #0x30
        cmp w23, #10
        b.lt 5f
        add w24, w23, #0x57
5:      str w24, [x25]
        subs w22, w22, #4
        b.pl 4b
        mov w24, #0x20
        str w24, [x25]
        ret
        .ltorg
`;

const text: string[] = [];
const machine = await createMachine({
  memoryBytes: 64 * 2 ** 20,
  cpus: 1,
  compatibility: "vmware",
  kernel: { name: "service-call", bytes: assemble(PROGRAM).bytes },
  serial: (bytes) => void text.push(Buffer.from(bytes).toString("latin1")),
  randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
});
await machine.run();
const microseconds = text
  .join("")
  .trim()
  .split(" ")
  .map((ticks) => (Number.parseInt(ticks, 16) * 1e6) / COUNTER_FREQUENCY / CALLS);
for (const [index, name] of ["VMware's GETVERSION", "service 0"].entries()) {
  const times = microseconds.slice(index * BURSTS, (index + 1) * BURSTS).sort((a, b) => a - b);
  const [best, median] = [times[0] ?? Number.NaN, times[BURSTS / 2] ?? Number.NaN];
  console.log(
    `${name}: ${best.toFixed(2)} us a call at best, ${median.toFixed(2)} us in the middle of ${times.length} bursts of ${CALLS}`,
  );
}
