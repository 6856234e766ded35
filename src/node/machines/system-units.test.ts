import { expect, test } from "vitest";
import { shareUnits } from "./system-units.ts";

test("shares become units under the names that systemd gives their paths", () => {
  const mount = (mountPoint: string, readOnly = false) => [
    ...shareUnits([{ tag: "share0", mountPoint, readOnly }]),
  ];
  expect(mount("/mnt/", true)).toEqual([
    [
      "systemd/system/mnt.mount",
      { content: "[Mount]\nWhat=share0\nWhere=/mnt\nType=virtiofs\nOptions=ro\n" },
    ],
    ["systemd/system/local-fs.target.d/10-share0.conf", { content: "[Unit]\nWants=mnt.mount\n" }],
  ]);
  // As systemd-escape --path has them.
  for (const [path, unit] of [
    ["/srv//data", "srv-data"],
    ["/srv/x/../a b", "srv-a\\x20b"],
    ["/.hidden/.b", "\\x2ehidden-.b"],
    ["/ä-50%", "\\xc3\\xa4\\x2d50\\x25"],
  ] as const) {
    expect(mount(path)[0]![0]).toBe(`systemd/system/${unit}.mount`);
  }
  expect(mount("/50%")[0]![1].content).toContain("Where=/50%%\n");
});
