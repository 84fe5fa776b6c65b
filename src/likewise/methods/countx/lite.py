"""CounTX-lite, the bundled counter by name: a small network after CounTX's idea that counts through examples.

Paper: Amini-Naieni et al., "Open-world Text-specified Object Counting", BMVC 2023, for the feature interaction.

MobileNetV2 sees the picture as a whole in place of CLIP, on windows; a learned vector for every word of a vocabulary
takes the place of its text tower. What the paper does not have: places look at the 7x7 round them, so that the cost
grows with the area only and a picture of any size is seen as the training crops were; the text scales the hidden units
of the interaction's MLPs; the decoder sees features gated by, and beside them, how well each place matches the text,
without which the name changes little; a match is judged again by how alike each place is to those that match best; and
places tell the boxes of what they show, so that another counter, by example, can count it.

Shapes: B pictures, C = ``width`` channels, h w grid of places of `STRIDE` pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from likewise.errors import LikewiseError
from likewise.inference import FLAT_FIELDS, EvalProtocol, InferenceConfig
from likewise.methods.countx import PAPER
from likewise.methods.countx.decoder import DoublingDecoder
from likewise.methods.countx.interaction import EPS, InteractionLayer
from likewise.methods.countx.matching import Match, Similarity
from likewise.methods.countx.matching_losses import decode_boxes
from likewise.methods.countx.mobile_tower import STRIDE, SmallTower
from likewise.methods.countx.refinement import BoxHead, RefinementHead, TextProposals, similarity_to_matches
from likewise.methods.countx.word_encoder import WordEncoder
from likewise.nn.clip import as_map
from likewise.ops.counting_loss import l2_loss
from likewise.ops.density.windows import Windows
from likewise.preprocess.rules import Preprocess
from likewise.types import CountBatch, PromptBatch
from likewise.weights import OldFields, Preset, RemovedField, WeightCard, bundled_config


@dataclass(frozen=True)
class Config:
    """The numbers of the network.

    Attributes:
        vocabulary: names that it is taught; their words are what it knows.
        width: channels of the image features as they meet the text.
        layers: of the feature interaction.
        examples: a match is judged again by how alike each place is to those that match the text best, which the
            decoder sees too (`likewise.methods.countx.refinement`).
        boxes: with ``examples``, places tell the box of what they show too, so that another counter can be shown the
            best matches (``inference.counted_by``).
        expansion: of the MLPs.
        decoder: channels of the decoder's 3x3 convolutions, each but the last followed by twice as many places.
        density_factor: the decoder gives this many times the objects in a place.
        sigma: of the target's Gaussians, in object sizes (sqrt(width x height)) ...
        least_sigma: ... and at least so many pixels, so that small objects do not rule the squared error.
        loss_stride: the squared error is that of sums over squares of this many pixels.
        match_weight: weight of each of the losses of `likewise.methods.countx.matching_losses` on the similarity map.
        inference: how the weights are used: pictures and densities round the network.

    Raises:
        LikewiseError: ``boxes`` without ``examples``, or ``counted_by`` without ``boxes``.
    """

    vocabulary: tuple[str, ...] = ()
    width: int = 128
    layers: int = 2
    examples: bool = False
    boxes: bool = False
    expansion: int = 2
    decoder: tuple[int, ...] = (64, 32)
    density_factor: float = 30.0
    sigma: float = 0.12
    least_sigma: float = 3.0
    loss_stride: int = 4
    match_weight: float = 1.0
    inference: InferenceConfig = field(
        default=InferenceConfig(Preprocess(mean=(0.5,) * 3, std=(0.5,) * 3, fit=(768, 768), multiple=32, tile=0))
    )
    #: Files were once of one configuration for this network and the published CounTX.
    OLD_FIELDS: ClassVar[OldFields] = {
        **FLAT_FIELDS,
        "image_tower": RemovedField("mobilenetv2"),
        "text_tower": RemovedField("words"),
        "clip": RemovedField(),
        "heads": RemovedField(),
        "mixing": RemovedField("convolution"),
        "gated": RemovedField(only=True),
        "similarity": RemovedField(only=True),
        # files of that time did not know the classifier of photographs, but are joined to it all the same
        "by_example": lambda name: {
            "inference.counted_by": name,
            "inference.named_by": "cam-lite" if name else "",
            "boxes": bool(name),
        },
        "normed": RemovedField(only=False),
        "rectified": RemovedField(only=True),
        "window": RemovedField(),
        "decoder_grid": RemovedField(),
        "stride": RemovedField(),
        "blend": RemovedField(),
        "sigma_unit": RemovedField(),  # of the loss alone
    }

    def __post_init__(self) -> None:
        if self.boxes and not self.examples:
            raise LikewiseError("boxes=True needs examples=True")
        if self.inference.counted_by and not self.boxes:
            raise LikewiseError(f"counted_by={self.inference.counted_by!r} needs boxes=True")


class CounTXLiteOutput(NamedTuple):
    """What `CounTXLite` makes of B pictures.

    Attributes:
        density: (B, 1, H, W) objects per pixel; the sum over a picture is its count.
        match: where the pictures show what their texts say; None where no gradients are recorded.
    """

    density: Tensor
    match: Match | None


class CounTXLite(nn.Module):
    """The counter: pictures and names of known things in, a density whose sum is the count out.

    Example:
        >>> network = COUNTX_LITE.build().eval()
        >>> network(torch.rand(1, 3, 64, 96), PromptBatch(text=("coins",))).density.shape
        torch.Size([1, 1, 64, 96])
    """

    method = "countx-lite"
    task = "count"
    prompts = ("text",)
    protocols: ClassVar[Mapping[str, EvalProtocol]] = {}

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.words = WordEncoder(config.vocabulary, width)
        self.tower = SmallTower(width, config.expansion)
        self.similarity = Similarity(width)
        self.interaction = nn.ModuleList(
            InteractionLayer(width, 1, mixing="convolution", gated=True, expansion=config.expansion)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(width, eps=EPS)
        self._widths = [width, *(self.tower.widths if config.examples else [])]
        self.second = RefinementHead(len(self._widths)) if config.examples else None
        self.boxes = BoxHead(sum(self._widths[1:])) if config.boxes else None
        shown = width + 2 + len(self._widths) * config.examples
        self.decoder = DoublingDecoder(shown, config.decoder, normed=False)

    @property
    def cell(self) -> int:
        """Side, in pixels, of the squares in which the density is constant."""
        return STRIDE // 2 ** (len(self.config.decoder) - 1)

    def forward(self, image: Tensor | Windows, prompt: PromptBatch) -> CounTXLiteOutput:
        """Count in each picture what its text says.

        Args:
            image: (B, 3, H, W) RGB in [0, 1], any size and shape, or what `prepare` made of it.
            prompt: B texts in ``text``.

        Raises:
            LikewiseError: a picture without a text, or one without a known word.
        """
        return self._counted(image, self.encode(prompt.texts(image.shape[0])))

    def check(self, text: str) -> None:
        """See that a text can be counted by, before a picture is looked at.

        Raises:
            LikewiseError: no word of it is known; the nearest known names are given.
        """
        self.words.check(text)

    def knows(self, text: str) -> bool:
        """Whether any word of a text is known."""
        return bool(self.words.knows(text))

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The names it was taught."""
        return self.config.vocabulary

    def encode(self, texts: tuple[str, ...]) -> Tensor:
        """What the words of texts come to: (B, C)."""
        vectors: Tensor = self.words(texts)
        return vectors

    def prepare(self, image: Tensor) -> Windows:
        """What no text changes of looking at pictures (B, 3, H, W), each as one window.

        It may be given wherever a picture is.
        """
        stacked = self.tower.stacked(self.normalised(image))
        features = torch.cat([self.tower.joined(stacked), *[stacked] * self.config.examples], dim=1)
        padded = (STRIDE * features.shape[2], STRIDE * features.shape[3])
        return Windows(features, image.shape, padded, (image.shape[2], image.shape[3]))

    def count(self, image: Tensor | Windows, text: Tensor) -> Tensor:
        """The density (B, 1, H, W) as in `forward`, of what encoded texts (B, C) describe."""
        return self._counted(image, text).density

    def find(self, image: Tensor | Windows, text: Tensor) -> TextProposals:
        """Where pictures show what encoded texts (B, C) name, and its boxes; with ``config.boxes``."""
        stem = image if isinstance(image, Windows) else self.prepare(image)
        boxes, stride = self.boxes_at_places(stem)
        match, _ = self._matched(stem.content.split(self._widths, dim=1), text.to(stem.content.dtype))
        return TextProposals(match.logits(), boxes, stride)

    def boxes_at_places(self, image: Tensor | Windows) -> tuple[Tensor, int]:
        """The boxes (B, h, w, 4) of what each place shows, and pixels between two places; with ``config.boxes``."""
        if self.boxes is None:
            raise LikewiseError("this configuration of CounTX-lite tells no boxes; it needs boxes=True")
        stem = image if isinstance(image, Windows) else self.prepare(image)
        raw: Tensor = self.boxes(torch.cat(stem.content.split(self._widths, dim=1)[1:], dim=1))
        return decode_boxes(raw.float(), STRIDE), STRIDE

    def loss(self, output: CounTXLiteOutput, batch: CountBatch) -> dict[str, Tensor]:
        """What separates an output from a batch's truth: terms (B,) by name, and "total"."""
        config, (density, match), things = self.config, output, batch.things
        sigma = [(config.sigma * sizes).clamp(min=config.least_sigma) for sizes in batch.sizes]
        total = l2_loss(density, batch.points, sigma=sigma, factor=config.density_factor, stride=config.loss_stride)
        terms = {"density": total}
        if config.match_weight and match is not None:
            names = None if things is None else self.similarity.unit(self.encode(things.asked))
            matching = match.losses(batch, names, STRIDE)
            terms |= matching
            total = total + config.match_weight * torch.stack(list(matching.values())).sum(0)
        return {**terms, "total": total}

    def parameter_groups(self, lr: float) -> list[dict[str, object]]:
        """Optimiser groups: pretrained MobileNetV2 learns at three tenths of the rate, rarely met words at thrice."""
        slow, quick = list(self.tower.stages.parameters()), list(self.words.embedding.parameters())
        held = {id(p) for p in (*slow, *quick)}
        new = [p for p in self.parameters() if id(p) not in held]
        return [{"params": params, "lr": rate} for params, rate in ((new, lr), (slow, 0.3 * lr), (quick, 3 * lr))]

    def load_trunk(self, state: Mapping[str, Tensor]) -> None:
        """Start MobileNetV2 from ImageNet weights under timm's names for ``mobilenetv2_100``."""
        self.tower.load_imagenet(state)

    def normalised(self, image: Tensor) -> Tensor:
        """Pictures as the image tower takes them."""
        return self.config.inference.preprocess.normalised(image)

    def _counted(self, image: Tensor | Windows, text: Tensor) -> CounTXLiteOutput:
        stem = image if isinstance(image, Windows) else self.prepare(image)
        cells, match = self._read(stem.content.split(self._widths, dim=1), text.to(stem.content.dtype))
        side = self.cell
        pixels = cells.float().repeat_interleave(side, 2).repeat_interleave(side, 3) / side**2
        inside = pixels[:, :, : stem.inside[0], : stem.inside[1]]
        return CounTXLiteOutput(inside / self.config.density_factor, match)

    def _read(self, stages: tuple[Tensor, ...], text: Tensor) -> tuple[Tensor, Match | None]:
        """What is counted in each cell of the density, and the match, where gradients are recorded.

        Without a match there is nothing, and densities are not negative; but in training a tenth of what is negative
        passes, or the decoder would die at zero before the similarity has learned what the texts mean.

        Args:
            stages: features (B, C, h, w), and with ``examples`` those that they were made of.
            text: (B, C).
        """
        match, similarity_maps = self._matched(stages, text)
        grid = (stages[0].shape[2], stages[0].shape[3])
        tokens = stages[0].flatten(2).transpose(1, 2)
        for layer in self.interaction:
            tokens = layer(tokens, text, grid)
        conditioned = as_map(self.norm(tokens), grid)
        # the matching alone teaches what texts mean, or counting would unteach it
        logits = match.logits().detach() if self.config.match_weight else match.logits()
        gate = logits.sigmoid()
        raw: Tensor = self.decoder(torch.cat([conditioned * gate, gate, logits / 8, *similarity_maps], dim=1))
        bent = F.leaky_relu(raw.float(), 0.1 if self.training else 0.0)
        cells = bent * F.interpolate(gate, raw.shape[-2:], mode="bilinear")
        if not torch.is_grad_enabled():
            return cells, None
        return cells, match if self.boxes is None else match._replace(boxes=self.boxes(torch.cat(stages[1:], dim=1)))

    def _matched(self, stages: tuple[Tensor, ...], text: Tensor) -> tuple[Match, list[Tensor]]:
        """How texts (B, C) match what the stages show, and by what a second look judged that, where there is one."""
        match: Match = self.similarity(stages[0], text)
        if self.second is None:
            return match, []
        first = match.first()
        similarity_maps = similarity_to_matches(stages, first)
        return match._replace(refined=self.second(similarity_maps, first.detach())), [similarity_maps]


