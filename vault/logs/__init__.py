"""The raw logs: numbered records in partitions, over Kafka and over SQLite, with no idea of what a record says."""
