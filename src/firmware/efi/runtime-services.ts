import { assemble } from "../../isa/assembler.ts";

/** The runtime services in the order of their table (UEFI 2.10, section 4.5.1), with the routine for each. */
const SERVICES = [
  "get_time",
  "set_time",
  "unsupported", // GetWakeupTime
  "unsupported", // SetWakeupTime
  "unsupported", // SetVirtualAddressMap
  "unsupported", // ConvertPointer
  "unsupported", // GetVariable
  "unsupported", // GetNextVariableName
  "unsupported", // SetVariable
  "unsupported", // GetNextHighMonotonicCount
  "unsupported", // ResetSystem
  "unsupported", // UpdateCapsule
  "unsupported", // QueryCapsuleCapabilities
  "unsupported", // QueryVariableInfo
] as const;

/**
 * The mask of EFI_RT_PROPERTIES_TABLE: the four time services. Those for a wake-up time are there, and answer as they
 * must where no timer can wake the machine.
 */
export const SUPPORTED_SERVICES = 0xf;

/**
 * Clock times are those of a PL031, whose 32 bits count seconds since 1970 and end in 2106: in that span a year is
 * a leap year when 4 divides it, except 2100. X0 to X15 are the callee's (AAPCS64); there is no stack and no state.
 * EFI_TIME (section 8.3): year 16 bits, then month, day, hour, minute, second, padding, 8 bits each, nanoseconds 32,
 * time zone 16 (minutes that are added to give UTC, 0x7ff for none), daylight 8, padding.
 */
const SOURCE = `
    .equ FIRST_YEAR, 1970
    .equ LAST_YEAR, 2105
get_time:                       // X0: EFI_TIME, X1: EFI_TIME_CAPABILITIES or 0
    cbz  x0, invalid
    ldr  x2, =clock
    ldr  w3, [x2]
    mov  w4, #60
    udiv w5, w3, w4
    msub w6, w5, w4, w3         // second
    udiv w7, w5, w4
    msub w8, w7, w4, w5         // minute
    mov  w4, #24
    udiv w5, w7, w4             // days since 1970
    msub w9, w5, w4, w7         // hour
    mov  w10, #FIRST_YEAR
1:  mov  w11, #365              // W11: days of year W10
    tst  w10, #3
    b.ne 2f
    mov  w12, #2100
    cmp  w10, w12
    b.eq 2f
    mov  w11, #366
2:  cmp  w5, w11
    b.lo 3f
    sub  w5, w5, w11
    add  w10, w10, #1
    b    1b
3:  mov  w12, #1                // W12: month
    adr  x13, days
4:  ldrb w14, [x13], #1
    cmp  w12, #2
    b.ne 5f
    sub  w15, w11, #365
    add  w14, w14, w15
5:  cmp  w5, w14
    b.lo 6f
    sub  w5, w5, w14
    add  w12, w12, #1
    b    4b
6:  add  w5, w5, #1
    strh w10, [x0]
    strb w12, [x0, #2]
    strb w5, [x0, #3]
    strb w9, [x0, #4]
    strb w8, [x0, #5]
    strb w6, [x0, #6]
    strb wzr, [x0, #7]
    str  wzr, [x0, #8]
    str  wzr, [x0, #12]         // UTC, no daylight saving
    cbz  x1, 7f
    mov  w4, #1                 // resolution in hertz
    str  w4, [x1]
    ldr  w4, =50000000          // accuracy: 50 parts in a million
    str  w4, [x1, #4]
    strb wzr, [x1, #8]
7:  mov  x0, #0
    ret

set_time:                       // X0: EFI_TIME
    cbz  x0, invalid
    ldrh w2, [x0]
    ldrb w3, [x0, #2]
    ldrb w4, [x0, #3]
    mov  w10, #FIRST_YEAR
    cmp  w2, w10
    b.lo invalid
    mov  w12, #LAST_YEAR
    cmp  w2, w12
    b.hi invalid
    sub  w5, w3, #1
    cmp  w5, #11
    b.hi invalid
    sub  w5, w4, #1             // W5: days
    cmp  w5, #30
    b.hi invalid
1:  mov  w11, #365
    tst  w10, #3
    b.ne 2f
    mov  w12, #2100
    cmp  w10, w12
    b.eq 2f
    mov  w11, #366
2:  cmp  w10, w2
    b.eq 3f
    add  w5, w5, w11
    add  w10, w10, #1
    b    1b
3:  mov  w12, #1
    adr  x13, days
4:  ldrb w14, [x13], #1
    cmp  w12, #2
    b.ne 5f
    sub  w15, w11, #365
    add  w14, w14, w15
5:  cmp  w12, w3
    b.eq 6f
    add  w5, w5, w14
    add  w12, w12, #1
    b    4b
6:  cmp  w4, w14                // no 31 June
    b.hi invalid
    ldrb w6, [x0, #4]
    ldrb w7, [x0, #5]
    ldrb w8, [x0, #6]
    cmp  w6, #23
    b.hi invalid
    cmp  w7, #59
    b.hi invalid
    cmp  w8, #59
    b.hi invalid
    mov  w9, #24
    madd w5, w5, w9, w6
    mov  w9, #60
    madd w5, w5, w9, w7
    ldrsh w6, [x0, #12]
    mov  w7, #0x7ff
    cmp  w6, w7
    b.eq 7f
    add  w5, w5, w6
7:  madd w5, w5, w9, w8
    ldr  x2, =clock
    str  w5, [x2, #8]
    mov  x0, #0
    ret

unsupported:                    // EFI_UNSUPPORTED
    mov  x0, #3
    movk x0, #0x8000, lsl #48
    ret
invalid:                        // EFI_INVALID_PARAMETER
    mov  x0, #2
    movk x0, #0x8000, lsl #48
    ret
    .ltorg
days:
    .byte 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
`;

/** Code and entry addresses of the services for a machine whose PL031 is at `clock`. */
export function runtimeServices(
  base: number,
  clock: number,
): { readonly code: Uint8Array; readonly entries: readonly number[] } {
  const { bytes, symbols } = assemble(SOURCE, { origin: BigInt(base), symbols: { clock: BigInt(clock) } });
  return { code: bytes, entries: SERVICES.map((service) => Number(symbols.get(service))) };
}
