import { stderrProgress } from "./cli/progress.ts";
import { cacheDirectory, ImageCache } from "./images/cache.ts";
import type { PullSettings } from "./images/pull.ts";

/** The settings of this user: cache, mirror and keys as the command line finds them, progress on stderr. */
export function userSettings(change: Partial<PullSettings> = {}): PullSettings {
  return {
    cache: new ImageCache(cacheDirectory(process.env)),
    progress: stderrProgress(process.stderr),
    environment: process.env,
    ...change,
  };
}
