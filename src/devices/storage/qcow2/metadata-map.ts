import { damaged, hex } from "./header.ts";

/** Which clusters hold the image's own structures, so that no guest data is ever written over them. */
export class MetadataMap {
  readonly #name: string;
  readonly #clusterSize: number;
  /** By cluster number. */
  readonly #owners = new Map<number, string>();

  constructor(name: string, clusterSize: number) {
    this.#name = name;
    this.#clusterSize = clusterSize;
  }

  /** Claims the clusters of [offset, offset + length); two structures in one place are damage. */
  add(offset: number, length: number, what: string): void {
    const first = Math.floor(offset / this.#clusterSize);
    const last = Math.ceil((offset + length) / this.#clusterSize);
    for (let cluster = first; cluster < last; cluster++) {
      const other = this.#owners.get(cluster);
      if (other !== undefined)
        throw damaged(
          this.#name,
          `the cluster at ${hex(cluster * this.#clusterSize)} is both ${other} and ${what}`,
        );
      this.#owners.set(cluster, what);
    }
  }

  remove(offset: number, length: number): void {
    const last = Math.ceil((offset + length) / this.#clusterSize);
    for (let cluster = Math.floor(offset / this.#clusterSize); cluster < last; cluster++)
      this.#owners.delete(cluster);
  }

  /** What the cluster belongs to, if it is not the guest's. */
  ownerOf(cluster: number): string | undefined {
    return this.#owners.get(cluster);
  }
}
