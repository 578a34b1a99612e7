"""Detection of negated and uncertain findings in the sentences of a report.

The rules follow NegEx (W. W. Chapman et al. 2001, J. Biomed. Inform. 34(5)): trigger phrases before
or after a mention of a finding negate it or make it uncertain, up to the next termination phrase.

1. A report is split into sentences at full stops, semicolons and line breaks before a statement.
2. Sentences below a heading in `BACKGROUND` (indication, history, comparison) are ignored.
3. Where triggers overlap, only the longest counts. A trigger in `PSEUDO` ("no change") has no
   effect except that it replaces the shorter ones inside it.
4. A trigger before the mention acts forwards and one after it backwards, up to the end of the
   sentence or a phrase in `TERMINATION`.
5. A mention is uncertain if an uncertain trigger acts on it; otherwise absent if a negating trigger
   does; otherwise uncertain if an alternative ("versus") does; otherwise present.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeAlias

Statement: TypeAlias = Literal["present", "absent", "uncertain"]

NEGATED_BEFORE = """
no|not|non|without|absence of|absent|negative for|free of|free from|clear of|lack of|lacks
neither|nor|never|denies|fails to show|fails to reveal|failed to show|ruled out|rules out|excluded
excludes|resolution of|resolved|disappearance of|clearance of|rather than|no longer
"""
NEGATED_AFTER = """
not seen|not present|not identified|not demonstrated|not visible|not detected|not evident|none
no longer seen|no longer visible|no longer present|no longer identified|absent|negative
ruled out|excluded|has resolved|have resolved|resolved|has cleared|have cleared|cleared
has disappeared|have disappeared
"""
UNCERTAIN_BEFORE = """
possible|possibly|probable|probably|likely|suspected|suspicious for|suspicion of|questionable
question of|equivocal|potential|may|might|could|can not exclude|cannot exclude|can't exclude
cannot rule out|can not rule out|can't rule out|not exclude|not rule out|rule out|r/o|to exclude
concern for|concerning for|suggestive of|suggests|suggesting|uncertain|unclear|indeterminate|whether
if|evaluate for|evaluation for|assess for|assessment for|tendency to|risk of|history of|no new
no further|no additional
"""
UNCERTAIN_AFTER = """
cannot be excluded|can not be excluded|can't be excluded|could not be excluded|not excluded
cannot be ruled out|can not be ruled out|could not be ruled out|not ruled out|not be excluded
not be ruled out|is possible|possible|suspected|is suspected|questioned|unlikely|less likely
is likely|uncertain|indeterminate|equivocal|?
"""
ALTERNATIVE = "versus|vs|vs."
TERMINATION = """
but|however|although|though|whereas|while|except|except for|aside from|apart from|other than
nevertheless|yet|which|there is|there are|with|on the left|on the right
"""
PSEUDO = """
no change|no changes|no interval change|no significant change|no significant interval change
without change|without interval change|no increase|no decrease|no progression|not changed
not resolved|not cleared|not disappeared|not only|not fully resolved|not completely resolved
near-complete resolution of|near complete resolution of|nearly complete resolution of
partial resolution of|incomplete resolution of|partially resolved|partly resolved|not certain
"""
BACKGROUND = """
indication|indications|history|clinical history|clinical information|clinical indication
clinical data|reason|reason for exam|reason for examination|reason for study|comparison|question
clinical question|technique
"""

SENTENCE_END = re.compile(r"(?<=[.!?;])(?<!vs\.)(?<!VS\.) ")
MAX_MENTIONS = 50  # judged in a sentence, so that no text can take long
STATEMENT_START = re.compile(r"[-*•A-Z0-9]")  # of a line that does not continue the last one
BULLET = re.compile(r"^[ \-*•]+")
HEADING = re.compile(r"([A-Za-z][A-Za-z /-]{2,40}):")


@dataclass(frozen=True)
class Mention:
    """A sentence that mentions a finding, and what it states about it."""

    statement: Statement
    sentence: str


def mentions(report: str, keywords: Sequence[str]) -> Iterator[Mention]:
    """Yield what each sentence of `report` states about the finding that `keywords` name.

    Keywords are complete words or phrases in upper or lower case. If a sentence mentions the
    finding several times, the strongest statement counts: present, then uncertain, then absent.
    """
    finding = _phrase_pattern([_normalize_spaces(keyword) for keyword in keywords])
    in_background = False
    for sentence in _sentences(report):
        if heading := HEADING.match(sentence):
            in_background = heading[1].lower() in BACKGROUND_HEADINGS
        triggers = list(TRIGGER.finditer(sentence))
        matches = islice(finding.finditer(sentence), MAX_MENTIONS)
        statements = [_statement(match, triggers) for match in matches]
        if statements and not in_background:
            yield Mention(strongest(statements), sentence)


def strongest(statements: Sequence[Statement]) -> Statement:
    """Return "present" if it is among `statements`, else "uncertain" if it is, else "absent"."""
    order: tuple[Statement, ...] = ("present", "uncertain", "absent")
    return min(statements, key=order.index)


def _sentences(report: str) -> Iterator[str]:
    statement = ""
    for line in (*report.splitlines(), ""):
        if not line.strip() or STATEMENT_START.match(line.strip()):
            sentences = (BULLET.sub("", each) for each in SENTENCE_END.split(statement))
            yield from filter(None, sentences)
            statement = ""
        statement = _normalize_spaces(f"{statement} {line}")


def _statement(mention: re.Match[str], triggers: Sequence[re.Match[str]]) -> Statement:
    """Return what the triggers that act on a mention make of it."""
    ends = [each for each in triggers if "termination" in KINDS[each[0].lower()]]
    first = max((each.end() for each in ends if each.end() <= mention.start()), default=0)
    last = min((each.start() for each in ends if each.start() >= mention.end()), default=None)
    acting = set[str]()
    for each in triggers:
        if each.start() < first or (last is not None and each.start() >= last):
            continue
        side = "before" if each.start() < mention.start() else "after"
        acting |= {kind.removesuffix(f" {side}") for kind in KINDS[each[0].lower()]}
    if "uncertain" in acting:
        return "uncertain"
    if "negated" in acting:
        return "absent"
    return "uncertain" if "alternative" in acting else "present"


def _normalize_spaces(text: str) -> str:
    return " ".join(text.split())


def _split_phrases(text: str) -> list[str]:
    return [phrase for line in text.strip().splitlines() for phrase in line.split("|")]


def _phrase_pattern(phrases: Sequence[str]) -> re.Pattern[str]:
    """Return a pattern that matches any of the phrases as complete words, the longest first."""
    words = [
        (r"(?<!\w)" if phrase[0].isalnum() else "") + re.escape(phrase) + r"(?!\w)"
        for phrase in sorted(phrases, key=len, reverse=True)
    ]
    return re.compile("|".join(words), re.IGNORECASE)


def _kinds_by_trigger() -> dict[str, set[str]]:
    kinds: dict[str, set[str]] = {}
    for kind, text in (
        ("negated before", NEGATED_BEFORE),
        ("negated after", NEGATED_AFTER),
        ("uncertain before", UNCERTAIN_BEFORE),
        ("uncertain after", UNCERTAIN_AFTER),
        ("alternative", ALTERNATIVE),
        ("termination", TERMINATION),
        ("pseudo", PSEUDO),
    ):
        for phrase in _split_phrases(text):
            kinds.setdefault(phrase, set()).add(kind)
    return kinds


KINDS = _kinds_by_trigger()
TRIGGER = _phrase_pattern(tuple(KINDS))
BACKGROUND_HEADINGS = frozenset(_split_phrases(BACKGROUND))
