"""Findings in sentences are present, absent, uncertain or former: each rule by examples."""

import time

import pytest

from wsseg_reports.grammar import GOVERNED, REACHES, mentions
from wsseg_reports.phrases import pattern

WORDS = ("consolidation", "consolidations", "consolidated", "consolidative")
LONG = 20_000  # characters


def statements(report: str) -> list[str]:
    return [each.statement for each in mentions(report, WORDS)]


@pytest.mark.parametrize(("statement", "sentence"), GOVERNED.values())
def test_a_cue_before_a_finding_decides_its_statement(statement: str, sentence: str) -> None:
    assert statements(sentence) == [statement]


@pytest.mark.parametrize(("reaches", "sentence"), [rule[1:] for rule in REACHES])
def test_a_negation_reaches_a_finding_or_has_ended_or_leaves_it_uncertain(
    reaches: bool | None, sentence: str
) -> None:
    expected = {True: "absent", False: "present", None: "uncertain"}
    assert statements(sentence) == [expected[reaches]]


@pytest.mark.parametrize(
    ("sentence", "statement"),
    [
        ("Consolidation in both lower lobes.", "present"),
        ("No cavity in the consolidation.", "present"),
        ("The cause of the consolidation is uncertain.", "present"),
        ("Atelectasis versus consolidation.", "uncertain"),
        ("No atelectasis vs. consolidation.", "absent"),
        ("No nodule, but consolidation.", "present"),
        ("No abnormality other than consolidation.", "present"),
        ("No consolidation other than at the base.", "uncertain"),
        ("No consolidation > 3 cm.", "uncertain"),
        ("CT without contrast shows consolidation.", "present"),
        ("The non-consolidated lung is clear.", "absent"),
        ("Collapse-consolidation.", "present"),
        ("NO CONSOLIDATION", "absent"),
        ("Consolidation in May.", "former"),
        ("Since May, consolidation has increased.", "present"),
        ("The opacity may represent consolidation.", "uncertain"),
        ("No acute findings, e.g. consolidation.", "absent"),
        ("No CT features of consolidation.", "absent"),
        ("No CT for comparison, consolidation in the left base.", "present"),
        ("It is not clear whether there is consolidation.", "uncertain"),
        ("Previous CT showed no consolidation.", "former"),
    ],
)
def test_scopes_end_at_conjunctions_and_exceptions(sentence: str, statement: str) -> None:
    assert statements(sentence) == [statement]


@pytest.mark.parametrize(
    ("sentence", "statement"),
    [
        ("Consolidation is not seen.", "absent"),
        ("Consolidation has resolved.", "absent"),
        ("Resolved consolidation.", "absent"),
        ("Consolidation has not resolved.", "present"),
        ("Near complete resolution of the consolidation.", "present"),
        ("No change in the consolidation.", "present"),
        ("Consolidation, which has resolved.", "absent"),
        ("Consolidation was larger. It has resolved.", "absent"),
        ("Consolidation has resolved on the right but persists on the left.", "present"),
        ("Consolidation with cavitation is not seen.", "uncertain"),
        ("Consolidation cannot be entirely excluded.", "uncertain"),
        ("Consolidation not seen previously.", "present"),
        ("Consolidation seen on the prior study is unchanged.", "present"),
        ("Consolidation on the prior study.", "former"),
        ("Consolidation?", "uncertain"),
        ("Consolidation may represent pneumonia.", "present"),
        ("Consolidation is likely.", "uncertain"),
        ("Consolidation is likely due to pneumonia.", "present"),
    ],
)
def test_the_verbs_after_a_finding_decide_its_statement(sentence: str, statement: str) -> None:
    assert statements(sentence) == [statement]


