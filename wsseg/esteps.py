"""The E-steps that ship with wsseg."""

from typing import final

from pydantic import Field

from wsseg.evidence import Evidence, Probability
from wsseg.interfaces import EStep


@final
class HardEM(EStep):
    """y = 1 where f + phi > 1, the likelier label (Wu 2020, eq. 10): log-odds above 0."""

    def __call__(self, evidence: Evidence) -> Probability:
        return evidence.labels.decide(evidence.log_odds).to(evidence.phi.dtype)


@final
class SoftEM(EStep):
    """y = q = f phi / (f phi + (1 - f)(1 - phi)), the posterior itself."""

    def __call__(self, evidence: Evidence) -> Probability:
        return evidence.labels.probability(evidence.log_odds)


@final
class AdaptEM(EStep):
    """HardEM, but at least `share` of each class's support is on (EM-Adapt, Papandreou 2015)."""

    share: float = Field(gt=0, le=1)

    def __call__(self, evidence: Evidence) -> Probability:
        log_odds = evidence.log_odds.flatten(2)
        wanted = self.share * evidence.batch.support.flatten(2).sum(-1, keepdim=True)
        rank = log_odds.argsort(dim=-1, descending=True).argsort(dim=-1)
        enough = ((rank < wanted) & log_odds.isfinite()).view_as(evidence.phi)
        return (evidence.labels.decide(evidence.log_odds) | enough).to(evidence.phi.dtype)
