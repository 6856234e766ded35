import { makeCompileService } from "../../src/engine/instruction-set.ts";
import { keptRegion } from "../../src/engine/translator/cached-region.ts";
import type { CodeParameters, CodeStore, KeptModule } from "../../src/engine/translator/code-cache.ts";
import { compileModule } from "../../src/engine/translator/region-compiler.ts";
import type { RegionDescription } from "../../src/engine/translator/region-description.ts";

/** Keeps regions for later machines of this process, in one module for each time that some are saved. */
export class MemoryCodeStore implements CodeStore {
  readonly refused = 0;
  readonly #modules: KeptModule[] = [];
  readonly #service = makeCompileService();

  load(): readonly KeptModule[] {
    return this.#modules;
  }

  save(
    { memoryPages, tracksRegisters, element }: CodeParameters,
    regions: readonly RegionDescription[],
  ): void {
    const orders = regions.map((region) => ({ region, element }));
    // What other threads and files get.
    const job = structuredClone({ memoryPages, tracksRegisters, regions: orders });
    const { bytes, entries } = this.#service.write(job);
    this.#modules.push({
      module: compileModule(bytes),
      codeBytes: bytes.length,
      regions: regions.map((region, position) => keptRegion(region, entries[position])),
    });
  }
}
