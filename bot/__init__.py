"""Dialogue, channels, connectors and the gateway. Imports `vault` only."""
