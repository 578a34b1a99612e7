"""The phrases that decide what a sentence states about a finding, in the notation of `phrases`."""

import re
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache

from wsseg_reports.phrases import pattern


class Cue(StrEnum):
    """What a phrase does. Its value is the symbol of the phrase in `wsseg_reports.grammar`."""

    TARGET = "T"  # is the finding
    NO = "n"  # negates what follows: no, without
    NOT = "!"  # negates what follows, or a property of what precedes
    RESOLUTION = "R"  # negates what follows, even a finding that is known: resolution of
    POSSIBLE = "u"  # makes what follows uncertain: cannot exclude, evaluate for
    QUESTION = "q"  # the same, also after a negation: ?, whether
    FORMER = "h"  # puts what follows in the past: history of
    IS_ABSENT = "N"  # negates what precedes: not seen
    GONE = "Z"  # negates the noun before it, or else the noun after it: resolved
    LIKEWISE = "L"  # repeats the verb before it for what follows: as has
    IS_POSSIBLE = "U"  # makes what precedes uncertain: cannot be excluded
    WAS = "H"  # puts what precedes in the past: on the prior study
    IS_PRESENT = "A"  # affirms what precedes: seen, unchanged
    VERB = "v"  # is a verb with one subject: has
    VERBS = "p"  # is a verb with several subjects: have
    THERE_IS = "a"  # affirms what follows: there is, no change in
    LIMIT = "k"  # limits a negation: new, larger
    STOP = ";"  # ends every scope: but
    DASH = "-"  # ends the scope of what precedes it, or gives a value: Consolidation - none
    EXCEPT = "x"  # ends a negation: other than
    COMMA = ","
    AND = "+"
    OR = "|"
    SUCH_AS = "i"
    VERSUS = "V"
    COLON = ":"
    WITH = "w"
    THE = "d"  # precedes a finding that is known: the, this
    SIGN = "e"  # may stand between a negation and the finding: evidence of
    PLAIN = "f"  # has no effect: focal
    SPECIFIC = "s"  # describes a finding that is present: extensive
    PLACE = "l"  # is a part of a place: left lower lobe
    IN = "m"  # starts a place: in
    LINK = "r"  # precedes another verb of the same subject: which
    WORD = "o"  # is any other word
    NOTHING = ""  # does not concern findings: without contrast


UNALTERED = r"""
advised recommended suggested indicated warranted required needed compared counted doubled tripled
halved diagnosed unaltered confined located situated centred centered based associated related
unrelated limited localized localised loculated cavitated calcified biopsied measured surrounded
accompanied caused attributed characterized characterised distributed redistributed scattered
followed correlated listed marked labelled labeled annotated reviewed discussed thickened extended
rounded spiculated lobulated combined mixed attached failed assumed changed
altered diminished reduced evolved coalesced
"""
"""Verbs that leave a finding where it is."""

AUXILIARIES = ("has", "have", "had", "was", "were", "is", "are", "been")
AFTER_AUXILIARY = "|".join(
    rf"(?<=\b{word} )" for word in (*AUXILIARIES, "fully", "completely", "entirely", "totally")
)
NEGATIONS = ("no", "without", "any", "no evidence of", "no signs of")
AFTER_NEGATION = "|".join(rf"(?<=\b{words} )" for words in NEGATIONS)
SUBTYPES = "cavit(?:ating|ated|ary)|calcified|spiculated|loculated|septated|necrotic|tension"
"""Directly after a negation, these limit it to some findings of a kind."""

