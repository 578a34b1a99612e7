"""The interfaces of a recipe's components: everything that a plugin can offer, on one page.

| Interface     | Decides                                            | Hook of a plugin   |
| ------------- | -------------------------------------------------- | ------------------ |
| `Prior`       | what the value of a pixel says about its class     | `wsseg_priors`     |
| `EStep`       | the targets, from the network and the prior        | `wsseg_esteps`     |
| `Backbone`    | the network                                        | `wsseg_backbones`  |
| `EncoderWeights` | the pre-trained weights of a network's encoder  | `wsseg_encoder_weights` |
| `PixelLoss`   | what the M-step minimises, given pixel targets     | `wsseg_losses`     |
| `TagLoss`     | what training minimises, given only tags           | `wsseg_losses`     |
| `Method`      | what training minimises, given tags and a belief   | `wsseg_methods`    |
| `Region`      | which part of a scan a stage works in              | `wsseg_regions`    |
| `Cohort`      | the scans, their tags and their masks              | `wsseg_cohorts`    |
| `Metric`      | how a mask is compared with the true mask          | `wsseg_metrics`    |
| `Score`       | a number that a mask has on its own                | `wsseg_metrics`    |
| `Augment`     | how slices change randomly (`core.augment`)        | `wsseg_augments`   |
| `Optimizer`   | how a step changes the weights (`core.optimizer`)  | `wsseg_optimizers` |
| `Tracker`     | where training is recorded (`core.tracker`)        | `wsseg_trackers`   |
| `ImageUnit`   | which values images can have (`core.image_unit`)   | `wsseg_units`      |

To write one, subclass the interface, declare the parameters as fields, implement the abstract
methods, and offer the class in a hook (see `hookimpl`). `wsseg.testing` has a check for each.

In shapes, B is the batch, C the channels and S the slices of an image, K the classes and H x W the
pixels of a slice; masks of scans are (Z, H, W).
"""

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wsseg.core.batch import Batch, Evidence, Logits, Mask, Probability
from wsseg.core.case import Case
from wsseg.core.class_relation import ClassRelation
from wsseg.core.component import Component, inner_parts
from wsseg.core.source import Source
from wsseg.core.volume import Grid, Volume, VoxelMask
from wsseg.errors import InputError


class Prior(Component):
    """The probability of each class given only the value of a pixel, phi.

    A phi of 1/2 means no opinion; 0 and 1 are certain, and no network overrules them. Evidence of
    the prior and of the network is combined by Bayes' rule (see `Evidence`). A prior that uses one
    channel of the image has a field `channel` with its name; None, the default, means the only
    channel.

    Example:
        >>> import torch
        >>> from wsseg import Batch, Prior, Probability
        >>> class Brighter(Prior):
        ...     than: float
        ...     channel: str | None = None
        ...     def __call__(self, batch: Batch) -> Probability:
        ...         bright = batch.channel(self.channel) > self.than
        ...         return bright.float().expand_as(batch.support)
        >>> image = torch.tensor([[[[[10.0, 90.0]]]]])  # one slice of two pixels
        >>> batch = Batch(image, region=image[:, 0] > 0, tags=torch.tensor([[True]]))
        >>> Brighter(than=50)(batch)
        tensor([[[[0., 1.]]]])
    """

    @abstractmethod
    def __call__(self, batch: Batch) -> Probability:
        """Return phi, (B, K, H, W) in [0, 1], for the middle slice of each image."""

    def fit(self, batches: Iterable[Batch]) -> Self:  # noqa: ARG002 - for priors that learn
        """Return this prior with parameters estimated from images and tags; by default unchanged.

        Called once before a stage, with the slices of the cohort, not augmented and not balanced.
        """
        return self

    @property
    def refits(self) -> bool:
        """Whether `refit` changes anything; by default, whether this prior has its own `refit`."""
        return type(self).refit is not Prior.refit

    def refit(self, evidence: Iterable[Evidence]) -> Self:  # noqa: ARG002 - for priors that learn
        """Return this prior with parameters estimated from the network; by default unchanged.

        This is the M-step of a prior's parameters. If `refits`, called after each epoch of EM with
        the same slices as `fit`, the logits of the network in evaluation mode, and the phi of this
        prior. The next epoch uses the result, whose fields are saved with the training.
        """
        return self


