/** Formats of disk images that can be used. */
export const DISK_FORMATS = ["raw", "qcow2"] as const;
export type DiskFormat = (typeof DISK_FORMATS)[number];

/** Formats that are not raw, by their first bytes. Their content would look like garbage to the guest. */
const SIGNATURES: readonly { readonly name: string; readonly magic: string }[] = [
  { name: "qcow2", magic: "QFI\xfb" },
  { name: "VMDK", magic: "KDMV" },
  { name: "VMDK", magic: "# Disk DescriptorFile" },
  { name: "VHDX", magic: "vhdxfile" },
  { name: "VHD", magic: "conectix" },
  { name: "QED", magic: "QED\0" },
  { name: "VirtualBox", magic: "<<< Oracle VM VirtualBox Disk Image >>>" },
];

/** What a file that begins with these bytes would be taken for, if not for a raw image. */
export function formatOfStart(start: Uint8Array): string | undefined {
  const text = Buffer.from(start.buffer, start.byteOffset, Math.min(start.length, 64)).toString("latin1");
  return SIGNATURES.find(({ magic }) => text.startsWith(magic))?.name;
}
