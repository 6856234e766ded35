import { UserError } from "../base/errors.ts";
import type { BootFile } from "../machine/boot/boot-file.ts";
import type { ServedFile, ServedGuest } from "../machine/served-guest.ts";

/** A guest with its files. */
export interface LoadedGuest extends Omit<ServedGuest, "kernel" | "initrd"> {
  readonly kernel: BootFile;
  readonly initrd: BootFile;
}

/** Called as bytes of a file come. */
export type OnProgress = (file: ServedFile, received: number) => void;

/** Fetches the guest that is described at `address`. */
export async function loadGuest(address: string, onProgress: OnProgress): Promise<LoadedGuest> {
  const guest = (await (await request(address, "the guest's description")).json()) as ServedGuest;
  const load = async (file: ServedFile): Promise<BootFile> => {
    const bytes = await loadFile(new URL(file.path, address).href, file, onProgress);
    return { name: file.name, bytes };
  };
  return { ...guest, kernel: await load(guest.kernel), initrd: await load(guest.initrd) };
}

async function loadFile(address: string, file: ServedFile, onProgress: OnProgress): Promise<Uint8Array> {
  const { body } = await request(address, file.name);
  const bytes = new Uint8Array(file.size);
  let received = 0;
  onProgress(file, received);
  const reader = body?.getReader();
  for (;;) {
    const part = await reader?.read().catch((cause: unknown) => {
      throw new UserError(
        `Fetching ${file.name} failed after ${received} bytes; is "npm run web" still running?`,
        { cause },
      );
    });
    if (part === undefined || part.done) break;
    if (received + part.value.length > file.size) throw changed(file);
    bytes.set(part.value, received);
    received += part.value.length;
    onProgress(file, received);
  }
  if (received !== file.size) throw changed(file);
  return bytes;
}

function changed(file: ServedFile): UserError {
  return new UserError(
    `Fetching ${file.name} brought another number of bytes than the ${file.size} announced; load the page again.`,
  );
}

async function request(address: string, name: string): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address);
  } catch (cause) {
    throw new UserError(`Fetching ${name} failed; is "npm run web" still running?`, { cause });
  }
  if (!response.ok) {
    throw new UserError(`Fetching ${name} failed: the server answers ${response.status}.`);
  }
  return response;
}
