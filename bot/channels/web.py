"""The chat in a browser: a WebSocket, or where that is blocked a POST that streams and a POST a message. JSON, never HTML.

The page is ours (an iframe of our origin), so the Origin must be exactly ours. The token stands in the first frame or in the
Authorization header, never in a URL. Frames of the client, each one JSON object in a text message:

    {"type": "hello", "token": null | str, "last": int, "language": "fr" | "en", "notice": version seen | null}     first
    {"type": "say", "id": str, "text": str}                the id is the client's, and the same when it is sent again
    {"type": "choose", "id": str, "payload": str, "text": str}                                     a button pressed
    {"type": "notice", "version": str}                                        the notice is shown now (optional)
    {"type": "end"}

Frames of the server:

    {"type": "welcome", "token", "resumed": bool, "conversation": reference to quote, "assistant": {"name", "languages"},
     "notice": {"version", "paragraphs": [str], "url"}}
    {"type": "accepted", "id"}                             stored; whatever was not accepted may be sent again
    {"type": "typing"}
    {"type": "reply", "number": int, "speaker": "assistant" | "agent", "text", "buttons": [{"title", "payload"}],
     "links": [{"title", "url"}]}
    {"type": "said", "number": int, "id", "text"}          an own earlier message, when resuming
    {"type": "notice", "text"}                             a polite line: too fast, too busy
    {"type": "error", "code", "text", "id": of what it is about, or absent}
    {"type": "closed", "reason": "ended" | "erased" | "replaced" | "stopping"}                                     last

`last` is the highest number that the client has; what came after it is sent again, at most `replay_max` of it. Numbers grow and
have gaps. Without WebSocket: `POST /chat/stream` with the hello as body answers `text/event-stream`, one frame a `data:` line, the
welcome first; `POST /chat/send` with `Authorization: Bearer TOKEN` and a say, choose or end as body answers one frame. A token is
replaced at each hello; the one before it works until the new one has been used.
"""
