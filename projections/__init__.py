"""What can be said of the conversations at once: sealed rows and pseudonymous facts in DuckDB, followed from the logs."""
