"""The lab on photographs: who judges, under which prompts, and what is said where weights are missing."""

import math
import sys
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

transformers = pytest.importorskip("transformers", reason="needs the extra eval")
pytest.importorskip("diffusers", reason="needs the extra eval")
pytest.importorskip("peft", reason="needs the extra eval")

from benchmarks import thieves  # noqa: E402
from benchmarks.efficacy import quality  # noqa: E402
from benchmarks.efficacy.__main__ import main  # noqa: E402
from benchmarks.efficacy.cells import CLEAN, Cell  # noqa: E402
from benchmarks.efficacy.lab import Lab, Setup  # noqa: E402
from benchmarks.efficacy.measures import Effect  # noqa: E402
from benchmarks.efficacy.photographs import PRESETS, PhotoJudge  # noqa: E402
from benchmarks.efficacy.subjects import folders_of, people_of_folder  # noqa: E402
from benchmarks.efficacy.tables import more_rows, read, tables  # noqa: E402
from demo.pipeline import WEIGHTS  # noqa: E402
from ldu.budget import to_levels  # noqa: E402
from ldu.errors import BadFileError  # noqa: E402


@dataclass
class Face:
    """A face as insightface tells of it."""

    normed_embedding: np.ndarray
    det_score: float
    bbox: tuple[float, float, float, float] = (0, 0, 8, 8)


class FaceAnalysis:
    """Finds a face in every picture that is not black; reddish and bluish ones are two people."""

    def __init__(self, **options):
        self.options = options

    def prepare(self, **_):
        """Nothing to prepare."""

    def get(self, bgr):
        if bgr.max() < 8:
            return []
        blue, _, red = bgr.reshape(-1, 3).mean(0)
        small = Face(np.array([0.6, 0.8]), 0.9, (0, 0, 1, 1))  # somebody in the background
        return [small, Face(np.array([1.0, 0.0]) if red > blue else np.array([0.0, 1.0]), 0.75)]


@pytest.fixture
def insightface(monkeypatch, tmp_path):
    """The library as it is called, and a folder where its models would lie."""
    library = ModuleType("insightface.app")
    library.FaceAnalysis = FaceAnalysis
    monkeypatch.setitem(sys.modules, "insightface", ModuleType("insightface"))
    monkeypatch.setitem(sys.modules, "insightface.app", library)
    models = tmp_path / "insightface" / "models" / "buffalo_l"
    models.mkdir(parents=True)
    (models / "w600k_r50.onnx").touch()
    return tmp_path / "insightface"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A small CLIP of random weights in transformers' own layout."""
    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.CLIPVisionConfig(**sizes, image_size=32, patch_size=8, projection_dim=16)
    transformers.CLIPVisionModelWithProjection(config).save_pretrained(folder)
    return str(folder)


def flat(*colours, side=64):
    """Pictures of one colour each, (n, 3, side, side) in [-1, 1]."""
    return torch.tensor(colours).view(-1, 3, 1, 1).expand(-1, -1, side, side) + 0.0


RED, BLUE, BLACK = (0.8, -0.5, -0.5), (-0.5, -0.5, 0.8), (-1.0, -1.0, -1.0)


def test_faces_are_compared_where_there_are_some_and_counted_where_not(insightface, clip):
    judge = PhotoJudge(faces=True, insightface=insightface, clip=clip)
    judge.require()
    effect = judge.effect(flat(RED, BLUE, BLACK, BLACK), flat(RED, RED))
    assert effect.identity == pytest.approx(0.5)  # of the two faces, one is the person's
    both = judge.effect(flat(RED, RED), flat(RED, BLUE))  # the cosine with the mean of two embeddings at right angles
    assert both.identity == pytest.approx(math.sqrt(0.5))
    assert effect.no_face == pytest.approx(0.5)
    assert effect.more == {"face score": pytest.approx(0.75 / 2)}
    assert judge.effect(flat(BLACK, BLACK), flat(RED, RED)).identity == 0.0


def test_the_fréchet_distance_tells_the_subjects_own_pictures_from_others(insightface, clip):
    judge = PhotoJudge(faces=True, insightface=insightface, clip=clip)
    assert judge.effect(flat(RED, BLUE), flat(RED, BLUE)).frechet == pytest.approx(0, abs=1e-6)
    assert judge.effect(flat(BLUE, BLUE), flat(RED, RED)).frechet > 1e-3


def test_subjects_without_a_face_are_judged_by_clip_alone(clip):
    judge = PhotoJudge(faces=False, clip=clip)
    judge.require()
    same, other = (judge.effect(flat(colour, colour), flat(RED, RED)) for colour in (RED, BLUE))
    assert same.identity == pytest.approx(1, abs=1e-5)
    assert other.identity < 0.99
    assert same.no_face is None


def test_photos_without_a_face_are_refused(insightface, clip):
    judge = PhotoJudge(faces=True, insightface=insightface, clip=clip)
    with pytest.raises(ValueError, match="No face is found in the clean photos"):
        judge.effect(flat(RED, RED), flat(BLACK, BLACK))


def test_missing_weights_are_named_before_any_work(tmp_path, monkeypatch, clip, insightface):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(FileNotFoundError, match="hf download nobody/nothing"):
        PhotoJudge(faces=False, clip="nobody/nothing").require()
    with pytest.raises(BadFileError, match="no models of InsightFace in"):
        PhotoJudge(faces=True, clip=clip, insightface=tmp_path / "elsewhere").require()


