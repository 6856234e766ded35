/**
 * Compares two Debian version numbers: negative, 0 or positive (Debian Policy, section 5.6.12: epoch,
 * upstream version, revision; digits by value, a tilde before everything, letters before other signs).
 */
export function compareVersions(left: string, right: string): number {
  const a = splitVersion(left);
  const b = splitVersion(right);
  return a.epoch - b.epoch || compareParts(a.upstream, b.upstream) || compareParts(a.revision, b.revision);
}

function splitVersion(version: string): { epoch: number; upstream: string; revision: string } {
  const colon = version.indexOf(":");
  const rest = version.slice(colon + 1);
  const dash = rest.lastIndexOf("-");
  return {
    epoch: colon < 0 ? 0 : Number(version.slice(0, colon)),
    upstream: dash < 0 ? rest : rest.slice(0, dash),
    revision: dash < 0 ? "" : rest.slice(dash + 1),
  };
}

/** Where a sign stands in the order; the end of the text stands between tilde and letters. */
function rank(sign: string | undefined): number {
  if (sign === "~") return -1;
  if (sign === undefined || /\d/.test(sign)) return 0;
  return /[A-Za-z]/.test(sign) ? sign.charCodeAt(0) : sign.charCodeAt(0) + 256;
}

function compareParts(left: string, right: string): number {
  let a = left;
  let b = right;
  while (a !== "" || b !== "") {
    const signsOfA = /^\D*/.exec(a)![0];
    const signsOfB = /^\D*/.exec(b)![0];
    for (let index = 0; index < Math.max(signsOfA.length, signsOfB.length); index++) {
      const difference = rank(signsOfA[index]) - rank(signsOfB[index]);
      if (difference !== 0) return difference;
    }
    a = a.slice(signsOfA.length);
    b = b.slice(signsOfB.length);
    const digitsOfA = /^\d*/.exec(a)![0];
    const digitsOfB = /^\d*/.exec(b)![0];
    const difference = BigInt(digitsOfA || "0") - BigInt(digitsOfB || "0");
    if (difference !== 0n) return difference < 0n ? -1 : 1;
    a = a.slice(digitsOfA.length);
    b = b.slice(digitsOfB.length);
  }
  return 0;
}
