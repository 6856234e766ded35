import type { Guest } from "./guest.ts";

/** What `look` finds with the doors of the guest's services open, and with them closed. */
export async function openAndClosed<T>({ machine }: Guest, look: () => Promise<T>): Promise<[T, T]> {
  const open = await look();
  machine.guest.services = false;
  try {
    return [open, await look()];
  } finally {
    machine.guest.services = true;
  }
}