@pytest.fixture
def photos(tmp_path):
    """Two subjects' photos in the layout of Anti-DreamBooth."""
    rng = np.random.default_rng(0)
    for name in ("dog", "vase"):
        for letter in "ABC":
            folder = tmp_path / "data" / name / f"set_{letter}"
            folder.mkdir(parents=True)
            for number in range(4):
                levels = rng.integers(0, 256, (150, 130, 3), dtype=np.uint8)
                Image.fromarray(levels).save(folder / f"{number}.png")
    return tmp_path / "data"


def test_photographs_are_stolen_under_the_prompts_of_their_preset_and_judged_as_such(
    photos, clip, tmp_path, monkeypatch
):
    lab, seen = Lab(Setup(WEIGHTS, tmp_path / "out", data=photos, preset="dreambooth")), []

    def steal(world, sets, prior, thief, *, prompts, **_):
        seen.append((world.subject, prompts[0], thief.initial))
        return sets[:, :2]

    monkeypatch.setattr("benchmarks.efficacy.lab.steal", steal)
    lab.judge.clip = clip
    cells = [Cell("TI x4", CLEAN, 0.0, person=person) for person in range(2)]
    lab.run(cells)
    assert seen == [("object", "a photo of S* object", "object")]
    ((_, (row,)),) = tables(read(lab, cells))
    assert row[-2] == "-"  # nobody looked for faces


def test_a_preset_changes_every_prompt_and_the_person_is_the_usual_one():
    assert thieves.thieves_for(demo=False) == thieves.thieves_for(demo=False, subject=PRESETS["celeba-hq"].subject)
    for name, thief in thieves.thieves_for(demo=False, subject="object").items():
        said = " ".join((thief.prompt, thief.class_prompt, thief.initial))
        assert "person" not in said, name
        assert "an object" in thief.class_prompt


def test_a_set_of_too_few_photos_is_refused_and_named(photos):
    (photos / "vase" / "set_B" / "3.png").rename(photos / "vase" / "set_B" / "._3.png")
    with pytest.raises(ValueError, match="set_B holds 3 pictures, and 4 are needed"):
        folders_of(photos)


def test_photographs_are_read_as_a_thief_loads_them(photos):
    (photos / "__MACOSX").mkdir()
    (photos / ".ipynb_checkpoints").mkdir()
    people = list(people_of_folder(photos, 128))
    assert [person.name for person in people] == ["dog", "vase"]
    assert people[0].stolen.shape == (4, 3, 128, 128)
    assert people[0].seen.shape == (8, 3, 128, 128)
    levels = to_levels(people[0].stolen)
    assert torch.allclose(levels, levels.round(), atol=1e-3)


@pytest.fixture
def pyiqa(monkeypatch):
    """The library as it is called; its measure is the mean brightness."""
    library = ModuleType("pyiqa")
    library.create_metric = lambda name, device: lambda x: x.mean((1, 2, 3))
    library.__spec__ = type(sys.__spec__)("pyiqa", None)
    monkeypatch.setitem(sys.modules, "pyiqa", library)
    quality._metric.cache_clear()
    yield
    quality._metric.cache_clear()


@pytest.mark.usefixtures("pyiqa")
def test_measures_of_quality_are_taken_of_what_thieves_draw_and_shown(tmp_path, monkeypatch):
    quality.require(("clipiqa",), side=128)
    lab = Lab(Setup(WEIGHTS, tmp_path, quality=("clipiqa",)))
    lab.judge = SimpleNamespace(effect=lambda drawn, seen: Effect(0.5, 0.0, 10.0, {}))
    monkeypatch.setattr("benchmarks.efficacy.lab.steal", lambda world, sets, *_, **__: sets[:, :2] * 0 + 0.5)
    cells = [Cell("LoRA", CLEAN, 0.0, person=person) for person in range(2)]
    for cell in cells:
        lab.run([cell])
    head, rows = more_rows(read(lab, cells))
    assert head[-2:] == ["n", "CLIP-IQA"]
    assert rows == [["LoRA", "none", "clean", "2", "0.75 [0.75, 0.75]"]]


@pytest.mark.usefixtures("pyiqa")
def test_a_measure_that_needs_larger_pictures_is_refused():
    with pytest.raises(ValueError, match="LIQE needs pictures of 224 pixels, and these have 128"):
        quality.require(("liqe",), side=128)
    quality.require(("liqe",), side=512)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--other", "missing.safetensors"], "There is no checkpoint at missing.safetensors"),
        (["--checkpoint", __file__], "test_photographs.py is no safetensors file"),
        (["--preset", "wikiart"], "--preset says what the pictures of --data show: give both"),
        (["--quality", "beauty"], "no measure of quality named 'beauty': choose from clipiqa, liqe"),
        (["--quality", "liqe"], "need pyiqa, which is not installed here"),
        (["--data", "nowhere"], "There is nobody in nowhere: it should hold PERSON/set_A, set_B and set_C"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence_and_nothing_is_begun(given, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "pyiqa", None)  # as where it is not installed
    monkeypatch.setattr(sys, "argv", ["efficacy", *given])
    with pytest.raises(SystemExit):
        main()
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
