import { writeFile } from "node:fs/promises";
import { UserError } from "../../base/errors.ts";
import { hvcallProgram } from "../../hypervisor/services/hvcall.ts";

/** `elvisor hvcall`: writes the guest's tool. */
export async function hvcallCommand({ output }: { readonly output: string }): Promise<void> {
  try {
    await writeFile(output, hvcallProgram(), { mode: 0o755 });
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    throw new UserError(`The program cannot be written to ${output} (${code}); give another file with -o.`, {
      cause,
    });
  }
}
