"""The door fills the stress test's workflow, and refuses what would be written over."""

import json
import re
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from launch import LaunchError, delivery, door, graph, host, protect, stress

from .made_files import make_file


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
        assert not {"rho", "strength", "shift_seed", "refined"} & told.keys(), "nobody knows how they were made"
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
        (maker,) = graph.numbers_of(shipped, "LDU_RefinePixels")
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
        assert self.values(filled, "TrainLoraNode", "steps") == {7}
        assert self.values(filled, "TrainLoraNode", "learning_rate") == {1e-4}
        assert self.values(filled, "LDU_ThiefsGallery", "identity") == {"none"}

    def test_with_a_checkpoint_the_protection_learns_as_protect_lets_it_and_the_thieves_as_before(self, tmp_path):
        filled = stress.prepare_graph(self.order(tmp_path, checkpoint=tmp_path / "sd.safetensors"), self.base(tmp_path))
        usual = {option: graph.value_of(filled, option) for option in protect.TRAINING_OF_CHECKPOINTS}
        assert usual == protect.TRAINING_OF_CHECKPOINTS
        assert self.values(filled, "LDU_TextualInversion", "steps") == {500, 1500}

    def values(self, filled, class_type, name):
        """Return what the nodes of a class have for an input, of their own or from a Primitive."""
        found = [node["inputs"][name] for node in graph.nodes_of(filled, class_type)]
        return {filled[each[0]]["inputs"]["value"] if graph.links_to(each, filled) else each for each in found}

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

    def test_real_faces_are_compared_by_the_users_own_network_and_its_lack_is_told_first(self, tmp_path, monkeypatch):
        own = host.Host(Path(sys.executable), tmp_path / "host")
        monkeypatch.setattr(stress.Path, "home", lambda: tmp_path)
        own.comfyui.mkdir()
        with pytest.raises(LaunchError, match=r"^--identity insightface needs no_such_package, which .* lacks"):
            host.require_packages(own, "--identity insightface", "json", "no_such_package")
        host.require_packages(own, "--identity insightface", "json", "csv")
        monkeypatch.setattr(stress, "require_packages", lambda *_: None)
        (tmp_path / "base" / "models").mkdir(parents=True)
        with pytest.raises(
            LaunchError, match=r"no models of InsightFace in .*host.models.insightface.models.buffalo_l"
        ):
            stress.bring_face_network(own, tmp_path / "base")
        make_file(tmp_path / ".insightface" / "models" / "buffalo_l" / "det.onnx")
        stress.bring_face_network(own, tmp_path / "base")
        brought = tmp_path / "base" / "models" / "insightface" / "models" / "buffalo_l" / "det.onnx"
        assert brought.read_bytes() == b"det.onnx"

    def test_one_folder_stands_for_its_pictures_and_the_results_go_beside_it(self, tmp_path, monkeypatch):
        album = tmp_path / "2024.holiday"
        (album / "sub").mkdir(parents=True)
        for name in ("b.png", "a.jpg", "sub/c.png", "notes.txt", ".hidden.png"):
            make_file(album / name)
        orders = []
        monkeypatch.setattr(door, "_host", lambda _: None)
        monkeypatch.setattr(door, "stress", lambda order, _: orders.append(order))
        assert door.main(["stress", str(album)]) == 0
        assert orders[0].originals == [album / "a.jpg", album / "b.png"]
        assert orders[0].out == tmp_path / "2024.holiday_stress"
        assert stress.default_out(album / "a.jpg") == album / "a_stress"

    @pytest.mark.parametrize("told", [{"subfolder": "../../"}, {"filename": "../out.png"}])
    def test_who_answers_in_the_servers_place_gets_nothing_copied_from_elsewhere(self, tmp_path, told):
        graph = {"1": {"class_type": stress.SAVER}, "2": {"class_type": stress.REPORT_NODE}}
        make_file(tmp_path / "output" / "report_00001_.html")
        image = {"type": "output", "subfolder": "", "filename": "a.png"}
        outputs = {"1": {"images": [image]}, "2": {"ldu": [json.dumps({"report": "report_00001_.html"})]}}
        assert set(stress.results({"outputs": outputs}, graph, tmp_path / "output")) == {
            "a.png",
            "report.html",
            "report.json",
        }
        image |= told
        with pytest.raises(LaunchError, match="no file of its own"):
            stress.results({"outputs": outputs}, graph, tmp_path / "output")

    def test_a_folder_stands_alone_and_is_not_empty(self, tmp_path):
        photo = make_file(tmp_path / "a.png")
        (tmp_path / "empty").mkdir()
        with pytest.raises(LaunchError, match="Give one folder, or several pictures, but not both"):
            stress.originals_in([tmp_path / "empty", photo])
        with pytest.raises(LaunchError, match="There is no picture in the folder"):
            stress.originals_in([tmp_path / "empty"])
        assert stress.originals_in([photo, tmp_path / "none.png"]) == [photo, tmp_path / "none.png"]

    @pytest.mark.parametrize("name", [stress.DATA, stress.PAGE, stress.PICTURE])
    @pytest.mark.parametrize("option", ["--json", "--keep-log"])
    def test_a_file_asked_for_in_the_place_of_a_result_is_refused_before_anything_is_done(
        self, tmp_path, capsys, monkeypatch, name, option
    ):
        monkeypatch.setattr(door, "stress", lambda *_: pytest.fail("it was begun"))
        photo, out = str(make_file(tmp_path / "a.png")), tmp_path / "out"
        assert door.main(["stress", photo, "--out", str(out), option, str(out / name), "--force"]) == 1
        assert capsys.readouterr().err == "Two files would be saved under one name: choose different names.\n"

    def test_a_picture_that_the_folder_would_pass_over_is_refused(self, tmp_path):
        with pytest.raises(LaunchError, match="hidden by the dot"):
            stress.require_pictures(self.order(tmp_path, (".a.png",)))

    def test_pairs_that_cannot_be_compared_are_told_before_a_server_is_started(self, tmp_path, monkeypatch):
        order = self.order(tmp_path, ("a.png", "b.png"), ("c.png", "d.png"))
        for file in (*order.originals, *order.protected[:1]):
            Image.new("RGB", (16, 16)).save(file)
        Image.new("RGB", (16, 8)).save(order.protected[1])
        monkeypatch.setattr(stress, "probe", lambda _: False)
        monkeypatch.setattr(stress, "serving_alone", lambda *_, **__: pytest.fail("it was started"))
        with pytest.raises(LaunchError, match=re.escape("d.png is 16 x 8 pixels but b.png is 16 x 16")):
            stress.stress(order, host.Host(Path(sys.executable), tmp_path))

    def test_what_is_in_the_way_is_told_before_the_work_and_costs_nothing_else_after_it(self, tmp_path, capsys):
        order = self.order(tmp_path, ("a.png",))
        (tmp_path / "out").mkdir()
        there = make_file(tmp_path / "out" / "a_protected_00001_.png")
        with pytest.raises(LaunchError, match=r"a_protected_00001_\.png is there already"):
            stress.require_pictures(order)
        stress.require_pictures(replace(order, protected=[there]))
        found = {name: make_file(tmp_path / f"found_{name}") for name in (there.name, "gallery.png", "report.json")}
        numbers = tmp_path / "numbers.json"
        with pytest.raises(LaunchError, match=r"a_protected_00001_\.png is there already"):
            stress.keep(found, replace(order, json=numbers))
        assert sorted(path.name for path in order.out.iterdir()) == [there.name, "gallery.png", "report.json"]
        assert numbers.read_bytes() == found["report.json"].read_bytes()
        (said,) = capsys.readouterr().err.splitlines()
        assert said == f"Saved: {order.out / 'gallery.png'}, {order.out / 'report.json'}, {numbers}."

    def test_what_was_protected_is_the_users_though_a_thief_fails_after_it(self, tmp_path, monkeypatch, capsys):
        order = self.order(tmp_path, ("a.png",))
        made = "a_protected_00001_.png"

        @contextmanager
        def serving_alone(_order, _host, base, *, cpu):
            make_file(base / "output" / made)
            make_file(base / "output" / "ldu_gallery_00001_.png")
            yield None

        def fails(_server, _graph, on_progress):
            on_progress()
            assert (order.out / made).read_bytes() == made.encode()
            raise LaunchError("out of memory")

        monkeypatch.setattr(stress, "probe", lambda _: True)
        monkeypatch.setattr(stress, "measure", lambda *_: None)
        monkeypatch.setattr(stress, "serving_alone", serving_alone)
        monkeypatch.setattr(delivery, "run_with_progress", fails)
        with pytest.raises(LaunchError, match="out of memory"):
            stress.stress(order, host.Host(Path(sys.executable), tmp_path))
        assert [path.name for path in order.out.iterdir()] == [made]
        assert "Already saved: 1 picture." in capsys.readouterr().err

    def test_the_names_that_will_be_made_are_those_of_save_protected(self):
        assert stress._names_of_made([Path("IMG.png"), Path("img.jpg"), Path("me.png")]) == [
            "IMG.png_protected_00001_.png",
            "img.jpg_protected_00001_.png",
            "me_protected_00001_.png",
        ]
        (name,) = stress._names_of_made([Path("x" * 240 + ".png")])
        assert name == "x" * 200 + "_protected_00001_.png"

    def test_nothing_is_written_over_without_force_and_an_original_never(self, tmp_path):
        order = self.order(tmp_path, ("gallery.png",))
        stress.require_pictures(order)
        (tmp_path / "out").mkdir()
        make_file(tmp_path / "out" / "report.json")
        with pytest.raises(LaunchError, match="is there already"):
            stress.require_pictures(order)
        with pytest.raises(LaunchError, match="is one of the inputs"):
            stress.require_pictures(replace(order, out=tmp_path, force=True))
