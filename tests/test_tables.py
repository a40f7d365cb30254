"""Tables of scores, and published rows in them."""

from __future__ import annotations

import csv
import io
import math

import pytest
from result_files import benchmark, results, run, sequence, walk

from siamtrack.errors import SettingsError
from siamtrack.evaluation.published import PublishedScores, published_scores, reference_rows
from siamtrack.evaluation.scoring import score
from siamtrack.evaluation.scoring_measures import MEASURES
from siamtrack.evaluation.scoring_parts import Part, Scores
from siamtrack.evaluation.tables import WRITERS, Column, Row, Table, parts_table, ranking_table
from siamtrack.library import benchmark_names

NAN = math.nan


def scores(tracker: str, auc: float, error: float, *, preset: str = "otb-matlab") -> Scores:
    def part(value: float) -> Part:
        return Part(sequences=1, numbers={"auc": value, "center_error": error, "eao": NAN})

    return Scores(
        tracker=tracker,
        benchmark="otb100",
        protocol="ope",
        preset=preset,
        main="auc",
        overall=part(auc),
        attributes={"blur": part(auc / 2)},
        sequences={"a": part(auc), "b_1": part(0)},
        notes=("Mind the gap.",),
    )


FOUR = [scores("worst", 0.1, 9), scores("second", 0.6, 1), scores("best_one", 0.7, 3), scores("third", 0.5, 2)]
PUBLISHED = PublishedScores(tracker="famous", benchmark="otb100", numbers={"auc": 0.9}, source="somewhere")


def table(*values: float, lower: bool = False) -> Table:
    rows = tuple(Row(name=str(i), values=(value,)) for i, value in enumerate(values))
    columns = (Column(label="x", digits=2, lower_is_better=lower),)
    return Table(title="t", preset="p", caption="", heading="h", columns=columns, rows=rows)


def test_trackers_are_ranked_by_their_main_number_and_published_ones_come_last() -> None:
    ranked = ranking_table([*FOUR, scores("none", NAN, NAN)], [PUBLISHED])
    assert [row.name for row in ranked.rows] == ["best_one", "second", "third", "worst", "none", "famous"]
    assert [column.label for column in ranked.columns] == ["AUC", "CE px"]  # nobody has an EAO
    assert ranked.rows[-1].label == "famous (published)"
    assert math.isnan(ranked.rows[-1].values[1])
    assert [ranked.place(i, 0) for i in range(6)] == [0, 1, 2, None, None, None]
    assert [ranked.place(i, 1) for i in range(6)] == [2, 0, 1, None, None, None]  # less is better


def test_numbers_that_print_alike_share_a_place() -> None:
    assert [table(0.501, 0.499, 0.4, 0.3, 0.2).place(i, 0) for i in range(5)] == [0, 0, 1, 2, None]
    assert [table(1, 2, NAN, lower=True).place(i, 0) for i in range(3)] == [0, 1, None]
    assert table(0.5).place(0, 0) is None  # the only one is not the best of anything


def test_the_best_of_a_row_is_looked_for_where_columns_are_trackers() -> None:
    by_sequence = parts_table(FOUR, "sequence")
    assert [by_sequence.place(0, i) for i in range(4)] == [None, 1, 0, 2]
    assert [by_sequence.place(1, i) for i in range(4)] == [None] * 4  # all are 0: none is the best
    by_error = parts_table(FOUR, "sequence", "center_error")
    assert [by_error.place(0, i) for i in range(4)] == [None, 0, 2, 1]
    assert r"| a | 0.100 | <u>0.600</u> | **0.700** | *0.500* |" in WRITERS["markdown"](by_sequence)


def test_names_of_trackers_break_no_table() -> None:
    named = parts_table([scores(name, 0.5, 1) for name in ("a|b", "c_d", "<e>")], "sequence")
    assert r"| sequence | a\|b | c\_d | \<e> |" in WRITERS["markdown"](named)
    latex = WRITERS["latex"](ranking_table([scores(r"\x^2~{%}", 0.5, 1)]))
    assert r"\textbackslash{}x\textasciicircum{}2\textasciitilde{}\{\%\} & " in latex


