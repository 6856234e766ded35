import type { Compatibility } from "../hypervisor/guest-services.ts";
import { mergeIdentities, type SmbiosIdentity } from "../platform/smbios/identity.ts";

/** What a machine calls itself where it answers another hypervisor's interface: guests look for that in DMI. */
const COMPATIBLE_IDENTITIES: Record<Compatibility, SmbiosIdentity> = {
  vmware: { 1: { manufacturer: "VMware, Inc.", product: "VMware Virtual Platform" } },
};

/** Names of a machine for its guest, with a UUID where the hypervisor's interface tells one. The user's go first. */
export function machineIdentity(options: {
  readonly compatibility?: Compatibility | undefined;
  readonly identity?: SmbiosIdentity | undefined;
  readonly deterministic?: boolean;
  readonly randomBytes?: (length: number) => Uint8Array;
}): SmbiosIdentity | undefined {
  const { compatibility, identity, deterministic = false, randomBytes } = options;
  if (compatibility === undefined) return identity;
  const random = deterministic ? undefined : randomBytes?.(16);
  const uuid = { 1: { uuid: uuidText(random ?? new Uint8Array(16).fill(1)) } };
  return mergeIdentities([COMPATIBLE_IDENTITIES[compatibility], uuid, identity ?? {}]);
}

/** The bytes of a machine's UUID, in the order of its text. Zeros where it has none. */
export function machineUuid(identity: SmbiosIdentity | undefined): Uint8Array {
  const text = identity?.[1]?.uuid?.replaceAll("-", "") ?? "";
  return Uint8Array.from({ length: 16 }, (_, at) => Number.parseInt(text.slice(at * 2, at * 2 + 2), 16) || 0);
}

/** RFC 4122, version 4. */
function uuidText(random: Uint8Array): string {
  const bytes = [...random];
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("")
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