@pytest.mark.parametrize(
    ("sentence", "statement"),
    [
        ("Consolidation or effusion is not seen.", "absent"),
        ("Consolidation and effusion are not seen.", "absent"),
        ("Consolidation and effusion is not seen.", "uncertain"),
        ("Consolidation, mass, effusion absent.", "absent"),
        ("Consolidation, effusion absent.", "uncertain"),
        ("Consolidation in the left base, effusion absent.", "present"),
        ("Consolidation is seen, effusion is not seen.", "present"),
        ("Consolidation or effusion cannot be excluded.", "uncertain"),
        ("Consolidation, a mass cannot be excluded.", "present"),
    ],
)
def test_a_verb_belongs_to_all_subjects_or_to_one(sentence: str, statement: str) -> None:
    assert statements(sentence) == [statement]


@pytest.mark.parametrize(
    ("sentence", "statement"),
    [
        ("Consolidation: No", "absent"),
        ("Consolidation: yes, effusion: no", "present"),
        ("Effusion: yes, consolidation: no", "absent"),
        ("Consolidation - none", "absent"),
        ("Consolidation: no evidence", "absent"),
        ("Consolidation: left base", "present"),
        ("Consolidation: possible", "uncertain"),
        ("Consolidation? No.", "absent"),
        ("Consolidation (-)", "absent"),
        ("[ ] consolidation", "absent"),
        ("[x] consolidation", "present"),
        ("Atelectasis, consolidation, effusion: none", "absent"),
    ],
)
def test_a_form_gives_the_value_after_the_finding(sentence: str, statement: str) -> None:
    assert statements(sentence) == [statement]


def test_the_strongest_statement_of_a_sentence_counts() -> None:
    report = (
        "No consolidation on the right, but possible consolidation and, on the left, consolidation."
    )
    assert statements(report) == ["present"]


def test_keywords_match_only_complete_words_with_the_meaning_of_a_finding() -> None:
    assert statements("Preconsolidational changes.") == []
    assert statements("Consolidation chemotherapy.") == []
    assert statements("Bony consolidation of the fracture.") == []


@pytest.mark.parametrize(
    ("sentence", "statement"),
    [
        ("The consolidation went away.", "absent"),
        ("The consolidation xyzzed.", "uncertain"),
        ("The consolidation was xyzzed.", "uncertain"),
        ("The consolidation was measured.", "present"),
        ("Consolidation: xyzzy", "uncertain"),
        ("Consolidation:", "uncertain"),
        ("Consolidation next to the mass, which has resolved.", "uncertain"),
        ("Consolidation, first seen in May, is not seen.", "uncertain"),
        ("Consolidation; no consolidation.", "uncertain"),
        ("No consolidation; consolidation in the left base.", "present"),
        ("Consolidation: right none, left basal", "uncertain"),
        ("Consolidation: right yes, left no", "uncertain"),
        ("Is not excluded consolidation.", "uncertain"),
    ],
)
def test_a_finding_is_uncertain_if_its_verb_is_unknown_or_parts_contradict_each_other(
    sentence: str, statement: str
) -> None:
    assert statements(sentence) == [statement]


@pytest.mark.parametrize(
    "sentence", ["Small left and no right consolidation.", "Right, but no left, consolidation."]
)
def test_a_finding_on_one_side_is_present_if_only_the_other_side_is_negated(sentence: str) -> None:
    assert statements(sentence) == ["present"]


def test_a_heading_states_nothing_if_the_sentence_below_it_names_the_finding() -> None:
    assert statements("Consolidation: no consolidation.") == ["absent"]
    assert statements("Consolidation: left basal consolidation.") == ["present"]


def test_keywords_may_be_phrases() -> None:
    found = mentions("No  crazy\npaving. Ground glass.", ["crazy paving"])
    assert [each.statement for each in found] == ["absent"]


