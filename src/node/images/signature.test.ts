import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type ArchiveKey, makeArchiveKey, signText } from "../../../test/support/debian-mirror.ts";
import { temporaryDirectory } from "../../../test/support/temporary-directory.ts";
import { signedText } from "./signature.ts";

const TEXT = "Origin: Test\n- a line with a dash\nSHA256:\n";
let key: ArchiveKey;
let stranger: ArchiveKey;
let signed: Uint8Array;
beforeAll(async () => {
  key = await makeArchiveKey();
  stranger = await makeArchiveKey();
  signed = await signText(TEXT, key);
});

/** Both ways of checking must agree. */
describe.each([
  ["gpgv", "gpgv"],
  ["the library", ""],
])("signedText() with %s", (_, gpgv) => {
  function check(bytes: Uint8Array, keys: Uint8Array): Promise<string> {
    const keyring = join(temporaryDirectory(), "keys.gpg");
    writeFileSync(keyring, keys);
    return signedText(bytes, "http://m.invalid/InRelease", { keyring, gpgv });
  }

  test("gives the signed text", async () => {
    expect((await check(signed, key.publicKey)).trimEnd()).toBe(TEXT.trimEnd());
  });

  test("gives nothing that stands outside the signed part", async () => {
    const framed = Buffer.concat([signed, Buffer.from("\nSHA256:\n evil\n")]);
    const text = await check(framed, key.publicKey).catch((error: Error) => error.message);
    expect(text).not.toContain("evil");
  });

  test("refuses a changed text", async () => {
    const changed = Buffer.from(Buffer.from(signed).toString().replace("Origin: Test", "Origin: Tent"));
    await expect(check(changed, key.publicKey)).rejects.toThrow(
      /signature of http:\/\/m\.invalid\/InRelease does not hold/,
    );
  });

  test("refuses a stranger's signature", async () => {
    await expect(check(signed, stranger.publicKey)).rejects.toThrow(/does not hold.*--keyring FILE/);
  });

  test("refuses what is not signed", async () => {
    await expect(check(Buffer.from(TEXT), key.publicKey)).rejects.toThrow(/not a signed index/);
    await expect(check(signed.subarray(0, signed.length / 2), key.publicKey)).rejects.toThrow(
      /does not hold/,
    );
  });

  test("says so when a keyring is none", async () => {
    await expect(check(signed, Buffer.from("nonsense"))).rejects.toThrow(/keys\.gpg holds no OpenPGP keys/);
    await expect(signedText(signed, "x", { keyring: "/nonexistent", gpgv })).rejects.toThrow(
      /The keyring \/nonexistent cannot be read/,
    );
    await expect(signedText(signed, "x", { keyringDirectory: temporaryDirectory(), gpgv })).rejects.toThrow(
      /no keys of Debian's archive; install the package debian-archive-keyring/,
    );
  });
});