class EStep(Component):
    """The rule that turns evidence into the targets y of the next M-step.

    Example:
        >>> import torch
        >>> from wsseg import Batch, EStep, Evidence, Probability
        >>> class Half(EStep):
        ...     def __call__(self, evidence: Evidence) -> Probability:
        ...         return evidence.batch.support * 0.5
        >>> image = torch.tensor([[[[[10.0, 90.0]]]]])
        >>> batch = Batch(image, region=image[:, 0] > 50, tags=torch.tensor([[True]]))
        >>> Half()(Evidence(batch, logits=batch.middle, phi=batch.middle / 100))
        tensor([[[[0.0000, 0.5000]]]])
    """

    @property
    def separates_images(self) -> bool:
        """Whether the targets of an image are independent of the batch; True by default."""
        return True

    @property
    def takes_bounds(self) -> bool:
        """Whether the targets respect `Batch.bounds`; False by default."""
        return False

    @abstractmethod
    def __call__(self, evidence: Evidence) -> Probability:
        """Return y, (B, K, H, W) in [0, 1] and 0 outside `evidence.batch.support`.

        Where pixels are known (`evidence.known`), training replaces y by 0 and 1.
        """

    def fit(self, evidence: Iterable[Evidence]) -> Self:  # noqa: ARG002 - for E-steps that learn
        """Return this E-step with parameters estimated from evidence; by default unchanged.

        Called once before a stage, after the prior is fitted, with the slices of the cohort, not
        augmented and not balanced. The network is not trained yet: all logits are 0.
        """
        return self

    def remember(self, evidence: Evidence) -> Mapping[str, Tensor]:
        """Return what the next step gets as `evidence.memory`, by name.

        Called after the targets of each step are computed, with the evidence of all processes, in
        which the image has only the slice to be labelled. The memory is saved with the training, so
        that a resumed stage gives bitwise identical results. By default, it is the memory of the
        E-steps in the fields of this one.

        Raises:
            InputError: Two inner E-steps use the same name.
        """
        memory: dict[str, Tensor] = {}
        for inner in inner_parts(self, EStep):
            own = inner.remember(evidence)
            if shared := sorted(memory.keys() & own.keys()):
                raise InputError(
                    f"{type(self).__name__}: two of its E-steps remember a value called "
                    f"{shared[0]!r}; use only one of them"
                )
            memory |= own
        return memory


class Backbone(Component):
    """A recipe for a network; the module that it builds holds all weights that are trained.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from wsseg import Backbone
        >>> class Pixelwise(Backbone):
        ...     local = True
        ...     def build(self, channels: int, classes: int) -> nn.Module:
        ...         return nn.Conv2d(channels, classes, kernel_size=1)
        >>> Pixelwise().build(channels=7, classes=2)(torch.zeros(4, 7, 64, 64)).shape
        torch.Size([4, 2, 64, 64])
    """

    local: ClassVar[bool] = False
    """Whether a logit depends only on pixels near it, by convolutions that pad with a constant, and
    on no mean, norm or attention over the image. Prediction then skips empty parts of an image."""
    encoder_module: ClassVar[str | None] = None
    """The name of the encoder in the module that `build` returns, such as "encoder": its learning
    rate can differ from that of the other layers. None: there is no encoder."""
    head_module: ClassVar[str | None] = None
    """The name of the last layers, after the decoder: a stage that starts from another one can have
    new ones. None: the decoder is not separate."""

    @abstractmethod
    def build(self, channels: int, classes: int) -> nn.Module:
        """Return a new module from normalised images, (B, C S, H, W), to logits, (B, K, H, W).

        In training mode, the module may return `Outputs`, with auxiliary logits.

        Args:
            channels: C S, the number of channels of an image times that of its slices. Plane
                c S + s is slice s of channel c.
            classes: K.
        """

    def untrained(self) -> Self:
        """Return this backbone without pretrained weights, for loading a checkpoint into it."""
        return self

    def files(self) -> tuple[Path, ...]:
        """Return the files that `build` reads, such as pretrained weights; by default none."""
        return ()


