import { call, RELAY } from "./calls.ts";

/** Passes bytes and orders on until the command has ended, then reports how. */
export const SERVE = `serve:  // What can be waited for, at sp+256: control, process, and each relay's side whose turn it is.
        mov x10, #0
        add x12, sp, #256
        mov w1, #1                      // POLLIN
        stp w19, w1, [x12]
        stp w21, w1, [x12, #8]
        cbz x26, 1f
        mov w0, #-1                     // it has ended
        str w0, [x12, #8]
1:      add x11, x25, x10, lsl #5
        add x13, x12, x10, lsl #3
        ldr w0, [x11, #${RELAY.from}]
        mov w1, #1
        ldr x2, [x11, #${RELAY.length}]
        cbz x2, 2f
        ldr w0, [x11, #${RELAY.to}]
        mov w1, #4                      // POLLOUT
2:      stp w0, w1, [x13, #16]
        add x10, x10, #1
        cmp x10, #3
        b.ne 1b
        mov x0, x12
        mov x1, #5
        mov x2, #0
        mov x3, #0
        mov x4, #8
        ${call("ppoll")}
        cmn x0, #4                      // EINTR
        b.eq serve
        ldrh w0, [sp, #262]
        cbz w0, 1f
        bl take_order
1:      ldrh w0, [sp, #270]
        cbz w0, 1f
        bl take_status
1:      mov x10, #0
2:      add x13, sp, x10, lsl #3
        ldrh w0, [x13, #278]
        orr w0, w0, w26                 // once it has ended, what is left is fetched without waiting
        cbz w0, 3f
        bl step
3:      add x10, x10, #1
        cmp x10, #3
        b.ne 2b
        cbz x26, serve
        // Ended: done when output and errors are.
        ldr w0, [x25, #${RELAY.size}]
        ldr w1, [x25, #${2 * RELAY.size}]
        and w0, w0, w1
        cmn w0, #1
        b.ne serve
report:
        sub sp, sp, #16
        stp w27, w28, [sp]
        mov x0, x19
        mov x1, sp
        mov x2, #8
        ${call("write")}
        mov x0, #0
        ${call("exit_group")}
`;
