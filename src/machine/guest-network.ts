import { UserError } from "../base/errors.ts";
import { NETWORK } from "../network/addresses.ts";
import type { HostNetwork } from "../network/host-network.ts";
import { parseAllowRule } from "../network/policy.ts";
import { type PublishedPort, parsePublishedPort } from "../network/publish.ts";
import { UserNetwork } from "../network/user-network.ts";
import type { VirtualMachineOptions } from "./virtual-machine-interface.ts";

/** A machine's network before and while the machine runs. */
export interface GuestNetwork {
  readonly network: UserNetwork;
  readonly macAddress: Uint8Array;
  readonly publishedPorts: readonly PublishedPort[];
}

/**
 * Makes the network that `options` ask for, its ports open. `wake` is called when it has something for the guest.
 * Unfit options are a UserError.
 */
export async function openGuestNetwork(
  { net, deterministic }: Pick<VirtualMachineOptions, "net" | "deterministic">,
  host: HostNetwork | undefined,
  wake: () => void,
): Promise<GuestNetwork | undefined> {
  if (net === undefined) return undefined;
  if (deterministic === true) {
    throw new UserError(
      "A deterministic machine has no network, because no two runs would hear the same; leave out --deterministic or give --net none.",
      { exitStatus: 2 },
    );
  }
  if (host === undefined)
    throw new UserError("This host has no sockets for a guest's network; give --net none.");
  const macAddress = net.macAddress === undefined ? NETWORK.guestMac : parseMacAddress(net.macAddress);
  const wanted = (net.publish ?? []).map(parsePublishedPort);
  const network = new UserNetwork({ host, allow: net.allow?.map(parseAllowRule), wake });
  const publishedPorts: PublishedPort[] = [];
  try {
    for (const port of wanted) publishedPorts.push(await network.publish(port));
  } catch (error) {
    await network.close();
    throw error;
  }
  return { network, macAddress, publishedPorts };
}

function parseMacAddress(text: string): Uint8Array {
  const bytes = text.split(":").map((part) => (/^[0-9a-f]{2}$/i.test(part) ? Number.parseInt(part, 16) : -1));
  if (bytes.length !== 6 || bytes.includes(-1) || (bytes[0]! & 1) === 1) {
    throw new UserError(`"${text}" is no MAC address of one card; give one such as 52:54:00:12:34:56.`, {
      exitStatus: 2,
    });
  }
  return Uint8Array.from(bytes);
}
