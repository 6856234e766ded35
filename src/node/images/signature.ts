import { spawn } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { readCleartextMessage, readKeys, verify } from "openpgp";
import { Bug, UserError } from "../../base/errors.ts";

/** Where Debian's package `debian-archive-keyring` puts its keys. */
const HOST_KEYRINGS = "/usr/share/keyrings";

/** How signatures are checked. */
export interface SignatureSettings {
  /** The value of `--keyring`; otherwise the host's keys of Debian's archive. */
  readonly keyring?: string | undefined;
  /** Where the host's keyrings lie; for tests. */
  readonly keyringDirectory?: string;
  /** The program that checks; without it, or with "", the OpenPGP library does. */
  readonly gpgv?: string;
}

/**
 * Checks a clear-signed text (InRelease) and returns the signed part, nothing else of the file.
 * `origin` names the file in messages.
 */
export async function signedText(
  signed: Uint8Array,
  origin: string,
  settings: SignatureSettings,
): Promise<string> {
  const keyrings = await findKeyrings(settings);
  const unfit = (reason: string): UserError =>
    new UserError(
      `The signature of ${origin} does not hold (${reason}); name another mirror with --mirror URL, or its keys with --keyring FILE.`,
    );
  if (!new TextDecoder().decode(signed.subarray(0, 64)).startsWith("-----BEGIN PGP SIGNED MESSAGE-----")) {
    throw unfit("it is not a signed index");
  }
  const byProgram = keyrings.some((path) => path.endsWith(".asc"))
    ? undefined
    : await verifyWithGpgv(signed, keyrings, settings.gpgv ?? "gpgv");
  const result = byProgram ?? (await verifyWithLibrary(signed, keyrings));
  if ("refused" in result) throw unfit(result.refused);
  return result.text.replaceAll("\r\n", "\n");
}

async function findKeyrings(settings: SignatureSettings): Promise<string[]> {
  if (settings.keyring !== undefined) return [settings.keyring];
  const directory = settings.keyringDirectory ?? HOST_KEYRINGS;
  let names: string[] = [];
  try {
    names = await readdir(directory);
  } catch {
    // Reported below like a directory without keys.
  }
  const keyrings = names.filter(
    (name) => /^debian-archive-.*\.(gpg|pgp)$/.test(name) && !name.includes("removed"),
  );
  if (keyrings.length === 0) {
    throw new UserError(
      `${directory} has no keys of Debian's archive; install the package debian-archive-keyring or name a key file with --keyring FILE.`,
    );
  }
  // The one that holds all keys is enough where it exists.
  const whole = keyrings.find((name) => /^debian-archive-keyring\./.test(name));
  return (whole === undefined ? keyrings.sort() : [whole]).map((name) => join(directory, name));
}

type Verdict = { readonly text: string } | { readonly refused: string };

/** undefined where the program cannot be used. */
async function verifyWithGpgv(
  signed: Uint8Array,
  keyrings: readonly string[],
  program: string,
): Promise<Verdict | undefined> {
  if (program === "") return undefined;
  await Promise.all(keyrings.map(readKeyring));
  const options = keyrings.flatMap((path) => ["--keyring", path]);
  const child = spawn(program, [...options, "--status-fd", "2", "--output", "-"], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  const output: Uint8Array[] = [];
  const status: Uint8Array[] = [];
  child.stdout.on("data", (piece: Uint8Array) => output.push(piece));
  child.stderr.on("data", (piece: Uint8Array) => status.push(piece));
  child.stdin.on("error", () => {}); // It may end before it has read everything; its status says why.
  child.stdin.end(signed);
  const started = await new Promise<boolean>((resolve) => {
    child.on("error", () => resolve(false));
    child.on("close", () => resolve(true));
  });
  if (!started) return undefined;
  const lines = Buffer.concat(status).toString();
  if (/^\[GNUPG:\] BADSIG /m.test(lines)) return { refused: "it was changed after it was signed" };
  if (!/^\[GNUPG:\] GOODSIG /m.test(lines) || !/^\[GNUPG:\] VALIDSIG /m.test(lines)) {
    if (/^\[GNUPG:\] (EXPKEYSIG|KEYEXPIRED)/m.test(lines)) return { refused: "the key has expired" };
    if (/^\[GNUPG:\] NO_PUBKEY /m.test(lines)) return { refused: `no key of ${keyrings.join(", ")} made it` };
    return { refused: "gpgv does not accept it" };
  }
  return { text: Buffer.concat(output).toString() };
}

async function verifyWithLibrary(signed: Uint8Array, keyrings: readonly string[]): Promise<Verdict> {
  const keys = (await Promise.all(keyrings.map(readKeyring))).flat();
  try {
    const message = await readCleartextMessage({ cleartextMessage: new TextDecoder().decode(signed) });
    const { data, signatures } = await verify({ message, verificationKeys: keys });
    const verdicts = await Promise.all(
      signatures.map((signature) =>
        signature.verified.then(
          () => "good",
          (error: unknown) => (error instanceof Error ? error.message : String(error)),
        ),
      ),
    );
    if (verdicts.includes("good")) return { text: String(data) };
    return { refused: verdicts[0] ?? "it has no signature" };
  } catch (cause) {
    return { refused: cause instanceof Error ? cause.message : String(cause) };
  }
}

async function readKeyring(path: string): Promise<Awaited<ReturnType<typeof readKeys>>> {
  let content: Uint8Array;
  try {
    content = await readFile(path);
  } catch {
    throw new UserError(`The keyring ${path} cannot be read; name another one with --keyring FILE.`);
  }
  try {
    const armored = new TextDecoder().decode(content.subarray(0, 20)).startsWith("-----BEGIN PGP");
    const keys = armored
      ? await readKeys({ armoredKeys: new TextDecoder().decode(content) })
      : await readKeys({ binaryKeys: new Uint8Array(content) });
    if (keys.length === 0) throw new Bug("a keyring without keys is an error of the library");
    return keys;
  } catch {
    throw new UserError(`The keyring ${path} holds no OpenPGP keys; name another one with --keyring FILE.`);
  }
}
