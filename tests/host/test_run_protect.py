"""What run.py does with a real ComfyUI server."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from launch import PACK, LaunchError
from launch.graph import WORKFLOWS
from launch.host import Host
from launch.private import PREFIX, private_folder
from launch.result import DEMO_WARNING, KEYS
from launch.server import serving
from launch.setup import cache_root

COMFYUI = Path(os.environ.get("COMFYUI_DIR") or cache_root() / "ComfyUI")
HOST = Host(Path(sys.executable), COMFYUI)

pytestmark = pytest.mark.skipif(not (COMFYUI / "main.py").is_file(), reason="needs a ComfyUI: run.py test brings one")
alone = pytest.mark.skipif(
    "LDU_TEST_ALONE" not in os.environ, reason="failed inside the whole suite, cause unknown: set LDU_TEST_ALONE=1"
)
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
    with serving(HOST, place, cpu=True) as running:
        yield running


def test_a_graph_runs_and_its_progress_is_told(server, place):
    told = []
    entry = server.run(stock_graph(blurs=3), told.append)
    assert "blur0" in set().union(*told)  # the last messages may still be on their way when the work is done
    image = entry["outputs"]["save"]["images"][0]
    assert (place / "output" / image["filename"]).is_file()


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
    assert server.address.startswith("http://127.0.0.1:")


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


@pytest.fixture
def desk(tmp_path):
    """A user's folder with a telling photo in it, a home and a place for temporary files."""
    for name in ("photos", "home", "tmp"):
        (tmp_path / name).mkdir()
    levels = np.random.default_rng(0).integers(0, 255, (20, 16, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x010E] = "at home"  # ImageDescription
    picture = Image.fromarray(levels).resize((160, 200), Image.Resampling.BICUBIC)
    picture.save(tmp_path / "photos" / "me.jpg", exif=exif, quality=90)
    return tmp_path


def start_run(desk, *options):
    """Start `run.py protect` on the photo as a user with that desk would."""
    kept = {name: value for name, value in os.environ.items() if name not in ("TMP", "TEMP")}
    places = {"HOME": str(desk / "home"), "TMPDIR": str(desk / "tmp"), "COMFYUI_DIR": str(COMFYUI)}
    command = [sys.executable, str(PACK / "run.py"), "protect", str(desk / "photos" / "me.jpg"), "--cpu", *options]
    return subprocess.Popen(command, env=kept | places, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def files_in(*folders):
    paths = (path for folder in folders for path in folder.rglob("*"))
    return {path for path in paths if path.is_file() and "__pycache__" not in path.parts}


def servers_of(desk):
    """Processes that still work in the desk's private folder."""
    mark = str(desk / "tmp" / PREFIX)
    return [process for process in psutil.process_iter(["cmdline"]) if mark in " ".join(process.info["cmdline"] or [])]


def wait_for(condition, seconds=600):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.2)
    assert condition()


@needs_workflow
@alone
def test_a_photo_is_protected_and_nothing_else_is_left_on_disk(desk):
    before = files_in(desk, COMFYUI, PACK)
    run = start_run(desk, "--budget", "4", "--train-steps", "2", "--json", str(desk / "photos" / "me.json"))
    told, complaints = run.communicate()
    assert run.returncode == 0, complaints
    new = files_in(desk, COMFYUI, PACK) - before
    assert new == {desk / "photos" / "me_protected.png", desk / "photos" / "me.json"}
    report = json.loads((desk / "photos" / "me.json").read_text())
    assert tuple(report) == KEYS
    assert None not in report.values()
    assert report["max_abs_levels"] <= report["budget_levels"] == 4
    assert (report["width"], report["height"], report["train_steps"]) == (160, 200, 2)
    assert told.startswith(DEMO_WARNING)
    with Image.open(desk / "photos" / "me_protected.png") as saved:
        assert saved.format == "PNG"
        assert saved.info == {}


@needs_workflow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_a_stopped_run_leaves_nothing(desk, number, status):
    before = files_in(desk, COMFYUI, PACK)
    run = start_run(desk)
    wait_for(lambda: any((desk / "tmp").glob(f"{PREFIX}*/user/comfyui.db")))
    run.send_signal(number)
    _, complaints = run.communicate(timeout=120)
    assert run.returncode == status
    assert "Traceback" not in complaints
    assert files_in(desk, COMFYUI, PACK) == before
    assert servers_of(desk) == []


@needs_workflow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@alone
def test_the_server_of_a_killed_run_ends_too(desk):
    run = start_run(desk)
    wait_for(lambda: servers_of(desk))
    run.kill()
    run.communicate()
    wait_for(lambda: not servers_of(desk), seconds=60)


@needs_workflow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_the_ui_opens_with_workflows_and_samples_in_place_and_ends_at_ctrl_c(tmp_path):
    places = {"LDU_CACHE": str(tmp_path), "COMFYUI_DIR": str(COMFYUI)}
    command = [sys.executable, str(PACK / "run.py"), "ui", "--cpu"]
    run = subprocess.Popen(command, env=os.environ | places, stderr=subprocess.PIPE, text=True)
    address = next(line for line in run.stderr if "http://" in line).split(": ", 1)[1].strip()
    with urllib.request.urlopen(address.split("?")[0] + "api/workflow_templates") as answer:
        assert "protect" in json.load(answer)["ldu"]
    assert (tmp_path / "ui" / "input" / "ldu_sample_portrait.png").is_file()
    run.send_signal(signal.SIGINT)
    assert "Traceback" not in run.communicate(timeout=120)[1]
    assert run.returncode == 130
    with pytest.raises(OSError):
        urllib.request.urlopen(address)
