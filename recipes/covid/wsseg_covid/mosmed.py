"""MosMedData: chest CTs with a grade for each patient, and infection masks for 50 of them.

S. P. Morozov et al.: MosMedData: Chest CT Scans with COVID-19 Related Findings. 2020,
arXiv:2005.06465. CC BY-NC-ND 3.0, https://mosmed.ai/en/datasets/covid191110/
"""

from pathlib import Path
from typing import final

from wsseg import Case, Cohort, InputError

GRADES = tuple(f"CT-{grade}" for grade in range(5))
LEAST_GRADE = {
    "infection": 1,
    "over-25-percent": 2,
    "over-50-percent": 3,
    "over-75-percent": 4,
}
"""The lowest grade at which each tag is set."""
SHARES = {grade: ((grade - 1) / 4, grade / 4) for grade in range(1, len(GRADES))}
"""The lowest and the highest share of the lungs that is infected, by grade."""


@final
class MosMed(Cohort):
    """Scans `studies/CT-*/study_XXXX.nii.gz` with masks `masks/study_XXXX_mask.nii.gz`.

    The folder is the grade of the patient. CT-0 has no sign of pneumonia; in CT-1 to CT-4 up to 25,
    50, 75 and 100 % of the lungs are affected. The grade gives the tags `infection`,
    `over-25-percent`, `over-50-percent` and `over-75-percent`, and the share of `infection`: 0 to
    0.25, 0.25 to 0.5, 0.5 to 0.75 or 0.75 to 1 of the region, which the E-steps `adapt` and
    `proportion` use in a stage whose region is the lungs. The 50 scans with a mask are test cases,
    the others training cases; the folds of a suite replace this split.
    """

    root: Path
    """Folder that contains `studies` and `masks`."""

    def cases(self) -> list[Case]:
        """Return the scans, ordered by number.

        Raises:
            InputError: The folder has no scans in this layout.
        """
        studies = self.root / "studies"
        found = [
            (path, grade)
            for grade, folder in enumerate(GRADES)
            for path in studies.glob(f"{folder}/study_*.nii.gz")
        ]
        if not found:
            raise InputError(
                f"{studies}: no folders CT-0 to CT-4 with files study_XXXX.nii.gz found.\n"
                "Give the folder that contains `studies`; MosMedData is at "
                "https://mosmed.ai/en/datasets"
            )
        return [self._case(path, grade) for path, grade in sorted(found, key=lambda f: f[0].name)]

    def _case(self, image: Path, grade: int) -> Case:
        name = image.name.removesuffix(".nii.gz")
        mask = self.root / "masks" / f"{name}_mask.nii.gz"
        return Case(
            name=name,
            patient=name,
            image=image,
            split="test" if mask.is_file() else "train",
            masks={"infection": mask} if mask.is_file() else {},
            tags={tag: grade >= least for tag, least in LEAST_GRADE.items()},
            shares={"infection": SHARES[grade]} if grade else {},
        )
