import type { BlockStore } from "../../devices/storage/block-store.ts";
import { formatOfStart } from "./formats.ts";
import type { HostFile } from "./host-file.ts";

export interface RawImageOptions {
  readonly readOnly: boolean;
  /**
   * The format was found out by the first bytes, and will be next time: a guest that writes the mark of another
   * format there would choose what the host opens then (a backing file, say), so that write fails.
   */
  readonly guarded: boolean;
  readonly report: (sentence: string) => void;
}

/** A disk whose blocks are a file's bytes. */
export class RawImage implements BlockStore {
  readonly size: number;
  readonly readOnly: boolean;
  readonly #file: HostFile;
  readonly #options: RawImageOptions;

  constructor(file: HostFile, options: RawImageOptions) {
    this.#file = file;
    this.#options = options;
    this.size = file.size;
    this.readOnly = options.readOnly;
  }

  read(offset: number, target: Uint8Array): Promise<void> | void {
    return this.#file.read(offset, target);
  }

  write(offset: number, source: Uint8Array): Promise<void> | void {
    if (this.readOnly) throw new Error(`The drive ${this.#file.name} is only read.`);
    if (offset === 0 && this.#options.guarded) this.#refuseOtherFormats(source);
    return this.#file.write(offset, source);
  }

  flush(): Promise<void> | void {
    return this.readOnly ? undefined : this.#file.flush();
  }

  #refuseOtherFormats(source: Uint8Array): void {
    const format = formatOfStart(source);
    if (format === undefined) return;
    const sentence = `The guest tried to turn the raw drive ${this.#file.name} into a ${format} image, which was refused; add ",format=raw" to the drive where that is meant.`;
    this.#options.report(sentence);
    throw new Error(sentence);
  }
}
