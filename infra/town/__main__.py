"""`python -m infra.town [--port N]`: the town information system on loopback, in a process of its own."""

from __future__ import annotations

import argparse

import uvicorn

from infra.town.app import create

PORT = 8790


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.town", description=__doc__)
    parser.add_argument("--port", type=int, default=PORT, help=f"the port on loopback (default: {PORT})")
    port = parser.parse_args().port
    # No access log: paths and queries hold what people said.
    uvicorn.run(create(), host="127.0.0.1", port=port, access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
