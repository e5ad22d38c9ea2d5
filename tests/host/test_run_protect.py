"""What run.py does with a real ComfyUI server."""

import os
import sys
from pathlib import Path

import pytest

from launch import LaunchError
from launch.host import Host
from launch.private import private_folder
from launch.server import serving
from launch.setup import cache_root

COMFYUI = Path(os.environ.get("COMFYUI_DIR") or cache_root() / "ComfyUI")
HOST = Host(Path(sys.executable), COMFYUI)

pytestmark = pytest.mark.skipif(not (COMFYUI / "main.py").is_file(), reason="needs a ComfyUI: run.py test brings one")


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
    assert {"blur0", "blur2", "save"} <= set(told[-1])
    image = entry["outputs"]["save"]["images"][0]
    assert (place / "output" / image["filename"]).is_file()


def test_a_graph_that_cannot_run_is_refused_in_one_sentence(server):
    with pytest.raises(LaunchError, match=r"^Value 0 smaller than min of 1: width\.$"):
        server.run(stock_graph(width=0), lambda _: None)


def test_a_node_that_fails_is_quoted_in_one_sentence(server):
    graph = stock_graph()
    graph["save"]["inputs"]["filename_prefix"] = "../outside"
    with pytest.raises(LaunchError, match=r"^SaveImage failed, which should not happen; [^\n]+\.\)$"):
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


def test_a_server_that_cannot_start_says_why(tmp_path):
    with pytest.raises(LaunchError, match="ComfyUI did not start: "), serving(HOST, tmp_path, cpu=True):
        pass