class EncoderWeights(Component):
    """Pre-trained weights of the encoder of a network, in a file or in an installed package.

    Example:
        >>> from collections.abc import Mapping
        >>> import torch
        >>> from torch import Tensor
        >>> from wsseg import EncoderWeights
        >>> class Ones(EncoderWeights):
        ...     encoders = ("tiny",)
        ...     def tensors(self) -> Mapping[str, Tensor]:
        ...         return {"conv.weight": torch.ones(8, 3, 3, 3)}
        >>> Ones().tensors()["conv.weight"].shape
        torch.Size([8, 3, 3, 3])
    """

    default_use: ClassVar[str | None] = "file"
    encoders: ClassVar[tuple[str, ...]] = ()
    """The encoders that the weights are for, by their names in recipes; empty: any that they fit.
    """

    @abstractmethod
    def tensors(self) -> Mapping[str, Tensor]:
        """Return the weights and buffers by their names in the encoder.

        Raises:
            InputError: They cannot be read.
        """

    def files(self) -> tuple[Path, ...]:
        """Return the files that the weights are read from; by default none."""
        return ()


class PixelLoss(Component):
    """The loss of the M-step: the distance between the network's probabilities and the targets.

    A loss that ignores the targets, such as a constraint on the size of a class, is possible too.

    Example:
        >>> import torch
        >>> from torch import Tensor
        >>> from wsseg import Batch, ClassRelation, Logits, Multilabel, PixelLoss, Probability
        >>> class MeanSquare(PixelLoss):
        ...     def __call__(
        ...         self, logits: Logits, y: Probability, batch: Batch, relation: ClassRelation
        ...     ) -> Tensor:
        ...         f = relation.probability(logits)
        ...         return ((f - y) ** 2)[batch.region.expand_as(f)].mean()
        >>> logits, y = torch.tensor([[[[0.0, 9.0]]]]), torch.tensor([[[[1.0, 0.0]]]])
        >>> region = torch.tensor([[[[True, False]]]])
        >>> batch = Batch(torch.zeros(1, 1, 1, 1, 2), region, tags=torch.tensor([[True]]))
        >>> MeanSquare()(logits, y, batch, Multilabel())  # (1/2 - 1)^2
        tensor(0.2500)
    """

    @abstractmethod
    def __call__(
        self, logits: Logits, y: Probability, batch: Batch, relation: ClassRelation
    ) -> Tensor:
        """Return the loss, a scalar, over the pixels of `batch.region`.

        Args:
            logits: The network's output, (B, K, H, W). Logarithms of probabilities are computed
                from it, since a probability can round to 0 or 1.
            y: The targets, (B, K, H, W) in [0, 1].
            batch: The region, the tags and the image, of which only the slice to be labelled is
                present, (B, C, 1, H, W). With several processes it is the batch of all of them.
            relation: How the classes relate: `relation.probability(logits)` is f.
        """


