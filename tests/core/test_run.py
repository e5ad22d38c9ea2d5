"""The newcomer's door, as far as it goes without a server: what is typed, what is said, and the installer."""

import ast
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from launch import PACK, LaunchError, checks, console, door, options
from launch.host import Host

from .made_files import make_comfyui, make_file, make_safetensors


def test_the_door_needs_nothing_but_the_standard_library():
    # All of ldu that the door may read, held to the same rule.
    shared = ("ldu.wording", "ldu.naming", "ldu.whole_file", "ldu.errors")
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
            else [f"ldu.{node.module}" if node.level else node.module or ""]  # only files of ldu say `from .x`
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    # pip carries a reader of TOML for Python 3.10
    assert imported - set(sys.stdlib_module_names) <= {"launch", *shared, "pip", "tomllib", "_winapi"}


class TestCommandLine:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["protect"], "the following arguments are required: IMAGE"),
            (["protect", "a.png", "--budget", "300"], "300 is not within 0..255"),
            (["protect", "a.png", "--budget", "nan"], "nan is not within"),
            (["protect", "a.png", "--prompt", "a photo"], "the prompt must contain S* once"),
            (["protect", "a.png", "--prompt", "S* and S*"], "the prompt must contain S* once"),
            (["protect", "a.png", "--k", "two"], "invalid count value: 'two'"),
            (["protect", "a.png", "--k", "0"], "argument --k: 0 is not enough"),
            (["protect", "a.png", "--depth", "0"], "argument --depth: 0 is not within"),
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

    @pytest.mark.parametrize("name", ["--comfyui=.png", "--out=x.png", "-\x1b]0;evil\x07.png"])
    def test_a_file_that_is_called_like_an_option_is_none(self, capsys, monkeypatch, tmp_path, name):
        monkeypatch.chdir(tmp_path)
        make_file(tmp_path / name)
        with pytest.raises(SystemExit):
            door.main(["protect", name, "me.png"])
        told = capsys.readouterr().err
        assert "is the name of a file here, and would be taken for an option" in told
        assert "\x1b" not in told
        assert door.main(["protect", "--", name, "me.png"]) == 1  # behind it nothing is an option
        assert "me.png" in capsys.readouterr().err

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
        told = {"prompt": "a photo of S* animal", "initial_word": "animal", "judges_word": "pet"}
        assert self.wishes("--subject", "animal") == told

    def test_a_trained_rho_leaves_nothing_to_prompt(self):
        assert self.wishes("--subject", "art", "--rho", "rho.safetensors") == {"judges_word": "painting"}

    def test_what_is_not_asked_for_keeps_the_workflows_value(self):
        assert self.wishes() == {}

    def test_a_decoy_stands_for_a_person_and_is_not_trained(self):
        assert self.wishes("--decoy", "--subject", "person", "--refine-steps", "9") == {"refine_steps": 9}
        for idle in (("--subject", "art"), ("--rho", "rho.safetensors")):
            with pytest.raises(LaunchError, match=f"^{idle[0]}.* has no effect with --decoy"):
                self.wishes("--decoy", *idle)

    def test_a_decoy_for_a_folder_is_refused_in_one_sentence(self, tmp_path, capsys):
        make_file(tmp_path / "me.png")
        assert door.main(["protect", str(tmp_path), "--decoy"]) == 1
        assert capsys.readouterr().err.startswith("--decoy takes pictures of one person, but a folder came: ")

    @pytest.mark.parametrize("form", [(), ("--format", "png")])
    def test_a_quality_is_refused_where_the_format_has_none(self, form):
        with pytest.raises(LaunchError, match=r"^--quality is of jpeg and webp, and a png has none"):
            self.wishes("--quality", "80", *form)
        assert self.wishes("--quality", "80", "--format", "webp") == {"quality": 80, "format": "webp"}

    @pytest.mark.parametrize("option", ["--seed", "--train-steps", "--refine-steps"])
    def test_what_is_asked_of_the_protection_is_refused_where_nothing_is_protected(self, option):
        def wishes(*more):
            typed, _ = options.read_options(["stress", "a.png", option, "3", "--budget", "4", *more])
            return options.stress_wishes(typed)

        assert wishes() == {option[2:].replace("-", "_"): 3, "budget": 4}
        with pytest.raises(LaunchError, match=f"^{option} has no effect on pictures that are protected already: "):
            wishes("--protected", "b.png")

    @staticmethod
    def wishes(*more):
        typed, _ = options.read_options(["protect", "a.png", *more])
        return options.protect_wishes(typed)

    def test_a_stop_by_signal_ends_in_130_and_by_termination_in_143(self, monkeypatch):
        def stop(_):
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

    @pytest.mark.skipif(os.name == "nt", reason="needs a shell")
    def test_a_linked_pack_is_inside_and_a_models_folder_that_is_not_there_is_told_of(self, tmp_path):
        make_comfyui(tmp_path)
        (tmp_path / "custom_nodes").mkdir(exist_ok=True)
        link = tmp_path / "custom_nodes" / "ldu"
        link.symlink_to(self.copy_pack(tmp_path / "elsewhere"))
        (tmp_path / "models").symlink_to(tmp_path / "another disk")
        go = f'cd "{link}" && "{sys.executable}" install.py'
        said = subprocess.run(["sh", "-c", go], capture_output=True, text=True, check=True).stdout
        assert said.startswith(f"LDU: No folder can be made at {tmp_path / 'models' / 'ldu'}")


@pytest.mark.parametrize(("second", "status", "shown"), [("json.tool", 0, 3), ("no_such_module", 1, 1)])
def test_rows_are_printed_until_one_fails_which_is_named(monkeypatch, capsys, tmp_path, second, status, shown):
    monkeypatch.setattr(checks, "AT_ONCE", 1)
    monkeypatch.setattr(checks, "ROWS", tuple((name, "--help") for name in ("json.tool", second, "json.tool")))
    assert checks._print_rows(Host(Path(sys.executable), tmp_path)) == status
    said = capsys.readouterr()
    assert said.out.count("usage:") == shown
    assert ("python -m no_such_module --help failed." in said.err) == bool(status)
