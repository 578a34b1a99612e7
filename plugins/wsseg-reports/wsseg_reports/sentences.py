"""Division of a report into the sentences that describe the scan."""

import re
from collections.abc import Iterator

ABBREVIATIONS = r"""
vs viz dr mr mrs prof approx cf incl resp fig ser seg neg consol consolid pt ca st im diam sup
inf ant post lat med esp susp poss prob evid segs
"""
"""Words after which a full stop does not end a sentence."""
DANGLING = r"""
no a an the of and or nor with without for in on at by to any focal is are was were acute definite
convincing significant large small new obvious discrete right left upper lower bilateral airspace
"""
"""Words after which the next line continues a sentence, even if it starts with a capital."""
BACKGROUND = re.compile(
    r"""(?:clinical\ |relevant\ |patient\ |past\ |previous\ |medical\ |surgical\ |brief\ )*
    (?:indications?|history|hx|hpi|information|info|details|data|question|context|background
    |clinical|q|reason|request|comparisons?|technique|procedure|protocol|priors?|presentation
    |symptoms|(?:previous|prior)\ \w+|diagnosis\ on\ admission|family\ history|pmh|referral|dx|c/o)
    (?:\ (?:for|of)\ (?:the\ )?\w+)*""",
    re.VERBOSE,
)
"""Headings of sections that do not describe the scan."""

HEADING = re.compile(r"([a-z][a-z /-]{0,40}?) ?(?::|\s[-–—]\s)\s*")
BULLET = re.compile(r"^(?:[-*•·▪◦>–]+|\(?\d{1,2}[.)])\s+")
STATEMENT_START = re.compile(r"[-*•·▪◦A-Z0-9(]")  # of a line that does not continue the last one
SENTENCE_END = re.compile(
    r"(?<=[.!])(?<!\bno\.)\s+|(?<=\bno\.)\s+(?!\d)"
    r"|(?<=\w\?)\s+(?!(?:[-–—] )?(?:yes|no|none|y|n)(?:[.,;]|$))"
    r"|(?<=[a-z]{2})\.(?=[a-z]{2})",
    re.IGNORECASE,
)
ABBREVIATED = re.compile(
    rf"(?:^|[\s,(/])(?:[a-z]|[a-z]\.[a-z]|{'|'.join(ABBREVIATIONS.split())})\.$",
    re.IGNORECASE,
)
LETTER = re.compile(r"\b[LRNY]\.\s+[A-Z]")  # Effusion: N. Mass: small, L. Nodule: Y.
COLUMN = re.compile(  # between the columns of a form: dots, tabulators or spaces
    r"(?<!\s)\s*(?<!\.)(?:\.{3,}|…|_{3,})\s*(?=\w)|(?<=\w) *\t\s*(?=\w)"
    r"|(?<=\w) {2,}(?=(?:yes|no)(?:\W? {2}|\.?$))",
    re.IGNORECASE,
)
ROUND_BOX = re.compile(r"\(( |x|✓)\)", re.IGNORECASE)
EMPTY_BOX = re.compile(r"\s*(?:\[ ?\]|☐)\s*")
TICKED_BOX = re.compile(r"\s*(?:\[[x✓]\]|☑|☒)\s*", re.IGNORECASE)
BOX_FIRST = re.compile(r"(?:[^:\[☐☑☒]*:)?\s*(?:\[[ x✓]?\]|[☐☑☒])", re.IGNORECASE)
OPTION = r"\b(?:yes|no|none|present|absent|positive|negative|seen|not (?:seen|present)|unknown)\b"
VALUE = r"(?:left|right|bilateral|both|trace|small|moderate|large|mild|severe)(?= *(?:[\[☐☑☒.;]|$))"
UNANSWERED = re.compile(  # Mass [ ] yes [ ] no
    rf"(?<![✓x\]☑☒]) *(?::? *(?:\[ ?\]|☐) *{OPTION}){{2,}}(?! *(?:\[[x✓]|☑|☒))", re.IGNORECASE
)
LAST_IS_BOX = re.compile(r"(?:\[[ x✓]?\]|[☐☑☒])[ .;]*$", re.IGNORECASE)
ANSWER_WORD = r"(?:yes|no|y|n|none|nil|absent|present|negative|positive)\b"
ANSWER = re.compile(rf"{ANSWER_WORD}\.?", re.IGNORECASE)
YES_OR_NO = re.compile(r"(?:yes|no|y|n|none|nil)\.?", re.IGNORECASE)
LABEL = r"[^\W\d_][\w()/'’ -]{0,40}?"
FIELD = re.compile(rf"{LABEL}(?: ?[:=?|]| [-–—] )")  # Nodule: left
LAST_ANSWER = rf"(?: ?[:=?|-]| [–—]) ?{ANSWER_WORD}[.,;]?$"
ENDS_IN_ANSWER = re.compile(LAST_ANSWER, re.IGNORECASE)  # Lungs: clear; nodule: no
ANSWERED = re.compile(rf"{LABEL}(?:{LAST_ANSWER}| (?:yes|no)\.?$)", re.IGNORECASE)  # nodule no
FIELD_AFTER_SPACES = re.compile(r"(?<=\w) {2,}(?=[A-Z][a-z]{2}[A-Za-z ]{0,40}:)")
FIELD_AFTER_ANSWER = re.compile(  # Nodule: no Mass: yes
    rf"([:=?|] ?{ANSWER_WORD})(?: \|)? "
    rf"(?={LABEL} ?[:=?|] ?{ANSWER_WORD}(?: ?[.,;|]|$| {LABEL} ?[:=?|]))",
    re.IGNORECASE,
)
NUMBER_IN_LINE = re.compile(r"(?<=\w) \(?\d{1,2}\)\s+(?=[A-Z])")  # 1) No nodule 2) Effusion
INTRODUCTION = re.compile(
    r"\b(?:no|not|without|negative|absence|exclude[sd]?|free|differentials?|ddx?)\b.*:$",
    re.IGNORECASE,
)
"""The start of a list whose items it negates or leaves open."""
CONTINUED = re.compile(
    r"[.!?]\s(?=(?:it|this|these|they|both|which)\s(?:has|have|is|are|was|were|can|could|may|now)\b)",
    re.IGNORECASE,
)
"""The end of a sentence whose subject the next sentence takes up."""