class TagLoss(Component):
    """The loss of a stage without pixel targets: it compares predictions for bags with their tags.

    A bag is the region of a slice. Its tags are those of the slice or, by default, of the case.

    Example:
        >>> import torch
        >>> from torch import Tensor
        >>> from torch.nn.functional import binary_cross_entropy_with_logits
        >>> from wsseg import Logits, TagLoss
        >>> class Maximum(TagLoss):
        ...     def __call__(self, logits: Logits, tags: Tensor, region: Tensor) -> Tensor:
        ...         pooled = logits.masked_fill(~region, -100).amax((2, 3))
        ...         return binary_cross_entropy_with_logits(pooled, tags.float())
        >>> logits = torch.tensor([[[[-3.0, 0.0, 5.0]]]])
        >>> region = torch.tensor([[[[True, True, False]]]])
        >>> Maximum()(logits, torch.tensor([[True]]), region)  # -log sigmoid(0)
        tensor(0.6931)
    """

    @abstractmethod
    def __call__(self, logits: Logits, tags: Tensor, region: Tensor) -> Tensor:
        """Return the loss, a scalar, over the pixels of `region`.

        Args:
            logits: Each class against all others, log f / (1 - f), (B, K, H, W). Products of
                the probabilities of many pixels are only computable with logarithms.
            tags: Whether each image has each class, (B, K) bool.
            region: The pixels of the bags, (B, 1, H, W) bool.
        """

    def possible(self, logits: Logits, region: Tensor) -> Mask:  # noqa: ARG002 - for overrides
        """Return the pixels that can have each class in a prediction; by default all of them."""
        return torch.ones_like(logits, dtype=torch.bool)


class Method(Component):
    """A training method other than EM or a tag loss: it computes the loss of each training step.

    The loss can compare the network's output with its belief: the output of a second forward pass
    for the same images, without gradients, in evaluation mode or with averaged weights.

    Example:
        >>> import torch
        >>> from torch import Tensor
        >>> from wsseg import Batch, Evidence, Logits, Method
        >>> class Consistent(Method):
        ...     def __call__(self, logits: Logits, evidence: Evidence) -> Tensor:
        ...         inside = evidence.batch.region.expand_as(logits)
        ...         return (logits.sigmoid() - evidence.logits.sigmoid())[inside].square().mean()
        >>> zero = torch.zeros(1, 1, 1, 2)
        >>> batch = Batch(zero[None], region=zero == 0, tags=torch.tensor([[True]]))
        >>> Consistent()(zero, Evidence(batch, logits=zero + 100, phi=zero + 0.5))
        tensor(0.2500)
    """

    belief: ClassVar[Literal["training", "evaluation", "average"]] = "average"
    """The forward pass whose logits are the belief, as the key `belief` of EM stages. average: the
    stage needs `average`."""

    @abstractmethod
    def __call__(self, logits: Logits, evidence: Evidence) -> Tensor:
        """Return the loss of a step, a scalar, over the pixels of `evidence.batch.region`.

        Args:
            logits: The network's output, (B, K, H, W), with gradients.
            evidence: The batch, of whose image only the slice to be labelled is present; the
                belief as `logits`; how the classes relate as `labels`; the epoch and the progress.
                There is no prior: phi is 1/2.
        """


@dataclass(frozen=True)
class PairLimits:
    """Limits for the shape of a pair of organs, right and left, that taper towards both ends.

    Example:
        >>> from wsseg import PairLimits
        >>> limits = PairLimits((0.15, 35), front=(0.06, 17), back_rise_mm=40, end_area=0.85)
        >>> limits.back_rise_mm
        40
    """

    one_sided: tuple[float, float]
    """The largest part of the outline, seen from the side, that one organ may lack although the
    other has it: as a share of both together, and as an area in cm². A mask that exceeds both is
    reported."""
    front: tuple[float, float]
    """The same for the front half alone, minus what the organ lacks at the back: an organ that
    merely ends higher than the other one lacks the same part there."""
    back_rise_mm: float
    """How much higher the lower end, or the upper end, may be at the back than at the front."""
    end_area: float
    """The largest area, 20 mm from an end that lies in the scan, as a share of the largest one."""


@dataclass(frozen=True)
class RegionLimits:
    """Limits that an organ's mask satisfies in every patient; a mask that violates one is reported.

    Example:
        >>> from wsseg import RegionLimits
        >>> liver = RegionLimits((0.5, 3.5), full_length_mm=400, max_area_cm2=350, median=(20, 200))
        >>> liver.volume_litres
        (0.5, 3.5)
    """

    volume_litres: tuple[float, float]
    """The smallest and the largest volume. The smallest applies to scans of the full length."""
    full_length_mm: float
    """The length along z at and above which a scan is expected to contain the complete organ."""
    max_area_cm2: float
    """The largest area in an axial slice."""
    median: tuple[float, float]
    """The lowest and the highest median of the image inside the mask, in the unit of the image."""
    pair: PairLimits | None = None
    """For a pair of organs, right and left, the limits of their shape."""
    remedy: str = "Look at the mask, and correct it or use another region"
    """What to do about a mask that violates a limit."""


