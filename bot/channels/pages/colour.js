// The site's colour, made readable: WCAG 2.2 asks for a contrast of 4.5 between words and what they stand on.

// What words stand on, as in chat.css: of each scheme the surface that is nearest to them.
const LIGHT = "eef1f5";
const DARK = "272d36";
const ENOUGH = 4.6;

const parts = (hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));

function luminance(hex) {
  const [red, green, blue] = parts(hex).map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

export function contrast(one, other) {
  const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}

const mixed = (hex, towards, share) =>
  parts(hex).map((part, at) => Math.round(part + (parts(towards)[at] - part) * share).toString(16).padStart(2, "0")).join("");

/** The colour itself where it can be read on a background, else as much of white or black mixed in as that takes. */
export function readable(hex, background) {
  const towards = luminance(background) > 0.179 ? "000000" : "ffffff";
  let share = 0;
  while (contrast(mixed(hex, towards, share), background) < ENOUGH && share < 1) share += 0.05;
  return mixed(hex, towards, share);
}

/** Paints the page in a colour of six hexadecimal digits; anything else leaves it as the style sheet has it. */
export function paint(hex) {
  if (!/^[0-9a-f]{6}$/i.test(hex ?? "")) return;
  const style = document.documentElement.style;
  style.setProperty("--accent", `#${hex}`);
  style.setProperty("--on-accent", luminance(hex) > 0.179 ? "#000" : "#fff");
  style.setProperty("--accent-on-light", `#${readable(hex, LIGHT)}`);
  style.setProperty("--accent-on-dark", `#${readable(hex, DARK)}`);
}
