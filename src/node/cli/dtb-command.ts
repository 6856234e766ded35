import { UserError } from "../../base/errors.ts";
import { generateDeviceTreeBlob } from "../../platform/device-tree-generator.ts";
import { kernelLevel, psciConduit } from "../../platform/psci-conduit.ts";
import { virtBoard } from "../../platform/virt-board.ts";
import type { Host } from "./host.ts";
import { writeOutputFile } from "./user-files.ts";

/** The options of `elvisor dtb`, read. */
export interface DtbOptions {
  readonly memory: number;
  readonly cpus: number;
  readonly numa: number;
  readonly secure?: boolean;
  readonly virtualization?: boolean;
  readonly append?: string | undefined;
  readonly output?: string | undefined;
}

/** `elvisor dtb`: writes the device tree that a kernel would be given. */
export async function dtbCommand(options: DtbOptions, host: Host): Promise<void> {
  const machine = {
    memoryBytes: options.memory,
    cpus: options.cpus,
    numaDomains: options.numa,
    secure: options.secure ?? false,
    virtualization: options.virtualization ?? false,
  };
  const conduit = psciConduit(machine, kernelLevel(machine));
  const blob = generateDeviceTreeBlob(
    virtBoard({ ...machine, psciConduit: conduit, commandLine: options.append }),
  );
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
