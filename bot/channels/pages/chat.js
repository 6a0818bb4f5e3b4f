// The chat page: wires what the person does to the connection, and what comes in to the list.

import { paint } from "./colour.js";
import { Connection } from "./connection.js";
import { Messages } from "./messages.js";
import { store, stored } from "./stored.js";
import { fill, language, LANGUAGES, say, speak } from "./words.js";
import { writing } from "./writing.js";

const BACK_MS = 3_000; // how long it is said that the connection is back
const CONNECTING_MS = 700; // a connection that takes longer is worth a word

const element = (id) => document.getElementById(id);
const framed = window.parent !== window;
const touched = matchMedia("(pointer: coarse)"); // a field that gets the focus opens a keyboard over half the screen

// What is known of the conversation. `notice` is the version that was shown; `last`, the highest number heard, is about what stands on
// the page and not kept.
let token = null;
let notice = null;
let last = 0;
let speaks = {}; // by language, the payload that asks the assistant for it
let shown = !framed; // whether the person sees the page
let lost = false; // whether the connection was there and is not
let trouble = ""; // what the gateway said before it closed the connection
let timer = 0;

function keep() {
  store(token && { token, notice, language: language() });
}

/** Tells the page around this one. No secret: who frames this page may know that there is a message, not which. */
function tell(what) {
  if (framed) window.parent.postMessage({ parloir: what }, "*");
}

const messages = new Messages({
  log: element("log"),
  list: element("list"),
  typing: element("typing"),
  earlier: element("earlier"),
  newer: element("newer"),
  choose: ({ title, payload }) => {
    utter({ type: "choose", payload, text: title });
    rest();
  },
  again: utter,
});

const connection = new Connection({
  hello: () => ({ type: "hello", token, last, language: language(), notice }),
  message: hear,
  state: connected,
});

/** Says a frame, under an id of its own. */
function utter(frame) {
  const id = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  element("start").hidden = true;
  messages.own({ ...frame, id }, { pending: true });
  if (!connection.say({ ...frame, id })) messages.refused(id);
}

// What comes in

const HEARD = {
  welcome(frame) {
    if (token && !frame.resumed && !messages.empty) messages.line(say("not_resumed"));
    if (!frame.resumed) last = 0;
    else if (messages.empty) messages.hush(); // all of it comes again
    token = frame.token;
    speaks = frame.assistant.speak;
    element("menu").replaceChildren(...frame.assistant.menu.map((button) => messages.choice(button)));
    element("name").textContent = frame.assistant.name;
    element("reference").textContent = frame.conversation;
    offerLanguages(frame.assistant.languages.filter((tag) => LANGUAGES.includes(tag)));
    tellNotice(frame.notice);
    keep();
  },

  reply(frame) {
    if (!fresh(frame)) return;
    messages.reply(frame);
    if (!shown) tell("unread");
  },

  said(frame) {
    if (fresh(frame)) messages.own(frame);
  },

  accepted: ({ id }) => messages.accepted(id),
  typing: () => messages.typing(true),
  notice: refusal,
  error: refusal,

  closed({ reason }) {
    if (reason !== "replaced") forget();
    over(reason);
  },
};

function hear(frame) {
  HEARD[frame.type]?.(frame); // a type that is not known yet is passed over
}

/** Whether a numbered message is new; what comes twice is shown once. */
function fresh({ number }) {
  if (number <= last) return false;
  last = number;
  element("start").hidden = true;
  return true;
}

function refusal({ id, text }) {
  messages.typing(false);
  if (id) messages.refused(id);
  if (token) messages.line(text);
  else trouble = text;
}

// The connection's state

function connected(state) {
  clearTimeout(timer);
  element("retry").hidden = !navigator.onLine || !(state === "waiting" || (state === "connecting" && lost));
  if (state === "waiting") {
    lost = true;
    banner(navigator.onLine ? trouble || say(token ? "lost" : "unreached") : say("offline"));
  } else if (state === "connecting") {
    if (!lost) timer = setTimeout(() => banner(say("connecting")), CONNECTING_MS);
  } else {
    banner(state === "open" && lost ? say("back") : "");
    timer = setTimeout(() => banner(""), BACK_MS);
    lost = false;
    trouble = "";
  }
}

function banner(text) {
  element("banner-text").textContent = text;
}

// The notice, and what opens after it

