"""Kafka's jars, fetched by Maven once into a cache folder outside any checkout. For development and tests only."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from vault.errors import Unavailable

KAFKA_VERSION = "4.3.0"
LOG4J_VERSION = "2.25.1"
"""The binding for slf4j 1.7, without which the broker's log is lost."""
COPY_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
FETCH_TIMEOUT_S = 900

_POM = f"""<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>parloir.development</groupId>
  <artifactId>broker</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>{LOG4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where what was fetched is kept, outside any checkout: PARLOIR_CACHE, or a folder of the user's caches."""
    if chosen := environ.get("PARLOIR_CACHE"):
        return Path(chosen).expanduser().absolute()
    caches = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or Path.home(), ".cache")
    return Path(caches, "parloir").absolute()


def fetch(cache: Path) -> Path:
    """The folder with Kafka's jars, fetched by Maven when it is not there; whole or not at all. Raises `Unavailable`."""
    library = cache / f"kafka-{KAFKA_VERSION}-log4j-{LOG4J_VERSION}"
    if library.is_dir():
        return library
    if shutil.which("mvn") is None:
        raise Unavailable(
            "Kafka cannot be fetched: mvn is not installed", remedy="install Maven and Java 17, then try again"
        )
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetching-", dir=cache) as drafts:
        draft = Path(drafts)
        (draft / "pom.xml").write_text(_POM)
        command = ["mvn", "-B", "-q", COPY_DEPENDENCIES, "-DincludeScope=runtime", f"-DoutputDirectory={draft / 'lib'}"]
        try:
            subprocess.run(  # noqa: S603
                command, cwd=draft, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=FETCH_TIMEOUT_S
            )
        except subprocess.TimeoutExpired:
            raise Unavailable(f"Kafka was not fetched within {FETCH_TIMEOUT_S} s", remedy="check the network") from None
        except subprocess.CalledProcessError as error:
            lines = (error.stdout + error.stderr).decode(errors="replace").splitlines()
            said = next((line for line in lines if "ERROR" in line), "no reason given")[:300]
            raise Unavailable(
                f"Maven could not fetch Kafka: {said}", remedy="check the network, then try again"
            ) from None
        with contextlib.suppress(OSError):  # another process may have fetched it meanwhile: theirs is as good
            (draft / "lib").rename(library)
    return library
