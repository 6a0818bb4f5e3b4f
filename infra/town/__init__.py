"""A small town information system of its own, for the demonstration and the tests. `python -m infra.town` serves it on loopback."""
