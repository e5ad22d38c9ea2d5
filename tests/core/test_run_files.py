"""The door and people's files: which goes where, and what is never written over."""

import errno
import json
import struct
from pathlib import Path

import pytest

from launch import LaunchError, door, files, folder, graph, options, protect, result
from launch.delivery import Delivery
from ldu.naming import is_picture

from .made_files import make_file, make_safetensors


class TestWhichFileGoesWhere:
    def test_a_picture_gets_a_neighbour(self, tmp_path):
        photo = make_file(tmp_path / "me.jpg")
        assert files.plan([photo], None, force=False) == [files.Job(photo, tmp_path / "me_protected.png")]

    def test_several_pictures_go_into_the_named_folder(self, tmp_path):
        photos = [make_file(tmp_path / name) for name in ("a.png", "b.png")]
        for name in ("new", "2024.holiday", "new.png/"):
            targets = [job.target for job in files.plan(photos, f"{tmp_path}/{name}", force=False)]
            assert targets == [tmp_path / name / "a_protected.png", tmp_path / name / "b_protected.png"]

    def test_a_slash_at_the_end_says_a_folder_for_one_picture_too(self, tmp_path, monkeypatch):
        jobs = []
        monkeypatch.setattr(door, "_host", lambda _: None)
        monkeypatch.setattr(door, "protect", lambda planned, *_: jobs.extend(planned) or [])
        photo = make_file(tmp_path / "me.png")
        assert door.main(["protect", str(photo), "--out", f"{tmp_path / 'new'}/"]) == 0
        assert [job.target for job in jobs] == [tmp_path / "new" / "me_protected.png"]

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
            files.plan([photo], str(tmp_path / out), force=False)

    def test_a_link_that_leads_nowhere_is_in_the_way_too(self, tmp_path):
        photo, link = make_file(tmp_path / "me.png"), tmp_path / "me_protected.png"
        link.symlink_to(tmp_path / "gone.png")
        with pytest.raises(LaunchError, match="is there already"):
            files.plan([photo], None, force=False)
        assert files.plan([photo], None, force=True)[0].target == link

    @pytest.mark.parametrize(
        ("name", "seems"),
        [
            ("a_protected.png", True),
            ("a_protected_00012_.png", True),
            ("me_protected/a.png", True),
            ("me_protected/summer/a.png", True),
            ("protected.png", False),
            ("a_protected_twice.png", False),
        ],
    )
    def test_what_came_out_of_the_pack_seems_protected_by_its_name(self, name, seems):
        assert files.seems_protected(Path(name)) == seems

    def test_a_picture_is_one_by_its_ending_whatever_stands_before(self):
        names = ("me.png", "ME.JPG", "selfie:me#1.jpg", "Re:why?.png", "data:a.webp", "http://a/b.mpo", "a.icns")
        assert [name for name in names if not is_picture(name)] == []
        assert not any(map(is_picture, ("notes.txt", "png", "me.jpg.part", "data:image/png,a")))

    @pytest.mark.parametrize("typed", ["", "me.png --out="])
    def test_an_empty_name_is_not_the_folder_in_which_the_command_runs(self, typed, capsys):
        with pytest.raises(SystemExit):
            door.main(["protect", *typed.split(" ")])
        assert "a name is needed, but nothing came" in capsys.readouterr().err

    def test_force_replaces_a_file_but_never_the_input_by_whatever_name(self, tmp_path):
        photo, there = make_file(tmp_path / "me.png"), make_file(tmp_path / "there.png")
        assert files.plan([photo], str(there), force=True)[0].target == there
        alias = tmp_path / "alias.png"
        alias.hardlink_to(photo)
        with pytest.raises(LaunchError, match="is one of the inputs"):
            files.plan([photo], str(alias), force=True)

    def test_a_missing_picture_and_twins_are_refused(self, tmp_path):
        with pytest.raises(LaunchError, match=r"\*\.jpg: a \* stands for nothing here"):
            files.plan([tmp_path / "*.jpg"], None, force=False)
        with pytest.raises(LaunchError, match="There is no picture at"):
            files.plan([tmp_path / "none.png"], None, force=False)
        (tmp_path / "other").mkdir()
        twins = [make_file(tmp_path / "a.png"), make_file(tmp_path / "other" / "a.png")]
        with pytest.raises(LaunchError, match="Two files would be saved under one name"):
            files.plan(twins, str(tmp_path), force=False)
        for taken in (tmp_path / "one.png", make_file(tmp_path / "notes")):
            with pytest.raises(LaunchError, match="Several pictures are saved in a folder"):
                files.plan(twins, str(taken), force=False)

    @pytest.mark.parametrize(
        "typed",
        [
            "protect me.png --out closed/new.png",
            "protect me.png --json closed/new.json",
            "protect album --out closed/new",
            "stress me.png --out closed/new",
            "stress me.png --keep-log closed/new.txt",
        ],
    )
    def test_a_folder_that_cannot_be_written_is_told_of_before_any_work(self, tmp_path, monkeypatch, capsys, typed):
        def refused(path):  # acted out, for permissions do not bind root, who may run this
            if path.parent.name == "closed":
                raise PermissionError(errno.EACCES, "Permission denied", str(path))

        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(door, "_host", pytest.fail)
        for name in ("album", "closed"):
            (tmp_path / name).mkdir()
        make_file(tmp_path / "me.png")
        monkeypatch.setattr(Path, "touch", refused)
        monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
        assert door.main(typed.split()) == 1
        said = f"Nothing can be saved in {tmp_path / 'closed'} (Permission denied)"
        assert capsys.readouterr().err == f"{said}: choose another folder, or allow writing there.\n"

    def test_looking_whether_a_folder_can_be_written_leaves_nothing_there(self, tmp_path):
        files.require_writable(tmp_path / "new" / "below")
        assert list(tmp_path.iterdir()) == []
        with pytest.raises(LaunchError, match=r"Nothing can be saved in .*file \("):
            files.require_writable(make_file(tmp_path / "file") / "below")

    def test_a_delivery_is_complete_or_absent(self, tmp_path):
        target = tmp_path / "new" / "target"
        files.deliver(b"first", target, force=False)
        with pytest.raises(LaunchError, match="exists already; choose another name"):
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
            typed, _ = options.read_options(["protect", "a.png", *more])
            return door._about_rho(typed)

        (told,) = said("--rho", str(rho), "--subject", "animal")
        assert told.startswith('rho.safetensors was trained with the prompt "a photo of S* person", but')
        assert said("--rho", str(rho), "--subject", "person") == said("--rho", str(rho))
        assert said("--rho", str(rho)) == ['rho.safetensors was trained with the prompt "a photo of S* person".']
        assert said("--subject", "animal") == []
        assert said("--rho", str(silent), "--subject", "animal") == []

    @pytest.mark.parametrize("more", [-1, 1, -40])
    def test_weights_that_are_not_as_long_as_their_header_says_are_refused(self, tmp_path, more):
        weights = make_safetensors(tmp_path / "weights.safetensors", {}, data=bytes(40))
        files.require_safetensors(weights)
        whole = weights.read_bytes()
        weights.write_bytes((whole + bytes(1))[: len(whole) + more])
        told = rf"has {len(whole) + more} bytes, but {len(whole)} by its header: it is damaged, copy it again\.$"
        with pytest.raises(LaunchError, match=told):
            files.require_safetensors(weights)

    @pytest.mark.parametrize(
        "tensor", [3, {}, {"data_offsets": []}, {"data_offsets": [0, "x"]}, {"data_offsets": [0, float("inf")]}]
    )
    def test_a_header_that_does_not_say_where_the_data_lie_is_refused(self, tmp_path, tensor):
        header = json.dumps({"weight": tensor}).encode()
        weights = tmp_path / "weights.safetensors"
        weights.write_bytes(struct.pack("<Q", len(header)) + header)
        with pytest.raises(LaunchError, match="is not a safetensors file: its header does not say"):
            files.require_safetensors(weights)

    def test_only_safetensors_are_taken(self, tmp_path):
        for name in ("good.safetensors", "GOOD.SAFETENSORS"):
            files.require_safetensors(make_safetensors(tmp_path / name, {}))
        for content in (b"", b"\x80\x04.", struct.pack("<Q", 2**60), struct.pack("<Q", 99) + b"{}", b"PK\x03\x04" * 8):
            bad = tmp_path / "bad.safetensors"
            bad.write_bytes(content)
            with pytest.raises(LaunchError, match="is not a safetensors file, or it is cut short"):
                files.require_safetensors(bad)
        with pytest.raises(LaunchError, match="can run code and are not loaded"):
            files.require_safetensors(make_file(tmp_path / "model.ckpt"))
        with pytest.raises(LaunchError, match="There is no file at"):
            files.require_safetensors(tmp_path / "none.safetensors")


