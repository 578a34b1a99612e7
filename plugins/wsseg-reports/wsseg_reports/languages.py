"""Recognition of reports in German, French, Spanish and Italian."""

import re

FUNCTION_WORDS = {
    "German": """
        kein keine keinen keiner keines nicht und mit ohne der die das des dem den im zum zur von
        beidseits links rechts lunge lungen unterlappen oberlappen mittellappen erguss pleuraerguss
        nachweis befund sowie bei ein eine einer eines ist sind verdichtung verschattung zeichen
        raumforderung herd rundherd auf wird nachweisbar bekannt
    """,
    "French": """
        pas de du des le la les et une un avec sans aucune aucun ni au aux il est sont dans sur par
        poumon pulmonaire droit droite gauche condensation foyer verre en faveur
    """,
    "Spanish": """
        sin hay se observa observan derrame pulmonar del en el los las con ni de la una un
        izquierdo derecho vidrio deslustrado evidencia signos ausencia imagen ambos
    """,
    "Italian": """
        non si osserva osservano rileva rilevano nessun nessuna nessuno senza versamento polmonare
        pleurico del della dei delle di con assente assenza lobo inferiore superiore destro sinistro
        aree il lo la gli nodulo noduli vetro smerigliato evidenza addensamento addensamenti segni
        nota noto stabile stabili
    """,
}
ENDINGS = {
    "German": r"\w*(?:[äöüß]\w*|ierung(?:en)?)",
    "French": r"\w*[èêëçâîôûœ]\w*|(?:d|l|n|qu)['’]\w+|\w+é(?:e|s|es)?|é\w+",
    "Spanish": r"\w*(?:ción|ciones|[ñíóú]\w*)",
    "Italian": r"\w*(?:zione|zioni|[àìòù]\w*)|(?:dell|nell|all)['’]\w+",
}
ENGLISH = """
    the of is are was were there with without and or not has have been seen evidence right left
    lung lungs lobe lower upper middle base bases both on for from at by this which new small large
    unchanged previous prior clear pleural bilateral present findings impression identified but to
    as than stable measuring normal opacity opacities effusion effusions chest
"""
LETTERS = re.compile(r"[^\W\d_]{2,}(?:['’][^\W\d_]+)?|[dln]['’][^\W\d_]+")
IN_ENGLISH_TEXTS = re.compile(r"\bnon-|\b(?:de novo|en bloc|en face|a la)\b", re.IGNORECASE)


def foreign_language(report: str) -> str | None:
    """Return the language of a report, and None if it is English.

    It is the language with the most function words and endings, if there are more of them than
    English words. Reports in other languages count as English.
    """
    words = [word.lower() for word in LETTERS.findall(IN_ENGLISH_TEXTS.sub("", report))]
    counts = {
        language: sum(word in FOREIGN[language] or _has_ending(word, language) for word in words)
        for language in FUNCTION_WORDS
    }
    language = max(counts, key=counts.__getitem__)
    return language if counts[language] > sum(word in ENGLISH_WORDS for word in words) else None


def _has_ending(word: str, language: str) -> bool:
    return re.fullmatch(ENDINGS[language], word) is not None


FOREIGN = {language: frozenset(text.split()) for language, text in FUNCTION_WORDS.items()}
ENGLISH_WORDS = frozenset(ENGLISH.split())