NAMED = {
    "NOT": r"not | cannot | \w+n['’]t | by no means | in no way",
    "SEEN": r"""
        seen | identified | noted | visuali[sz]ed | evident | present | demonstrated | detected
        | observed | found | appreciated | visible | apparent | shown | recogni[sz]ed | depicted
        | discernible | confirmed | identifiable | appreciable | demonstrable | described
        | documented | discerned | noticed | encountered | reproduced | recogni[sz]able
        | reported | delineat(?:ed|able) | delineable | detectable | made out | imaged
        | developed | formed | occurred | appeared | recurred
        | (?:re-?)?accumulated | re-?appeared""",
    "SURELY": r"""
        definitely | convincingly | currently | now | yet | been | also | to be | be | reliably
        | confidently | actually | further | any longer | readily | otherwise | again""",
    "CHANGED": r"""
        changed | improved | increased | decreased | progressed | regressed | resolved?
        | cleared? | enlarged | grown | altered | worsened | disappeared | different | larger
        | smaller | bigger | worse | better | new | progressive | diminished | reduced
        | resorbed | shrunk | evolved | improve | change | increase | decrease | changing
        | improving | increasing | decreasing | progressing | resolving | clearing | enlarging
        | worsening | growing | gone | absent | (so | as | less | more) \w+""",
    "GREW": r"(?:\w+ly )?(?:(?:chang|improv|increas|decreas|progress|worsen)ed|grown)",
    "CHANGE": r"""
        changes? | improvement | progression | worsening | increase | decrease | resolution
        | regression | growth | enlargement | clearing | clearance | reduction | difference
        | deterioration | evolution | extension | alteration | shrinkage""",
    "NOTABLE": r"""
        interval | significant | substantial | appreciable | major | further | obvious
        | definite | marked | evidence of | signs? of | relevant | clear | real | meaningful
        | notable | convincing | radiographic | radiological | any | material | visible
        | noticeable | great | discernible | measurable | overall | complete | full | short-term
        | important | essential | of | much | short | new""",
    "PARTLY": r"""
        partially | partly | all but | nearly | almost | largely | mostly | incompletely
        | substantially | slowly | gradually | somewhat | not | near | near-completely
        | essentially | virtually | markedly | significantly""",
    "ENDED": r"""
        resolve[sd]? | clear(?:s|ed) | disappear(?:s|ed) | vanish(?:es|ed) | subside[sd]
        | re-?absorbed | resorbed
        | absorbed | drained | evacuated | gone | dissipated | dissolved | melted away""",
    "PRIOR": r"""
        prior | previous | earlier | outside | old | last | recent | remote | past | initial
        | admission | baseline | former | original | (?!to)\w+day['’]s""",
    "EXAM": r"""
        exam(?:ination)?s? | study | studies | cts? | ct scans? | scans? | radiographs?
        | x-rays? | cxr | films? | imaging | images? | chest \w+ | mri | investigations? | one""",
    "MONTH": r"""
        january | february | march | april | may | june | july | august | september | october
        | november | december | (?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\.?""",
    "DATE": r"""
        [\d{1,2}] MONTH [\d{1,2},?] [\d{4}] | \d{1,2}[./-]\d{1,2}[./-]\d{2,4}
        | \d{1,2}[./-]\d{1,2}(?! ?(?:days?|weeks?|months?|years?|hours?|[cm]?m\b|%))
        | (?:19|20)\d\d""",
    "THEN": r"""
        (on | in | at) [the | an? | his | her] [\w+] PRIOR [\w+] EXAM | on admission | in DATE
        | previously | formerly | before | in the past | [\w+] (?:day|week|month|year)s? ago
        | yesterday | last (week | month | year) | on [an? | the] outside EXAM
        | [last | on] (?:mon|tues|wednes|thurs|fri|satur|sun)day
        | (on | in) the (prior | previous)$""",
    "ALTERED": rf"(?!(?:{'|'.join(UNALTERED.split())})\b)\w+ed",
    "CAUSE": r"""
        infectious | infective | inflammatory | neoplastic | malignant | benign | reactive
        | pneumonic | metastatic | post-?\w+ | aspiration-related | atypical | bacterial | viral
        | fungal""",
    "DOUBTFUL": r"""
        possible | probable | likely | unlikely | improbable | questionable | equivocal
        | uncertain | doubtful | suspected | unclear""",
    "BE": r"""
        be | represent | reflect | indicate | have | suggest | relate | correspond | mask
        | obscure | harbou?r | contain | include | well | also | still | develop | account
        | mean | signify | exist | hide | in part | partly | simply | just | \w+ly""",
    "SHOW": r"""
        show | demonstrate | reveal | display | contain | have | identify | detect | find
        | exhibit | disclose | see | suggest | depict | confirm | indicate | note | appreciate
        | observe | visuali[sz]e | harbou?r""",
}
"""Lists that several phrases have in common."""

