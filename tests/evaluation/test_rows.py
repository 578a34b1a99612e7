import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsseg.components.error_metrics import DilatedFallOut
from wsseg.components.metrics import Dice, Rates, Share
from wsseg.core.volume import VoxelMask
from wsseg.errors import InputError
from wsseg.evaluation.rows import read_rows, write_rows
from wsseg.evaluation.scoring import score_case

CLASSES = ["infection", "consolidation"]
WITHIN = {"infection": "lung", "consolidation": "infection"}
SCORES = {
    "severity": Share(of="infection", within="lung"),
    "consolidation_score": Share(of="consolidation", within="lung"),
}


def line(text: str) -> VoxelMask:
    return np.array([[[c == "#" for c in text]]])


PREDICTED = {
    "lung": line("########.."),
    "infection": line("####......"),
    "consolidation": line("##........"),
}


def scored(
    true: Mapping[str, VoxelMask], predicted: Mapping[str, VoxelMask] = PREDICTED
) -> dict[str, float]:
    return score_case(
        predicted,
        true,
        (1, 1, 1),
        classes=CLASSES,
        within=WITHIN,
        metrics={"dice": Dice(), "rates": Rates()},
        scores=SCORES,
    )


def test_the_target_has_plain_columns_and_other_classes_a_prefix() -> None:
    row = scored({"infection": line("..####...."), "consolidation": line("#.........")})
    assert row["dice"] == 2 / 3
    assert row["infection.dice"] == 1 / 2
    assert row["fpr"] == 1 / 3  # of the 4 voxels of predicted infection, 3 are not consolidation
    assert row["infection.fpr"] == 2 / 4


def test_a_class_without_annotation_has_no_comparison() -> None:
    row = scored({"infection": line("####......")})
    assert "dice" not in row
    assert "infection.dice" in row
    assert row["severity_true"] == 4 / 8
    assert row["consolidation_score"] == 2 / 8
    assert "consolidation_score_true" not in row


def test_without_annotation_scores_are_all_there_is() -> None:
    assert scored({}) == {"severity": 4 / 8, "consolidation_score": 2 / 8}


def test_the_annotated_region_counts_where_there_is_one() -> None:
    row = scored({"infection": line("##........"), "lung": line("####......")})
    assert row["severity"] == 4 / 8
    assert row["severity_true"] == 2 / 4


def test_no_region_is_the_whole_image() -> None:
    row = score_case(
        {"tumour": line("##..")},
        {"tumour": line("#...")},
        (1, 1, 1),
        classes=["tumour"],
        within={"tumour": None},
        metrics={"rates": Rates()},
        scores={},
    )
    assert row["negative_voxels"] == 3


def test_a_score_of_an_unknown_mask_names_what_there_is() -> None:
    predicted = {name: mask for name, mask in PREDICTED.items() if name != "lung"}
    with pytest.raises(InputError, match=r"'severity' needs a mask of 'lung'; possible: consol"):
        score_case(predicted, {}, (1, 1, 1), classes=[], within={}, metrics={}, scores=SCORES)


def test_masks_of_different_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="annotated infection"):
        scored({"infection": line("###")})


ROWS: list[dict[str, object]] = [
    {"dice": 0.1 + 0.2, "case": "007", "method": "phi2", "seed": 0, "tag.consolidation": True},
    {
        "dice": math.nan,
        "case": "1e5",
        "method": "phi2",
        "seed": 0,
        "patient": "NA",
        "tag.consolidation": None,
        "hd95_mm": np.float32(2.5),
    },
]


def test_rows_come_back_as_they_went(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv", ROWS)
    frame = read_rows(tmp_path / "rows.csv")
    assert frame["case"].tolist() == ["007", "1e5"]
    assert frame["patient"].tolist() == ["", "NA"]
    assert frame["dice"].tolist() == pytest.approx([0.1 + 0.2, math.nan], abs=0, nan_ok=True)
    assert frame["hd95_mm"].tolist() == pytest.approx([math.nan, 2.5], nan_ok=True)
    assert frame["tag.consolidation"].tolist() == pytest.approx([1, math.nan], nan_ok=True)
    assert frame["seed"].dtype.kind == "i"


def test_columns_start_with_who_and_which(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv", ROWS)
    header = (tmp_path / "rows.csv").read_text().splitlines()[0]
    assert header == "method,seed,case,patient,tag.consolidation,dice,hd95_mm"


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1),
            st.floats(allow_infinity=False),
        ),
        unique_by=lambda row: row[0],
        max_size=5,
    )
)
@settings(max_examples=50, deadline=None)
def test_any_name_and_any_number_survive(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, float]]
) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    write_rows(path, [{"case": name, "dice": number} for name, number in pairs] or [{"case": "a"}])
    frame = read_rows(path)
    if pairs:
        assert frame["case"].tolist() == [name for name, _ in pairs]
        assert frame["dice"].tolist() == pytest.approx([x for _, x in pairs], abs=0, nan_ok=True)


def test_a_bare_table_gets_its_identity_filled_in(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("case,severity\nA,0.5\n")
    row = read_rows(tmp_path / "rows.csv").iloc[0]
    assert (row["method"], row["seed"], row["fold"], row["patient"]) == ("", 0, "", "A")


def test_no_rows_are_no_error(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("method,case,dice\n")
    assert read_rows(tmp_path / "rows.csv").empty


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no column 'case'"),
        (b"method,dice\na,1\n", "no column 'case'"),
        (b"case,dice,dice\na,1,2\n", "two columns 'dice'"),
        (b"case,dice\na,good\n", "row 2, column 'dice': 'good' is not a finite number"),
        (b"case,dice\na,inf\n", "not a finite number"),
        (b"case,dice\na,1\nb,1,2\n", "row 3: 3 cells, but 2 columns"),
        (b"case,seed\na,first\n", "column 'seed': 'first' is not a whole number"),
        (b"case,dice\na,1\na,2\n", "stand in it twice"),
        (b"\xff\xfe\x00case", "cannot be read"),
        (b'case,dice\n"a,1\n', "cannot be read"),
    ],
)
def test_a_file_that_holds_no_rows_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_rows(path)
    assert len(str(caught.value).splitlines()) <= 3


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"rows\.csv cannot be read"):
        read_rows(tmp_path / "rows.csv")


def test_a_failed_writing_leaves_the_old_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    write_rows(path, ROWS)
    before = path.read_bytes()

    class Unwritable:
        def __str__(self) -> str:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_rows(path, [*ROWS, {"case": Unwritable()}])
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["rows.csv"]


def test_rows_are_a_data_frame_of_numbers(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.csv", ROWS)
    frame = read_rows(tmp_path / "rows.csv")
    assert isinstance(frame, pd.DataFrame)
    assert all(frame[name].dtype == float for name in ("dice", "hd95_mm", "tag.consolidation"))


def test_a_metric_of_the_annotated_region_sees_the_annotation() -> None:
    def negatives(true: Mapping[str, VoxelMask]) -> float | None:
        row = score_case(
            PREDICTED,
            true,
            (1, 1, 1),
            classes=CLASSES,
            within=WITHIN,
            metrics={"dilation": DilatedFallOut(steps=0)},
            scores={},
        )
        return row.get("negative_dilated_0_voxels")

    consolidation = {"consolidation": line("#.........")}
    assert negatives(consolidation | {"infection": line("######....")}) == 5
    assert negatives(consolidation) is None  # what was infected is not known
