import { ORDER, REPORT } from "../protocol.ts";
import { call } from "./calls.ts";

/** What the host wants, how the command ended, and the connections for its streams. */
export const ORDERS = `take_order:
        sub sp, sp, #32
        str x30, [sp]
        mov x0, x19
        add x1, sp, #16
        mov x2, #8
        bl read_all
        cbz x0, host_is_gone
        ldp w1, w0, [sp, #16]
        cmp w1, #${ORDER.RESIZE}
        b.eq 1f
        cmp w1, #${ORDER.SIGNAL}
        b.ne 2f
        mov w1, w0
        neg x0, x20
        ${call("kill")}
        b 2f
1:      bl resize
2:      ldr x30, [sp]
        add sp, sp, #32
        ret
host_is_gone:
        neg x0, x20
        mov x1, #9
        ${call("kill")}
        mov x0, #0
        ${call("exit_group")}

// Rows and columns in w0.
resize: tbnz x22, #63, 1f
        sub sp, sp, #16
        lsr w1, w0, #16
        strh w1, [sp]
        strh w0, [sp, #2]
        str wzr, [sp, #4]
        mov x0, x22
        mov w1, #0x5414                 // TIOCSWINSZ
        mov x2, sp
        ${call("ioctl")}
        add sp, sp, #16
1:      ret

take_status:
        sub sp, sp, #128
        mov x0, #1                      // P_PID
        mov x1, x20
        mov x2, sp
        mov x3, #4                      // WEXITED
        mov x4, #0
        ${call("waitid")}
        ldr w0, [sp, #8]
        ldr w28, [sp, #24]
        mov x27, #${REPORT.EXITED}
        cmp w0, #1                      // CLD_EXITED
        b.eq 1f
        mov x27, #${REPORT.KILLED}
1:      mov x26, #1
        add sp, sp, #128
        ret

// Makes a port, tells it to the host, and takes the streams there.
connect_streams:
        sub sp, sp, #64
        stp x30, x20, [sp, #32]
        bl vsock
        mov x20, x0
        tbnz x0, #63, 9f
        adr x1, any_address
        mov x2, #16
        ${call("bind")}
        mov x0, x20
        mov x1, #4
        ${call("listen")}
        mov x0, x20
        mov x1, #1                      // SOL_SOCKET
        mov x2, #20                     // SO_RCVTIMEO: a host that has gone away is not waited for
        adr x3, patience
        mov x4, #16
        ${call("setsockopt")}
        mov x0, #16
        str x0, [sp, #16]
        mov x0, x20
        mov x1, sp
        add x2, sp, #16
        ${call("getsockname")}
        ldr w1, [sp, #4]
        mov w0, #${REPORT.PORT}
        stp w0, w1, [sp, #16]
        mov x0, x19
        add x1, sp, #16
        mov x2, #8
        ${call("write")}
        mov x10, #0
1:      mov x0, x20
        mov x1, #0
        mov x2, #0
        mov x3, #0x80000
        ${call("accept4")}
        tbnz x0, #63, 9f
        add x1, sp, #224                // the caller's sp + 160
        str w0, [x1, x10, lsl #2]
        add x10, x10, #1
        tbnz w23, #0, 2f
        cmp x10, #3
        b.ne 1b
2:      mov x0, x20
        ${call("close")}
9:      ldp x30, x20, [sp, #32]
        add sp, sp, #64
        ret
`;
