"""Reports in German, French, Spanish and Italian are recognised, also in one short sentence."""

import pytest

from wsseg_reports.languages import foreign_language


@pytest.mark.parametrize(
    ("report", "language"),
    [
        ("Keine Konsolidierung.", "German"),
        ("Kein Nachweis von Infiltraten, kein Erguss.", "German"),
        ("Unauffällige Lunge.", "German"),
        ("Pas de consolidation.", "French"),
        ("Absence de consolidation.", "French"),
        ("Condensation du lobe inférieur droit avec épanchement.", "French"),
        ("Sin consolidación.", "Spanish"),
        ("No hay derrame pleural.", "Spanish"),
        ("Consolidación en el lóbulo inferior izquierdo.", "Spanish"),
        ("Nessun addensamento.", "Italian"),
        ("Non si osserva versamento pleurico.", "Italian"),
        ("Stabile la nota consolidazione lingulare.", "Italian"),
    ],
)
def test_the_language_of_a_sentence_is_recognised(report: str, language: str) -> None:
    assert foreign_language(report) == language


@pytest.mark.parametrize(
    "report",
    [
        "No consolidation.",
        "RLL consolidation, de novo.",
        "Sjögren syndrome. The lungs are clear.",
        "LA and LV are dilated. No effusion.",
        "Non-calcified nodule.",
        "Opacities, e.g. consolidation, i.e. pneumonia.",
        "",
    ],
)
def test_english_reports_are_not_mistaken_for_another_language(report: str) -> None:
    assert foreign_language(report) is None