# The first entry that matches at a position counts.
PHRASES: tuple[tuple[Cue, str], ...] = (
    (
        Cue.NOTHING,
        r"""
        (without | w/o | no | absence of | lack of) [any | iv | i\.v\. | intravenous | oral |
            use of]* (contrast(?!-) | gadolinium | sedation | breath-?hold(?:ing)?) [medium |
            media | agent | material | enhancement | administration | injection] [was | is]
            [given | administered | used | injected]
        | (without | no | lack of | absence of) [available | relevant | direct | suitable]*
            ((available | previous | prior | recent | old) EXAM | comparisons? | priors? |
            previous | EXAM (?=(?:(?:is|are|was|were) )?(?:available|found|for)\b)) [is | are |
            was | were] [available | found] [for [direct] comparison]
        | non-? ?contrast(?:-enhanced)? | non-?enhanced | unenhanced | de novo
        | with and without contrast | with or without contrast | whether or not (?!there ) | if not
        | or (not | otherwise)$ | yes/no | no/yes | y/n | n/y | present/absent | absent/present
        | no\. \d+ | but absent (from | in | elsewhere)
        | (none | not | no) [measuring] (larger | greater | bigger | more | smaller | thicker)
            than \d[\d.,]*(?: ?[cm]m)?
        | none [of (them | these | which)] [is | are | measures?] (larger | greater | bigger |
            more | smaller | thicker) than \d[\d.,]*(?: ?[cm]m)?
        | none [of (them | these | which)] (has | have | is | are) [been | \w+ly] CHANGED
        | (neither | nor) (?=[^.;,]*\b(?:has|have|is) GREW)
        | no (?=[\w-]+ (?:has|have) GREW)
        | none (exceeding | exceeds? | above | over | beyond | [of (them | these | which)] [is |
            are] (suspicious | calcified | cavitat(?:ed|ing) | spiculated | solid | enhancing))
        | (compared | comparison | relative | similar | identical | unchanged from | as) [to |
            with] [the] [\w+] PRIOR [\w+] [EXAM] [(of | from | on | dated) DATE]
        | as (on | in | at) [the] [\w+] PRIOR [\w+] [EXAM]
        | (compared | comparison | relative) (to | with) [the] [\w+] EXAM (of | from) (\w+
            (?:day|week|month|year)s? ago | yesterday | last \w+)
        | (since | from | than | compared to | compared with | to | vs\.? | versus) ([the | its |
            their] PRIOR [\w+] [EXAM] | [the] EXAM (of | from) DATE | DATE)
        | since (admission | yesterday | last \w+)
        | (in | over | during) the (past | last) [\w+] (?:hour|hr|day|week|month|year)s?
        | (the | this | our) present [\w+] EXAM
        | not (otherwise | further) (specified | characteri[sz]ed | classified)
        | not (infrequently | uncommonly | surprisingly | unexpectedly)
        | (after | following | despite) [PRIOR | interval | initial | partial | complete |
            temporary]* (?:resolution|clearing|clearance|improvement|regression)(?! of)
        | to account for | as (before | previously) | than (before | previously | yesterday)
        | all but(?! (?:resolved|cleared|disappeared|vanished|gone))
        | previously (measuring | measured | (?=\d))
        | (from | than) \w+ (?:day|week|month|year)s? ago
        | nor (has | have | is | are)
            (?=[^.;,]*\b(?:(?:chang|improv|increas|decreas|progress|worsen|diminish)ed|grown)\b)
        """,
    ),
    (
        Cue.IS_ABSENT,
        r"""
        no more SEEN | (fails? | failed) to be SEEN | (in | on) neither \w+
        | none of any (size | kind | sort | type)
        """,
    ),
    (
        Cue.IS_PRESENT,
        r"""
        NOT [SURELY]* (SEEN | there) THEN | not there (on | in) DATE | (has | have | had) not$
        | (refuse[sd]? | fail(?:s|ed)? | yet) to [\w+ly] (clear | resolve | improve | regress |
            disappear)
        | (overlooked | missed | omitted | not (mentioned | included)) (in | on | from | by) [the
            | our] PRIOR [\w+] (report | read | EXAM)
        | (resolution | clearing | clearance) of
            (?=[^.;]*\b(?:is|was|remains) (?:incomplete|partial|slow|delayed|not (?:yet )?complete))
        | NOT (previously | formerly | before) SEEN
        | NOT [\w+ly | well | yet | been | at all | otherwise | to | be | appear | seem | look]*
            CHANGED
        | the same [\w+] as [THEN]
        | (does | do | did) not (cross | extend | involve | reach | enhance | abut | invade |
            cavitate | exceed | clear)
        | not (involving | crossing | reaching | invading | extending (to | into | beyond | across))
        | (hardly | barely | scarcely | little | minimally) [\w+ly] CHANGED
        | NOT [\w+ly] (confined | limited | restricted) to | neither CHANGED nor CHANGED
        | no longer CHANGED
        | (no | not any) (larger | bigger | smaller | worse | better | denser) [than before]
        | (no | not any) (different | more \w+ | less \w+) | PARTLY [\w+ly] ENDED
        | regressed [only] (partially | partly | somewhat | slightly | markedly)
        | (larger | smaller | bigger | denser) than (before | previously | (?!\d)(?=\w))
        """,
    ),
    (
        Cue.NO,
        r"""
        (no | without) [any] [NOTABLE]* CHANGE (?=(?:or|nor|and/or) )
        | (no | without) [any] (?:evidence|signs?|suggestion), (?:\w+ ){1,9}\w+, (of | for)
        | (no | without) [any] (persist(?:ing|ent) | remaining | residual)
        """,
    ),
    (
        Cue.IS_PRESENT,
        r"""
        (no | without | not | nor | little | minimal) [any] [NOTABLE]* CHANGE [(in | of) [the]
            (size | appearances? | extent | density | volume | number)] [in | of | to | for |
            from]
        """,
    ),
    (
        Cue.IS_PRESENT,
        r"""
        (near | delayed | protracted | poor | minimal | slight | mild | moderate | partial |
            incomplete | some | gradual | continued | continuing | further | ongoing | slow |
            progressive | near-?complete | near-?total | near complete | near total | nearly
            complete | almost complete | subtotal | early | ensure | confirm | document | until
            | to | for) [complete | partial | full | interval]* (resolution | clearing |
            clearance | resorption | reabsorption | disappearance) [of]
        """,
    ),
    (
        Cue.THERE_IS,
        r"""
        not (without | free of | free from | devoid of | clear of | lacking)
        | (no | not an? | without) (lack | absence | doubt) [of | about | that]
        | not (only | just | merely | simply) | no question | no (less | fewer) than
        | no [\w+] (lobe | lung | segment | part | area) (is | are | was | were) (without | free
            (of | from))
        | (or | nor) [\w+] CHANGE (in | of) [the]
        | (progressed | evolved | developed | transformed | turned | changed) (to | into)
        | should [instead | have | now]* (read | say | state)
        | (?<=, )(?:only|just|merely) | with [a] [(?!no )\w+] (residual | persistent | remaining)
        """,
    ),
    (
        Cue.IS_POSSIBLE,
        r"""
        (NOT | can not | could not | unable to | impossible to | never) [be | been | \w+ly |
            with certainty]* (excluded | ruled out | discounted | dismissed | eliminated)
        | (NOT | can not) [be | been | \w+ly]* (assessed | evaluated | assessable | evaluable |
            determined | applicable | commented on | included | differentiated | distinguished)
        | NOT [be] (well | clearly | fully | completely | adequately | optimally | entirely |
            easily) SEEN
        | (can not | cannot | could not) be [\w+ly] confirmed (or | nor) (excluded | ruled out |
            refuted)
        | (must | should | needs? to | has to | have to | ought to | might) be (excluded | ruled
            out)
        | (is | are | was | were | remains? | seems? | appears?) [\w+ly | also | less | more |
            most | very | quite | considered | thought | felt]* (DOUBTFUL$ | DOUBTFUL
            (?=(?:in|on|at|given|but|as)\b))
        | favou?red (over | rather than) | (did | does | do) not$
        | unsure | undecided | unconfirmed | unproven | not (sure | certain) | pending | tbd
        | (can not | cannot | could not) be [\w+ly] confirmed | poorly SEEN | obscured | n/a
        | (difficult | hard | impossible) to (exclude | assess | see | rule out | evaluate |
            judge) (?=(?:(?:on|in|at|from|with|due|because|owing)\b|$))
        | NOT [SURELY]* SEEN (on | in) [the] (cxr | x-rays? | radiographs? | chest \w+ | plain \w+)
        | (may | might | could | can) [easily | well | also]* (be (missed | overlooked) | hide |
            lurk | exist | escape \w+ | go (undetected | unnoticed | unseen))
        | (easily | readily) (missed | overlooked)
        | (hardly | barely | scarcely) [SURELY]* SEEN | debatable | arguable | in doubt
        | (a | one | another) (possibility | consideration)
        | (would | could) [all | both | also] be (possibilities | considerations | considered)
        | masked | hidden | corresponds? to | actually
        | (turn(?:s|ed) out | proved) to be | in question | if any | if present
        | (in | on) the differential [diagnosis] | to be (excluded | ruled out)
        | would (be | have) [\w+] (?!to )\w+ | (might | may | could) (be | be present | be there)$
        | (considered | thought possible | questioned | queried | not certain | equivocal)$
        | -like | or both
        """,
    ),
    (
        Cue.IS_ABSENT,
        r"""
        [can | could | does | do | did] NOT [SURELY]* SEEN
        | (can not | could not) be [SURELY]* SEEN | NOT [SURELY]* (a feature | features
            | a finding | part of | among (them | these))
        | (did | do | does | has | have | had) not [\w+ly] (recur(?:red)? | return(?:ed)? |
            re-?appear(?:ed)? | (?:re-?)?accumulate(?:d)? | develop(?:ed)? | occur(?:red)?)
        | (NOT | never) [SURELY]* (revealed | defined | traced)
        | no longer [be | clearly | well]* SEEN | not there | no longer there
        | none(?! (?:of|in|on|at|elsewhere|right|left|r|l)\b) [is | are | was | were] [SEEN |
            remains? | persists?]
        | nil$ | lacking$
        | missing$ | nil (of note | significant | relevant | acute | SEEN)
        | went away | left no (trace | residue)
        | unseen | invisible | undetect(?:ed|able) | inapparent | disprove[nd] | refuted
        | false$ | -ve$ | replaced by | given way to
        | [been | surgically]* (removed | excised | resected | repaired | welded | ground out)
        | no$ | no evidence$
        | scores?(?: of|:| =)? 0(?![.,]?\d| ?[-–/] ?\d)
        | nowhere to be SEEN | (NOT)$
        | (complete | full | total) (resolution | clearing | regression)$
        | [interval] resolution$ | interval clearing$
        | (regressed | healed) (completely | fully | totally | entirely | in full)
        | (completely | fully | totally | entirely) (regressed | regredient | healed | gone)
        | (?<!\d)0 ?%
        | \(-\) | \(−\) | (?<=: )(?:0|-|o|ø)$ | (?<=[:=?–—-] )n$ | (?<=[:=?-])n$ | (?<=[:=] )0
        | (?<=[:=])0(?![.,]?\d) | 0$ | 0(?= / [a-z]) | -free | (?<=\w )-$
        """,
    ),
    (Cue.COLON, r"\?(?: [-–—])? (?=(?:yes|no|none|y|n)(?: ?[.,;]|$))"),
    (
        Cue.QUESTION,
        r"""
        \?+(?: )?(?=\w) | query | queries | whether [or not] | if | unless
        | where there (was | were | had been) | in case of | in the event (of | that)
        | (provided | assuming | supposing) [that]
        """,
    ),
    (Cue.PLAIN, "(likely | probably | probable | possibly | presumably | presumed) CAUSE"),
    (
        Cue.PLACE,
        r"""
        (most | much | part | parts | half | some | all) of the [entire | right | left]
            [upper | lower | middle] (lobes? | lungs? | lingula | bases? | zones? | segments?)
        """,
    ),
    (
        Cue.POSSIBLE,
        r"""
        (NOT | can not | could not | unable to | not possible to | impossible to | difficult to
            | hard to) [be | \w+ly | with certainty]* (exclude | rule out | r/o | discount)
        | (not possible to | impossible to | difficult to | hard to | unable to | not able to)
            [\w+ly] (differentiate | distinguish | separate | determine | tell | say | know)
            [whether | if] [or not]
        | [to | please | must | should] (rule out | exclude | r/o) | excluding
        | (do | does | did) not [\w+ly] (exclude | rule out) | may(?= not) | may BE
        | can SHOW (?!no )(?=\w)
        | might | could(?! not (?:find|see|detect|identify|demonstrate|show)) | would
        | should | can (not | n['’]t) tell | suspicious \w+ for
        | (suspicio\w+ | concern\w* | worrisome | worry | indeterminate | limited | sensitiv\w+
            | screening | screen | look\w* | search\w* | assess\w* | evaluat\w+ | check\w* |
            monitor\w* | surveillance | watch | specific | difficult | suboptimal |
            non-?diagnostic) (of | for)
        | not (clearly | certainly | definitely | obviously | unequivocally | necessarily)
        | NOT diagnostic (of | for) | supposed | alleged | so-called | assumed | interpreted as
        | (thought | felt | believed | considered | deemed) to [be]
        | (?:minimal|little|small|few|trace|slight|mild),? if any,?
        | (some | part | parts | most | several | many | half | not all) of (which | them | the
            | these)
        | (hard | difficult | impossible) to (see | assess | judge | detect) (?=(?:an?|any|some)\b)
        | would be (hard | difficult | impossible) to \w+ (?=(?:an?|any|some)\b)
        | questioned | queried | presumptive | tentative
        | (had there been | were there [to be] | if there (were | had been))
        | (ct | cxr | x-ray | radiograph | mri | ultrasound | imaging | scan) (for | to rule in)
        | rule in | NOT be (sure | certain) [that] [there is] [no]
        | NOT (\w+ enough | sufficient | adequate) to (exclude | rule out)
        | to (confirm | ensure | verify | check | see | make sure) [that] [there is] (no | absence
            of)
        | until | once(?! (?:again|more)) | with or without | with/without | \+/- | \+/−
        | ± | prevent | avoid | (preclud\w+ | prevent\w* | limit\w*) [\w+] exclusion of
        | for detection of | ensure | make sure | to confirm | s/o
        | NOT (differentiate | distinguish | determine | tell | say | assess | evaluate |
            separate | comment on)
        | assess | evaluate | differentiat\w+ | distinguish\w*
        | (possible | suspected | probable) but not (definite | certain | confirmed)
        | there (appears? | seems?) to be | looks? like | impression of | screening [\w+] for
        | investigat(?:e|ing) | conceivable | imaginable | seem(?:s|ing)? to [be] | possible
        | possibly | probable
        | probably | (?:un)?likely | suspected | suspects? | suspecting | suspicion | suggest\w*
        | question(?:able)? [of] | equivocal | possibility of | potential(?:ly)? | unclear
        | uncertain | unknown | perhaps | maybe | presumed | presumably | putative | doubtful
        | differential(?: diagnos\w+)?:? | ddx?:? | d/d:?
        | tend\w* to(?:wards?)? | tendency (to | towards?)
        | risk of | at risk for | wonder\w* | approaching | bordering on | verging on
        | near-(?!complete|total) | pre- | post- | mimic\w* | simulat\w+ | resembl\w+
        | argues? against | against | favou?r\w* | than | (more | less) likely
        | think | believe | feel | doubt(?:s|ed)? [that | if] | reportedly | allegedly
        | hardly | barely | little | scarcely | dubious | borderline
        | pseudo-? | (?:susp|poss|prob)\.? | (?<!is )(?<!are )apparent (?=\w)
        | in the absence of
        """,
    ),
    (
        Cue.FORMER,
        r"""
        [family | past | previous | prior | known | clinical | medical | remote | recent | any]*
            history of
        | h/o | hx of | s/p | status post | post-?treatment for | used to have
        | (previous | prior | earlier | outside | old) [\w+] EXAM [(of | from | dated | on)
            DATE] [\w+ly] (show(?:s|ed)? | demonstrat(?:ed|es?) | reveal(?:s|ed)? |
            describ(?:ed|es?) | with)
        | (?:previous|prior|former|earlier|known|recent)(?:ly)? [SEEN | questioned | suspected |
            mentioned | treated | had | has | diagnosed | raised]
        | (reports? | letters? | notes? | EXAM) (of | from | dated) DATE [\w+ly] (mention(?:s|ed)?
            | show(?:s|ed)? | describ(?:ed|es?) | report(?:s|ed)? | demonstrat(?:ed|es?))
        | (outside | previous | prior | earlier | old) reports? [\w+ly]
            (mention(?:s|ed)? | describ(?:ed|es?))
        | (compared | comparison | relative | similar) (to | with) [the | an?] [\w+] EXAM [that |
            which | \w+ly]* (showed | showing | demonstrated | demonstrating | revealed | with)
        | past | (recovery | recovered) from | in place of
        | (scar\w* | sequelae? | residu\w+) (after | following | from)
        | (referred | sent | treated | admitted | diagnosed | presented | hospitali[sz]ed |
            drainage | thoracentesis | sequelae? | scarring) [last \w+ | in DATE | THEN] (of |
            for | with | from)
        | [after | following | s/p] (treatment | drainage | resection | removal | excision |
            ablation | therapy | evacuation) (of | for)
        | (site | area | region | location) of [the] (?:previous|prior|former)(?:ly)?
        | (mother | father | brother | sister | sibling | aunt | uncle)
        """,
    ),
    (
        Cue.WAS,
        r"""
        [SEEN] THEN | [SEEN] (on | in) [the | an?] [\w+] EXAM (of | from | dated) DATE
        | [SEEN] (in | from) [the] PRIOR (reports? | letters? | notes?)
        """,
    ),
    (
        Cue.IS_PRESENT,
        r"""
        SEEN | re-?demonstrated | persist(?:s|ed|ing)? | remain(?:s|ed)? | unchanged | stable
        | static | stationary | constant | increased | decreased | improved | enlarged
        | worsened | progressed | (is | are) new
        | yes | true$ | \+ve$ | positive [for] | pos | \(\+\) | \++
        | (?<=: )1$ | (?<=[:=?–—-] )y$ | (?<=[:=?-])y$ | (?<== )1 | (?<=[:=])1$
        | continue[sd]? | scores?(?: of|:| =)? \d*[1-9]
        """,
    ),
    (
        Cue.RESOLUTION,
        r"""
        [interval | complete | full | total | prompt | rapid | apparent]* (resolution | clearing
            | clearance | disappearance | resorption | reabsorption) of
        | (complete | full | total) (regression | evacuation | drainage | removal | excision) of
        """,
    ),
    (
        Cue.NO,
        r"""
        (without,? | no,? | not,?) (however,? | though,?) [any] | 0(?= (?!mm|cm|ml|of|to|out)[a-z])
        | (do | does | did) not (appear | seem | look) [to be] [any]
        | (do | does | did | could | can) not [\w+ly] [to] SHOW [any]
        | (?:do|does|did|could)n['’]t [\w+ly] SHOW [any] | cannot SHOW | unable to SHOW
        | not able to SHOW | fail(?:s|ed|ure)? to [\w+ly] SHOW
        | no longer (any | SHOW | has | contains? | evidence of | signs? of)
        | nor (is | are | was | were | does | do | has | have) | nowhere (is | are) there
        | never (had | has | have) | unremarkable for
        | (no | without | not any) [any] (visible | appreciable | discernible | detectable |
            apparent | demonstrable | identifiable | recogni[sz]able | evident)
        | no | without | with out | w/o | wo | lack of | absence of | free of | free from | clear of
        | devoid of | no more | exclusion of | ruling out | non-?visuali[sz]ation of | minus
        | inconsistent with | incompatible with
        | not (consistent | compatible | in keeping) with | negative (for | regarding | as (to |
            regards) | with (respect | regard) to) | neg\.? for | neither
        | lack | anything but | far from [being] | [falls? | fell] short of | too \w+ (for | to be)
        | NOT \w+ enough (for | to be)
        | never | nil | zero | nowhere | at no \w+ | denies | lack(?:s|ing)
        | rather than | instead of | as opposed to | in lieu of | rules? out | excludes | nor
        | not amounting to | none of | spared from | nothing (?!but)(?=\w) | none | ø
        """,
    ),
    (Cue.LIKEWISE, "(as | so) (is | are | was | were | has | have)"),
    (Cue.STOP, r"[but | and] not (in | on | at | the one | [the] (left | right))"),
    (Cue.NOT, "not yet | NOT [(?:represent|reflect)(?:ing)?]"),
    (Cue.GONE, "no longer | ENDED | absent | excluded | ruled out | denied | negative | neg"),
    (
        Cue.EXCEPT,
        r"""
        other [\w+]* than | apart from | aside from | except(?:ing)? [for | in | at]
        | save [for] | besides | but for | barring | [with] the exception of | nothing but
        | no more than | outside [of]
        """,
    ),
    (
        Cue.STOP,
        r"""
        but | however | although | though | whereas | while | whilst | nevertheless
        | nonetheless | yet | despite | in spite of | whose | (?:[;–—]) | -- | -> | → | because
        | as a result of | since (?=(?:the|an?|his|her)\b) | given | in contrast
        | on the other hand | instead
        """,
    ),
    (Cue.VERSUS, r"vs\.? | versus"),
    (Cue.OR, "and/or | or | / | either"),
    (
        Cue.SUCH_AS,
        r"""
        such as | viz\.? | ie | eg | e\.?g\.? | include | including | i\.?e\.? | like
        | in particular | particularly | specifically | especially | namely
        """,
    ),
    (Cue.AND, "and | & | as well as | plus | along with | together with"),
    (Cue.COMMA, r", | \( | \) | \[ | \]"),
    (Cue.COLON, r": | = | \|"),
    (Cue.IS_POSSIBLE, r"\?"),
    (Cue.DASH, r"(?<= )-(?= )"),
    (
        Cue.THERE_IS,
        r"""
        there['’]s
        | there [\w+ly | also | now] (is | are | was | were | has been | have been | remains?)
            [again | still | also | now]
        | has | had | shows? | showed | showing | demonstrat(?:es|ed|ing|e)
        | reveal(?:s|ed|ing)? | [most] (consistent | compatible) with | in keeping with
        | represent(?:s|ing)? | reflect(?:s|ing)? | due to | those of | c/w | diagnostic of
        | typical of | characteristic of | (?:progress|evolv)\w+ (to | into | towards?)
        | indicative of | indicat(?:es|ing)
        """,
    ),
    (Cue.IS_POSSIBLE, rf"(?:{AFTER_AUXILIARY})ALTERED"),
    (Cue.VERBS, "(are | were | have) [all | both]"),
    (
        Cue.VERB,
        r"""
        is | was | measur(?:es|ed) | involves? | occup(?:ies|y) | extends? | contains?
        | appears? | comprises? | affects? | develops? | does | do | did
        """,
    ),
    (Cue.THE, "the | this | these | that(?! (?:has|have|is|was|are)) | those | its | his | her"),
    (
        Cue.LIMIT,
        rf"""
        (?:{AFTER_NEGATION})(?:{SUBTYPES})
        | new | newly | further | additional | other | more | enlarging | growing | larger
        | greater | bigger | growth | progression | enlargement | increase | decrease
        | improvement | progressive | worsening | increasing | another | (?:[<>≥≤]) | over (?=\d)
        """,
    ),
    (
        Cue.SIGN,
        r"""
        (evidence | evid\.? | e/o | signs? | traces? | features? | indications? | hints? |
            findings? | appearances? | remnants? | residue | residual | proof | manifestations?
            | stigmata | visuali[sz]ation | development | recurrence | re-?accumulation | return
            | reappearance | presence | formation) [of | for]
        """,
    ),
    (
        Cue.PLAIN,
        r"""
        a | an | any | of | for | to | as | focal | airspace | air-space | air | space
        | pulmonary | pleural | parenchymal | lobar | segmental | definite | definitive
        | discrete | acute | confluent | overt | frank | significant | obvious | convincing
        | suspicious | areas? | regions? | foci | focus | abnormal | radiological | radiographic
        | ct | sizeable | sizable | gross | true | actual | active | clear-cut | solid
        | at this time | associated | adjacent | underlying | some | type | typical
        | concerning | developing | early | kind | component | element | degree | amount | large
        | small | measurable | visible | appreciable | discernible | detectable | demonstrable
        | identifiable | recogni[sz]able | apparent | superimposed
        """,
    ),
    (
        Cue.PLACE,
        r"""
        b/l | (?:right|left|rt|lt|r|l)(?:-sided)? | bilateral(?:ly)? | bibasal | bibasilar
        | biapical | (?:r|l)(?:u|m|l)l | upper | lower | middle | mid | lobes? | lingular?
        | lungs? | bases? | basilar | apex | apices | zones? | segments? | everywhere
        | hemithorax | chest | sides? | perihilar | hilar | subpleural | retrocardiac
        | (?:bas|apic|dors|ventr|later|medi|centr|peripher)al(?:ly)? | (?:pos|an)terior(?:ly)?
        | dependent(?:ly)? | costophrenic | angles? | hilum | fissures? | superior | inferior
        """,
    ),
    (
        Cue.SPECIFIC,
        r"""
        extensive | multifocal | patchy | dense | massive | moderate | mild | severe | minor
        | minimal | tiny | persistent | persisting | improving | resolving | ongoing
        | widespread | diffuse | multiple | several | scattered | numerous | few | two | three
        | one | ones | known | calcified | spiculated | loculated | rounded | wedge-shaped
        | marked | subtle | slight | there | decreasing | partial | again | predominant\w*
        | recurrent | trace | \d[\d.,x×*]* ?(?:mm|cm|ml|l|hu)?
        """,
    ),
    (
        Cue.IN,
        r"""
        in | at | on | within | involving | throughout | along | measuring | up to (?=\d) | near
        | around | behind | over | abutting | overlying | by | affecting | occupying | across
        | obscuring | silhouetting | effacing | inside | from | into | under | per
        """,
    ),
    (
        Cue.LINK,
        r"""
        which | that | it | they | now | since | then | also | both | all | currently
        | subsequently | today | who | where | still | just | only | therefore | hence
        | in the interim | meanwhile | finally | completely | fully | totally | entirely
        | largely | been | be
        """,
    ),
    (Cue.WITH, r"with | w/ | w\. | accompanied by | containing | having"),
    (Cue.NOTHING, r"(?<=\w)-(?=\w)"),
    (Cue.WORD, r"(?:[^\W_][\w'’]*)"),
)

