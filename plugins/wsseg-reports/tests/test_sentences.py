"""A report is divided into the sentences that describe the scan."""

import pytest

from wsseg_reports.sentences import boxes_as_words, describing_sentences


@pytest.mark.parametrize(
    ("report", "sentences"),
    [
        ("No nodule >1.5 cm. Mass.", ["No nodule >1.5 cm.", "Mass."]),
        ("Opacities, e.g. Consolidation.", ["Opacities, e.g. Consolidation."]),
        ("Seen by Dr. Jones. No mass.", ["Seen by Dr. Jones.", "No mass."]),
        ("no mass.no effusion.", ["no mass", "no effusion."]),
        ("Mass? No. Effusion? Yes.", ["Mass? No.", "Effusion? Yes."]),
        ("Mass in May. It has resolved.", ["Mass in May; It has resolved."]),
        ("There is no focal\nConsolidation.", ["There is no focal Consolidation."]),
        ("There is no\nmass.\n- Effusion\n* Mass of the\n  lung", None),
        ("1. Mass.\n2. No effusion.", ["Mass.", "No effusion."]),
        ("1) No mass 2) Effusion", ["No mass.", "Effusion"]),
        ("Masses\nNone\nEffusions\nNone", ["Masses: None", "Effusions: None"]),
        ("Effusion - small L. Mass - N. Cyst.", ["Effusion - small L.", "Mass - N.", "Cyst."]),
        ("Mass in the L. lower lobe.", ["Mass in the L. lower lobe."]),
        ("Mass: No\nEffusion: left\nNodule: Yes", ["Mass: No", "Effusion: left", "Nodule: Yes"]),
        ("mass: no\neffusion: base\nin the left", ["mass: no", "effusion: base in the left"]),
        ("Mass: yes\nin the left base", ["Mass: yes in the left base"]),
        ("Mass: No\nSmall effusion", ["Mass: No", "Small effusion"]),
        ("Mass no\nEffusion yes", ["Mass no", "Effusion yes"]),
        ("Mass \t no\nEffusion ... yes", ["Mass: no", "Effusion: yes"]),
        ("Mass: no Effusion: yes", ["Mass: no; Effusion: yes"]),
        ("Lungs: no mass: no change", ["Lungs: no mass: no change"]),
    ],
)
def test_sentences_end_at_full_stops_and_at_lines_that_start_a_statement(
    report: str, sentences: list[str] | None
) -> None:
    expected = sentences or ["There is no mass.", "Effusion", "Mass of the lung"]
    assert list(describing_sentences(report)) == expected


@pytest.mark.parametrize(
    ("report", "sentences"),
    [
        ("INDICATION: Fever. Mass.\nFINDINGS: No mass.", ["FINDINGS: No mass."]),
        ("Clinical question: mass? Findings: normal.", ["Findings: normal."]),
        ("Comparison: mass in May.", []),
        ("Indication: mass.\n\nNo mass.", ["No mass."]),
        ("Indication - cough\nReport - mass", ["Report - mass"]),
        ("History of mass.", ["History of mass."]),
        ("Lungs: mass. Pleura: normal.", ["Lungs: mass.", "Pleura: normal."]),
    ],
)
def test_sections_that_do_not_describe_the_scan_are_left_out(
    report: str, sentences: list[str]
) -> None:
    assert list(describing_sentences(report)) == sentences


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("Mass [ ] Nodule [x]", "Mass: no; Nodule: yes; "),
        ("[ ] mass [X] nodule", "; no mass; nodule"),
        ("Lungs: [] mass ☑ nodule", "Lungs:; no mass; nodule"),
        ("Mass: [ ] present [x] absent", "Mass: absent; "),
        ("Mass: yes [ ] no [x]", "Mass: no; "),
        ("A mass [series 2] and a nodule.", "A mass [series 2] and a nodule."),
        ("( ) mass (x) nodule", "; no mass; nodule"),
        ("Mass: [ ] right [ ] left [x] none", "Mass: none; "),
        ("Mass: [ ] none [ ] small [x] large", "Mass: large; "),
        ("Mass: [x] right [ ] left [ ] none", "Mass: right;   "),
    ],
)
def test_boxes_of_a_form_belong_to_the_finding_on_the_side_of_the_first_box(
    form: str, words: str
) -> None:
    assert boxes_as_words(form) == words