_JOINED = replace(Config().inference, counted_by="spdcn-lite", named_by="cam-lite")
COUNTX_LITE_CONFIG = Config(examples=True, boxes=True, inference=_JOINED)

COUNTX_LITE = Preset(
    name="countx-lite",
    model=CounTXLite,
    config=bundled_config(Config, "countx-lite.safetensors", COUNTX_LITE_CONFIG),
    card=WeightCard(
        licence="Apache-2.0",
        data="13200 rendered scenes of named things (sprites, shapes, grocery and nuclei cut-outs on photographs of "
        "groceries and clothing); train splits of nuclei (CC0) and of blood's white cells and platelets (MIT)",
        file="countx-lite.safetensors",
        sha256="0be96571d5f7665cb92893c4dbe5fdd4cdd496fc5f98212e51b370b8fedb1358",
        source="likewise train countx-lite, seed 0, 5000 steps of 16 crops, then 800 of seed 3 and 1800 of "
        "seed 4; the trunk started from ImageNet MobileNetV2 (github.com/google-coral/test_data, Apache-2.0), every "
        "layer was trained; what it finds is counted by spdcn-lite",
        paper=PAPER,
        scores={
            "fresh scenes of two kinds": "120 pictures, NAE 0.215",
            "a name that is not in the picture": "counted as 0.079 of the things that are",
        },
        notes=(
            "It refuses names that it was not taught; open vocabulary needs CLIP (vlcounter, countx). Counting by "
            "example is more exact: where you can draw a box, use spdcn-lite.",
        ),
    ),
)
