"""The Avro schemas of every published event version and of the commit envelope, as package data.

One file an event version, `{event_topic}.avsc`. A published one is never edited; tests/vectors/freeze.py says how one is published.
Beside Avro's own attributes:

- `sealed`, of an event: the DEK its payload is sealed under: `content` (the person's, by chapter), `evidence` (the case's), or
  `clear` for an event that has no payload. The envelope has none: its fields are read without a key, under the log's MAC.
- `personal`, of a field: `yes` when the value is about the person; `pseudonym` when it names them without telling who they are;
  `sealed` when it holds what only a DEK opens; `no` when it is the same whoever the event is about.
- `clear`, of a field that is readable without a key: why it may be.
"""