@pytest.mark.parametrize(
    "text",
    [
        "\n" * LONG,
        " " * LONG,
        "no " * (LONG // 3),
        "-" * LONG,
        "a:" * (LONG // 2),
        ", " * (LONG // 2),
        "no effusion, and " * (LONG // 17),
        "no consolidation " * (LONG // 17),
        "new, consolidation and " * (LONG // 23),
        "consolidation in May 2020 " * (LONG // 26),
        "consolidaton of x. " * (LONG // 20),
        "effusion: no " * (LONG // 13),
        "effusion: no\n" * (LONG // 13),
        "a" + "\t" * LONG + ":",
        "a" + " " * LONG + ":",
        "." * LONG,
    ],
)
def test_long_unusual_texts_are_processed_quickly(text: str) -> None:
    start = time.process_time()
    list(mentions(f"{text} consolidation", WORDS))
    assert time.process_time() - start < 4


@pytest.mark.parametrize(
    ("phrases", "expression"),
    [
        ("a | b c", "(?:a|b c)"),
        ("[a | b] c [d]", "(?:(?:(?:a|b) )?c(?: (?:d))?)"),
        ("a [b]* (c | d e)", "(?:a(?: (?:b))* (?:c|d e))"),
        ("PRIOR study", "(?:(?:prior|old) study)"),
        (r"stud(?:y|ies) \( | \|", r"(?:stud(?:y|ies) \(|\|)"),
    ],
)
def test_phrases_become_regular_expressions(phrases: str, expression: str) -> None:
    assert pattern(phrases, {"PRIOR": "prior | old"}) == expression


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("absent", "The consolidation seen on the radiograph of 02/11/22 is no longer present."),
        ("absent", "The consolidation is completely regredient."),
        ("absent", "Clear with out focal consolidation."),
        ("absent", "Status post lobectomy, with no residual consolidation identified."),
        ("present", "Although the left lung is clear, there's patchy consolidation on the right."),
        ("uncertain", "Opacity at the base, can't r/o consolidation."),
        ("uncertain", "It is not possible to distinguish consolidation from atelectasis."),
        ("uncertain", "It is hard to say whether or not there is consolidation."),
        ("uncertain", "Consolidation is one possibility, infarction the other."),
        ("uncertain", "Consolidation and haemorrhage would all be considerations."),
        ("uncertain", "Opacity in the right base, DD consolidation."),
        ("uncertain", "Requested to investigate consolidation."),
        ("uncertain", "Differential diagnosis:\n1. Consolidation\n2. Infarction"),
        ("former", "A report from 2019 mentions lingular consolidation."),
        ("former", "Consolidation in 2016 noted from the old report."),
        ("absent", "Consolidation in neither lung; calcified granulomas in both."),
        ("absent", "There is no evidence, on either projection, of consolidation."),
        ("absent", "Consolidation: N   Emphysema: Y   Calcium: Y"),
        ("absent", "Consolidations - none of any size."),
        ("absent", "Consolidation was suspected clinically and has been ruled out by CT."),
        ("present", "Nor has the consolidation at the left apex diminished."),
        ("present", "Resolution of the consolidation is incomplete."),
        ("present", "RLL consolidation, not there on 2/11."),
        ("present", "Consolidation  R: small   L: none"),
        ("present", "The upper lobe consolidation refuses to clear."),
        ("present", "The consolidation measures 38 mm (previously 36 mm)."),
        ("present", "No interval improvement in the consolidation since Monday's film."),
        ("uncertain", "Consolidation  [ ] yes  [ ] no\nCardiomegaly  [x] yes  [ ] no"),
        ("former", "An outside report mentions a consolidation."),
    ],
)
def test_phrases_found_in_unseen_sentences_are_understood(statement: str, sentence: str) -> None:
    assert statements(sentence) == [statement]


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("present", "A focus of consolidation was overlooked in the initial report."),
        ("present", "Consolidation now visible only over the apex."),
        ("present", "Consolidation has recurred to its former extent."),
        ("present", "Consolidation, which did not clear on the prone images."),
        ("present", "The consolidation is by no means absent."),
        ("present", "A consolidation has formed."),
        ("present", "Consolidation dorsally in both lungs."),
        ("present", "The consolidation has increased over the past 48 hours."),
        ("present", "No increase in the consolidation since the drain was clamped."),
        ("present", "Consolidation, absent on yesterday's film, has developed."),
        ("present", "The report should read 'consolidation in the left lower lobe'."),
        ("absent", "Previously seen consolidation is not visualised in the present scan."),
        ("absent", "Consolidation 0 / effusion 0 / lines ok"),
        ("absent", "Consolidation was possibly infectious, since it is gone after treatment."),
        ("absent", "Neither in the upper nor in the lower lobes is there consolidation."),
        ("absent", "Resolution of the clustered lower lobe consolidations."),
        ("absent", "Complete evacuation of the consolidation."),
        ("absent", "The consolidation disappears on prone images."),
        ("absent", "The opacity does not represent consolidation."),
        ("uncertain", "The opacity may not represent consolidation."),
        ("uncertain", "Consolidation drained at another hospital in 2018."),
        ("uncertain", "Consolidation may well hide on this supine film."),
        ("uncertain", "Consolidation is difficult to exclude on this reconstruction."),
        ("uncertain", "In the event that consolidation is found, call us."),
    ],
)
def test_phrases_found_in_the_third_unseen_set_are_understood(
    statement: str, sentence: str
) -> None:
    assert statements(sentence) == [statement]


@pytest.mark.parametrize(
    "separator", [": ", ":", " : ", " - ", " – ", "-", " = ", "? ", "\t", ":\t"]
)
@pytest.mark.parametrize("between", ["\n", "\r\n", ".\n", " \n", "; ", ". ", ", "])
@pytest.mark.parametrize(("yes", "no"), [("Yes", "No"), ("yes", "no"), ("YES", "NO"), ("Y", "N")])
def test_an_answer_belongs_to_the_field_before_it(
    separator: str, between: str, yes: str, no: str
) -> None:
    for statement, answers in (("absent", (yes, no, yes)), ("present", (no, yes, no))):
        fields = zip(("Effusion", "Consolidation", "Mass"), answers, strict=True)
        form = between.join(f"{name}{separator}{answer}" for name, answer in fields)
        assert statements(form) == [statement], form


@pytest.mark.parametrize(
    ("statement", "form"),
    [
        ("absent", "effusion yes\nconsolidation no\nmass yes"),
        ("present", "effusion no\nconsolidation yes\nmass no"),
        ("present", "Effusion\nNo\nConsolidation\nYes\nMass\nNo"),
        ("absent", "Effusion: Yes Consolidation: No Mass: Yes"),
        ("present", "Effusion: nil | Consolidation: present | Mass: none"),
        ("absent", "- Effusion: present\n- Consolidation: nil\n- Mass: present"),
        ("absent", "Effusion  Yes\nConsolidation  No\nMass  Yes"),
        ("present", "Effusion: No\nConsolidation: left base\nMass: No"),
        ("uncertain", "Effusion: No\nConsolidation: unknown\nMass: No"),
        ("uncertain", "Effusion: No\nConsolidation:\nMass: No"),
        ("absent", "Findings: no\nconsolidation or effusion"),
    ],
)
def test_an_answer_on_the_line_before_does_not_negate_the_next_field(
    statement: str, form: str
) -> None:
    assert statements(form) == [statement]


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("uncertain", "No cavitating consolidation."),
        ("uncertain", "No evidence of calcified consolidation."),
        ("absent", "No significant consolidation."),
        ("absent", "No large consolidation."),
        ("uncertain", "Not clearly consolidation."),
        ("uncertain", "The lung is not definitely consolidated."),
        ("absent", "Consolidation is not definitely seen."),
        ("present", "Consolidation, not clearly infectious."),
        ("uncertain", "Imaging would be needed to confirm consolidation."),
        ("former", "Compared with the CT which showed consolidation."),
        ("present", "Compared with the CT that showed nodules, the consolidation is unchanged."),
        ("present", "No consolidation except for a small focus in the left base."),
        ("present", "No consolidation is seen other than the known one in the lingula."),
        ("uncertain", "No consolidation except for one, which has resolved."),
        ("uncertain", "No consolidation apart from a small effusion."),
        ("present", "Recurrent consolidation after complete resolution."),
        ("present", "No effusion, recurrent consolidation."),
        ("absent", "No recurrent consolidation."),
        ("present", "Consolidation not extending to the fissure."),
        ("present", "Consolidation not associated with effusion."),
        ("present", "Consolidation silhouetting the left heart border."),
    ],
)
def test_phrases_found_in_the_fourth_unseen_set_are_understood(
    statement: str, sentence: str
) -> None:
    assert statements(sentence) == [statement]


@pytest.mark.parametrize(
    "sentence",
    [
        "Non-consolidated rib fracture.",
        "The fracture is not yet consolidated.",
        "Fractures have fully consolidated.",
    ],
)
def test_a_consolidated_fracture_is_not_a_consolidation_of_the_lung(sentence: str) -> None:
    assert statements(sentence) == []


@pytest.mark.parametrize(
    "sentence", ["Consolidated lung and rib fractures.", "Fractures are seen, lung consolidated."]
)
def test_a_consolidated_lung_beside_fractures_is_consolidation(sentence: str) -> None:
    assert statements(sentence) == ["present"]


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("absent", "The effusion has resolved, as has the consolidation."),
        ("absent", "Nodules are absent now, as are the associated consolidations."),
        ("uncertain", "Nodules are absent, as are effusions and consolidations."),
        ("absent", "The effusion is gone and so is the left consolidation."),
        ("present", "The effusion is unchanged, as is the consolidation."),
        ("present", "Effusion is not seen, as is usual in consolidation."),
    ],
)
def test_as_is_repeats_the_verb_before_it(statement: str, sentence: str) -> None:
    assert statements(sentence) == [statement]


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("present", "Of the three consolidations one is not seen; the other two are unchanged."),
        ("present", "One of the two consolidations has resolved, the other is unchanged."),
        ("uncertain", "One of the consolidations has resolved."),
        ("uncertain", "The consolidations have resolved except for one."),
        ("absent", "Both of the consolidations have resolved."),
    ],
)
def test_findings_are_not_absent_if_only_some_of_them_are(statement: str, sentence: str) -> None:
    assert statements(sentence) == [statement]


