"""The door fills the shipped workflow with wishes, and reports what became of it."""

import contextlib
import json
import types
from pathlib import Path

import pytest

from launch import LaunchError, delivery, files, graph, protect, result
from launch.progress import Progress

from .made_files import make_file, make_safetensors

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


@pytest.mark.parametrize("option", sorted(graph.SETTINGS.keys() - {"rho"}))
def test_every_option_has_its_place_in_the_shipped_workflow(option):
    assert graph.value_of(graph.load_workflow("protect"), option) is not None


@pytest.mark.parametrize("option", ["rho", "strength", "k", "depth", "budget", "seed", "judges_word"])
def test_a_trained_rho_can_be_used_with_every_option_that_is_left(option):
    assert graph.value_of(graph.load_workflow("protect_with_trained_rho"), option) is not None


class TestCheckpoint:
    """With a checkpoint of one's own, what is learnt takes the steps that are usual for it, not the demo's."""

    def filled(self, folder, **order):
        return protect.prepare_graph(["me.png"], protect.ProtectOrder(**order), folder)

    def learning(self, graph_):
        return {option: graph.value_of(graph_, option) for option in protect.OF_CHECKPOINTS}

    def test_rho_its_word_and_the_judges_learn_for_long(self, tmp_path):
        filled = self.filled(tmp_path, checkpoint=tmp_path / "sd.safetensors")
        assert self.learning(filled) == protect.OF_CHECKPOINTS
        assert {node["inputs"]["steps"] for node in graph.nodes_of(filled, "LDU_TextualInversion")} == {500}

    def test_what_was_typed_counts_more(self, tmp_path):
        filled = self.filled(tmp_path, checkpoint=tmp_path / "sd.safetensors", wishes={"train_steps": 2})
        assert self.learning(filled) == protect.OF_CHECKPOINTS | {"train_steps": 2}

    def test_the_demo_keeps_the_workflows_own(self, tmp_path):
        assert self.learning(self.filled(tmp_path)) == self.learning(graph.load_workflow("protect"))

    def test_with_a_trained_rho_the_judge_alone_learns(self, tmp_path):
        rho = make_safetensors(tmp_path / "rho.safetensors", {})
        filled = self.filled(tmp_path, rho=rho, checkpoint=tmp_path / "sd.safetensors")
        nothing = dict.fromkeys(("train_steps", "word_steps", "word_rate"))
        assert self.learning(filled) == protect.OF_CHECKPOINTS | nothing


class TestHandingOver:
    @pytest.fixture
    def running(self, tmp_path, monkeypatch):
        """Protect pictures of these names by a stand-in for the host, which gets the folder to save in."""
        monkeypatch.setattr(protect, "private_folder", lambda: contextlib.nullcontext(tmp_path / "base"))
        monkeypatch.setattr(protect, "serving", lambda *_, **__: contextlib.nullcontext())
        monkeypatch.setattr(protect, "probe", lambda _: False)
        monkeypatch.setattr(protect, "device_name", lambda _: "cpu")
        (tmp_path / "base" / "input").mkdir(parents=True)
        make_file(tmp_path / "base" / "output" / "ldu" / "rho.safetensors")  # of a training; not asked for
        saves_in = tmp_path / "base" / "output" / graph.SAVE_IN

        def protect_by(run, *names):
            monkeypatch.setattr(delivery, "run_with_progress", lambda *given: run(saves_in, *given))
            jobs = [files.Job(make_file(tmp_path / name), tmp_path / f"made_of_{name}") for name in names]
            protect.protect(jobs, protect.ProtectOrder(), None)

        return protect_by

    def test_what_is_made_is_handed_over_before_it_is_measured(self, running, tmp_path, monkeypatch):
        def run(output, *_):
            make_file(output / "0" / "made.png")
            (tmp_path / "me.png").unlink()  # the user tidies up meanwhile
            return {}

        def measure(_host, pairs):
            (tmp_path / "made_of_me.png").rename(tmp_path / "elsewhere.png")
            ((original, made),) = pairs
            assert (original.read_bytes(), made.read_bytes()) == (b"me.png", b"made.png")
            raise LaunchError("The saved picture could not be measured.")

        monkeypatch.setattr(protect, "measure", measure)
        with pytest.raises(LaunchError, match="could not be measured"):
            running(run, "me.png")
        assert (tmp_path / "elsewhere.png").read_bytes() == b"made.png"

    def test_a_place_that_was_taken_meanwhile_holds_no_other_picture_back(self, running, tmp_path, capsys):
        def run(output, _server, _graph, meanwhile):
            for file in ("0/first.png", "1/second.png"):
                make_file(output / file)
            make_file(tmp_path / "made_of_a.png")
            meanwhile()

        with pytest.raises(LaunchError, match=r"made_of_a\.png exists already"):
            running(run, "a.png", "b.png")
        assert (tmp_path / "made_of_a.png").read_bytes() == b"made_of_a.png"
        assert (tmp_path / "made_of_b.png").read_bytes() == b"second.png"
        assert capsys.readouterr().err == "Already saved: 1 picture.\n"

    @pytest.mark.parametrize("end", [KeyboardInterrupt, LaunchError("It failed.")])
    def test_the_end_of_a_later_picture_takes_nothing_of_those_before(self, running, tmp_path, capsys, end):
        def run(output, _server, _graph, meanwhile):
            make_file(output / "0" / "first.png")
            meanwhile()
            assert (tmp_path / "made_of_a.png").read_bytes() == b"first.png"
            make_file(output / "1" / "second.png")
            raise end

        with pytest.raises(type(end) if isinstance(end, Exception) else end):
            running(run, "a.png", "b.png", "c.png")
        assert (tmp_path / "made_of_b.png").read_bytes() == b"second.png"
        assert not (tmp_path / "made_of_c.png").exists()
        assert capsys.readouterr().err == "Already saved: 2 pictures.\n"

    def test_a_workflow_that_saves_nothing_is_told(self, running):
        with pytest.raises(LaunchError, match=r"^The workflow ended without saving"):
            running(lambda *_: {}, "a.png")


