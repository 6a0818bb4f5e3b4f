// What a web site includes with one line:
//
//   <script src="https://chat.example.org/widget.js" data-language="fr" data-position="right" data-colour="0b5cab" defer></script>
//
// It inserts a button and, once a person opens the chat, a frame with the chat page of this script's own origin. Before that nothing is
// loaded, stored or sent; after it the site sees nothing of what is said, as the frame is another origin's. The site's
// Content-Security-Policy has to allow that origin in script-src and frame-src.
//
// data-language: fr or en; else the page's language, else the browser's. data-position: right or left. data-colour: six hexadecimal digits.
(() => {
  "use strict";

  const WORDS = {
    fr: {
      open: "Ouvrir la discussion",
      close: "Fermer la discussion",
      chat: "Discussion avec l’assistant",
      unread: (count) => (count === "1" ? "1 message non lu" : `${count} messages non lus`),
    },
    en: {
      open: "Open the chat",
      close: "Close the chat",
      chat: "Chat with the assistant",
      unread: (count) => (count === "1" ? "1 unread message" : `${count} unread messages`),
    },
  };
  const COVERS = "(max-width: 480px), (max-height: 480px)"; // where the chat takes the whole screen
  const UNREAD_MAX = 9;

  const script = document.currentScript;
  const origin = new URL(script.src).origin;
  const asked = [script.dataset.language, document.documentElement.lang, ...navigator.languages].map((tag) => (tag || "").slice(0, 2));
  const language = asked.find((tag) => tag in WORDS) ?? "en";
  const words = WORDS[language];
  const colour = /^[0-9a-f]{6}$/i.test((script.dataset.colour ?? "").replace("#", "")) ? script.dataset.colour.replace("#", "") : "0b5cab";
  const side = script.dataset.position === "left" ? "left" : "right";

  // The same rule as in colour.js: whichever of black and white reads better on the colour (WCAG relative luminance).
  function writing(hex) {
    const [red, green, blue] = [0, 2, 4].map((at) => {
      const part = parseInt(hex.slice(at, at + 2), 16) / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
  }

  const STYLE = `
    :host { all: initial; }
    button, iframe { position: fixed; z-index: 2147483000; ${side}: 20px; border: 0; margin: 0; }
    button { bottom: 20px; width: 60px; height: 60px; padding: 0; border-radius: 50%; cursor: pointer; background: #${colour};
      color: ${writing(colour)}; border: 2px solid transparent; box-shadow: 0 2px 6px rgb(0 0 0 / 20%), 0 8px 24px rgb(0 0 0 / 22%); }
    @media (hover: hover) { button:hover { filter: brightness(1.08); } }
    button:focus-visible { outline: 3px solid ${writing(colour)}; outline-offset: -7px; box-shadow: 0 0 0 4px #${colour}; }
    svg { display: block; width: 28px; height: 28px; margin: auto; }
    [hidden] { display: none !important; }
    .unread { position: absolute; top: -4px; right: -4px; min-width: 22px; height: 22px; box-sizing: border-box; padding: 0 6px;
      border-radius: 11px; background: #b3261e; color: #fff; font: 700 13px/22px system-ui, sans-serif; }
    iframe { bottom: 96px; width: 400px; max-width: calc(100vw - 40px); height: 660px; max-height: calc(100vh - 116px);
      border-radius: 16px; background: Canvas; color-scheme: normal; box-shadow: 0 4px 12px rgb(0 0 0 / 14%), 0 16px 48px rgb(0 0 0 / 24%); }
    @media ${COVERS} {
      iframe { inset: 0 0 auto 0; width: 100%; max-width: none; height: 100vh; height: 100dvh; max-height: none; border-radius: 0; box-shadow: none; }
      .open { display: none; }
    }
    @media (prefers-reduced-motion: no-preference) {
      button { transition: filter 120ms; }
      iframe { animation: rise 160ms ease-out; }
      @keyframes rise { from { opacity: 0; transform: translateY(12px); } }
    }
    @media (forced-colors: active) { button, iframe { border: 2px solid ButtonText; } button:focus-visible { outline-color: Highlight; outline-offset: 2px; } }
    @media print { :host { display: none; } }`;

  // Made node by node: a site whose policy asks for trusted types, or forbids inline styles, can include this as it is.
  const SVG = "http://www.w3.org/2000/svg";
  function icon(path) {
    const drawing = document.createElementNS(SVG, "svg");
    const line = document.createElementNS(SVG, "path");
    for (const [name, value] of Object.entries({ viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", "stroke-width": "2", "aria-hidden": "true" })) {
      drawing.setAttribute(name, value);
    }
    for (const [name, value] of Object.entries({ d: path, "stroke-linecap": "round", "stroke-linejoin": "round" })) line.setAttribute(name, value);
    drawing.append(line);
    return drawing;
  }

  const place = document.createElement("div");
  const shadow = place.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  shadow.adoptedStyleSheets = [sheet];

  const button = document.createElement("button");
  const speech = icon("M20.5 11.6a8.2 8.2 0 0 1-12 7.3L3.5 20.5l1.6-4.8A8.2 8.2 0 1 1 20.5 11.6z M8.5 10h7 M8.5 13.5h4.5");
  const down = icon("M5 9l7 7 7-7");
  const badge = document.createElement("span");
  badge.className = "unread";
  badge.setAttribute("aria-hidden", "true"); // the button's name says it
  button.type = "button";
  button.append(speech, down, badge);
  shadow.append(button);

  let frame = null;
  let ready = false;
  let unread = 0;
  let isOpen = false;
  const covers = matchMedia(COVERS);

  function show() {
    const count = unread > UNREAD_MAX ? `${UNREAD_MAX}+` : String(unread);
    button.className = isOpen ? "open" : "";
    button.setAttribute("aria-expanded", String(isOpen));
    button.setAttribute("aria-label", isOpen ? words.close : words.open + (unread ? ` (${words.unread(count)})` : ""));
    badge.textContent = count;
    badge.hidden = isOpen || unread === 0;
    speech.toggleAttribute("hidden", isOpen);
    down.toggleAttribute("hidden", !isOpen);
    if (frame) frame.hidden = !isOpen;
    shut(isOpen && covers.matches);
    fit();
    tell();
  }

  // Where the chat takes the screen, the page behind it is neither scrolled nor reached by the keyboard.
  const behind = { elements: [], overflow: "" };
  function shut(hidden) {
    if (hidden === behind.elements.length > 0) return;
    const root = document.documentElement.style;
    if (hidden) {
      behind.elements = [...document.body.children].filter((each) => each !== place && !each.inert);
      behind.overflow = root.overflow;
    }
    for (const each of behind.elements) each.inert = hidden;
    root.overflow = hidden ? "hidden" : behind.overflow;
    if (!hidden) behind.elements = [];
  }

  // On a phone the keyboard covers the lower part of the page: the frame keeps to what is left of it.
  function fit() {
    if (!frame || !globalThis.visualViewport) return;
    const fitted = isOpen && covers.matches && visualViewport.scale === 1;
    frame.style.height = fitted ? `${visualViewport.height}px` : "";
    frame.style.top = fitted ? `${visualViewport.offsetTop}px` : "";
  }

  function tell() {
    // Nothing secret, and only to the origin that the frame was made with.
    if (ready) frame.contentWindow.postMessage({ parloir: isOpen ? "shown" : "hidden", covers: covers.matches }, origin);
  }

  function open() {
    isOpen = true;
    unread = 0;
    if (!frame) {
      frame = document.createElement("iframe");
      frame.title = words.chat;
      frame.referrerPolicy = "no-referrer";
      frame.src = `${origin}/chat?${new URLSearchParams({ language, colour })}`;
      shadow.append(frame);
    }
    show();
    frame.focus();
  }

  function close() {
    isOpen = false;
    show();
    button.focus();
  }

  button.addEventListener("click", () => (isOpen ? close() : open()));
  button.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isOpen) close();
  });
  covers.addEventListener("change", show);
  addEventListener("message", (event) => {
    if (!frame || event.source !== frame.contentWindow || event.origin !== origin) return;
    if (event.data?.parloir === "ready") {
      ready = true;
      tell();
    }
    if (event.data?.parloir === "close" && isOpen) close();
    if (event.data?.parloir === "unread" && !isOpen) {
      unread += 1;
      show();
    }
  });

  globalThis.visualViewport?.addEventListener("resize", fit);
  globalThis.visualViewport?.addEventListener("scroll", fit);

  function insert() {
    document.body.append(place);
    show();
  }
  if (document.body) insert();
  else addEventListener("DOMContentLoaded", insert);
})();
