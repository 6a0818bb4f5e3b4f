// The list of what was said. Words are put in as text, never as HTML, so that nothing in them is ever run; an address is a link only
// where it is a page, a mail address or a telephone number.

import { fill, say } from "./words.js";

const LINKS = new Set(["https:", "http:", "mailto:", "tel:"]);
const NEAR_PX = 80; // so close to the end counts as being there
const SHOWN_MAX = 200; // messages in the page; a long conversation stays as quick as a short one
const BLOCK = 50; // messages that are put away, or back, at once
const HUSH_MS = 500;
const TYPING_MS = 20_000; // the longest that the sign stays without a reply

function make(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** The words of the interface, which follow its language. */
function worded(tag, className, name) {
  const made = make(tag, className, say(name));
  made.dataset.words = name;
  return made;
}

function spoken(text) {
  const made = make("p", "text", text);
  made.dir = "auto"; // each text in its own direction
  return made;
}

/** A link, or null for an address that leads somewhere a chat has no business to. */
function link({ title, url }) {
  let address;
  try {
    address = new URL(url);
  } catch {
    return null;
  }
  if (!LINKS.has(address.protocol)) return null;
  const made = make("a", "", title);
  made.href = address.href;
  made.rel = "noopener noreferrer";
  made.dir = "auto";
  if (address.protocol.startsWith("http")) {
    made.target = "_blank";
    made.append(" ", worded("span", "unseen", "opens"));
  }
  return made;
}

export class Messages {
  #log;
  #list;
  #typing;
  #earlier;
  #newer;
  #away = []; // items that came before those in the page
  #choose;
  #again;
  #pending = new Map(); // own messages that are not accepted yet, by id: what shows them and the frame that says them
  #own = new Set(); // ids of own messages that are shown
  #offered = null; // the choices that can still be pressed
  #following = true; // whether the end is looked at, and stays so as more comes in
  #timer = 0;
  #hushed = 0;
  #frame = 0;

  /** `choose(button)` when a choice is pressed, `again(frame)` when one that was refused is to be sent again. */
  constructor({ log, list, typing, earlier, newer, choose, again }) {
    this.#log = log;
    this.#list = list;
    this.#typing = typing;
    this.#earlier = earlier;
    this.#newer = newer;
    this.#choose = choose;
    this.#again = again;
    newer.addEventListener("click", () => this.toEnd());
    earlier.addEventListener("click", () => this.#back());
    log.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // A keyboard opens, the window changes: who was at the end stays there.
    const resized = new ResizeObserver(() => this.#following && !this.empty && this.toEnd());
    resized.observe(log);
    resized.observe(list);
  }

  get empty() {
    return this.#list.childElementCount === 0;
  }

  /** Somebody else's words, with what may be pressed and followed. */
  reply({ speaker, text, buttons = [], links = [] }) {
    this.typing(false);
    this.withdraw();
    const item = this.#item(speaker === "agent" ? "agent" : "assistant");
    item.append(spoken(text));
    const leading = links.map(link).filter(Boolean);
    if (leading.length) {
      const list = make("ul", "links");
      list.append(...leading.map((each) => this.#wrapped(each)));
      item.append(list);
    }
    if (buttons.length) item.append(this.#choices(buttons));
    this.#add(item);
  }

  /** What the person said, as the frame that says it; `pending` until it is accepted. */
  own(frame, { pending = false } = {}) {
    if (this.#own.has(frame.id)) return;
    this.#own.add(frame.id);
    this.withdraw();
    const item = this.#item("you");
    item.append(spoken(frame.text));
    if (pending) {
      item.classList.add("pending");
      item.append(worded("p", "state", "pending"));
      this.#pending.set(frame.id, { item, frame });
    }
    this.#add(item, { follow: pending });
  }

  accepted(id) {
    const item = this.#pending.get(id)?.item;
    item?.classList.remove("pending");
    item?.querySelector(".state").remove();
    this.#pending.delete(id);
  }

  /** The message was refused: it says so and can be sent again. */
  refused(id) {
    if (!this.#pending.has(id)) return;
    const { item, frame } = this.#pending.get(id);
    this.#pending.delete(id);
    item.classList.replace("pending", "refused");
    const again = worded("button", "again", "send_again");
    again.type = "button";
    again.addEventListener("click", () => {
      item.remove();
      this.#again(frame);
    });
    item.querySelector(".state").replaceChildren(worded("span", "", "not_sent"), " ", again);
  }

  /** A line of the service itself: neither the person nor the assistant. */
  line(text) {
    if (this.#list.lastElementChild?.matches(".line") && this.#list.lastElementChild.textContent === text) return;
    const item = make("li", "line");
    item.append(spoken(text));
    this.#add(item);
  }

  typing(on) {
    clearTimeout(this.#timer);
    this.#typing.hidden = !on;
    if (on) this.#timer = setTimeout(() => this.typing(false), TYPING_MS);
    if (this.#following) this.toEnd();
  }

  /** Choices that were not taken: once something else is said, they would answer another question. */
  withdraw() {
    this.#offered?.remove();
    this.#offered = null;
  }

  /** A button that says something for the person. */
  choice({ title, payload }) {
    const button = make("button", "choice", title);
    button.type = "button";
    button.dir = "auto";
    button.addEventListener("click", () => this.#choose({ title, payload }));
    return button;
  }

  /** What is shown again now is not read aloud. */
  hush() {
    this.#log.setAttribute("aria-live", "off");
    clearTimeout(this.#hushed);
    this.#hushed = setTimeout(() => this.#log.setAttribute("aria-live", "polite"), HUSH_MS);
  }

  clear() {
    this.#away = [];
    this.#earlier.hidden = true;
    this.#list.replaceChildren();
    this.#pending.clear();
    this.#own.clear();
    this.#offered = null;
    this.typing(false);
    this.#newer.hidden = true;
  }

  toEnd() {
    this.#following = true;
    this.#newer.hidden = true;
    // Once a frame, however much comes in: to scroll, the page is laid out.
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.#following) this.#log.scrollTop = this.#log.scrollHeight;
    });
  }

  #item(speaker) {
    const item = make("li", `message ${speaker}`);
    const same = this.#list.lastElementChild?.classList.contains(speaker);
    item.append(worded("p", same ? "speaker unseen" : "speaker", speaker));
    if (!same) item.classList.add("first");
    return item;
  }

  #choices(buttons) {
    const group = make("div", "choices");
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", say("choices"));
    group.dataset.label = "choices";
    group.append(...buttons.map((button) => this.choice(button)));
    this.#offered = group;
    return group;
  }

  #wrapped(element) {
    const item = make("li");
    item.append(element);
    return item;
  }

  #scrolled() {
    if (this.#frame) return; // what has come in meanwhile is not somebody scrolling away from it
    this.#following = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < NEAR_PX;
    if (this.#following) this.#newer.hidden = true;
  }

  #add(item, { follow = false } = {}) {
    this.#list.append(item);
    if (this.#following || follow) {
      // Not while somebody reads further up: what is read would move away.
      if (this.#list.childElementCount > SHOWN_MAX + BLOCK) this.#putAway();
      this.toEnd();
    } else this.#newer.hidden = false;
  }

  #putAway() {
    const oldest = [...this.#list.children].slice(0, this.#list.childElementCount - SHOWN_MAX);
    for (const each of oldest) each.remove();
    this.#away.push(...oldest);
    this.#earlier.hidden = false;
  }

  /** Puts the newest of what was put away back, and leaves what is read where it is. */
  #back() {
    this.#following = false;
    const block = this.#away.splice(-BLOCK);
    const below = this.#log.scrollHeight - this.#log.scrollTop;
    for (const each of block) fill(each); // the language may be another by now
    this.hush();
    this.#list.prepend(...block);
    this.#earlier.hidden = this.#away.length === 0;
    this.#log.scrollTop = this.#log.scrollHeight - below;
    if (this.#earlier.hidden) this.#log.focus();
  }
}