class TestFolder:
    @pytest.fixture
    def job(self, tmp_path):
        (tmp_path / "me" / "sub").mkdir(parents=True)
        for name in ("b.png", "a.jpg", "sub/c.webp", "notes.txt", ".hidden.png"):
            make_file(tmp_path / "me" / name)
        return files.plan_folder(tmp_path / "me", None)

    def test_it_goes_beside_the_originals_unless_told_otherwise(self, job, tmp_path):
        assert job == files.Job(tmp_path / "me", tmp_path / "me_protected")
        assert files.plan_folder(tmp_path / "me", f"{tmp_path}/x/").target == tmp_path / "x"

    def test_it_never_goes_among_the_originals(self, job, tmp_path):
        for out in (tmp_path / "me", tmp_path):
            with pytest.raises(LaunchError, match="holds the originals: choose another folder"):
                files.plan_folder(tmp_path / "me", str(out))
        with pytest.raises(LaunchError, match="is a file, but a folder's name is needed"):
            files.plan_folder(tmp_path / "me", str(make_file(tmp_path / "file")))
        with pytest.raises(LaunchError, match="Nothing can be saved in"):
            files.plan_folder(tmp_path / "me", str(tmp_path / "file" / "below"))

    def test_a_folder_of_another_name_can_be_that_of_the_originals(self, tmp_path, monkeypatch):
        for name in ("me", "Me"):  # one folder where names are told apart without regard to case
            (tmp_path / name).mkdir()
        monkeypatch.setattr(Path, "samefile", lambda one, other: str(one).casefold() == str(other).casefold())
        with pytest.raises(LaunchError, match="holds the originals: choose another folder"):
            files.plan_folder(tmp_path / "me", str(tmp_path / "Me"))

    def test_pictures_among_the_originals_are_not_replaced(self, job, tmp_path):
        with pytest.raises(LaunchError, match="holds pictures, which may be originals too: leave --force out"):
            files.plan_folder(tmp_path / "me", str(tmp_path / "me" / "sub"), force=True)
        new = tmp_path / "me" / "new"
        assert files.plan_folder(tmp_path / "me", str(new), force=True).target == new

    def test_pictures_of_sub_folders_are_found_and_nothing_else(self, job, tmp_path):
        assert [name.as_posix() for name in files.pictures_of(job)] == ["a.jpg", "b.png", "sub/c.webp"]
        inside = files.plan_folder(tmp_path / "me", str(tmp_path / "me" / "sub"))
        assert [name.as_posix() for name in files.pictures_of(inside)] == ["a.jpg", "b.png"]
        (tmp_path / "empty").mkdir()
        with pytest.raises(LaunchError, match="no picture in the folder"):
            files.pictures_of(files.plan_folder(tmp_path / "empty", None))

    def test_an_original_that_is_a_link_into_the_target_is_not_written_over(self, tmp_path):
        for name in ("album", "photos"):
            (tmp_path / name).mkdir()
        (tmp_path / "album" / "a.png").symlink_to(make_file(tmp_path / "photos" / "a.png"))
        with pytest.raises(LaunchError, match=r"holds the original of a\.png: choose another folder"):
            files.pictures_of(files.plan_folder(tmp_path / "album", str(tmp_path / "photos")))

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
        filled = folder.prepare_graph(job, folder.ProtectOrder(wishes=wishes, checkpoint=Path("sd.safetensors")), base)
        (node,) = graph.nodes_of(filled, "LDU_ProtectFolder")
        chosen = [node["inputs"][name] for name in ("folder", "save_in", "file_format", "quality")]
        assert chosen == ["me", "protected", "jpeg", 80]
        (loader,) = graph.nodes_of(filled, "LDU_LoadPictureFolder")
        assert loader["inputs"]["folder"] == "me"
        assert {option: graph.value_of(filled, option) for option in wishes} == wishes
        usual = {option: graph.value_of(filled, option) for option in protect.OF_CHECKPOINTS}
        assert usual == protect.OF_CHECKPOINTS | {"train_steps": 2}
        assert graph.nodes_of(filled, "CheckpointLoaderSimple")
        links = [base / "input" / "me" / name for name in files.pictures_of(job)]
        assert all(link.is_symlink() and link.read_bytes() == link.name.encode() for link in links)

    def test_a_trained_rho_takes_the_place_of_the_training(self, job, tmp_path):
        rho = make_safetensors(tmp_path / "my.safetensors", {})
        filled = folder.prepare_graph(job, folder.ProtectOrder(rho=rho, wishes={"strength": 2}), tmp_path / "base")
        assert not graph.nodes_of(filled, "LDU_TrainRho")
        (node,) = graph.nodes_of(filled, "LDU_ProtectFolder")
        assert filled[node["inputs"]["rho"][0]]["inputs"] == {"file": "my.safetensors"}
        assert "personalization" not in node["inputs"], "nothing is learnt then, and the shift is all there is"
        for name in ("train_steps", "refine_steps"):
            with pytest.raises(LaunchError, match=f"--{name.replace('_', '-')} has no effect"):
                folder.prepare_graph(job, folder.ProtectOrder(rho=rho, wishes={name: 2}), tmp_path / name)

    def test_each_file_is_handed_over_once_and_what_is_there_is_left(self, job, tmp_path):
        place = tmp_path / "place"
        (place / "sub").mkdir(parents=True)
        job.target.mkdir()
        make_file(job.target / "a.png")
        for other in ("letter.txt", "b.PNG"):
            make_file(job.target / other)
        there = folder.link_existing(job.target, place)
        delivery = Delivery(place, job.target.joinpath, force=False, known=there)
        assert (place / "b.PNG").exists()
        assert (place / "a.png").read_bytes() == b"a.png"
        assert not (place / "letter.txt").exists()
        make_file(place / "sub" / "c.png")
        make_file(place / ".avatar_protected.png")
        (place / ".ldu-1.part").write_bytes(b"half")
        delivery.hand_over()
        found = {file.relative_to(job.target).as_posix() for file in job.target.rglob("*") if file.is_file()}
        assert found == {"a.png", "b.PNG", "letter.txt", "sub/c.png", ".avatar_protected.png"}
        (job.target / "sub" / "c.png").write_bytes(b"mine")
        delivery.hand_over()
        assert (job.target / "sub" / "c.png").read_bytes() == b"mine"

    def test_a_file_that_came_meanwhile_is_left_alone_unless_forced(self, job, tmp_path):
        place = tmp_path / "place"
        place.mkdir()
        job.target.mkdir()
        make_file(place / "a.png")
        (job.target / "a.png").write_bytes(b"mine")
        with pytest.raises(LaunchError, match="exists already; choose another name"):
            Delivery(place, job.target.joinpath, force=False).hand_over()
        Delivery(place, job.target.joinpath, force=True).hand_over()
        assert (job.target / "a.png").read_bytes() == b"a.png"

    def test_the_words_name_what_was_left_out_and_that_a_lossy_file_keeps_no_bound(self, job):
        report = dict.fromkeys(result.KEYS) | {"max_abs_levels": 31, "budget_levels": 10, "bytes": 5000}
        told = [
            {"name": "a.jpg", "outcome": "saved", "said": ""},
            {"name": "bad.png", "outcome": "left out", "said": "bad.png is not a picture."},
        ]
        losses = {"loss_before": 0.1, "loss_after": 0.3, "loss_random": 0.2, "loss_gain_over_random": [0.05, 0.15]}
        later = losses | {"loss_after": 0.25, "loss_gain_over_random": [-0.01, 0.11]}
        found = folder.FolderReport(job, [report], told, [losses, later], 3.0, ["a.jpg: Flat areas."], ["c.jpg"])
        words = found.in_words()
        assert "1 saved, 1 left out" in words
        assert "bad.png: bad.png is not a picture." in words
        assert "the bound of the budget does not hold" in words
        assert "recompresses it: A thief's loss 0.1000 -> 0.2500" in words
        shown = [result.NOT_SHOWN in line for line in words.splitlines() if "thief" in line]
        assert shown == [False, True]
        assert "a.jpg: Flat areas." in words
        assert "c.jpg was moved or removed before it was measured." in words
        assert found.as_dict()["left_out"] == {"bad.png": "bad.png is not a picture."}
        assert found.as_dict()["moved"] == ["c.jpg"]

    def test_a_folder_stands_alone_on_the_command_line(self, job, capsys):
        assert door.main(["protect", str(job.source), str(job.source / "b.png")]) == 1
        assert capsys.readouterr().err == "Give one folder, or several pictures, but not both.\n"