OTHER_MEANING_BEFORE = (
    "(?<!bony )(?<!bone )(?<!osseous )(?<!fracture )(?<!callus )"
    "(?<!pericardial )(?<!joint )(?<!subdural )(?<!subcutaneous )(?<!surgical )"
)
OTHER_MEANING_AFTER = (
    r"(?! (?:chemo|radi|therap|treatment|regimen|phase|course|durvalumab|immuno)\w*)"
    r"(?! (?:detection|screening))"
    r"(?! (?:of|in) (?:the |a )?(?:[\w-]+ ){0,4}fractures?)"
    r"(?:(?<!ed)|(?! (?:(?!and |with |or )[\w-]+ ){0,3}fractures?))"
)
HEALED = (  # of a bone: the fracture is not yet consolidated
    r"fractures? (?:(?:is|are|was|were|has|have|remains?|appears?|been|not|yet|now|\w+ly) ){{1,5}}"
    r"(?:{})(?<=ed)(?! \w)"
)
SUBSTANCE = r"(?:opacit(?:y|ies)|attenuation|densit(?:y|ies)|shadowing|change|appearance|component)"
"""A noun that belongs to the finding: ground-glass opacity."""
COMPLETE_WORDS = r"(?:(?<!\w)|(?!\w)){}(?:(?!\w)|(?<!\w))"


