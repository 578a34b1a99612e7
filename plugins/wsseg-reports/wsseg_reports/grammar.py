"""What a report states about a finding: present, absent, uncertain or former.

A sentence is a string of symbols, one for each cue (`wsseg_reports.cues.Cue`): "No effusion, but
consolidation in the left base" is "no,;Tmdll". Its statement about the finding, `T`, is read in
three steps:

1. The last cue before `T` that governs what follows (a negation, a doubt or the past), if its
   scope reaches `T` (`REACHES`). A scope ends at "but", "other than", and at a dash.
2. The verbs after `T` that belong to it ("is not seen", "cannot be excluded").
3. Both together: a finding without either is present. Contradictory statements are uncertain.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeAlias

from wsseg_reports.cues import symbols
from wsseg_reports.sentences import boxes_as_words, describing_sentences
from wsseg_reports.spelling import correct_spelling

Statement: TypeAlias = Literal["present", "absent", "uncertain", "former"]
STRONGEST_FIRST: tuple[Statement, ...] = ("present", "uncertain", "absent", "former")
MAX_MENTIONS = 50  # judged in a sentence, to bound the running time
MAX_SYMBOLS = 100  # before and after a mention
MIN_LIST = 3  # subjects of one verb, even if it is in the singular: nodule, mass, effusion absent

GOVERNED: dict[str, tuple[Statement, str]] = {
    "n": ("absent", "No consolidation"),
    "!": ("absent", "The lung is not consolidated"),
    "R": ("absent", "Resolution of the consolidation"),
    "u": ("uncertain", "Possible consolidation"),
    "q": ("uncertain", "?consolidation"),
    "h": ("former", "History of consolidation"),
    "nu": ("absent", "No opacity to suggest consolidation"),
    "!u": ("absent", "The opacity is not suspicious for consolidation"),
    "Rh": ("absent", "Resolution of the previously seen consolidation"),
}
"""The statement of one or two cues before a finding, with an example; others are uncertain."""

GOVERNOR = re.compile("(?:([n!Ruh])([^,+|n!RNZ;AvaqTp]*))?([n!Ruqh])([^n!Ruqh]*)$")
ITEM = "[^,+|iV]*"  # the part of a list to which a finding belongs
PHRASE = "[^,+|;:n!]*"  # what follows a finding up to the next part of the sentence

# Whether the scope of a cue reaches the finding #, by the symbols between them and after it.
# The first pattern that matches counts; None: the sentence can be read both ways.
REACHES: tuple[tuple[str, bool | None, str], ...] = (
    ("[^,+|]*o[^,+|]*:[^,+|]*#", None, "Without fever: consolidation"),
    ("[^,+|:d]*o[fds]*l[fl]*#", None, "No infarct left basal consolidation"),
    ("[^,+|iVaANUvpwkT]*#", True, "No focal consolidation"),
    ("[^,+|iVaANUwkTvp]*[vp]f*#", True, "No lobe is consolidated"),
    ("[^,+|iVaANUwkTvp]*vf*sf*#", True, "At no level is there consolidation"),
    ("[dfs]*l[dfsl]*af*#", True, "No part of the lung shows consolidation"),
    (f"{ITEM}#", None, "No pneumonia with consolidation"),
    (f".*[aA]{ITEM}#", False, "No effusion, there is consolidation"),
    (f".*k.*[|iV]{ITEM}#|.*[|iV]{ITEM}k{ITEM}#", None, "No new effusion or consolidation"),
    (f".*[|iV]{ITEM}#", True, "No effusion or large consolidation"),
    (".*,m[^,oT]*,#", False, "No effusion and, on the left, consolidation"),
    (".*[ANUvp].*#", False, "No effusion is seen and consolidation is present"),
    (rf".*\+{ITEM}s{ITEM}#", False, "No effusion and extensive consolidation"),
    (rf".*\+{ITEM}[lw]{ITEM}#", None, "No effusion and left consolidation"),
    (rf".*[,+|].*\+{ITEM}#(?!{PHRASE}[Avp])", True, "No effusion, mass and consolidation"),
    (r".*\+.*#", None, "No effusion and consolidation"),
    (rf".*l{ITEM}#[^;AvNUpn!]*\|", None, "No effusion, left consolidation or mass"),
    (r".*#[^;+|AvNUpn!]*\|", True, "No effusion, consolidation or mass"),
    (r".*,[^,slwm]*#[^;|AvNUpn!slm]*\+", True, "No effusion, consolidation and mass"),
    (".*,[^,]*[slw][^,]*#", False, "No effusion, patchy consolidation"),
    (f".*#{PHRASE}[lm]", False, "No effusion, consolidation in the left base"),
    (f".*,.*,.*#{PHRASE}[AvNUp]", None, "No effusion, mass, consolidation seen"),
    (f".*#{PHRASE}[AvNUp]", False, "No effusion, consolidation is seen"),
    (".*,.*,.*#|.*#,", True, "No effusion, mass, consolidation"),
    (".*#", None, "No effusion, consolidation"),
)
CONTINUES = re.compile("[rdfs]*(?:[ANUvpHu!]|a[rfs]*[ANU])")  # which has resolved
ONE_SIDE = re.compile("(?:^|[;:,])[dfs]*l[fl]*,?[;+],?n[fs]*l[fls]*,?$")  # left but no right
ONE_SIDE_NONE = re.compile(  # right none, left basal; right yes, left no
    "[fs]*l[fls]*(?:N.*,[fls]*l[fls]*(?:,|A|$)|A.*,[fls]*l[fls]*N)"
)
ONE_SIDE_FILLED = re.compile("[fs]*l:(?:[fs]+l:[nN]|[nN]l:[fs]+)(?:,|$)")  # right: small left: none
SOME_GONE = re.compile(  # one of the nodules is absent; of the nodules one is; absent but for one
    "(?:^|[;,+])(?:sfd[^oT,;]*#.*N|fd[^oT,;]*#[^;]*s[apv]r*N)|#[^;,oT]*N[^;,oT]*,?x"
)
EXCEPT_SOME = re.compile("[fdslvpA]*,?x[dhfs]*[fs][dfsl]*(?:[m,;+][^NUuq]*)?$")  # except a few
UNKNOWN_VERB = re.compile("[rdf]*o")  # the consolidation went away
RELATIVE_OF_OTHER = re.compile("[^#]*o[^#oT]*#r[^o]*[NU]")
VERB_ALONE = re.compile("[vpa][rfs]*[NU]")  # consolidation, first seen in May, is not seen
OF_KNOWN = re.compile("[^d,+|iV]*o[^,+|iV]*d[^,+|iV]*$")  # no cavity in the consolidation
PART_OF_KNOWN = re.compile("o[fm]d[fsl]*$")  # the cause of the consolidation (is uncertain)


@dataclass(frozen=True)
class Mention:
    """A sentence that mentions a finding, and what it states about it."""

    statement: Statement
    sentence: str


def mentions(report: str, keywords: Sequence[str]) -> Iterator[Mention]:
    """Yield what each sentence of `report` states about the finding that `keywords` name.

    Keywords are complete words or phrases. If a sentence mentions the finding several times, the
    strongest statement counts. A question is left out if the next mention answers it.
    """
    words = [" ".join(word.lower().split()) for word in keywords]
    question: Mention | None = None
    for sentence in describing_sentences(report):
        text = correct_spelling(boxes_as_words(sentence).lower(), words)
        clause = _place_gone(symbols(text, words))
        if statements := list(_statements(clause)):
            mention = Mention(strongest(statements), sentence)
            if question and re.search("[kl]", clause):  # no other mass, no mass on the right
                yield question
            question = mention if sentence.endswith("?") else None
            if not question:
                yield mention
    if question:
        yield question


def _statements(clause: str) -> Iterator[Statement]:
    """Yield what each mention of the finding in a sentence states.

    A heading states nothing ("Effusion: no effusion"). A mention that no cue describes as present
    is uncertain if a later one is absent.
    """
    described = re.search("[aslmA]", clause) is not None
    mentioned: list[Statement] = []
    for each in islice(re.finditer("T(?!:.*T)", clause), MAX_MENTIONS):
        before = clause[max(0, each.start() - MAX_SYMBOLS) : each.start()]
        after = clause[each.end() : each.end() + MAX_SYMBOLS]
        mentioned.append(_statement(before, after))
    for number, statement in enumerate(mentioned, 1):
        contradicted = not described and "absent" in mentioned[number:]
        yield "uncertain" if statement == "present" and contradicted else statement


def strongest(statements: Sequence[Statement]) -> Statement:
    """Return the statement that comes first in `STRONGEST_FIRST`."""
    return min(statements, key=STRONGEST_FIRST.index)


def _place_gone(clause: str) -> str:
    """Replace `Z` (resolved, absent) and `N` (not seen) by `R` before, and by `N` after a noun.

    `U` (cannot be excluded) directly before the finding is `u`. `L` (as has) is `n` after `N`.
    """

    def placed(gone: re.Match[str]) -> str:
        before = re.split(r"[,;+|x-]", clause[max(0, gone.start() - 50) : gone.start()])[-1]
        after = re.split(r"[,;+|x-]", clause[gone.end() : gone.end() + 50])[0]
        is_verb = re.search("[oT]|ar+$|[vp]r*$", before)  # has been excluded
        return "R" if re.search("[oT]", after) and not is_verb else "N"

    clause = re.sub("Z", placed, clause)
    clause = re.sub("(?<=N)([^;ANU]*)L(?=(?:[dfsl]*o[+])?[dfsl]*T)", r"\1n", clause)
    clause = clause.replace("L", "p")
    clause = re.sub("(?:(?<=;)|^)([vdfsl]*)U(?=[dfsle]*T)|U(?=[dfsle]*T)", r"\1u", clause)
    return re.sub("(^|;)([^oT;,]*)N(?=:?[^;,]*[oT])", r"\1\2R", clause)  # not seen: nodule


def _statement(before: str, after: str) -> Statement:
    if ONE_SIDE.search(before) or ONE_SIDE_FILLED.match(after):
        return "present"
    governed, stated = _governed(before, after), _stated(before, after)
    if stated == "absent" and SOME_GONE.search(f"{before}#{after}"):
        stated = "present" if "A" in after else "uncertain"
    if stated != "absent" and re.search("(^|;)[fdr]*H[^;]*$", before):
        return "former"  # on the prior CT there was consolidation
    if governed == "absent" and stated != "absent" and EXCEPT_SOME.match(after):
        governed, stated = None, "present"
    if governed == "absent":
        limited = re.match(r"[fdslmeo]*k|[^,;]*,?x|:A", after)  # no nodule > 3 mm, no nodule except
        return "absent" if stated in (None, "present") and not limited else "uncertain"
    if governed == "uncertain":
        return "uncertain"
    if stated is None and governed is None:
        weak = UNKNOWN_VERB.match(after) or _is_alternative(before, after)
        return "uncertain" if weak else "present"
    return stated or governed or "present"


def _governed(before: str, after: str) -> Statement | None:
    """Return what the cues before a finding state about it; None if no scope reaches it."""
    found = GOVERNOR.search(re.split("[;x-]", before)[-1])
    if found is None:
        return None
    outer, within, inner, between = found.groups(default="")
    if inner == "h" and re.search("A[edfs]*h[^h]*$", before):  # unchanged known consolidation
        return None
    if outer == "u" or (outer == "h" and "o" not in within):
        outer, inner = "", outer  # possibly no consolidation, previous CT with no consolidation
    elif outer == "h":
        outer = ""
    elif (inner in "n!R" and re.search("[om]", within)) or (inner == "n" and outer == "R"):
        outer = ""  # no effusion no consolidation, neither in the left nor in the right lung
    elif inner == "h" and "e" in within:
        outer, inner = "", outer  # no sign of the previously seen consolidation
    if inner in "n!" and OF_KNOWN.match(between):
        return None
    text = f"{between}#{after}"
    reaches = next(reaches for pattern, reaches, _ in REACHES if re.match(pattern, text))
    if reaches is None:
        return "uncertain"
    return GOVERNED.get(outer + inner, ("uncertain", ""))[0] if reaches else None


def _stated(before: str, after: str) -> Statement | None:
    """Return what the verbs after a finding state about it; None if it has none."""
    verbs = "".join(_verbs(before, after))
    if PART_OF_KNOWN.search(before):
        verbs = verbs.replace("U", "A").replace("N", "?")
    if not verbs:
        return None
    if re.search("[?]|NH[^A]*$", verbs):  # absent on the prior study
        return "uncertain"
    if "N" in verbs:  # has resolved on the right but persists on the left
        return "present" if "A" in verbs[verbs.rindex("N") :] else "absent"
    if "U" in verbs:
        return "uncertain"
    if re.search("H[^Avp]*$", verbs):
        return "former"
    return "present" if "A" in verbs else None


def _verbs(before: str, after: str) -> Iterator[str]:
    """Yield the cues of the verbs whose subject is the finding; "?" if that is not clear."""
    own, found, parts = re.split("[,+|;x-]", before)[-1], False, _parts(after)
    known = "d" in own
    for number, (separator, part) in enumerate(parts):
        is_value = separator in (":", "-")
        if is_value and ONE_SIDE_NONE.match(",".join(each for _, each in parts[number:])):
            yield "?"
            return
        if separator in ("", ":", "-") and not found:  # consolidation is seen, consolidation: no
            own += part
            verbs = list(_own_verbs(part, known=known, is_value=is_value))
        elif separator == "," and RELATIVE_OF_OTHER.match(f"{own}#{part}"):
            yield "?"  # consolidation next to the effusion, which has resolved
            return
        elif re.match(CONTINUES, part) and not (separator == ";" and re.match("[rdfs]*u", part)):
            if re.match("![df]*o", part):  # consolidation, not effusion
                return
            verbs = list(_own_verbs(part, known=known, is_value=False))  # ..., which has resolved
        elif found:
            if re.match("[drsf]*[ml][^oT]*$", part):  # has resolved, that in the left base persists
                yield from re.findall("[AN]", part)
            return
        elif re.match("[muaw]", part):  # consolidation, likely infectious, has resolved
            continue
        else:
            remote = any(VERB_ALONE.match(each) for _, each in parts[number + 1 :])
            yield from "?" if remote else _verbs_of_list(parts[number:], own)
            return
        found |= bool(verbs)
        yield from verbs


def _parts(after: str) -> list[tuple[str, str]]:
    """Return the parts of the sentence after a finding, each with the separator before it."""
    after = re.sub("m[dfesl]*h[fsl]*(?=o)", "m", after)  # in areas of previous fibrosis
    text = re.split("x", after.replace("h", "H"))[0]
    parts = re.findall("([,+|;:-]|^)([^,+|;:-]*)", text)
    return [(separator, part) for separator, part in parts if part or separator != ","]


def _own_verbs(part: str, *, known: bool, is_value: bool) -> Iterator[str]:
    cue = re.search("[n!uqRw]", part)
    rest = part[cue.start() :] if cue else ""
    clause = part[: cue.start()] if cue else part
    if re.search("a.*o.*[NU]|^[rfs]*o.*N", clause):
        yield "?"
        return
    clause = re.sub("N[^AUH]*[oT][^H]*|N[rfs]*A", "N", clause)  # no longer (be) seen
    yield from re.findall("[ANUvpH]", clause)
    if is_value and re.match("n[fes]*$", rest):  # consolidation: no evidence
        yield "N"
    elif is_value and (re.fullmatch("n[fesl]*", rest) or re.fullmatch("o?", part)):
        yield "?"  # consolidation: no left; consolidation: undecipherable
    elif re.match("[uq][ufdslmvrk]*$", rest) or (is_value and re.match("[uq]", rest)):
        yield "U"  # consolidation is likely
    elif re.search("[NU]|n[rfs]*A", rest) or (
        re.match("!(?!f*w)", rest) and not known and "A" not in part
    ):
        yield "?"  # consolidation with cavitation is not seen


def _verbs_of_list(parts: Sequence[tuple[str, str]], own: str) -> Iterator[str]:
    """Yield the cue of a verb with several subjects, unless it belongs to another one alone."""
    link, subjects = "", 1
    for separator, part in parts:
        is_value = separator in (":", "-")
        if separator == ";" or re.match("[rfdslo]*[n!qR]", part):
            return
        if not is_value:
            link, subjects = separator, subjects + 1
        if verbs := re.search("[ANUvpH].*", part):
            own_place = re.search("[slm]", own)  # consolidation in the left base
            if "N" in verbs[0] and not (own_place and link == ","):
                several = is_value or link == "|" or "p" in verbs[0] or subjects >= MIN_LIST
                yield "N" if several and not own_place else "?"
            elif "U" in verbs[0] and link != ",":
                yield "U"
            return


def _is_alternative(before: str, after: str) -> bool:
    """Return whether a sentence names the finding or another one: consolidation or atelectasis."""
    left = re.split("[;,x:AvNUa-]", before)[-1]
    right = re.split("[;,x:+AvNUauhn!q-]", after)[0]
    return bool(
        re.search("[oT][^|V]*[|V][^|V+]*$", left) or re.match(r"[^|V]*(?:V|\|[^|V]*o)", right)
    )
