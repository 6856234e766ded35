import { UserError } from "../../base/errors.ts";
import type { DriveFileOptions } from "./drive-file.ts";
import { DISK_FORMATS } from "./formats.ts";

/** `--drive FILE[,OPTION...]`, read. */
export interface DriveOption {
  readonly path: string;
  readonly options: DriveFileOptions;
}

const HELP = "ro, format=raw, format=qcow2, serial=TEXT, bus=mmio, bus=pci, overlay or overlay=FILE";

/**
 * Reads "disk.qcow2,ro,serial=data1". A comma that belongs to the file's name is written twice, as QEMU wants it.
 */
export function parseDrive(text: string): DriveOption {
  const [path = "", ...words] = splitAtCommas(text);
  if (path === "") throw wrong(text, "names no file");
  let options: DriveFileOptions = {};
  for (const word of words) {
    const [key = "", value] = splitOnce(word);
    switch (key) {
      case "ro":
      case "readonly":
        if (value !== undefined) throw wrong(text, `gives ${key} a value`);
        options = { ...options, readOnly: true };
        break;
      case "overlay":
        if (value === "") throw wrong(text, "gives the overlay an empty name");
        options = { ...options, overlay: value === undefined ? "temporary" : { path: value } };
        break;
      case "serial":
        options = { ...options, serial: value ?? "" };
        break;
      case "bus":
        if (value !== "mmio" && value !== "pci") throw wrong(text, `has the bus ${value ?? ""}`);
        options = { ...options, bus: value };
        break;
      case "format": {
        const format = DISK_FORMATS.find((name) => name === value);
        if (format === undefined) throw wrong(text, `has the format ${value ?? ""}`);
        options = { ...options, format };
        break;
      }
      default:
        throw wrong(text, `has the option "${word}"`);
    }
  }
  return { path, options };
}

function wrong(text: string, what: string): UserError {
  return new UserError(
    `The drive "${text}" ${what}; after the file's name there may be: ${HELP} (write a comma in a name twice).`,
    { exitStatus: 2 },
  );
}

function splitOnce(word: string): [string, string | undefined] {
  const at = word.indexOf("=");
  return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
}

/** At single commas; a double one is a comma. */
export function splitAtCommas(text: string): string[] {
  const parts: string[] = [];
  let part = "";
  for (let at = 0; at < text.length; at++) {
    if (text[at] !== ",") part += text[at];
    else if (text[at + 1] === ",") {
      part += ",";
      at++;
    } else {
      parts.push(part);
      part = "";
    }
  }
  return [...parts, part];
}
