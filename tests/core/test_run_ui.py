"""The door's ComfyUI: a folder that stays, into which the user's checkpoint is linked."""

import contextlib
import os
from types import SimpleNamespace

import pytest

from launch import LaunchError, door, ui
from launch.lock import try_lock

from .made_files import make_file, make_safetensors


@pytest.fixture
def place(tmp_path):
    return tmp_path / "ui" / "models" / "checkpoints" / "mine.safetensors"


@pytest.fixture
def mine(tmp_path):
    return make_safetensors(tmp_path / "mine.safetensors", {})


def test_a_checkpoint_lies_where_load_checkpoint_looks_also_the_second_time(tmp_path, place, mine):
    for given in (mine, mine, place):
        ui.put_checkpoint(given, tmp_path / "ui")
        assert place.samefile(mine)


def test_a_link_to_another_checkpoint_is_laid_anew_and_the_other_is_not_written_to(tmp_path, place, mine):
    (tmp_path / "old").mkdir()
    old = make_file(tmp_path / "old" / "mine.safetensors")
    for given in (old, mine):
        ui.put_checkpoint(given, tmp_path / "ui")
    assert place.samefile(mine)
    assert old.read_bytes() == b"mine.safetensors"


def test_a_file_of_the_users_own_in_that_folder_stays(tmp_path, place, mine):
    place.parent.mkdir(parents=True)
    make_file(place)
    with pytest.raises(LaunchError, match="is there already: remove it, or leave out --checkpoint to load that one"):
        ui.put_checkpoint(mine, tmp_path / "ui")
    assert place.read_bytes() == b"mine.safetensors"


def test_a_copy_made_where_nothing_can_be_linked_is_known_again(tmp_path, place, mine, monkeypatch):
    def fail(*_, **__):
        raise OSError

    for way in ("symlink_to", "hardlink_to"):
        monkeypatch.setattr(type(place), way, fail)
    for _ in range(2):
        ui.put_checkpoint(mine, tmp_path / "ui")
    assert not place.samefile(mine)
    assert [file.read_bytes() for file in place.parent.iterdir()] == [mine.read_bytes()]
    make_safetensors(mine, {"another": "1"})
    with pytest.raises(LaunchError, match="is there already"):
        ui.put_checkpoint(mine, tmp_path / "ui")


def test_a_server_that_ends_by_itself_is_no_success(tmp_path, monkeypatch):
    log = make_file(tmp_path / "no room")
    ended = SimpleNamespace(address="", log=log, wait=lambda: None)
    monkeypatch.setattr(ui, "serving", lambda *_, **__: contextlib.nullcontext(ended))
    monkeypatch.setattr(ui, "probe", lambda _: False)
    monkeypatch.setenv("LDU_CACHE", str(tmp_path))
    with pytest.raises(LaunchError, match=r"^ComfyUI ended by itself; its last words: no room \(all of them: "):
        ui.serve(None, cpu=True, port=None)


def test_a_second_one_is_refused_while_the_first_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("LDU_CACHE", str(tmp_path))
    (tmp_path / "ui").mkdir()
    first = try_lock(tmp_path / "ui" / "lock")
    with pytest.raises(LaunchError, match="It runs already"):
        ui.serve(None, cpu=True, port=None)
    os.close(first)
    assert [file.name for file in (tmp_path / "ui").iterdir()] == ["lock"]


def test_what_is_no_checkpoint_is_refused_before_anything_is_started(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(door, "_host", lambda _: pytest.fail("it was begun"))
    assert door.main(["ui", "--checkpoint", str(make_file(tmp_path / "mine.ckpt"))]) == 1
    assert "can run code and are not loaded" in capsys.readouterr().err
