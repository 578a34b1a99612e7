"""The organs of a patient as signed distances in mm on the coarse grid."""

from dataclasses import dataclass

import numpy as np

from wsseg_covid.phantom import abdomen, bodywall, lungs, mediastinum
from wsseg_covid.phantom.shapes import union, without
from wsseg_covid.phantom.space import Field, Space


@dataclass(frozen=True)
class Anatomy:
    """Signed distances in mm; the rest of the body is fat."""

    skin: Field
    soft: Field  # muscles, heart, vessels, liver, spleen
    bone: Field
    gas: Field  # trachea, main bronchi, stomach
    lung: Field
    annotated_lung: Field  # without main bronchi and their walls
    pleura: Field  # surface of the chest wall; negative inside
    fissures: Field  # unsigned


def anatomy(rng: np.random.Generator, space: Space) -> Anatomy:
    """Draw the organs of a random patient."""
    cavity = lungs.chest_cavity(rng, space)
    centre = mediastinum.mediastinum(rng, space)
    lung = lungs.lungs(cavity, centre.outline)
    cage = bodywall.rib_cage(space, cavity)
    around = bodywall.angle_from_back(space)
    belly = abdomen.abdomen(rng, space, cavity, cage)
    skin = bodywall.skin(rng, space, cage)
    soft = union(bodywall.muscles(rng, space, cage, around), centre.organs, belly.organs)
    return Anatomy(
        skin=skin,
        soft=np.maximum(soft, skin + 5),
        bone=np.maximum(bodywall.bones(rng, space, cage, around), skin + 7),
        gas=np.minimum(centre.airways, belly.gas),
        lung=lung,
        annotated_lung=without(lung, centre.airways - 3),
        pleura=cavity.pleura,
        fissures=lungs.fissures(rng, space),
    )
