"""Where cases come from."""

from abc import abstractmethod

from wsseg.component import Component
from wsseg.data.case import Case


class Cohort(Component):
    """A set of scans with what is known of each."""

    @abstractmethod
    def cases(self) -> list[Case]:
        """List the cases, in an order that does not change; images are not read."""
