/** Which properties hold phandles, and what follows each of them. A blob does not say; the bindings do. */

/** Lists of references with arguments: the property of the referred node that counts each reference's arguments. */
const WITH_ARGUMENTS: Readonly<Record<string, string>> = {
  "access-controllers": "#access-controller-cells",
  "assigned-clock-parents": "#clock-cells",
  "assigned-clocks": "#clock-cells",
  clocks: "#clock-cells",
  "cooling-device": "#cooling-cells",
  dmas: "#dma-cells",
  hwlocks: "#hwlock-cells",
  interconnects: "#interconnect-cells",
  "io-backends": "#io-backend-cells",
  "io-channels": "#io-channel-cells",
  iommus: "#iommu-cells",
  mboxes: "#mbox-cells",
  "msi-parent": "#msi-cells",
  "mux-controls": "#mux-control-cells",
  "mux-states": "#mux-state-cells",
  "nvmem-cells": "#nvmem-cell-cells",
  "performance-domains": "#performance-domain-cells",
  phys: "#phy-cells",
  "power-domains": "#power-domain-cells",
  pwms: "#pwm-cells",
  "qcom,freq-domain": "#freq-domain-cells",
  "qcom,smem-states": "#qcom,smem-state-cells",
  resets: "#reset-cells",
  "sound-dai": "#sound-dai-cells",
  "thermal-sensors": "#thermal-sensor-cells",
};

/** Lists of references without arguments. */
const PLAIN: ReadonlySet<string> = new Set([
  "affinity",
  "assigned-performance-states",
  "audio-aux-devs",
  "audio-codec",
  "backlight",
  "cpu",
  "cpu-idle-states",
  "cpus",
  "dais",
  "ddc-i2c-bus",
  "domain-idle-states",
  "extcon",
  "i2c-bus",
  "interrupt-affinity",
  "interrupt-parent",
  "leds",
  "mdio-parent-bus",
  "mediatek,infracfg",
  "mediatek,larbs",
  "mediatek,scp",
  "mediatek,smi",
  "memory-region",
  "mmc-pwrseq",
  "monitored-battery",
  "next-level-cache",
  "operating-points-v2",
  "panel",
  "pcs-handle",
  "peer-hub",
  "phy-handle",
  "ports",
  "power-sequencer",
  "qcom,gmu",
  "qcom,ice",
  "qcom,qmp",
  "regulator-coupled-with",
  "remote-endpoint",
  "required-opps",
  "rockchip,grf",
  "rockchip,pipe-grf",
  "rockchip,pmu",
  "rockchip,usbgrf",
  "simple-audio-card,bitclock-master",
  "simple-audio-card,frame-master",
  "sfp",
  "syscon",
  "ti,sci",
  "trip",
  "wakeup-parent",
]);

/** Endings and forms of names that are such lists by convention. */
const PLAIN_PATTERN = /^pinctrl-\d+$|-supply$|-syscon$/;
/** Lists of pins: phandle, then what the controller's #gpio-cells counts. */
const GPIO_PATTERN = /(^|-)gpios?$/;
/** What ends like pins and is something else. */
const NOT_GPIOS: ReadonlySet<string> = new Set(["ngpios", "nr-gpios", "gpio-ranges", "snps,nr-gpios"]);

/** How to read a property: references with counted arguments, plain ones, pins; undefined for none of them. */
export type ReferenceShape =
  | { readonly kind: "arguments"; readonly counter: string }
  | { readonly kind: "plain" }
  | { readonly kind: "gpios" };

/** The shape of a property by its name. */
export function referenceShape(property: string): ReferenceShape | undefined {
  const counter = WITH_ARGUMENTS[property];
  if (counter !== undefined && Object.hasOwn(WITH_ARGUMENTS, property)) return { kind: "arguments", counter };
  if (PLAIN.has(property) || PLAIN_PATTERN.test(property)) return { kind: "plain" };
  if (GPIO_PATTERN.test(property) && !NOT_GPIOS.has(property) && !property.endsWith("nr-gpios")) {
    return { kind: "gpios" };
  }
  return undefined;
}

/** Properties whose pairs of cells are 64-bit numbers. */
export const WIDE_PROPERTIES: ReadonlySet<string> = new Set(["opp-hz", "assigned-clock-rates-u64"]);
