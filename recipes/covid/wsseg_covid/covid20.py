"""The 20 scans of Ma et al. 2020 with masks of lungs and infection, as published.

https://doi.org/10.5281/zenodo.3757476
"""

from typing import ClassVar, final

from wsseg import Case, PublicDataset, Source, SourceFile

FILES = "https://zenodo.org/records/3757476/files"
IMAGES, LUNGS, INFECTIONS = "COVID-19-CT-Seg_20cases", "Lung_Mask", "Infection_Mask"
CORONACASES = tuple(f"coronacases_{number:03d}" for number in range(1, 11))
RADIOPAEDIA = tuple(
    f"radiopaedia_{scan}"
    for scan in (
        "4_85506_1",
        "7_85703_0",
        "10_85902_1",
        "10_85902_3",
        "14_85914_0",
        "27_86410_0",
        "29_86490_1",
        "29_86491_1",
        "36_86526_0",
        "40_86625_0",
    )
)
WINDOW_HU = (
    -1250.0,
    250.0,
)  # of the scans from Radiopaedia, according to the page of the benchmark


@final
class Covid20(PublicDataset):
    """20 scans in `COVID-19-CT-Seg_20cases`, with masks in `Lung_Mask` and `Infection_Mask`.

    Ten scans are in HU. The ten scans from Radiopaedia are 8-bit images of the window from -1250 to
    250 HU, in steps of about 6 HU, and are converted back; values outside the window are lost.
    Scans from the same case of Radiopaedia have the same patient. All patients are infected.
    """

    source: ClassVar = Source(
        page="https://doi.org/10.5281/zenodo.3757476",
        licence="CC BY 4.0 (masks); the scans are from Coronacases and Radiopaedia (CC BY-NC-SA)",
        citation=(
            "J. Ma et al.: Toward data-efficient learning: A benchmark for COVID-19 CT lung and "
            "infection segmentation. Medical Physics 48(3), 2021. doi:10.1002/mp.14676"
        ),
        files=(
            SourceFile(
                f"{IMAGES}.zip", f"{FILES}/{IMAGES}.zip", "md5:873617e1fdcbe92f8aa0ce83a4798a1f"
            ),
            SourceFile(
                f"{LUNGS}.zip", f"{FILES}/{LUNGS}.zip", "md5:972b3d9b4c7b64d2c518b936bd98cb47"
            ),
            SourceFile(f"{INFECTIONS}.zip", f"{FILES}/{INFECTIONS}.zip"),
        ),
    )

    def cases(self) -> list[Case]:
        """Return the scans, those from Coronacases first."""
        return [self._case(name) for name in (*CORONACASES, *RADIOPAEDIA)]

    def _case(self, name: str) -> Case:
        image, lung, infection = (
            self.source.find(self.root / folder / f"{name}.nii.gz")
            for folder in (IMAGES, LUNGS, INFECTIONS)
        )
        site, number = name.split("_")[:2]
        return Case(
            name=name,
            patient=f"{site}_{number}",
            site=site,
            image=image,
            masks={"infection": infection, "lung": lung},
            mask_values={"lung": (1, 2)},
            mask_labels={"lung": (0, 1, 2)},  # left, right
            tags={"infection": True},
            window=WINDOW_HU if name in RADIOPAEDIA else None,
        )