def describing_sentences(report: str) -> Iterator[str]:
    """Yield the sentences of a report, except those below a heading in `BACKGROUND`."""
    in_background = False
    for paragraph in re.split(r"\n\s*\n", report):
        described = False
        for sentence in _sentences(paragraph):
            if heading := HEADING.match(sentence.lower()):
                in_background = BACKGROUND.fullmatch(heading[1]) is not None
                described = sentence[heading.end() :].strip() != ""
            if not in_background:
                yield sentence
        if described:
            in_background = False  # a blank line ends a section that has a text


def _sentences(paragraph: str) -> Iterator[str]:
    statement = introduction = ""
    for line in (*paragraph.splitlines(), ""):
        stripped = COLUMN.sub(": ", line.strip())
        is_item = BULLET.match(stripped) is not None
        if statement and (not stripped or _starts_statement(stripped, statement)):
            yield from _split(statement)
            if not is_item:
                introduction = ""
            elif INTRODUCTION.search(statement):
                introduction = statement  # no evidence of: - consolidation - effusion
            statement = introduction
        is_value = statement[-1:].isalnum() and YES_OR_NO.fullmatch(stripped)
        statement += f"{':' if is_value else ''} {BULLET.sub('', stripped)}"
        statement = statement.strip()


def _starts_statement(line: str, statement: str) -> bool:
    """Return whether a line starts a new statement after the one that the last lines have."""
    if ANSWER.fullmatch(line):
        return False
    is_field, answered = FIELD.match(line), ENDS_IN_ANSWER.search(statement)
    if ANSWERED.match(line) or (is_field and answered):
        return True
    last = statement.rsplit(maxsplit=1)[-1].lower()
    ends = answered or last not in DANGLING.split() or (is_field and FIELD.match(statement))
    return bool(ends and STATEMENT_START.match(line))


def _split(statement: str) -> Iterator[str]:
    """Yield the sentences of a text without line breaks."""
    text = " ".join(FIELD_AFTER_SPACES.sub("; ", statement).split())
    text = FIELD_AFTER_ANSWER.sub(r"\1; ", text)
    text = NUMBER_IN_LINE.sub(". ", text)
    text, start = CONTINUED.sub("; ", text), 0
    for end in SENTENCE_END.finditer(text):
        is_letter = LETTER.match(text, end.start() - 2)
        if is_letter or not ABBREVIATED.search(text[start : end.start()][-12:]):
            yield text[start : end.start()]
            start = end.end()
    if text[start:]:
        yield text[start:]


def boxes_as_words(text: str) -> str:
    """Write boxes of a form as words.

    Example:
        >>> from wsseg_reports.sentences import boxes_as_words
        >>> boxes_as_words("Mass [ ] Nodule [x]")
        'Mass: no; Nodule: yes; '
    """
    text = ROUND_BOX.sub(r"[\1]", text)
    empty, ticked = EMPTY_BOX.pattern, TICKED_BOX.pattern
    option = f"(?:{OPTION}|{VALUE})"
    options = (f"{option}{empty}", f"({option}){ticked}")
    if not LAST_IS_BOX.search(text):
        options = (f"{empty}{option}", f"{ticked}({option})")
        text = UNANSWERED.sub(": ?; ", text)
    text = re.sub(options[0], " ", text, flags=re.IGNORECASE)
    text = re.sub(rf"(?:\s*:)?\s*{options[1]}", r": \1; ", text, flags=re.IGNORECASE)
    if BOX_FIRST.match(text):
        return TICKED_BOX.sub("; ", EMPTY_BOX.sub("; no ", text))
    return TICKED_BOX.sub(": yes; ", EMPTY_BOX.sub(": no; ", text))
