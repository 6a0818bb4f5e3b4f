// What the browser keeps of a conversation: nothing before the page is opened, then the token, in the storage of this tab, so that a page
// that is loaded again goes on. Where the browser blocks that, nothing is kept, and the chat works from memory until the page is left.

const NAME = "parloir";

/** Keeps a value, or with a falsy one nothing. */
export function store(value) {
  try {
    if (value) sessionStorage.setItem(NAME, JSON.stringify(value));
    else sessionStorage.removeItem(NAME);
  } catch {
    // Blocked, or full.
  }
}

export function stored() {
  try {
    return JSON.parse(sessionStorage.getItem(NAME)) ?? {};
  } catch {
    return {};
  }
}
