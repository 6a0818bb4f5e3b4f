"""Where people reach the assistant: one file an adapter. `channel.py` says what an adapter is and what it may ask of the gateway."""