class TestDecoy:
    def filled(self, folder, names=("a.png", "b.png"), **wishes):
        return protect.prepare_graph(list(names), protect.ProtectOrder(decoy=True, wishes=wishes), folder)

    def test_pictures_of_one_person_get_one_decoy_and_a_target_each(self, tmp_path):
        filled = self.filled(tmp_path)
        (decoy,) = graph.numbers_of(filled, "LDU_ChooseDecoy")
        records = graph.numbers_of(filled, "LDU_InvertToZT")
        gathered = filled[filled[decoy]["inputs"]["record"][0]]
        assert gathered["inputs"] == {f"inputs.input{n}": [number, 1] for n, number in enumerate(records)}
        walks = graph.numbers_of(filled, "LDU_FewStepDenoise")
        assert [filled[walk]["inputs"]["conditioning"] for walk in walks] == [[decoy, 0]] * 2
        refining = graph.nodes_of(filled, "LDU_RefinePixels")
        assert [node["inputs"]["target"] for node in refining] == [[walk, 0] for walk in walks]

    def test_a_lossy_file_is_compared_as_it_is_saved(self, tmp_path):
        filled = self.filled(tmp_path, names=["a.png"], format="webp")
        (saver,) = graph.numbers_of(filled, "LDU_SaveProtected")
        (compared,) = graph.nodes_of(filled, "LDU_Compare")
        assert compared["inputs"]["protected"] == [saver, 1]

    def test_what_it_does_not_do_is_refused(self, tmp_path):
        with pytest.raises(LaunchError, match=r"^--train-steps has no effect in this workflow"):
            self.filled(tmp_path, train_steps=5)


@pytest.mark.parametrize("workflow", sorted(path.stem for path in graph.WORKFLOWS.glob("*.json")))
def test_nothing_is_drawn_that_nobody_sees(workflow):
    loaded = graph.load_workflow(workflow)
    assert not graph.nodes_of(loaded, "LossGraphNode")
    assert all(node["inputs"]["previews"] == 0 for node in graph.nodes_of(loaded, "LDU_TextualInversion"))


class TestSeveralPictures:
    WORKFLOW = types.MappingProxyType(
        {
            "load": {"class_type": "LDU_LoadPicture", "inputs": {"image": "x"}},
            "learn": {"class_type": "LDU_TextualInversion", "inputs": {"image": ["load", 0], "steps": 5}},
            "train": {"class_type": "LDU_TrainRho", "inputs": {"image": ["load", 0], "conditioning": ["learn", 0]}},
            "keep": {"class_type": "LDU_SaveRho", "inputs": {"rho": ["train", 0]}},
            "shift": {"class_type": "LDU_ApplyRhoShift", "inputs": {"z_T": ["load", 0], "rho": ["train", 0]}},
            "save": {"class_type": "LDU_SaveProtected", "inputs": {"image": ["shift", 0], "filename_prefix": "x"}},
        }
    )

    def test_one_picture_leaves_the_workflow_as_it_is_shipped_but_for_its_files(self):
        single = graph.with_pictures(dict(self.WORKFLOW), ["a.png"])
        assert single.keys() == self.WORKFLOW.keys()
        changed = {
            node: single[node]["inputs"] for node in single if single[node]["inputs"] != self.WORKFLOW[node]["inputs"]
        }
        assert changed == {
            "load": {"image": "a.png"},
            "save": {"image": ["shift", 0], "filename_prefix": "protected/0/x"},
        }

    def test_each_has_its_own_way_and_training_takes_them_all(self):
        several = graph.with_pictures(dict(self.WORKFLOW), ["a.png", "b.png"])
        assert several.keys() == {*self.WORKFLOW, "load_1", "shift_1", "save_1", "all_load_0"}
        assert several["load_1"]["inputs"]["image"] == "b.png"
        assert several["shift_1"]["inputs"] == {"z_T": ["load_1", 0], "rho": ["train", 0]}
        assert several["save_1"]["inputs"] == {"image": ["shift_1", 0], "filename_prefix": "protected/1/x"}
        assert several["train"]["inputs"] == {"image": ["all_load_0", 0], "conditioning": ["learn", 0]}
        assert several["learn"]["inputs"]["image"] == ["all_load_0", 0]
        gathered = {"inputs.input0": ["load", 0], "inputs.input1": ["load_1", 0]}
        assert several["all_load_0"] == {"class_type": "CreateList", "inputs": gathered}

    def test_many_are_gathered_in_lists_that_the_host_can_make(self):
        names = [f"{number}.png" for number in range(111)]
        several = graph.with_pictures(dict(self.WORKFLOW), names)
        lists = {name: node["inputs"] for name, node in several.items() if node["class_type"] == "CreateList"}
        assert max(map(len, lists.values())) == graph.IN_ONE_LIST

        def pictures(link):
            if link[0] not in lists:
                return [several[link[0]]["inputs"]["image"]]
            return [name for inner in lists[link[0]].values() for name in pictures(inner)]

        assert pictures(several["train"]["inputs"]["image"]) == names

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

    def test_a_remark_is_told_once_with_the_picture_that_it_is_about(self):
        several = graph.with_pictures(dict(self.WORKFLOW), ["a.png", "b.png"])
        remarks = {"train": ["few steps"], "shift": ["flat", "small"], "save": ["flat"], "shift_1": ["flat"]}
        told = {node: [json.dumps({"remarks": said})] for node, said in remarks.items()}
        outputs = {node: {"ldu": numbers, "text": ["9 steps"]} for node, numbers in told.items()}
        entry = {"outputs": outputs | {"load": {"text": ["160 x 200"]}}}
        assert result.remarks_of(entry, several, 0) == ["few steps", "flat", "small"]
        assert result.remarks_of(entry, several, 1) == ["flat"]


