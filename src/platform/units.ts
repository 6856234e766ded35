const KIBIBYTE = 1024;
export const MEBIBYTE = 1024 * KIBIBYTE;
export const GIBIBYTE = 1024 * MEBIBYTE;

const UNITS = [
  { size: GIBIBYTE, name: "GiB" },
  { size: MEBIBYTE, name: "MiB" },
  { size: KIBIBYTE, name: "KiB" },
] as const;

/** Bytes in the largest binary unit that divides them: "512 MiB", "1000 bytes". */
export function formatBytes(bytes: number): string {
  const unit = bytes > 0 ? UNITS.find(({ size }) => bytes % size === 0) : undefined;
  return unit === undefined ? `${bytes} bytes` : `${bytes / unit.size} ${unit.name}`;
}
