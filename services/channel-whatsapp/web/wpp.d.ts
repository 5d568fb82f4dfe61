// `WPP` as the page has it: the package declares what it exports, the bundle puts that on `window`.
import type * as wajs from "@wppconnect/wa-js";

declare global {
  const WPP: typeof wajs;
  interface Window {
    WPP: typeof wajs;
  }
}