function tellNotice({ version, paragraphs, url }) {
  for (const place of document.querySelectorAll(".paragraphs")) {
    place.replaceChildren(
      ...paragraphs.map((text) => {
        const paragraph = document.createElement("p");
        paragraph.textContent = text;
        paragraph.dir = "auto";
        return paragraph;
      }),
    );
  }
  for (const link of document.querySelectorAll("a.full")) link.href = new URL(url, location.origin).href;
  const read = notice === version;
  element("notice").hidden = false;
  element("begin").onclick = () => {
    notice = version;
    keep();
    open(true);
    messages.toEnd();
    rest();
  };
  open(read);
  if (!read && shown) settle();
}

/** Opens or closes what a message is written with. */
function open(isOpen) {
  document.body.classList.toggle("begun", isOpen);
  for (const id of ["composer", "footer"]) element(id).hidden = !isOpen;
  document.body.classList.remove("over");
  element("over").hidden = true;
  element("start").hidden = !isOpen || !messages.empty;
}

const text = element("text");
writing({ form: element("composer"), text, left: element("left"), said: (words) => utter({ type: "say", text: words }) });

// Languages

function offerLanguages(languages) {
  element("languages").replaceChildren(
    ...(languages.length > 1 ? languages : []).map((tag) => {
      const button = document.createElement("button");
      button.type = "button";
      button.lang = tag;
      button.textContent = tag;
      button.setAttribute("aria-label", say("own_name", tag));
      button.setAttribute("aria-pressed", String(tag === language()));
      button.addEventListener("click", () => tag !== language() && change(tag));
      return button;
    }),
  );
}

/** Changes the language of the page, of the notice (by a new hello), and of the assistant once something was said. */
function change(tag) {
  speak(tag);
  for (const each of element("languages").children) each.setAttribute("aria-pressed", String(each.lang === tag));
  if (!element("over").hidden) return;
  keep();
  connection.open();
  if (speaks[tag] && !messages.empty) utter({ type: "choose", payload: speaks[tag], text: say("own_name") });
}

// The end

element("reread").addEventListener("click", () => element("rereading").showModal());
element("reread-close").addEventListener("click", () => element("rereading").close());
element("end").addEventListener("click", () => element("ending").showModal());
element("end-no").addEventListener("click", () => element("ending").close());
element("end-yes").addEventListener("click", () => {
  element("ending").close();
  connection.end();
  HEARD.closed({ reason: "ended" });
});

/** Nothing of the conversation stays: not on the page, not in memory, not in the browser. */
function forget() {
  token = notice = null;
  last = 0;
  text.value = "";
  messages.clear();
  element("reference").textContent = "";
  keep();
}

function over(reason) {
  open(false);
  element("notice").hidden = true;
  document.body.classList.add("over");
  element("over").hidden = false;
  element("over-text").dataset.words = { erased: "ended_erased", replaced: "replaced" }[reason] ?? "ended";
  element("again").dataset.words = reason === "replaced" ? "here" : "again";
  fill(element("over"));
  if (shown) element("over-text").focus();
}

element("again").addEventListener("click", () => {
  element("over").hidden = true;
  connection.open();
});
element("retry").addEventListener("click", () => connection.retry());

// Where the focus goes

/** To where the next message is written. */
function rest() {
  (touched.matches ? element("log") : text).focus();
}

/** To what is to be read or done first. */
function settle() {
  if (!element("over").hidden) element("over-text").focus();
  else if (document.body.classList.contains("begun")) rest();
  else if (!element("notice").hidden) element("notice-title").focus();
}

addEventListener("message", (event) => {
  if (event.source !== window.parent) return;
  if (event.data?.parloir === "hidden") shown = false;
  if (event.data?.parloir !== "shown") return;
  if (!shown) settle();
  shown = true;
});

addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.isComposing || document.querySelector("dialog[open]")) return;
  tell("close");
});
element("close").hidden = !framed;
element("close").addEventListener("click", () => tell("close"));

// Begin

const asked = new URLSearchParams(location.search);
const before = stored();
token = before.token ?? null;
notice = before.notice ?? null;
paint(asked.get("colour"));
speak([before.language, asked.get("language"), ...navigator.languages.map((tag) => tag.slice(0, 2))].find((tag) => LANGUAGES.includes(tag)) ?? "en");
connection.open();
tell("ready");