class Region(Component):
    """A method that finds the part of a scan that a stage works in.

    Masks are cached until the code of the region's package, the parameters or the files of the case
    change.

    Example:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from wsseg import Case, Grid, Region, Volume, VoxelMask
        >>> class Brighter(Region):
        ...     than: float
        ...     channel: str | None = None
        ...     def __call__(self, case: Case, volume: Volume) -> VoxelMask:
        ...         return volume.channel(self.channel) > self.than
        >>> volume = Volume(np.array([[[[10, 90]]]]), Grid((2, 1, 1), np.eye(4)))
        >>> Brighter(than=50)(Case("a", "a", Path("a.nii.gz")), volume)
        array([[[False,  True]]])
    """

    version: ClassVar[int] = 1
    """Increase it when the method computes different masks for a reason outside its package, such
    as new weights that it downloads, so that cached masks are not used."""
    plausible: ClassVar[RegionLimits | None] = None
    """Limits for a plausible mask; a warning names each case that violates them."""

    @abstractmethod
    def __call__(self, case: Case, volume: Volume) -> NDArray[np.bool_]:
        """Return a mask of the scan, (Z, H, W), empty if the method finds nothing.

        Raises:
            InputError: The case lacks a file that the method needs.
        """

    def files(self, case: Case) -> tuple[Path, ...]:  # noqa: ARG002 - for overrides
        """Return the files that the method reads in addition to the image; by default none."""
        return ()


class Cohort(Component):
    """A set of scans with what is known about each.

    Example:
        >>> from pathlib import Path
        >>> from wsseg import Case, Cohort
        >>> class TwoScans(Cohort):
        ...     root: Path
        ...     def cases(self) -> list[Case]:
        ...         return [Case(name, name, self.root / f"{name}.nii.gz") for name in ("a", "b")]
        >>> [case.name for case in TwoScans(root="scans").cases()]
        ['a', 'b']
    """

    @abstractmethod
    def cases(self) -> list[Case]:
        """Return the cases, always in the same order, without reading images.

        Raises:
            InputError: The cohort cannot be read, or a case is invalid.
        """

    def read(self) -> tuple[list[Case], list[tuple[str, InputError]]]:
        """Return the valid cases, and each problem with the name of its case.

        By default these are all of `cases()` and no problems. A cohort that is read from a file
        overrides this, so that `wsseg data check` reports all invalid rows at once.

        Raises:
            InputError: The cohort cannot be read.
        """
        return self.cases(), []

    def as_seen_with(self, masks: Collection[str]) -> "Cohort":  # noqa: ARG002 - for overrides
        """Return a cohort with the same images, tags and `masks`; by default this one.

        Two stages that use only these masks can be shared if the returned cohorts are equal. A
        cohort that only hides masks of another one returns that one, unless it hides `masks`.
        """
        return self


class Synthetic(Cohort):
    """A cohort that is generated. Its recipe keys include `cases`, their number, and `seed`.

    Example:
        >>> from collections.abc import Callable
        >>> from pathlib import Path
        >>> from tempfile import mkdtemp
        >>> from wsseg import Case, Synthetic
        >>> from wsseg.tools import atomic_folder, write_text
        >>> class Empty(Synthetic):
        ...     def cases(self) -> list[Case]:
        ...         return []
        ...     def write(self, folder: Path, progress: Callable[[str], object]) -> None:
        ...         with atomic_folder(folder) as temporary:
        ...             write_text(temporary / "cohort.csv", "case,image")
        >>> folder = Path(mkdtemp()) / "phantoms"
        >>> Empty().write(folder, progress=print)
        >>> (folder / "cohort.csv").read_text()
        'case,image'
    """

    @abstractmethod
    def write(self, folder: Path, progress: Callable[[str], object]) -> None:
        """Write all scans and their `cohort.csv` into a new folder, atomically.

        Args:
            folder: The folder, which must not exist.
            progress: Called with the name of each case when it is finished.

        Raises:
            InputError: The folder exists.
        """


