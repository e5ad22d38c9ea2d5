"""What long work says on its node before it starts and while it goes on."""

import json
import re
from types import SimpleNamespace

import comfy.model_management as mm
import pytest
import torch

from . import tiny_models as tiny
from .bad_input.bench import Bench, clip, condition, model, picture, rho, vae

pytestmark = pytest.mark.usefixtures("executor_mode")


@pytest.fixture
def estimate(host):
    return host.module("nodes.estimate")


@pytest.fixture
def heard(estimate, monkeypatch):
    texts = []
    monkeypatch.setattr(estimate, "say_on_node", texts.append)
    return texts


@pytest.fixture
def clock(estimate, monkeypatch):
    """The seconds that a Pace sees, to be set."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(estimate.time, "perf_counter", lambda: now.seconds)
    return now


@pytest.fixture
def train(host, tmp_path):
    def run(**given):
        usual = {"model": model(), "vae": vae(), "image": picture(), "conditioning": condition(), "k": 1}
        return Bench(host, tmp_path).node("LDU_TrainRho", **{**usual, **given})

    return run


def renamed(name):
    """Return a MODEL as a stock loader gives it, read from a file of that name."""
    named = tiny.model("sd1")
    named.cached_patcher_init = (None, (f"/models/{name}", 0))
    return named


def test_memory_and_time_are_told_before_the_first_step_and_the_rest_while_it_works(train, heard, host, monkeypatch):
    training, at_first_step = host.module("ldu.train").ShiftTraining, []
    step = training.step
    monkeypatch.setattr(training, "step", lambda self: at_first_step.append(len(heard)) or step(self))
    train(steps=11, seed=90)
    assert at_first_step[0] == 2
    assert re.match(r"About \d+\.\d GiB of memory wanted, \d+\.\d GiB free", heard[0])
    assert re.match(r"11 steps, about \d+ (s|min)", heard[1])
    assert heard[2].startswith("1 step to go")
    assert all("GiB of memory wanted" in said for said in heard), "what was said first must stay"


def test_what_can_be_pushed_out_counts_as_free_and_what_two_patchers_share_counts_once(host, monkeypatch):
    first, second, coder = tiny.model("sd1"), tiny.model("sd1"), tiny.vae()
    for patcher in (first, second, coder.patcher):
        patcher.model.model_loaded_weight_memory = 3
    monkeypatch.setattr(mm, "get_free_memory", lambda _: 10)
    memory, shape = host.module("nodes.host").training_memory, (1, 4, 8, 8)
    alone, beside = (memory(first, coder, shape, beside=others) for others in ((), (first.clone(), second)))
    assert (alone[1], beside[1]) == (16, 19)
    assert beside[0] == alone[0]


def test_the_estimate_grows_with_the_steps_and_the_pictures_of_a_batch(estimate, host):
    config = host.module("ldu.train").TrainConfig

    def seconds(**settings):
        said = estimate.say_time(1.0, config(evaluate_every=0, **settings), 1)
        return float(re.search(r"about (\d+) s", said)[1])

    one = seconds(train_steps=6)
    assert seconds(train_steps=12) == 2 * one
    assert seconds(train_steps=6, batch=2) == 2 * one


def work(node, steps):
    """Return what a node is given to work for so many steps."""
    given = {"model": model(), "vae": vae(), "image": picture(), "steps": steps}
    if node == "LDU_TextualInversion":
        return {**given, "clip": clip(), "previews": 0}
    return {**given, "conditioning": condition()}


@pytest.mark.parametrize("node", ["LDU_TextualInversion", "LDU_RefinePixels"])
def test_memory_and_time_are_told_before_the_first_step_and_what_is_left_after_it(
    host, tmp_path, estimate, heard, node, monkeypatch
):
    tick, at_first_step = estimate.Pace.tick, []
    monkeypatch.setattr(estimate.Pace, "tick", lambda self: at_first_step.append(len(heard)) or tick(self))
    said = Bench(host, tmp_path).node(node, **work(node, 3)).ui["text"][0]
    assert at_first_step[0] == 2
    assert re.fullmatch(r"About \d+\.\d GiB of memory wanted, \d+\.\d GiB free\..*", heard[0])
    for number, left in ((1, 3), (2, 2)):
        assert re.match(rf"{left} steps to go, about \d+ s\. Cancelling keeps nothing\.\nAbout", heard[number])
    assert re.fullmatch(r"3 steps in \d+ s\.", said), "what is shown in the end"


@pytest.mark.parametrize(("node", "of_memory"), [("LDU_TextualInversion", 1), ("LDU_RefinePixels", 0)])
def test_nothing_is_tried_where_no_step_will_be_taken(host, tmp_path, heard, node, of_memory):
    ui = Bench(host, tmp_path).node(node, **work(node, 0)).ui
    assert sum(json.loads(ui["ldu"][0])["nfe"].values()) == 0
    assert len(heard) == of_memory  # refining loads nothing then


def test_train_says_how_long_the_word_takes_that_it_learns_itself(train, heard):
    train(steps=1, conditioning=None, clip=clip())
    assert re.match(r"150 steps to go, about \d+ (s|min)\. These learn S\*", heard[1])
    assert re.match(r"149 steps to go, about \d+ (s|min)\. These learn S\*", heard[2])


def test_the_time_of_all_parts_is_foretold_from_a_second_pass_without_gradient(estimate, heard, clock):
    pace = estimate.Pace(estimate.Teller(), 10, "Cancel.")

    def forward():
        assert not torch.is_grad_enabled()
        clock.seconds += 60 if clock.seconds < 60 else 2  # the first one loads and warms up

    with torch.enable_grad():
        pace.foretell(forward)
    assert heard == [f"10 steps to go, about {20 * estimate.WITH_GRADIENT:.0f} s. Cancel."]
    clock.seconds += 3
    pace.tick()
    assert heard[1] == "9 steps to go, about 27 s. Cancel.", "the passes do not count as steps"
    pace.foretell(forward)
    assert len(heard) == 2, "a second word is as fast as the first"


def test_a_pace_is_what_the_parts_after_the_first_took_and_is_told_at_most_once_a_second(estimate, heard, clock):
    pace = estimate.Pace(estimate.Teller(), 6, "Cancel.")
    for seconds in (60.0, 62.0, 62.5, 64.0, 66.0, 68.0):  # the first part loads and warms up
        clock.seconds = seconds
        pace.tick()
    assert heard == [
        "5 steps to go, about 5 min. Cancel.",
        "4 steps to go, about 8 s. Cancel.",
        "2 steps to go, about 3 s. Cancel.",
        "1 step to go, about 2 s. Cancel.",
    ]
    assert pace.took == "6 steps in 68 s."


@pytest.mark.parametrize(("length", "said"), [(0.2, "1 s"), (75, "75 s"), (600, "10 min"), (9000, "2.5 h")])
def test_a_duration_is_told_in_the_unit_that_suits_it(estimate, length, said):
    assert estimate.duration(length) == said


def test_memory_that_is_not_there_is_told_with_what_to_do(estimate):
    assert "It may not fit" in estimate.say_memory(8 * 2**30, 2 * 2**30)
    assert "fit" not in estimate.say_memory(2 * 2**30, 8 * 2**30)


def test_a_few_step_model_is_recognised_by_its_sampling_and_guessed_by_its_name(host):
    import comfy_extras.nodes_model_advanced as advanced

    kind = host.module("nodes.host").few_step_kind
    assert kind(tiny.model("sd1")) is None
    assert kind(renamed("v1-5-pruned.safetensors")) is None
    (lcm,) = advanced.ModelSamplingDiscrete().patch(tiny.model("sd1"), "lcm", False)
    assert "samples as an LCM" in kind(lcm)
    assert "may be a few-step model" in kind(renamed("sd_xl_TURBO_1.0.safetensors"))


@pytest.mark.parametrize(("name", "told"), [("sd_turbo.safetensors", True), ("v1-5-pruned.safetensors", False)])
def test_a_few_step_model_is_told_of_where_k_is_chosen_for_the_walk(host, name, told):
    invert = host.classes["LDU_InvertToZT"]
    said = invert.execute(renamed(name), tiny.latents(), 1, 0.5, 0, condition()).ui["text"][0]
    assert ("keep k at 1 to 4" in said) == told


def test_what_is_unusual_stays_on_the_node(train, heard, host, tmp_path):
    flat = torch.full((1, 64, 72, 3), 0.5)
    before = rho(Bench(host, tmp_path), prompt="a photo of S* dog")
    text = train(steps=1, image=flat, rho=before, model=renamed("lcm.safetensors")).ui["text"][0]
    for part in ("few-step model", "100% of the picture is flat", "trained for “a photo of S* dog”"):
        assert part in heard[0]
        assert part in text


def test_a_flat_area_that_a_mask_spares_is_no_remark(train, heard):
    mask = torch.zeros(1, 64, 72)
    mask[..., :8] = 1
    train(steps=1, image=torch.full((1, 64, 72, 3), 0.5), mask=mask, seed=91)
    assert "flat" not in heard[0]


def test_a_rho_of_another_checkpoint_or_walk_is_gone_on_from_and_said_so(train, heard, host, tmp_path):
    train(steps=1, rho=rho(Bench(host, tmp_path), model_hash="other", prompt=""), k=1, depth=0.5, seed=92)
    assert "trained for another checkpoint, this training is for the one that is loaded" in heard[0]
    assert "trained for k = 4 and depth = 0.5, this training is for k = 1 and depth = 0.5." in heard[0]


def test_apply_says_what_rho_was_trained_for_and_that_the_checkpoint_is_another(host, tmp_path):
    from .bad_input.bench import walked

    bench = Bench(host, tmp_path)
    z_T = walked(bench)[0]
    own = bench.node("LDU_ApplyRhoShift", z_T=z_T, rho=rho(bench, prompt="a photo of S* cat"))
    other = bench.node("LDU_ApplyRhoShift", z_T=z_T, rho=rho(bench, model_hash="other"), other_checkpoint=True)
    assert "a photo of S* cat" in own.ui["text"][0]
    assert "Another checkpoint" not in own.ui["text"][0]
    assert "Another checkpoint" in other.ui["text"][0]


def test_what_is_said_goes_to_the_node_that_is_at_work_also_inside_a_blueprint(host, monkeypatch):
    from comfy_execution.utils import CurrentNodeContext
    from server import PromptServer

    sent = []
    graph = {"3:7": {"class_type": "LDU_TrainRho", "inputs": {}}}
    queue = SimpleNamespace(get_current_queue_volatile=lambda: ([(0, "job", graph, {}, [])], []))
    server = SimpleNamespace(client_id="me", prompt_queue=queue, send_sync=lambda *message: sent.append(message))
    monkeypatch.setattr(PromptServer, "instance", server, raising=False)
    say = host.module("nodes.host").say_on_node
    say("to nobody")
    with CurrentNodeContext("job", "3:7"):
        say("2 steps to go")
    assert sent == [("ldu.say", {"node": "3:7", "type": "LDU_TrainRho", "text": ["2 steps to go"]}, "me")]