@pytest.mark.parametrize("name", ["protect", "protect_with_trained_rho"])
def test_the_workflows_judge_the_file_as_its_readers_see_it(name):
    shipped = graph.load_workflow(name)
    (saver,) = graph.numbers_of(shipped, "LDU_SaveProtected")
    (judge,) = graph.nodes_of(shipped, "LDU_MeasureLoss")
    assert judge["inputs"]["protected"] == [saver, 1]
    assert shipped[saver]["inputs"]["original"] == judge["inputs"]["original"]


def test_a_lossy_file_is_judged_as_it_is_saved():
    changed = graph.judge_the_file(graph.load_workflow("protect"))
    (saver,) = graph.numbers_of(changed, "LDU_SaveProtected")
    for name in ("LDU_Compare", "LDU_MeasureLoss"):
        (node,) = graph.nodes_of(changed, name)
        assert node["inputs"]["protected"] == [saver, 1]
        assert changed[saver]["inputs"]["original"] == node["inputs"]["original"]


ENTRY = {
    "outputs": {
        "2": {"ldu": [json.dumps({"train_steps": 40, "nfe": {"train": 80, "evaluate": 64}, "loss_before": 0.1})]},
        "3": {"ldu": [json.dumps({"nfe": {"evaluate": 64}, "loss_after": 0.3})], "images": []},
    }
}


MEASURED = {"width": 8, "height": 9, "bytes": 1000, "max_abs_levels": 10, "psnr_db": 31.0, "ssim": 0.9}


RUN = {"seconds": 5.0, "device": "cpu"}


class TestResult:
    def report(self, checkpoint=None, **more):
        job = files.Job(Path("a.png"), Path("a_protected.png"))
        found = result.told_by_nodes(ENTRY, WORKFLOW, 0) | MEASURED | RUN | more
        return result.compose(job, checkpoint, WORKFLOW, found)

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
        mine = Path("sd15.safetensors")
        assert self.report(mine)["protects_against"] == f"aimed at personalization of sd15.safetensors: {result.ROSE}"
        unasked = self.report(mine, loss_after=None)["protects_against"]
        assert unasked == "aimed at personalization of sd15.safetensors: how well was not measured"
        same = self.report(mine, max_abs_levels=0, loss_gain_over_random=[0.0, 0.0])
        assert same["protects_against"] == "nothing: the picture is unchanged"

    @pytest.mark.parametrize(("low", "told"), [(-0.01, True), (0.0, True), (0.01, False)])
    def test_an_effect_that_noise_has_too_is_called_none(self, low, told):
        seen = {"loss_before": 0.1, "loss_after": 0.3, "loss_random": 0.2, "loss_gain_over_random": [low, 0.2]}
        for checkpoint in (Path("sd15.safetensors"), None):
            assert (result.NOT_SHOWN in result.in_words(self.report(checkpoint, **seen))) is told
        assert (result.NOT_SHOWN in self.report(Path("sd15.safetensors"), **seen)["protects_against"]) is told
        assert self.report(**seen)["protects_against"] == "demo model only"

    def test_what_the_nodes_remarked_stands_in_the_words_and_not_among_the_numbers(self):
        assert "\nThe picture is small.\n" in result.in_words(self.report(), ["The picture is small."])
        assert tuple(self.report(remarks=["The picture is small."])) == result.KEYS


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
