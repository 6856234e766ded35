import { describe, expect, test } from "vitest";
import { mergeIdentities, parseIdentity } from "./identity.ts";

describe("settings of identity", () => {
  test("name a structure and its texts", () => {
    expect(parseIdentity("type=1,manufacturer=ACME Inc.,serial=a=b")).toEqual({
      1: { manufacturer: "ACME Inc.", serial: "a=b" },
    });
    expect(parseIdentity("type=2")).toEqual({ 2: {} });
  });

  test("of the same structure come together, the later ones winning", () => {
    const settings = ["type=1,sku=1,family=x", "type=3,asset=7", "type=1,sku=2"].map(parseIdentity);
    expect(mergeIdentities(settings)).toEqual({ 1: { sku: "2", family: "x" }, 3: { asset: "7" } });
  });

  test.each([
    ["", /begins with ""/],
    ["type=4,version=1", /begins with "type=4"; begin it with type=N, where N is one of 0, 1, 2, 3/],
    ["type=toString", /begins with/],
    ["type=1,colour=red", /has the field "colour"; type 1 has manufacturer, product/],
    ["type=1,serial", /no value for serial/],
    ["type=1,serial=é", /printable ASCII/],
    ["type=1,uuid=1234", /01234567-89ab-cdef-0123-456789abcdef/],
    [`type=1,serial=${"x".repeat(256)}`, /256 characters/],
  ])("%s is refused with a sentence", (setting, message) => {
    expect(() => parseIdentity(setting)).toThrow(message);
  });
});
