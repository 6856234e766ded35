/** Interrupt controllers whose specifiers are understood, by their `compatible` names. Facts of their bindings. */

/** Generic Interrupt Controllers of version 2 (and 1, which differs in nothing that tables say). */
export const GIC_V2: readonly string[] = [
  "arm,gic-400",
  "arm,cortex-a15-gic",
  "arm,cortex-a9-gic",
  "arm,cortex-a7-gic",
  "qcom,msm-qgic2",
];

/** Of versions 3 and 4. */
export const GIC_V3: readonly string[] = ["arm,gic-v3"];

/** Translation services, and frames of message-signalled interrupts. */
export const GIC_ITS: readonly string[] = ["arm,gic-v3-its"];
export const GIC_MSI_FRAME: readonly string[] = ["arm,gic-v2m-frame"];

/**
 * Controllers between devices and the GIC that keep the GIC's specifiers and numbers: they only wake the system
 * or invert levels, which firmware has set up where ACPI is used.
 */
export const TRANSPARENT_CONTROLLERS: readonly string[] = [
  "allwinner,sun6i-a31-r-intc",
  "allwinner,sun8i-h3-r-intc",
  "allwinner,sun50i-a64-r-intc",
  "fsl,imx7d-gpc",
  "fsl,imx8mm-gpc",
  "fsl,imx8mn-gpc",
  "fsl,imx8mp-gpc",
  "fsl,imx8mq-gpc",
  "mediatek,mt6577-sysirq",
  "nvidia,tegra30-ictlr",
  "nvidia,tegra210-ictlr",
];

/** Pins of these GPIO controllers are named by bank and pin, this many pins a bank. */
export const PINS_PER_BANK: Readonly<Record<string, number>> = {
  "allwinner,sun50i-a64-pinctrl": 32,
  "allwinner,sun50i-a64-r-pinctrl": 32,
  "allwinner,sun50i-a100-pinctrl": 32,
  "allwinner,sun50i-a100-r-pinctrl": 32,
  "allwinner,sun50i-h5-pinctrl": 32,
  "allwinner,sun50i-h6-pinctrl": 32,
  "allwinner,sun50i-h6-r-pinctrl": 32,
  "allwinner,sun50i-h616-pinctrl": 32,
  "allwinner,sun50i-h616-r-pinctrl": 32,
  "allwinner,sun8i-h3-r-pinctrl": 32,
};

/** Kinds of interrupts in a GIC's specifier (first cell), with the INTID of the first one and how many there are. */
export const GIC_KINDS: readonly { readonly first: number; readonly count: number }[] = [
  { first: 32, count: 988 },
  { first: 16, count: 16 },
  { first: 4096, count: 1024 },
  { first: 1056, count: 64 },
];
