import { BUFFER_SIZE, call, RELAY } from "./calls.ts";

/** Passes bytes from one descriptor to another as far as that goes without waiting. */
export const RELAYS = `// Does what can be done for relay number x10.
step:   add x11, x25, x10, lsl #5
        ldr x2, [x11, #${RELAY.length}]
        cbnz x2, drain
        ldr w0, [x11, #${RELAY.from}]
        tbnz w0, #31, 9f
        cbz x26, 1f
        cbz x10, close_relay            // nobody reads the input any more
1:      ldr x1, [x11, #${RELAY.buffer}]
        mov x2, #${BUFFER_SIZE}
        ${call("read")}
        cmp x0, #0
        b.gt 2f
        cmn x0, #4                      // EINTR
        b.eq 1b
        cmn x0, #11                     // EAGAIN
        b.ne close_relay
        // The command has ended: a pipe without bytes is done. A terminal says itself when it is.
        cbz x26, 9f
        tbnz w23, #0, 9f
        b close_relay
2:      str xzr, [x11, #${RELAY.start}]
        str x0, [x11, #${RELAY.length}]
drain:  ldr x1, [x11, #${RELAY.buffer}]
        ldr x3, [x11, #${RELAY.start}]
        add x1, x1, x3
        ldr x2, [x11, #${RELAY.length}]
        ldr w0, [x11, #${RELAY.to}]
        ${call("write")}
        cmp x0, #0
        b.gt 3f
        cmn x0, #4
        b.eq drain
        cmn x0, #11
        b.eq 9f
        b close_relay                   // nobody takes them any more
3:      ldr x3, [x11, #${RELAY.start}]
        add x3, x3, x0
        str x3, [x11, #${RELAY.start}]
        ldr x2, [x11, #${RELAY.length}]
        subs x2, x2, x0
        str x2, [x11, #${RELAY.length}]
        b.ne drain
9:      ret

close_relay:
        str xzr, [x11, #${RELAY.length}]
        ldr w0, [x11, #${RELAY.from}]
        mov w3, #-1
        str w3, [x11, #${RELAY.from}]
        ldr w4, [x11, #${RELAY.to}]
        str w3, [x11, #${RELAY.to}]
        tbnz w23, #0, 1f
        cbz x10, 2f
        ${call("close")}
2:      mov x5, x0
        mov w0, w4
        ${call("close")}
        cbnz x10, 9b
        mov w0, w5                      // tell the host that input is not wanted
        mov x1, #0
        ${call("shutdown")}
        ret
1:      // The terminal's descriptors serve both directions.
        ret
`;
