/** One record of a kernel's log, as `dmesg -r` prints it. */
export interface LogRecord {
  /** 0 (emergency) to 7 (debugging), as in syslog(3). */
  readonly level: number;
  readonly text: string;
}

const WARNING_LEVEL = 4;

/** Words by which a record tells of trouble whatever its level. */
const TROUBLE =
  /\b(?:bug|oops|panic|warning|call trace|errors?|fail(?:ed|s|ure)?|unable|cannot|can't|could ?n[o']t|invalid|unexpected|unhandled|spurious|stalls?|stuck|timed? ?out|lost|corrupt\w*|mismatch|broken|firmware bug|bad|nobody cared|lockup|hung)\b/i;

/** Records that tell of the host: that it let the machine's thread wait while a timer was due. */
const OF_THE_HOST = /^hrtimer: interrupt took \d+ ns$/;

/** Reads the output of `dmesg -r`. A record of several lines has its level only in the first. */
export function readKernelLog(raw: string): LogRecord[] {
  let level = 0;
  return raw
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const match = /^<(\d+)>(?:\[ *\d+\.\d+\] ?)?(.*)$/.exec(line);
      if (match !== null) level = Number(match[1]) & 7;
      return { level, text: match?.[2] ?? line };
    });
}

/** The records that tell of trouble: warnings and worse by their level, the others by their words. */
export function troubles(log: readonly LogRecord[]): string[] {
  return log
    .filter(({ level, text }) => level <= WARNING_LEVEL || TROUBLE.test(text))
    .map(({ text }) => text);
}

/** Which of our troubles the other machine's log has none like; numbers and addresses do not matter. */
export function troublesOnlyIn(ours: readonly LogRecord[], theirs: readonly LogRecord[]): string[] {
  const known = new Set(troubles(theirs).map(withoutNumbers));
  return troubles(ours).filter((text) => !OF_THE_HOST.test(text) && !known.has(withoutNumbers(text)));
}

function withoutNumbers(text: string): string {
  return text.replace(/0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+/gi, "#");
}