@pytest.mark.parametrize(
    ("expected", "report"),
    [
        (["absent"], "Consolidation on the radiograph? There is no consolidation."),
        (["present"], "Consolidation? CT shows consolidation."),
        (["uncertain"], "Opacity. Consolidation? No effusion."),
        (["uncertain", "absent"], "Consolidation? No consolidation on the right."),
        (["uncertain", "uncertain"], "Consolidation? No other consolidation."),
    ],
)
def test_a_question_is_left_out_if_the_next_mention_answers_it(
    expected: list[str], report: str
) -> None:
    assert statements(report) == expected


def test_a_repaired_crack_is_absent() -> None:
    report = "Crack at bolt hole 5 ground out and re-welded. Free of cracks."
    found = mentions(report, ["crack", "cracks"])
    assert [each.statement for each in found] == ["absent", "absent"]


def test_subcutaneous_emphysema_is_not_emphysema_of_the_lung() -> None:
    assert not list(mentions("Subcutaneous emphysema.", ["emphysema"]))


def test_an_effusion_elsewhere_is_not_a_pleural_effusion() -> None:
    assert not list(mentions("Pericardial effusion of 8 mm.", ("effusion",)))
    assert list(mentions("Pericardial effusion of 8 mm.", ("pericardial effusion",)))