class PublicDataset(Cohort):
    """A public data set in its publisher's layout; `wsseg data fetch` downloads it.

    Example:
        >>> from wsseg import Case, PublicDataset, Source, SourceFile
        >>> class Livers(PublicDataset):
        ...     source = Source(
        ...         page="https://example.org/livers",
        ...         licence="CC BY 4.0",
        ...         citation="Doe et al. 2020, Livers",
        ...         files=(SourceFile("livers.zip", "https://example.org/livers.zip"),),
        ...     )
        ...     def cases(self) -> list[Case]:
        ...         images = sorted(self.root.glob("livers/*.nii.gz"))
        ...         return [Case(path.name, path.name, path) for path in images]
        >>> Livers(root="data").source.licence
        'CC BY 4.0'
    """

    source: ClassVar[Source]
    """Where the data set comes from."""

    root: Path
    """The folder that contains the data set's files."""


class Metric(Component):
    """A comparison of one class of a predicted mask with the true mask.

    Example:
        >>> import numpy as np
        >>> from wsseg import Grid, Metric, VoxelMask
        >>> class Agreement(Metric):
        ...     def __call__(
        ...         self,
        ...         prediction: VoxelMask,
        ...         truth: VoxelMask,
        ...         grid: Grid,
        ...         region: VoxelMask,
        ...     ) -> dict[str, float]:
        ...         equal = (prediction == truth)[region]
        ...         return {"agreement": float(equal.mean()) if equal.size else float("nan")}
        >>> masks = np.array([[[True, True]]]), np.array([[[True, False]]])
        >>> Agreement()(*masks, Grid((2, 1, 1), np.diag([1, 1, 5, 1])), region=masks[0])
        {'agreement': 0.5}
    """

    in_annotated_region: ClassVar[bool] = False
    """Whether `region` is the annotated region instead of the one that the stage predicted in."""

    @abstractmethod
    def __call__(
        self, prediction: VoxelMask, truth: VoxelMask, grid: Grid, region: VoxelMask
    ) -> dict[str, float]:
        """Return named values, the columns of the results; NaN is "undefined for this case".

        Args:
            prediction: The predicted mask, (Z, H, W).
            truth: The true mask, (Z, H, W).
            grid: The grid of the masks, with `spacing_mm`, and `steps_mm` for distances.
            region: The region of the stage, (Z, H, W).
        """


class Score(Component):
    """A number that is computed from the masks of a case alone, such as a severity.

    Example:
        >>> from collections.abc import Mapping
        >>> import numpy as np
        >>> from wsseg import Score, VoxelMask
        >>> class Share(Score):
        ...     of: str
        ...     within: str
        ...     @property
        ...     def needs(self) -> frozenset[str]:
        ...         return frozenset({self.of, self.within})
        ...     def __call__(self, masks: Mapping[str, VoxelMask]) -> float:
        ...         inside = masks[self.of][masks[self.within]]
        ...         return float(inside.mean()) if inside.size else float("nan")
        >>> masks = {"tumour": np.array([[[True, False]]]), "liver": np.array([[[True, True]]])}
        >>> Share(of="tumour", within="liver")(masks)
        0.5
    """

    @property
    @abstractmethod
    def needs(self) -> frozenset[str]:
        """The names of the classes and regions whose masks the score is computed from."""

    @abstractmethod
    def __call__(self, masks: Mapping[str, VoxelMask]) -> float:
        """Return the score of a case; NaN is "undefined".

        Args:
            masks: The masks that `needs` names, (Z, H, W).
        """
