import { LONGEST_STRINGS, REPORT, REQUEST_MAGIC, REQUEST_SIZE } from "../protocol.ts";
import { BUFFER_SIZE, call, RELAY } from "./calls.ts";

/** Accepts connections, and prepares what a request asks for. */
export const START = `.global _start
_start:
        // Descriptors 0 to 2 must be taken, since a command gets its streams there.
1:      mov x0, #-100
        adr x1, null_device
        mov x2, #2
        mov x3, #0
        ${call("openat")}
        cmp x0, #2
        b.ls 1b
        ${call("close")}
        // A shell that started the agent in the background has made it ignore the keyboard's signals, which a
        // command must not: bit n of x29 is set for signal n if the command has to give it its default action.
        mov x29, #0x2000                // SIGPIPE
        mov x10, #1
        sub sp, sp, #32
1:      mov x0, x10
        mov x1, #0
        mov x2, sp
        mov x3, #8
        ${call("rt_sigaction")}
        ldr x1, [sp]
        mov x2, #1
        lsl x2, x2, x10
        orr x2, x29, x2
        cmp x1, #1                      // SIG_IGN
        csel x29, x2, x29, eq
        add x10, x10, #1
        cmp x10, #32
        b.ne 1b
        add sp, sp, #32
        mov x0, #17                     // SIGCHLD: handlers need no waiting for
        adr x1, ignore_action
        bl set_action
        mov x0, #13                     // SIGPIPE
        adr x1, ignore_action
        bl set_action
        // The guest may still be on its way to having sockets of this kind.
open_socket:
        bl vsock
        tbz x0, #63, 1f
        adr x0, pause
        mov x1, #0
        ${call("nanosleep")}
        b open_socket
1:      mov x19, x0
        adr x1, agent_address
        mov x2, #16
        ${call("bind")}
        tbnz x0, #63, give_up
        mov x0, x19
        mov x1, #128
        ${call("listen")}
        tbnz x0, #63, give_up
        bl vsock
        mov x20, x0
        adr x1, ready_address
        mov x2, #16
        ${call("connect")}
        mov x0, x20
        ${call("close")}
accept_loop:
        mov x0, x19
        mov x1, #0
        mov x2, #0
        mov x3, #0x80000                // SOCK_CLOEXEC
        ${call("accept4")}
        tbz x0, #63, 1f
        adr x0, pause
        mov x1, #0
        ${call("nanosleep")}
        b accept_loop
1:      mov x20, x0
        bl fork
        cbz x0, handler
        mov x0, x20
        ${call("close")}
        b accept_loop
give_up:
        mov x0, #1
        ${call("exit_group")}

handler:
        mov x0, x19
        ${call("close")}
        mov x19, x20
        mov x22, #-1
        mov x26, #0
        mov x0, #17                     // from here on, children are waited for
        adr x1, default_action
        bl set_action
        sub sp, sp, #512
        mov x0, x19
        mov x1, sp
        mov x2, #${REQUEST_SIZE}
        bl read_all
        cbz x0, give_up
        ldr w0, [sp]
        ldr w1, =${REQUEST_MAGIC}
        cmp w0, w1
        b.ne give_up
        ldr w23, [sp, #4]
        ldr w0, [sp, #12]
        ldr w1, =${LONGEST_STRINGS}
        cmp w0, w1
        b.hi give_up
        // Memory for strings and pointers: eight bytes for each string, which has one at least.
        add x1, x0, x0, lsl #3
        add x1, x1, #256
        bl map
        mov x24, x0
        mov x1, x0
        mov x0, x19
        ldr w2, [sp, #12]
        bl read_all
        ldr w2, [sp, #12]
        cbz w2, give_up
        cbz x0, give_up
        // x24 working directory, x14 arguments, x15 variables
        add x1, x24, x2
        sub x3, x1, #1
        ldrb w4, [x3]
        cbnz w4, give_up                // the last string must end
        mov x5, x1                      // end of the strings
        add x14, x1, #15
        and x14, x14, #~7
        mov x0, x24
        bl next_string
        ldr w6, [sp, #16]
        mov x7, x14
        bl pointers
        mov x15, x7
        ldr w6, [sp, #20]
        bl pointers
        stp x14, x15, [sp, #128]
        ldr x1, =${3 * RELAY.size + 3 * BUFFER_SIZE}
        bl map
        mov x25, x0
        add x1, x25, #${3 * RELAY.size}
        mov w2, #-1
        mov w3, #0
1:      str w2, [x0, #${RELAY.from}]
        str w2, [x0, #${RELAY.to}]
        str x1, [x0, #${RELAY.buffer}]
        add x0, x0, #${RELAY.size}
        add x1, x1, #${BUFFER_SIZE >> 12}, lsl #12
        add w3, w3, #1
        cmp w3, #3
        b.ne 1b
        bl connect_streams              // sockets at sp+160, +164, +168
        tbnz x0, #63, give_up
        tbnz w23, #0, with_terminal

        // Pipes at sp+176 (input), +184 (output), +192 (errors): read end, write end.
        add x0, sp, #176
        bl pipe
        add x0, sp, #184
        bl pipe
        add x0, sp, #192
        bl pipe
        ldp w0, w1, [sp, #160]
        ldr w2, [sp, #168]
        ldr w3, [sp, #180]
        stp w0, w3, [x25]
        ldr w3, [sp, #184]
        stp w3, w1, [x25, #${RELAY.size}]
        ldr w3, [sp, #192]
        stp w3, w2, [x25, #${2 * RELAY.size}]
        ldr w0, [sp, #176]
        str w0, [sp, #208]              // the command's 0, 1, 2 at sp+208
        ldr w0, [sp, #188]
        str w0, [sp, #212]
        ldr w0, [sp, #196]
        str w0, [sp, #216]
        b start_command
with_terminal:
        mov x0, #-100
        adr x1, terminal_device
        ldr w2, =0x80102                // O_RDWR, O_NOCTTY, O_CLOEXEC
        mov x3, #0
        ${call("openat")}
        mov x27, #${REPORT.FAILED}
        neg x28, x0
        tbnz x0, #63, report
        mov x22, x0
        str wzr, [sp, #200]
        ldr w1, =0x40045431             // TIOCSPTLCK
        add x2, sp, #200
        ${call("ioctl")}
        ldr w0, [sp, #8]
        bl resize
        mov x0, x22
        mov w1, #0x5441                 // TIOCGPTPEER
        ldr w2, =0x80102
        ${call("ioctl")}
        neg x28, x0
        tbnz x0, #63, report
        str w0, [sp, #208]
        str w0, [sp, #212]
        str w0, [sp, #216]
        ldr w0, [sp, #160]
        stp w0, w22, [x25]
        mov x1, x0
        stp w22, w1, [x25, #${RELAY.size}]

start_command:
        // Through this pipe the command's process says why it could not become the command.
        add x0, sp, #224
        bl pipe
        ldr w0, [sp, #228]
        str w0, [x25, #${RELAY.start}]  // where the command's process finds it
        // It shares the memory, and this process waits, until it has become the command or has given up.
        mov x0, #0x4111                 // CLONE_VFORK, CLONE_VM, SIGCHLD
        bl fork_as
        cbz x0, command
        mov x20, x0
        ldr w0, [sp, #228]
        ${call("close")}
        ldr w0, [sp, #208]
        ${call("close")}
        tbnz w23, #0, 1f
        ldr w0, [sp, #212]
        ${call("close")}
        ldr w0, [sp, #216]
        ${call("close")}
1:      ldr w0, [sp, #224]
        add x1, sp, #232
        mov x2, #8
        bl read_all
        mov x27, #${REPORT.FAILED}
        ldr x28, [sp, #232]
        cbnz x0, report
        ldr w0, [sp, #224]
        ${call("close")}
        mov x0, x20
        mov x1, #0
        ${call("pidfd_open")}
        mov x21, x0
        // Whoever waits must be able to look after everything.
        mov x10, #0
1:      add x11, x25, x10, lsl #5
        ldr w0, [x11, #${RELAY.from}]
        bl unblock
        ldr w0, [x11, #${RELAY.to}]
        bl unblock
        add x10, x10, #1
        cmp x10, #3
        b.ne 1b
`;
