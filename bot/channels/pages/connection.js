// The way to the gateway: one connection at a time, resumed when it breaks, and each message sent under its own id until it is accepted.
//
// A WebSocket where one can be had, else an answer that is read as it comes (POST, text/event-stream) with a POST for each message. The
// token goes in the first frame or in a header, never in an address.

const WELCOME_MS = 8_000; // to wait for a connection to say welcome
const ACCEPTED_MS = 10_000; // to wait for a message to be accepted, before the connection is taken to be dead
const WAIT_MS = 500; // before the first try to connect again
const WAIT_MAX_MS = 30_000;
const STEADY_MS = 30_000; // a connection that held so long was a good one
const WAITING_MAX = 50; // messages that wait to be accepted

/** A WebSocket. `on.message(frame)` for each message, `on.lost()` when it ends, whyever. */
function socket(hello, on) {
  const line = new WebSocket(new URL("/chat/socket", location.href.replace(/^http/, "ws")));
  line.onopen = () => line.send(JSON.stringify(hello));
  line.onmessage = (event) => on.message(JSON.parse(event.data));
  line.onclose = () => on.lost();
  const send = (frame) => line.send(JSON.stringify(frame));
  return { send, end: () => send({ type: "end" }), close: () => line.close() };
}

/** The same over POST. Messages go one after the other, so that they arrive in the order they were said. */
function stream(hello, on) {
  const cut = new AbortController();
  let token = hello.token;
  let turn = Promise.resolve();

  function post(path, body, more = {}) {
    const headers = { "Content-Type": "application/json", ...(more.authorized && { Authorization: `Bearer ${token}` }) };
    const asked = { method: "POST", cache: "no-store", credentials: "omit", signal: cut.signal, ...more };
    return fetch(path, { ...asked, headers, body: JSON.stringify(body) });
  }

  function hear(frame) {
    if (frame.type === "welcome") token = frame.token;
    on.message(frame);
  }

  async function listen() {
    const answer = await post("/chat/stream", hello);
    if (!answer.ok) {
      if (answer.headers.get("Content-Type")?.startsWith("application/json")) hear(await answer.json());
      return;
    }
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = ""; ; ) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const data = block.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim());
        if (data.length) hear(JSON.parse(data.join("\n")));
      }
    }
  }

  async function say(frame) {
    const answer = await post("/chat/send", frame, { authorized: true });
    const heard = answer.ok || answer.status === 429 ? await answer.json() : {};
    if (!heard.type) throw new Error("neither accepted nor refused");
    hear(heard);
  }

  const lost = () => cut.signal.aborted || on.lost();
  listen().then(lost, lost);
  return {
    send: (frame) => {
      turn = turn.then(() => cut.signal.aborted || say(frame)).catch(lost);
    },
    // Goes out even while the page is being left.
    end: () => post("/chat/send", { type: "end" }, { authorized: true, keepalive: true, signal: null }).catch(() => {}),
    close: () => cut.abort(),
  };
}

const WAYS = [socket, stream];

/**
 * `hello()` gives the first frame of each connection, `message(frame)` hears what comes, `state(name)` is told how the connection is:
 * connecting, open, waiting (for the next try) or closed.
 */
export class Connection {
  #on;
  #proven = null; // the way that led to a welcome last
  #line = null;
  #waiting = new Map(); // frames by id, in the order they were said
  #tries = 0;
  #welcomed = false;
  #since = 0; // when it was welcomed
  #closed = true;
  #timer = 0;
  #watch = 0;

  constructor({ hello, message, state }) {
    this.#on = { hello, message, state };
    addEventListener("online", () => this.retry());
    addEventListener("offline", () => this.#lost()); // a broken socket may take minutes to say so
    addEventListener("pageshow", (event) => event.persisted && this.retry());
  }

  /** Connects. On one that is open, connects anew: the next hello may say something else. */
  open() {
    this.#closed = false;
    this.#tries = 0;
    this.#connect();
  }

  /** Tries at once instead of waiting. */
  retry() {
    if (!this.#closed && !this.#welcomed) this.open();
  }

  /** Says something that has an id, now or as soon as there is a connection. False when too much waits already. */
  say(frame) {
    if (this.#waiting.size >= WAITING_MAX) return false;
    this.#waiting.set(frame.id, frame);
    if (this.#welcomed) {
      this.#line.send(frame);
      this.#expect();
    }
    return true;
  }

  /** Ends the conversation, for good. */
  end() {
    if (this.#welcomed) this.#line.end();
    this.close();
  }

  close() {
    this.#closed = true;
    this.#waiting.clear();
    this.#drop();
    this.#on.state("closed");
  }

  #connect() {
    this.#drop();
    this.#on.state("connecting");
    const way = this.#pick();
    const line = way(this.#on.hello(), {
      message: (frame) => line === this.#line && this.#hear(frame, way),
      lost: () => line === this.#line && this.#lost(),
    });
    this.#line = line;
    this.#timer = setTimeout(() => this.#lost(), WELCOME_MS);
  }

  /** Sockets first. Something between may let only the other way through: it is tried in turn, and rarely once one has led there. */
  #pick() {
    const turn = this.#proven ? 3 : 2;
    const first = this.#proven ?? WAYS[0];
    return this.#tries % turn === turn - 1 ? WAYS.find((way) => way !== first) : first;
  }

  #hear(frame, way) {
    if (frame.type === "welcome") {
      this.#proven = way;
      this.#welcomed = true;
      this.#since = Date.now();
      clearTimeout(this.#timer);
      this.#on.message(frame);
      this.#on.state("open");
      for (const waiting of this.#waiting.values()) this.#line.send(waiting);
      this.#expect();
      return;
    }
    if (frame.type === "closed") {
      if (frame.reason === "stopping") return this.#lost(); // the gateway starts again
      this.close();
    }
    // Accepted, or refused for good: it is not said again.
    if (frame.id && this.#waiting.delete(frame.id)) {
      this.#tries = 0;
      this.#expect();
    }
    this.#on.message(frame);
  }

  /** Whatever waits has to be accepted in a while from now; a connection that looks alive and is not is noticed by that. */
  #expect() {
    clearTimeout(this.#watch);
    if (this.#waiting.size) this.#watch = setTimeout(() => this.#lost(), ACCEPTED_MS);
  }

  #lost() {
    if (this.#closed) return;
    if (this.#welcomed && Date.now() - this.#since > STEADY_MS) this.#tries = 0;
    this.#drop();
    this.#on.state("waiting");
    // Twice as long each time, by chance up to half less: a thousand pages do not come back in the same moment.
    const longest = Math.min(WAIT_MAX_MS, WAIT_MS * 2 ** this.#tries);
    this.#tries += 1;
    this.#timer = setTimeout(() => this.#connect(), longest * (0.5 + Math.random() / 2));
  }

  #drop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#watch);
    this.#welcomed = false;
    const line = this.#line;
    this.#line = null;
    line?.close();
  }
}