def test_published_scores_stand_beside_no_part_and_no_other_protocol() -> None:
    otb = benchmark(protocols=("ope", "tre"))
    assert reference_rows(otb, protocol="ope", sequences=otb.length) == published_scores("otb100") != []
    with pytest.raises(SettingsError, match="all 2 sequences, and these are of 1; leave out --published"):
        reference_rows(otb, protocol="ope", sequences=1)
    with pytest.raises(SettingsError, match="those of 'ope', which cannot be compared with those of 'tre'"):
        reference_rows(otb, protocol="tre", sequences=2)


def test_markdown_marks_the_best_three_and_prints_the_preset() -> None:
    text = WRITERS["markdown"](ranking_table(FOUR, [PUBLISHED]))
    assert "Preset: otb-matlab. Mind the gap." in text
    assert r"| best\_one | **0.700** | *3.0* |" in text
    assert "| second | <u>0.600</u> | **1.0** |" in text
    assert "| worst | 0.100 | 9.0 |" in text
    assert "| famous (published) | 0.900 | - |" in text
    assert text.endswith("Published in somewhere: famous.\n")


def test_latex_can_be_typeset() -> None:
    text = WRITERS["latex"](ranking_table(FOUR))
    assert r"best\_one & \textbf{0.700} & \textit{3.0} \\" in text
    assert r"\begin{tabular}{lrr}" in text
    assert "% Preset: otb-matlab. Mind the gap." in text
    assert text.count("{") == text.count("}")
    assert "_" not in text.replace(r"\_", "")


def test_csv_holds_full_numbers_the_preset_and_the_source() -> None:
    rows = list(csv.DictReader(io.StringIO(WRITERS["csv"](ranking_table([scores("a", 1 / 3, 9)], [PUBLISHED])))))
    assert rows[0] == {"tracker": "a", "AUC": "0.333333", "CE px": "9", "preset": "otb-matlab", "published in": ""}
    assert rows[1] == {"tracker": "famous", "AUC": "0.9", "CE px": "", "preset": "", "published in": "somewhere"}


def test_plain_text_has_its_columns_below_each_other() -> None:
    lines = WRITERS["table"](ranking_table(FOUR)).splitlines()
    head, *body = [line for line in lines if "  " in line]
    assert all(len(line) == len(head) for line in body)
    assert head.split() == ["tracker", "AUC", "CE", "px"]


def test_a_table_by_attribute_or_sequence_has_a_column_for_each_tracker() -> None:
    by_sequence = parts_table(FOUR, "sequence")
    assert [row.name for row in by_sequence.rows] == ["a", "b_1"]
    assert by_sequence.rows[0].values == (0.1, 0.6, 0.7, 0.5)
    assert [column.label for column in by_sequence.columns] == ["worst", "second", "best_one", "third"]
    assert parts_table(FOUR, "attribute").rows[0].values == (0.05, 0.3, 0.35, 0.25)
    by_error = parts_table(FOUR, "sequence", "center_error")
    assert by_error.columns[0].lower_is_better
    with pytest.raises(SettingsError, match="no 'auk' by sequence. Did you mean 'auc'".replace(".", r"\.")):
        parts_table(FOUR, "sequence", "auk")
    with pytest.raises(SettingsError, match="cannot be listed by 'sequences'"):
        parts_table(FOUR, "sequences")
    plain = score(results({"a": [run(walk())]}), [sequence("a")], "otb-matlab")
    with pytest.raises(SettingsError, match="name no attributes"):
        parts_table([plain], "attribute")


def test_published_scores_are_of_known_benchmarks_and_measures() -> None:
    known = benchmark_names()
    published = [row for name in known for row in published_scores(name)]
    assert len(published) == 104
    for row in published:
        assert row.source
        assert set(row.numbers) <= set(MEASURES)
        assert all(0 <= value <= 1 for key, value in row.numbers.items() if key not in ("failures", "robustness"))
    assert len({(row.tracker, row.benchmark, row.source) for row in published}) == len(published)
    # the GOT-10k toolkit prints a weighted mean as robustness, which is no sum of failures
    assert {row.source for row in published if "failures" in row.numbers} == {"Bertinetto et al. 2016, raw scores on VOT-15"}


def test_the_table_of_vot15_is_that_of_the_siamfc_paper() -> None:
    rows = {row.tracker: row.numbers for row in published_scores("vot2015") if "Bertinetto" in row.source}
    assert len(rows) == 16
    assert rows["MDNet"] == {"accuracy": 0.562, "failures": 46, "eao": 0.3575}
    assert rows["SO-DLT"] == {"accuracy": 0.5233, "failures": 108, "eao": 0.219}
