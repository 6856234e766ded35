/** What is booted when nothing is named. */
export const DEFAULT_KERNEL = "kernel:6.1-cloud";
