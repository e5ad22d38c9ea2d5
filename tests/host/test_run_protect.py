"""What run.py does with a real ComfyUI server."""

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace

import numpy as np
import psutil
import pytest
from PIL import Image

from launch import PACK, LaunchError
from launch.graph import IN_ONE_LIST, WORKFLOWS, _gather
from launch.private import PREFIX, private_folder
from launch.result import DEMO_WARNING, KEYS
from launch.server import serving
from launch.setup import present_host
from launch.websocket import messages

from .own_pack import copy_code, own_pack

HOST = present_host()
COMFYUI = HOST.comfyui
SIZE = (60, 75)  # pixels, which is small beside the size of the model

pytestmark = pytest.mark.skipif(not (COMFYUI / "main.py").is_file(), reason="needs a ComfyUI: run.py test brings one")
needs_workflow = pytest.mark.skipif(not (WORKFLOWS / "protect.json").is_file(), reason="needs the shipped workflow")


def stock_graph(blurs=0, width=64):
    graph = {"image": node("EmptyImage", width=width, height=64, batch_size=1, color=255)}
    last = "image"
    for number in range(blurs):
        graph[f"blur{number}"] = node("ImageBlur", image=[last, 0], blur_radius=31, sigma=number / 100 + 1)
        last = f"blur{number}"
    return graph | {"save": node("SaveImage", images=[last, 0], filename_prefix="x")}


def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


@pytest.fixture(scope="module")
def place():
    with private_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def server(place):
    with serving(HOST, place, cpu=True, locked=True) as running:
        yield running


def test_a_graph_runs_and_its_progress_is_told(server, place):
    told = []
    entry = server.run(stock_graph(blurs=3), told.append)
    assert "blur0" in set().union(*told)  # the last messages may still be on their way when the work is done
    image = entry["outputs"]["save"]["images"][0]
    assert (place / "output" / image["filename"]).is_file()


def test_a_list_of_more_than_the_host_takes_at_once_keeps_its_order(server, place):
    lists, count = {}, IN_ONE_LIST + 2
    made = {f"image{n}": node("EmptyImage", width=64 + n, height=64, batch_size=1, color=0) for n in range(count)}
    listed = _gather([[name, 0] for name in made], "all", lists)
    entry = server.run(
        made | lists | {"save": node("SaveImage", images=listed, filename_prefix="list")}, lambda _: None
    )
    files = [place / "output" / image["filename"] for image in entry["outputs"]["save"]["images"]]
    assert [Image.open(file).width for file in files] == [64 + n for n in range(count)]


def test_a_graph_that_cannot_run_is_refused_in_one_sentence(server):
    with pytest.raises(LaunchError, match=r"^Value 0 smaller than min of 1: width\.$"):
        server.run(stock_graph(width=0), lambda _: None)


def test_a_node_that_fails_is_quoted_in_one_sentence(server):
    graph = stock_graph()
    graph["save"]["inputs"]["filename_prefix"] = "../outside"
    with pytest.raises(LaunchError, match=r"^SaveImage failed \([^\n]+\.\) Add --keep-log FILE"):
        server.run(graph, lambda _: None)


def test_an_interrupt_stops_the_work_at_the_next_step(server):
    def stop(nodes):
        if "blur2" in nodes:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        server.run(stock_graph(blurs=400, width=1024), stop)
    entry = server.run(stock_graph(), lambda _: None)
    assert entry["status"]["status_str"] == "success"
    statuses = [job["status"]["messages"][-1][0] for job in server.ask("/history").values()]
    assert "execution_interrupted" in statuses


def test_everything_stays_in_the_private_folder(server, place):
    assert (place / "server.log").stat().st_size > 0
    assert server.ask("/system_stats")["system"]["argv"][0].endswith("main.py")


def test_only_this_machine_can_reach_the_server(server):
    listening = psutil.Process(server.process.pid).net_connections("inet")
    places = {each.laddr for each in listening if each.status == psutil.CONN_LISTEN}
    assert places == {("127.0.0.1", server.port)}


def test_another_account_of_this_machine_gets_no_answer(server):
    for token in ("", "guessed"):
        other = replace(server, token=token)
        for path, body in (("/history", None), ("/system_stats", None), ("/prompt", {"prompt": stock_graph()})):
            with pytest.raises(LaunchError, match="refused"):
                other.ask(path, body)
        with pytest.raises(ConnectionError):
            next(messages(server.port, "other", token))
    told = psutil.Process(server.process.pid)
    assert not any(server.token in word for word in told.cmdline())


