/** System calls by number (Linux, include/uapi/asm-generic/unistd.h). */
const CALL = {
  dup3: 24,
  fcntl: 25,
  ioctl: 29,
  chdir: 49,
  openat: 56,
  close: 57,
  pipe2: 59,
  read: 63,
  write: 64,
  ppoll: 73,
  exit_group: 94,
  waitid: 95,
  nanosleep: 101,
  kill: 129,
  rt_sigaction: 134,
  rt_sigprocmask: 135,
  setsid: 157,
  socket: 198,
  bind: 200,
  listen: 201,
  connect: 203,
  getsockname: 204,
  setsockopt: 208,
  shutdown: 210,
  clone: 220,
  execve: 221,
  mmap: 222,
  accept4: 242,
  pidfd_open: 434,
} as const;

/** The instructions of a system call, whose arguments lie in x0 and up. Changes x0 and x8 only. */
export function call(name: keyof typeof CALL): string {
  return `mov x8, #${CALL[name]}\n        svc #0`;
}

/** Relays (input, output, errors) in the handler's memory: from, to, where the bytes begin, how many, the buffer. */
export const RELAY = { from: 0, to: 4, start: 8, length: 16, buffer: 24, size: 32 } as const;
/** Bytes that a relay holds. */
export const BUFFER_SIZE = 65_536;
