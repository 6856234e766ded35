import { call, RELAY } from "./calls.ts";

/** What the command's own process does before it becomes the command. */
export const COMMAND = `// The command's own process.
command:
        ${call("setsid")}
        tbz w23, #0, 1f
        ldr w0, [sp, #208]
        mov w1, #0x540e                 // TIOCSCTTY
        mov x2, #0
        ${call("ioctl")}
1:      mov x10, #0
        add x11, sp, #208
2:      ldr w0, [x11, x10, lsl #2]
        mov x1, x10
        mov x2, #0
        ${call("dup3")}
        tbnz x0, #63, failed
        add x10, x10, #1
        cmp x10, #3
        b.ne 2b
        mov x10, x29
3:      cbz x10, 4f
        rbit x0, x10
        clz x0, x0
        mov x1, #1
        lsl x1, x1, x0
        bic x10, x10, x1
        adr x1, default_action
        bl set_action
        b 3b
4:      str xzr, [sp, #248]
        mov x0, #2                      // SIG_SETMASK
        add x1, sp, #248
        mov x2, #0
        mov x3, #8
        ${call("rt_sigprocmask")}
        ldp x14, x15, [sp, #128]
        ldrb w0, [x24]
        cbz w0, 1f
        mov x0, x24
        ${call("chdir")}
        tbnz x0, #63, failed
1:      ldr x0, [x14]
        mov x28, #2                     // ENOENT
        cbz x0, failed_28
        // A name with a slash is a path, any other is looked for along PATH.
        mov x9, x0
1:      ldrb w1, [x9], #1
        cmp w1, #47
        b.eq run_path
        cbnz w1, 1b
        bl find_path
        mov x12, x0
        // Enough room on the stack for a directory and the name.
        sub x17, sp, #2, lsl #12
        and x17, x17, #~15
        mov sp, x17
next_directory:
        ldrb w1, [x12]
        cbz w1, failed_28
        mov x13, sp
        mov x16, #4000
1:      ldrb w1, [x12]
        cbz w1, 2f
        add x12, x12, #1
        cmp w1, #58                     // a colon
        b.eq 2f
        strb w1, [x13], #1
        subs x16, x16, #1
        b.ne 1b
2:      mov w1, #47
        strb w1, [x13], #1
        ldr x9, [x14]
        mov x16, #4000
3:      ldrb w1, [x9], #1
        strb w1, [x13], #1
        subs x16, x16, #1
        b.eq next_directory
        cbnz w1, 3b
        mov x0, sp
        mov x1, x14
        mov x2, x15
        ${call("execve")}
        neg x1, x0
        // Not here; anything else is worth telling, but a later directory may do.
        cmp x1, #2
        b.eq next_directory
        cmp x1, #20                     // ENOTDIR
        b.eq next_directory
        mov x28, x1
        b next_directory
run_path:
        mov x1, x14
        mov x2, x15
        ${call("execve")}
failed: neg x28, x0
failed_28:
        sub sp, sp, #16
        str x28, [sp]
        bl error_pipe
        mov x1, sp
        mov x2, #8
        ${call("write")}
        mov x0, #127
        ${call("exit_group")}
// The write end of the pipe for errors, wherever the stack is now.
error_pipe:
        ldr w0, [x25, #${RELAY.start}]
        ret

// The value of PATH among the variables at x15, or what is usual.
find_path:
        mov x1, x15
1:      ldr x2, [x1], #8
        cbz x2, 2f
        ldr w3, [x2]
        ldr w4, =0x48544150             // "PATH"
        cmp w3, w4
        b.ne 1b
        ldrb w3, [x2, #4]
        cmp w3, #61
        b.ne 1b
        add x0, x2, #5
        ret
2:      adr x0, usual_path
        ret
`;
