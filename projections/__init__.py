"""What can be said of the conversations at once: sealed rows and pseudonymous facts in DuckDB, followed from the logs.

`connect(home)` is the way in for analysts: SQL from Python.
"""

from projections.connection import Connection, connect

__all__ = ["Connection", "connect"]
