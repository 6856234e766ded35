/**
 * Pieces of Linux user programs that talk to us through standard input and output. Each uses X0 to X2, X8, X20
 * and X21, and branches to `finished` at an end of file or an error.
 */

function transfer(call: number, descriptor: number): string {
  return `1:      mov x0, #${descriptor}
        mov x1, x20
        mov x2, x21
        mov x8, #${call}
        svc #0
        cmp x0, #0
        b.le finished
        add x20, x20, x0
        subs x21, x21, x0
        b.ne 1b`;
}

/** Reads X21 bytes to the address in X20. */
export const READ_ALL: string = transfer(63, 0);

/** Writes X21 bytes from the address in X20. */
export const WRITE_ALL: string = transfer(64, 1);
