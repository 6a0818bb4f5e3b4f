// The field that a message is written in: it grows with its text, Enter sends, Shift+Enter begins a line.

import { say } from "./words.js";

const LEFT = 200; // from so few characters left on, they are counted

/** `said(words)` when a message is sent; a blank one is not. */
export function writing({ form, text, left, said }) {
  const grows = CSS.supports("field-sizing", "content"); // by itself

  text.addEventListener("input", () => {
    if (!grows) {
      text.style.height = "auto";
      text.style.height = `${text.scrollHeight + 2}px`;
    }
    const remaining = text.maxLength - text.value.length;
    left.textContent = remaining <= LEFT ? `${remaining} ${say("left")}` : "";
  });

  text.addEventListener("keydown", (event) => {
    // Enter that ends a composition (Japanese, Chinese, an accent) is not the one that sends.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const words = text.value.trim();
    if (words) {
      text.value = "";
      text.dispatchEvent(new Event("input"));
      said(words);
    }
    text.focus();
  });
}
