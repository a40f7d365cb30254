"""Result files in the official layouts: as their tools write them, and the same when read again."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from evaluation_runs import Scripted, done, sequence, truth
from hypothesis import given
from hypothesis import strategies as st

from siamtrack.datasets.benchmark import BenchmarkSequence
from siamtrack.errors import DataError, InputError, OutputError
from siamtrack.evaluation.layouts import decode, encode, layout_of
from siamtrack.evaluation.store import ResultStore
from siamtrack.evaluation.trajectory import Trajectory
from siamtrack.library import _benchmarks

KNOWN = _benchmarks()


def run(*regions: object, first: int = 0) -> Trajectory:
    count = len(regions)
    arrays = [np.array(region, float) for region in regions]
    return Trajectory(regions=arrays, scores=np.arange(count) / 4, seconds=np.arange(count) / 100, first=first)


def written(folder: Path, benchmark: str, protocol: str, runs: list[Trajectory]) -> dict[str, str]:
    texts = encode(layout_of(KNOWN[benchmark], protocol), "Seq", runs)
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return texts


NO = [float("nan")] * 4
BOXES = run([0, 0, 10, 5], [1.25, -2, 10, 5.5], NO)
SEQ = BenchmarkSequence(name="Seq", regions=list(truth(3)))


@pytest.mark.parametrize(
    ("benchmark", "first"), [("otb100", 1), ("uav123", 1), ("lasot", 1), ("trackingnet", 0), ("dtb70", 1), ("nfs30", 0)]
)
def test_one_pass_is_a_file_a_sequence_with_the_first_pixel_of_the_benchmark(
    tmp_path: Path, benchmark: str, first: int
) -> None:
    texts = written(tmp_path, benchmark, "ope", [BOXES])
    x, y = 1.25 + first, -2 + first
    assert texts["Seq.txt"] == f"{first}.0000,{first}.0000,10.0000,5.0000\n{x:.4f},{y:.4f},10.0000,5.5000\nNaN,NaN,NaN,NaN\n"
    assert texts["Seq_confidence.value"] == "0\n0.25\n0.5\n"
    assert texts["Seq_time.value"] == "0.000000\n0.010000\n0.020000\n"
    assert set(texts) == {"Seq.txt", "Seq_confidence.value", "Seq_time.value"}


def test_vot_has_codes_and_a_folder_for_each_experiment(tmp_path: Path) -> None:
    supervised = run([1], [1.5, 2, 3, 4], [2], [0], [0], [0], [0], [1], NO, [0, 0, 9, 0, 9, 9, 0, 9])
    texts = written(tmp_path, "vot2018", "supervised", [supervised, supervised])
    lines = texts["baseline/Seq/Seq_002.txt"].splitlines()
    assert lines[:9] == ["1", "1.5000,2.0000,3.0000,4.0000", "2", "0", "0", "0", "0", "1", "0"]
    assert lines[9] == "0.0000,0.0000,9.0000,0.0000,9.0000,9.0000,0.0000,9.0000"
    again = decode(layout_of(KNOWN["vot2018"], "supervised"), tmp_path, "Seq", [0, 0])
    assert [region.tolist() for region in again[1].regions][:8] == [region.tolist() for region in supervised.regions][:8]
    for protocol, folder in {"realtime": "realtime", "unsupervised": "unsupervised", "long-term": "longterm"}.items():
        assert f"{folder}/Seq/Seq_001.txt" in encode(layout_of(KNOWN["vot2018"], protocol), "Seq", [supervised])


def test_confidence_of_vot_is_empty_where_there_is_none() -> None:
    scores = Trajectory(
        regions=[np.array([1.0]), np.array([1.0, 2, 3, 4])], scores=np.array([np.nan, 0.5]), seconds=np.full(2, np.nan)
    )
    texts = encode(layout_of(KNOWN["votlt2018"], "long-term"), "Seq", [scores])
    assert texts["longterm/Seq/Seq_001_confidence.value"] == "\n0.5\n"
    assert texts["longterm/Seq/Seq_001_time.value"] == "\n\n"


def test_got10k_has_the_times_of_all_runs_side_by_side(tmp_path: Path) -> None:
    texts = written(tmp_path, "got10k-val", "got10k", [BOXES, replace(BOXES, seconds=BOXES.seconds * 2)])
    assert texts["Seq/Seq_001.txt"].splitlines()[:2] == ["1.000,1.000,10.000,5.000", "2.250,-1.000,10.000,5.500"]
    assert texts["Seq/Seq_time.txt"].splitlines()[1] == "0.01000000,0.02000000"
    again = decode(layout_of(KNOWN["got10k-val"], "got10k"), tmp_path, "Seq", [0, 0])
    assert [run.seconds.tolist() for run in again] == [[0, 0.01, 0.02], [0, 0.02, 0.04]]


def test_several_runs_of_one_benchmark_are_a_file_each(tmp_path: Path) -> None:
    runs = done(Scripted(), sequence(tmp_path / "frames", "Seq", count=45), "tre")
    texts = written(tmp_path, "otb100", "tre", runs)
    assert len(texts["Seq/Seq_001.txt"].splitlines()) == 45
    assert len(texts["Seq/Seq_020.txt"].splitlines()) == 20
    again = decode(layout_of(KNOWN["otb100"], "tre"), tmp_path, "Seq", [one.first for one in runs])
    assert [one.first for one in again] == [one.first for one in runs]
    assert all(np.array_equal(a.boxes, b.boxes) for a, b in zip(runs, again, strict=True))


@given(
    st.sampled_from(["otb100 ope", "trackingnet ope", "lasot sre", "got10k-val got10k", "vot2019 unsupervised"]),
    st.lists(
        st.tuples(*[st.floats(-1e4, 1e4)] * 2, *[st.floats(0, 1e4)] * 2, st.floats(-1e6, 1e6), st.floats(0, 100)), min_size=1
    ),
)
def test_what_is_read_is_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, where: str, rows: list[tuple[float]]
) -> None:
    values = np.array(rows)
    before = Trajectory(regions=list(values[:, :4]), scores=values[:, 4], seconds=values[:, 5])
    folder = tmp_path_factory.mktemp("written")
    written(folder, *where.split(), [before])
    benchmark, protocol = where.split()
    (after,) = decode(layout_of(KNOWN[benchmark], protocol), folder, "Seq", [0])
    assert after.boxes == pytest.approx(before.boxes, abs=6e-4)
    assert after.scores == pytest.approx(before.scores, rel=1e-5)
    assert after.seconds == pytest.approx(before.seconds, abs=1e-6)


class TestRefused:
    def test_files_that_were_changed(self, tmp_path: Path) -> None:
        layout = layout_of(KNOWN["otb100"], "ope")
        written(tmp_path, "otb100", "ope", [BOXES])
        (tmp_path / "Seq_confidence.value").write_text("1\n", encoding="utf-8")
        with pytest.raises(DataError, match="has 1 lines, the boxes beside it 3"):
            decode(layout, tmp_path, "Seq", [0])
        (tmp_path / "Seq_confidence.value").write_text("1\n2\nx\n", encoding="utf-8")
        with pytest.raises(DataError, match="line 3: found 'x'"):
            decode(layout, tmp_path, "Seq", [0])
        (tmp_path / "Seq.txt").write_text("1,2,3\n", encoding="utf-8")
        with pytest.raises(InputError, match="line 1: found '1,2,3'"):
            decode(layout, tmp_path, "Seq", [0])

    def test_runs_that_a_layout_cannot_hold(self) -> None:
        with pytest.raises(DataError, match="2 runs"):
            encode(layout_of(KNOWN["otb100"], "ope"), "Seq", [BOXES, BOXES])
        with pytest.raises(DataError, match="codes"):
            encode(layout_of(KNOWN["otb100"], "ope"), "Seq", [run([1], [1, 2, 3, 4])])


class TestStore:
    @staticmethod
    def store(root: Path, protocol: str = "ope", benchmark: str = "otb100") -> ResultStore:
        return ResultStore(root, tracker="siamfc", benchmark=KNOWN[benchmark], protocol=protocol)

    ORIGIN = {"weights": {"weights.safetensors": "ab"}, "settings": {"scales": 3}, "machine": {"processors": 2}, "begun": "x"}  # noqa: RUF012

    def test_a_sequence_without_a_record_is_not_finished(self, tmp_path: Path) -> None:
        store = self.store(tmp_path)
        store.begin(self.ORIGIN)
        store.write(SEQ, [BOXES])
        assert store.finished() == {"Seq"}
        assert np.array_equal(store.read().runs["Seq"][0].boxes, BOXES.boxes, equal_nan=True)
        (store.folder / "records" / "Seq.json").unlink()
        assert store.finished() == set()
        with pytest.raises(DataError, match="no results for 1 of 1 sequences: Seq"):
            store.read(["Seq"])

    def test_a_record_that_was_being_written_when_all_was_killed_is_none(self, tmp_path: Path) -> None:
        store = self.store(tmp_path)
        store.begin(self.ORIGIN)
        store.write(SEQ, [BOXES])
        (store.folder / "records" / ".Two.json.77").write_text("", encoding="utf-8")
        assert store.finished() == {"Seq"}
        assert set(store.read().runs) == {"Seq"}

    def test_the_record_is_written_last(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        order: list[str] = []
        replace = Path.replace
        monkeypatch.setattr(Path, "replace", lambda self, to: (order.append(Path(to).name), replace(self, to))[1])
        store = self.store(tmp_path)
        store.begin(self.ORIGIN)
        store.write(SEQ, [BOXES])
        assert order == ["run.json", "Seq.txt", "Seq_confidence.value", "Seq_time.value", "Seq.json"]
        assert not list(store.folder.rglob(".*"))

    def test_two_processes_may_write_the_same_sequence(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The other one writes the file and renames it, just before this one renames its own."""
        store, replace, others = self.store(tmp_path), Path.replace, [4711]

        def interrupted(path: Path, to: Path) -> Path:
            if others:
                monkeypatch.setattr("os.getpid", partial(int, others.pop()))
                store.write(SEQ, [BOXES])
            return replace(path, to)

        store.begin(self.ORIGIN)
        monkeypatch.setattr(Path, "replace", interrupted)
        store.write(SEQ, [BOXES])
        assert set(store.read().runs) == {"Seq"}
        assert not list(store.folder.rglob(".*"))

    def test_results_of_something_else_are_not_mixed(self, tmp_path: Path) -> None:
        store = self.store(tmp_path)
        store.begin(self.ORIGIN)
        store.write(SEQ, [BOXES])
        store.begin(self.ORIGIN | {"machine": {"processors": 64}, "begun": "later"})
        with pytest.raises(OutputError, match=r"settings\.scales was 3 and is 5\. Give another --name, or --fresh"):
            store.begin(self.ORIGIN | {"settings": {"scales": 5}})
        with pytest.raises(OutputError, match=r"weights\.safetensors was ab and is cd"):
            store.begin(self.ORIGIN | {"weights": {"weights.safetensors": "cd"}})
        assert store.finished() == {"Seq"}
        store.begin(self.ORIGIN | {"settings": {"scales": 5}}, fresh=True)
        assert store.finished() == set()
        assert sorted(path.name for path in store.folder.parent.rglob("*")) == ["ope", "run.json"]

    def test_folders_of_others_are_left_alone(self, tmp_path: Path) -> None:
        store = self.store(tmp_path)
        store.folder.mkdir(parents=True)
        (store.folder / "thesis.txt").write_text("mine", encoding="utf-8")
        for fresh in (False, True):
            with pytest.raises(OutputError, match="something else than results"):
                store.begin(self.ORIGIN, fresh=fresh)
        assert (store.folder / "thesis.txt").read_text(encoding="utf-8") == "mine"
        for name in ("", "../x", ".hidden", "a/b"):
            with pytest.raises(OutputError, match="cannot be the name"):
                ResultStore(tmp_path, tracker=name, benchmark=KNOWN["otb100"], protocol="ope")

    def test_damage_is_told(self, tmp_path: Path) -> None:
        store = self.store(tmp_path)
        store.begin(self.ORIGIN)
        store.write(SEQ, [BOXES])
        record = store.folder / "records" / "Seq.json"
        record.write_text('{"runs": [{"first": 0, "frames": 9}]}', encoding="utf-8")
        with pytest.raises(DataError, match=r"have \[3\] frames, not \[9\]"):
            store.read()
        for text in ("{", "[]", "{}"):
            record.write_text(text, encoding="utf-8")
            with pytest.raises(DataError, match=r"Seq\.json.*emove it"):
                store.read()

    def test_archives_for_the_servers(self, tmp_path: Path) -> None:
        for benchmark, protocol, names in (
            ("got10k-test", "got10k", ["Seq/Seq_001.txt", "Seq/Seq_time.txt"]),
            ("trackingnet", "ope", ["Seq.txt"]),
        ):
            store = self.store(tmp_path, protocol, benchmark)
            store.begin(self.ORIGIN)
            store.write(SEQ, [BOXES])
            store.pack(archive := tmp_path / f"{benchmark}.zip")
            with zipfile.ZipFile(archive) as opened:
                assert opened.namelist() == names
                assert opened.read(names[0]) == (store.folder / names[0]).read_bytes()
        with pytest.raises(OutputError, match="missing"):
            store.pack(tmp_path / "missing" / "x.zip")

    def test_truth_survives_the_disk_exactly(self, tmp_path: Path) -> None:
        store = self.store(tmp_path)
        store.begin(self.ORIGIN)
        of = sequence(tmp_path / "frames", count=9)
        store.write(of, done(Scripted(), of, "ope"))
        assert np.array_equal(store.read(["a"]).runs["a"][0].boxes, truth(9))
