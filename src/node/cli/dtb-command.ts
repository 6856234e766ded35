import { UserError } from "../../base/errors.ts";
import { virtDeviceTreeBlob } from "../../platform/virt-device-tree.ts";
import { type BoardOptions, boardOf } from "./board-options.ts";
import type { Host } from "./host.ts";
import { writeOutputFile } from "./user-files.ts";

/** The options of `elvisor dtb`, read. */
export interface DtbOptions extends BoardOptions {
  readonly append?: string | undefined;
  readonly output?: string | undefined;
}

/** `elvisor dtb`: writes the device tree that a kernel would be given. */
export async function dtbCommand(options: DtbOptions, host: Host): Promise<void> {
  const blob = virtDeviceTreeBlob({ ...boardOf(options), commandLine: options.append });
  if (options.output !== undefined) {
    await writeOutputFile(options.output, blob);
    return;
  }
  if (host.stdout.isTTY) {
    throw new UserError(
      "A device tree is not text; name a file with --output FILE, or send it to a program.",
      {
        exitStatus: 2,
      },
    );
  }
  host.stdout.write(blob);
}