def symbols(sentence: str, keywords: Sequence[str]) -> str:
    """Return the symbols of the cues in a sentence in lower case; `keywords` name the finding."""
    return "".join(map(_symbol, _cue_pattern(tuple(keywords)).finditer(sentence)))


def _symbol(match: re.Match[str]) -> str:
    group = match.lastgroup or ""
    if group.startswith("cue"):
        return PHRASES[int(group.removeprefix("cue"))][0]
    if group == "other":
        return Cue.WORD
    return Cue.TARGET if group == "target" else Cue.NO + Cue.TARGET


@lru_cache(maxsize=64)
def _cue_pattern(keywords: tuple[str, ...]) -> re.Pattern[str]:
    words = "|".join(re.escape(word) for word in sorted(keywords, key=len, reverse=True))
    target = rf"(?:{words})(?!\w){OTHER_MEANING_AFTER}(?: {SUBSTANCE}(?!\w))?"
    groups = [
        rf"(?P<other>(?<!\w){HEALED.format(words)})",
        rf"(?P<negated_target>(?<!\w)non[- ]?{target})",
        rf"(?P<target>(?<!\w){OTHER_MEANING_BEFORE}{target})",
    ]
    another_word = rf"(?!(?:{words})(?!\w))\w+"  # no phrase includes the finding
    for number, (_, phrases) in enumerate(PHRASES):
        expression = pattern(phrases, NAMED).replace(r"\w+", another_word)
        groups.append(f"(?P<cue{number}>{COMPLETE_WORDS.format(expression)})")
    return re.compile("|".join(groups))
