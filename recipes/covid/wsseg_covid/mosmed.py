"""MosMedData: chest CTs with a grade a patient, 50 of them with an infection mask.

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
"""Tags by the lowest grade that has them: grades are quarters of the lungs that are affected."""


@final
class MosMed(Cohort):
    """Scans `studies/CT-0` to `CT-4/study_XXXX.nii.gz`, masks `masks/study_XXXX_mask.nii.gz`.

    The folder is the grade, a weak label of the whole patient: CT-0 has no sign of pneumonia, then
    up to 25, 50 and 75 % of the lungs are affected, and more. It becomes the tags `infection`,
    `over-25-percent`, `over-50-percent` and `over-75-percent`. A scan without a mask is unlabelled.
    """

    root: Path

    def cases(self) -> list[Case]:
        """List the scans by their number."""
        studies = self.root / "studies"
        found = [
            (path, grade)
            for grade, folder in enumerate(GRADES)
            for path in studies.glob(f"{folder}/study_*.nii.gz")
        ]
        if not found:
            raise InputError(
                f"{studies}: has no CT-0 to CT-4 with files study_XXXX.nii.gz, as MosMedData has.\n"
                "Name the folder that has `studies` in it; it is at https://mosmed.ai/en/datasets"
            )
        return [self._case(path, grade) for path, grade in sorted(found, key=lambda f: f[0].name)]

    def _case(self, image: Path, grade: int) -> Case:
        name = image.name.removesuffix(".nii.gz")
        mask = self.root / "masks" / f"{name}_mask.nii.gz"
        return Case(
            name=name,
            patient=name,
            image=image,
            masks={"infection": mask} if mask.is_file() else {},
            tags={tag: grade >= least for tag, least in LEAST_GRADE.items()},
        )