def test_nothing_is_left_when_the_block_ends(tmp_path):
    with pytest.raises(RuntimeError), private_folder() as folder, serving(HOST, folder, cpu=True) as running:
        raise RuntimeError
    assert not folder.exists()
    assert running.process.poll() is not None
    with pytest.raises(OSError):
        running.ask("/system_stats")


def test_a_server_that_dies_is_told_of():
    dies = pytest.raises(LaunchError, match="ComfyUI ended with status -9 ")
    with private_folder() as folder, serving(HOST, folder, cpu=True) as running, dies:
        running.run(stock_graph(blurs=50, width=1024), lambda _: running.process.kill())


def test_a_server_that_cannot_start_says_why(tmp_path):
    with pytest.raises(LaunchError, match="ComfyUI did not start: "), serving(HOST, tmp_path, cpu=True):
        pass


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """Copies of the pack and of ComfyUI that nobody else writes into; what users keep in their ComfyUI stays out."""
    folder = tmp_path_factory.mktemp("house")
    own_pack(folder / "pack")
    copy_code(COMFYUI, folder / "ComfyUI", leave_out=("models", "custom_nodes", "input", "output", "user", "venv"))
    return folder


class Desk:
    """A user's folder with a telling photo in it, a home and a place for temporary files."""

    def __init__(self, folder, house):
        self.folder, self.house, self.runs = folder, house, []
        for name in ("photos", "home", "tmp"):
            (folder / name).mkdir()
        levels = np.random.default_rng(0).integers(0, 255, (20, 16, 3), dtype=np.uint8)
        exif = Image.Exif()
        exif[0x010E] = "at home"  # ImageDescription
        picture = Image.fromarray(levels).resize(SIZE, Image.Resampling.BICUBIC)
        picture.save(folder / "photos" / "me.jpg", exif=exif, quality=90)

    def start_run(self, *options, what="me.jpg"):
        """Start `run.py protect` on the photo, or on something else, as its user would."""
        kept = {name: value for name, value in os.environ.items() if name not in ("TMP", "TEMP")}
        places = {"HOME": self.folder / "home", "TMPDIR": self.folder / "tmp", "COMFYUI_DIR": self.house / "ComfyUI"}
        env = kept | {name: str(place) for name, place in places.items()}
        photos = str(self.folder / "photos" / what)
        command = [sys.executable, str(self.house / "pack" / "run.py"), "protect", photos, "--cpu", *options]
        run = start_in_foreground(command, env=env, stdout=subprocess.PIPE)
        self.runs.append(run)
        return run

    def files(self):
        """Return every file there is, in the house too."""
        paths = (path for folder in (self.folder, self.house) for path in folder.rglob("*"))
        return {path for path in paths if path.is_file() and "__pycache__" not in path.parts}

    def servers(self):
        """Return the processes that still work in the private folder."""
        mark = str(self.folder / "tmp" / PREFIX)
        running = psutil.process_iter(["cmdline"])
        return [process for process in running if mark in " ".join(process.info["cmdline"] or [])]

    def has_database(self):
        """Tell whether a server has come so far as to write its database."""
        return any((self.folder / "tmp").glob(f"{PREFIX}*/user/comfyui.db"))


def start_in_foreground(command, **options):
    """Start a command that heeds Ctrl-C and a hangup, also where a shell or nohup has the tests ignore them."""

    def heed():
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)

    options |= {} if os.name == "nt" else {"preexec_fn": heed}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)


@pytest.fixture
def desk(tmp_path, house):
    desk = Desk(tmp_path, house)
    yield desk
    for run in desk.runs:
        run.kill()  # one that a failed test left


def wait_for(condition, seconds, run=None):
    """Wait until the condition holds; when the run that is to fulfil it has ended, its words are shown."""
    end = time.monotonic() + seconds
    while not condition():
        assert run is None or run.poll() is None, run.communicate()
        assert time.monotonic() < end, f"not within {seconds} seconds"
        time.sleep(0.2)


@needs_workflow
def test_a_photo_is_protected_and_nothing_else_is_left_on_disk(desk):
    before, photos = desk.files(), desk.folder / "photos"
    few = ("--budget", "4", "--train-steps", "2", "--refine-steps", "2")
    run = desk.start_run(*few, "--json", str(photos / "me.json"))
    told, complaints = run.communicate()
    assert run.returncode == 0, complaints
    new = desk.files() - before
    assert new == {photos / "me_protected.png", photos / "me.json"}
    report = json.loads((photos / "me.json").read_text())
    assert tuple(report) == KEYS
    assert None not in report.values()
    assert report["max_abs_levels"] <= report["budget_levels"] == 4
    assert (report["width"], report["height"], report["train_steps"]) == (*SIZE, 2)
    assert told.startswith(DEMO_WARNING)
    assert told.count("The picture is small (60 x 75 pixels") == 1
    with Image.open(photos / "me_protected.png") as saved:
        assert saved.format == "PNG"
        assert saved.info == {}


