"""The model file: the same every time, loaded without running code, and refused with a remedy when it is unfit."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from nlu.model_file import DIGEST_BYTES, read_model, write_model
from nlu.training_files import Training
from nlu.understanding import Understanding
from vault.errors import BadInput, StartRefused, VaultError

PARTS = {
    "one": (
        {"names": ["é", "b"]},
        {"a": np.arange(6, dtype=np.float16).reshape(2, 3), "empty": np.zeros((0, 4), np.int32)},
    ),
    "two": ({}, {"bytes": np.frombuffer(b"hello", np.uint8)}),
}
AT = "2026-01-31T12:00:00Z"


def written(folder: Path, name: str = "model") -> Path:
    path = folder / name
    write_model(path, PARTS, trained_on="d" * 64, made_at=AT, metrics={"accuracy": 0.5})
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    model = read_model(written(tmp_path))
    assert (model.trained_on, model.made_at, model.metrics) == ("d" * 64, AT, {"accuracy": 0.5})
    for name, (meta, arrays) in PARTS.items():
        assert model.parts[name][0] == meta
        for array_name, array in arrays.items():
            read = model.parts[name][1][array_name]
            assert (read.dtype, read.shape) == (array.dtype, array.shape)
            np.testing.assert_array_equal(read, array)
            assert not read.flags.writeable


def test_arrays_lie_aligned_after_one_line_of_json(tmp_path: Path) -> None:
    content = written(tmp_path).read_bytes()
    line, _, rest = content.partition(b"\n")
    assert (len(line) + 1) % 64 == 0
    assert len(rest) % 64 == DIGEST_BYTES
    assert json.loads(line)["format"] == 1
    assert not written(tmp_path).stat().st_mode & 0o077


def test_the_same_parts_give_the_same_bytes(tmp_path: Path) -> None:
    assert written(tmp_path, "a").read_bytes() == written(tmp_path, "b").read_bytes()


def test_the_same_training_gives_the_same_file_and_its_answers(
    tmp_path: Path, training: Training, understanding: Understanding
) -> None:
    again, metrics = Understanding.train(training)
    paths = [tmp_path / "a", tmp_path / "b"]
    for one, path in zip((understanding, again), paths, strict=True):
        one.save(path, trained_on=training.digest(), made_at=AT, metrics=metrics)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    loaded, model = Understanding.load(paths[0])
    texts = ["une table pour deux", "the menu", "zzz", "\ud800"]
    assert loaded.parse(texts) == understanding.parse(texts)
    assert loaded.digest == model.digest
    assert model.trained_on == training.digest()


def test_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path)
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(StartRefused, match="parloir train"):
            read_model(path)


@pytest.mark.parametrize("kept", [0, 10, 64, 200, -1])
def test_a_file_that_was_cut_is_refused(tmp_path: Path, kept: int) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(StartRefused, match="parloir train"):
        read_model(path)


def test_another_format_is_refused_and_named(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"format":1', b'"format":2'))
    with pytest.raises(StartRefused, match="format 2, this program reads format 1"):
        read_model(path)


def test_a_pickle_is_refused_and_does_not_run(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(pickle.dumps({"a": np.zeros(100)}))
    with pytest.raises(StartRefused, match="not a model"):
        read_model(path)


def test_an_array_beyond_the_end_is_refused_though_the_digest_is_right(tmp_path: Path) -> None:
    import hashlib

    path = written(tmp_path)
    body = path.read_bytes()[:-DIGEST_BYTES].replace(b'"shape":[2,3]', b'"shape":[9,9]')
    path.write_bytes(body + hashlib.sha256(body).digest())
    with pytest.raises(StartRefused, match="does not describe its arrays"):
        read_model(path)


def test_a_missing_file_and_a_missing_part_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="parloir train FOLDER"):
        read_model(tmp_path / "none")
    with pytest.raises(StartRefused, match="lacks a part"):
        Understanding.load(written(tmp_path))


def test_types_that_would_need_code_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="does not hold"):
        write_model(tmp_path / "m", {"p": ({}, {"o": np.array([None])})}, trained_on="", made_at=AT, metrics={})
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(VaultError, match="cannot write"):
        write_model(tmp_path / "no" / "m", PARTS, trained_on="", made_at=AT, metrics={})
