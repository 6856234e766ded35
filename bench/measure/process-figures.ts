import { readFileSync } from "node:fs";

/** What the host's kernel knows of a living process. */
export interface ProcessFigures {
  /** Seconds of processor time, user and system, of all threads and of the children that have ended. */
  readonly cpuSeconds: number;
  /** Bytes of memory that were resident at most. */
  readonly peakBytes: number;
}

/** Clock ticks a second in /proc (proc(5): sysconf(_SC_CLK_TCK), 100 on every Linux). */
const TICKS = 100;
/** Places of utime, stime, cutime and cstime in /proc/PID/stat after the parenthesis that ends the name. */
const FIRST_TIME = 11;
const TIMES = 4;

/** undefined where there is no such process or no /proc. */
export function readProcessFigures(pid: number): ProcessFigures | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const times = fields.slice(FIRST_TIME, FIRST_TIME + TIMES);
    const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    return {
      cpuSeconds: times.reduce((sum, time) => sum + Number(time), 0) / TICKS,
      peakBytes: Number(peak?.[1] ?? Number.NaN) * 1024,
    };
  } catch {
    return undefined;
  }
}
