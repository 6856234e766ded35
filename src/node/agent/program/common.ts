import { AGENT_PORT, READY_PORT } from "../protocol.ts";
import { call } from "./calls.ts";

/** Routines that the others use, and constants. */
export const COMMON = `// Reads x2 bytes from x0 to x1; x0 is 0 where they do not come.
read_all:
        mov x3, x0
        mov x4, x2
        cbz x4, 2f
1:      mov x0, x3
        mov x2, x4
        ${call("read")}
        cmn x0, #4
        b.eq 1b
        cmp x0, #0
        b.le 3f
        add x1, x1, x0
        subs x4, x4, x0
        b.ne 1b
2:      mov x0, #1
        ret
3:      mov x0, #0
        ret

// The string after the one at x0; x5 is the end of all.
next_string:
        cmp x0, x5
        b.hs 1f
        ldrb w1, [x0], #1
        cbnz w1, next_string
1:      ret

// w6 pointers to the strings from x0 on, at x7, and a null pointer.
pointers:
        mov x16, x30
1:      cbz w6, 2f
        cmp x0, x5
        b.hs 2f
        str x0, [x7], #8
        bl next_string
        sub w6, w6, #1
        b 1b
2:      str xzr, [x7], #8
        mov x30, x16
        ret

vsock:  mov x0, #40                     // AF_VSOCK
        ldr w1, =0x80001                // SOCK_STREAM, SOCK_CLOEXEC
        mov x2, #0
        ${call("socket")}
        ret
fork:   mov x0, #17                     // SIGCHLD
fork_as:
        mov x1, #0
        mov x2, #0
        mov x3, #0
        mov x4, #0
        ${call("clone")}
        ret
map:    mov x0, #0
        mov x2, #3                      // PROT_READ, PROT_WRITE
        mov x3, #0x22                   // MAP_PRIVATE, MAP_ANONYMOUS
        mov x4, #-1
        mov x5, #0
        ${call("mmap")}
        ret
pipe:   mov w1, #0x80000                // O_CLOEXEC
        ${call("pipe2")}
        ret
unblock:
        tbnz w0, #31, 1f
        mov x1, #4                      // F_SETFL
        mov x2, #0x802                  // O_NONBLOCK, O_RDWR
        ${call("fcntl")}
1:      ret
set_action:
        mov x2, #0
        mov x3, #8
        ${call("rt_sigaction")}
        ret

.balign 8
ignore_action:  .quad 1, 0, 0, 0
default_action: .quad 0, 0, 0, 0
pause:          .quad 0, 100000000
patience:       .quad 30, 0
agent_address:  .hword 40, 0
                .word ${AGENT_PORT}, 0xffffffff, 0
any_address:    .hword 40, 0
                .word 0xffffffff, 0xffffffff, 0
ready_address:  .hword 40, 0
                .word ${READY_PORT}, 2, 0
null_device:    .asciz "/dev/null"
terminal_device: .asciz "/dev/ptmx"
usual_path:     .asciz "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
.balign 8
`;