@needs_workflow
def test_a_photo_is_led_towards_somebody_else(desk):
    photos = desk.folder / "photos"
    run = desk.start_run("--decoy", "--refine-steps", "2", "--json", str(photos / "me.json"))
    told, complaints = run.communicate()
    assert run.returncode == 0, complaints
    assert "\nA thief shall learn: a photo of a person with " in told
    report = json.loads((photos / "me.json").read_text())
    assert (report["k_steps"], report["refine_steps"], report["train_steps"]) == (8, 2, None)
    assert 0 < report["max_abs_levels"] <= report["budget_levels"] == 10
    assert (photos / "me_protected.png").is_file()


@needs_workflow
def test_a_folder_is_protected_picture_by_picture_and_a_second_run_makes_only_what_is_missing(desk):
    photos, made = desk.folder / "photos", desk.folder / "photos_protected"
    (photos / "sub").mkdir()
    shutil.copy(photos / "me.jpg", photos / "sub" / "too.jpg")
    (photos / "broken.png").write_bytes(b"no picture")
    made.mkdir()
    (made / "me.png").write_bytes((PACK / "workflows" / "samples" / "ldu_sample_portrait.png").read_bytes())
    before = desk.files()
    told_file = desk.folder / "told.json"
    few = ("--budget", "4", "--train-steps", "2", "--refine-steps", "2", "--k", "1")
    run = desk.start_run(*few, "--json", str(told_file), what="")
    told, complaints = run.communicate()
    assert run.returncode == 0, complaints
    assert desk.files() - before == {made / "sub" / "too.png", told_file}
    report = json.loads(told_file.read_text())
    assert report["there_already"] == ["me.jpg"]
    assert list(report["left_out"]) == ["broken.png"]
    (picture,) = report["pictures"]
    assert picture["max_abs_levels"] <= picture["budget_levels"] == 4
    assert (picture["refine_steps"], picture["nfe"]["refine"]) == (2, 8)
    assert "1 left out, 1 there already, 1 saved" in told
    (line,) = [line for line in told.splitlines() if "The picture is small" in line]
    assert line.startswith("sub/too.jpg: ")
    with Image.open(made / "sub" / "too.png") as saved:
        assert saved.info == {}
        assert saved.size == SIZE


@needs_workflow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_a_stopped_run_leaves_nothing(desk, number, status):
    before = desk.files()
    run = desk.start_run()
    wait_for(desk.has_database, 600, run)
    run.send_signal(number)
    _, complaints = run.communicate(timeout=120)
    assert run.returncode == status
    assert "Traceback" not in complaints
    assert desk.files() == before
    assert desk.servers() == []


@needs_workflow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("moment", [Desk.servers, Desk.has_database], ids=["it starts", "it has read its nodes"])
def test_the_server_of_a_killed_run_ends_too_whenever(desk, moment):
    run = desk.start_run()
    wait_for(lambda: moment(desk), 600, run)
    run.kill()
    run.communicate()
    wait_for(lambda: not desk.servers(), 20)


@needs_workflow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_the_ui_opens_with_workflows_and_samples_in_place_and_ends_at_ctrl_c(tmp_path):
    places = {"LDU_CACHE": str(tmp_path), "COMFYUI_DIR": str(COMFYUI)}
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(struct.pack("<Q", 2) + b"{}")
    command = [sys.executable, str(PACK / "run.py"), "ui", "--cpu", "--checkpoint", str(mine)]
    run = start_in_foreground(command, env=os.environ | places)
    address = next(line for line in run.stderr if "http://" in line).split(": ", 1)[1].strip()
    said = next(line for line in run.stderr if "Pictures come from" in line)
    assert all(str(tmp_path / "ui" / name) in said for name in ("input", "output", "models"))
    with urllib.request.urlopen(address.split("?")[0] + "api/workflow_templates") as answer:
        assert "protect" in json.load(answer)["ldu"]
    with urllib.request.urlopen(address.split("?")[0] + "api/models/checkpoints") as answer:
        assert json.load(answer) == [mine.name]
    assert (tmp_path / "ui" / "input" / "ldu_sample_portrait.png").is_file()
    (tmp_path / "ui" / "temp").mkdir(exist_ok=True)
    shutil.copy(mine, tmp_path / "ui" / "temp" / "preview.png")
    run.send_signal(signal.SIGINT)
    assert "Traceback" not in run.communicate(timeout=120)[1]
    assert run.returncode == 130
    assert not (tmp_path / "ui" / "temp").exists()
    with pytest.raises(OSError):
        urllib.request.urlopen(address)
