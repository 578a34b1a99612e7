"""What a report says of a finding: present, absent or uncertain, sentence by sentence.

Rules after NegEx (W. W. Chapman et al. 2001, J. Biomed. Inform. 34(5)): triggers before or after a
mention negate it or make it uncertain, as far as the next stop. In this order:

1. A report falls into sentences at full stops, semicolons and new lines that begin a statement.
2. What stands under a heading of BACKGROUND (indication, history, comparison) says nothing.
3. Of triggers that overlap, the longest counts; IDLE ones ("no change") only keep shorter from it.
4. A trigger of BEFORE reaches forward, one of AFTER backward, to the sentence's end or a STOP.
5. A mention in reach of an uncertain trigger is uncertain; else in reach of a negation, absent;
   else beside an alternative ("versus"), uncertain; else present.
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
STOP = """
but|however|although|though|whereas|while|except|except for|aside from|apart from|other than
nevertheless|yet|which|there is|there are|with|on the left|on the right
"""
IDLE = """
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
MOST = 50  # mentions of a sentence that are judged: a text made to take long shall not
BEGINNING = re.compile(r"[-*•A-Z0-9]")  # of a line that goes on from none before it
BULLET = re.compile(r"^[ \-*•]+")
HEADING = re.compile(r"([A-Za-z][A-Za-z /-]{2,40}):")


@dataclass(frozen=True)
class Mention:
    """A sentence that mentions a finding, and what it states."""

    statement: Statement
    sentence: str


def mentions(report: str, keywords: Sequence[str]) -> Iterator[Mention]:
    """Yield what each sentence of `report` states of the finding that `keywords` mean.

    Keywords are whole words or phrases; case does not matter. Of several mentions in a sentence,
    the strongest counts: present before uncertain before absent.
    """
    wanted = _phrases([_plain(keyword) for keyword in keywords])
    in_background = False
    for sentence in _sentences(report):
        if heading := HEADING.match(sentence):
            in_background = heading[1].lower() in BACKGROUND_HEADINGS
        triggers = list(TRIGGER.finditer(sentence))
        found = [_stated(each, triggers) for each in islice(wanted.finditer(sentence), MOST)]
        if found and not in_background:
            yield Mention(strongest(found), sentence)


def strongest(statements: Sequence[Statement]) -> Statement:
    """Return present, if stated at all; else uncertain; else absent."""
    order: tuple[Statement, ...] = ("present", "uncertain", "absent")
    return min(statements, key=order.index)


def _sentences(report: str) -> Iterator[str]:
    statement = ""
    for line in (*report.splitlines(), ""):
        if not line.strip() or BEGINNING.match(line.strip()):
            yield from filter(
                None, (BULLET.sub("", each) for each in SENTENCE_END.split(statement))
            )
            statement = ""
        statement = _plain(f"{statement} {line}")


def _stated(mention: re.Match[str], triggers: Sequence[re.Match[str]]) -> Statement:
    """Judge one mention by the triggers that reach it."""
    stops = [each for each in triggers if "stop" in KINDS[each[0].lower()]]
    first = max((each.end() for each in stops if each.end() <= mention.start()), default=0)
    last = min((each.start() for each in stops if each.start() >= mention.end()), default=None)
    reaching = set[str]()
    for each in triggers:
        if each.start() < first or (last is not None and each.start() >= last):
            continue
        side = "before" if each.start() < mention.start() else "after"
        reaching |= {kind.removesuffix(f" {side}") for kind in KINDS[each[0].lower()]}
    if "uncertain" in reaching:
        return "uncertain"
    if "negated" in reaching:
        return "absent"
    return "uncertain" if "alternative" in reaching else "present"


def _plain(text: str) -> str:
    return " ".join(text.split())


def _listed(text: str) -> list[str]:
    return [phrase for line in text.strip().splitlines() for phrase in line.split("|")]


def _phrases(phrases: Sequence[str]) -> re.Pattern[str]:
    """Match any of the phrases as whole words, the longest first."""
    words = [
        (r"(?<!\w)" if phrase[0].isalnum() else "") + re.escape(phrase) + r"(?!\w)"
        for phrase in sorted(phrases, key=len, reverse=True)
    ]
    return re.compile("|".join(words), re.IGNORECASE)


def _kinds() -> dict[str, set[str]]:
    kinds: dict[str, set[str]] = {}
    for kind, text in (
        ("negated before", NEGATED_BEFORE),
        ("negated after", NEGATED_AFTER),
        ("uncertain before", UNCERTAIN_BEFORE),
        ("uncertain after", UNCERTAIN_AFTER),
        ("alternative", ALTERNATIVE),
        ("stop", STOP),
        ("idle", IDLE),
    ):
        for phrase in _listed(text):
            kinds.setdefault(phrase, set()).add(kind)
    return kinds


KINDS = _kinds()
TRIGGER = _phrases(tuple(KINDS))
BACKGROUND_HEADINGS = frozenset(_listed(BACKGROUND))
