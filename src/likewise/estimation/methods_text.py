"""The paragraph about an estimate that belongs into a paper."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np

from likewise.estimation.intervals import told
from likewise.estimation.known import Known

#: Work to cite, by what of an estimate it is about.
CITED = {
    "survey": "Särndal, Swensson, Wretman (1992), Model Assisted Survey Sampling, Springer",
    "proportional": "Perez, Maji, Sheldon (2024), DISCount: Counting in Large Image Collections with Detector-Based "
    "Importance Sampling, AAAI",
    "entropy": "Chen, Dempster, Liu (1994), Weighted finite population sampling to maximize entropy, Biometrika 81",
    "ppi": "Angelopoulos, Bates, Fannjiang, Jordan, Zrnic (2023), Prediction-powered inference, Science 382",
    "tuned": "Angelopoulos, Duchi, Zrnic (2023), PPI++: Efficient prediction-powered inference, arXiv:2311.01453",
    "crossfit": "Zrnic, Candès (2024), Cross-prediction-powered inference, PNAS 121",
    "log": "Buckland et al. (2001), Introduction to Distance Sampling, Oxford University Press (interval)",
    "bootstrap": "Efron, Tibshirani (1993), An Introduction to the Bootstrap, chapter 12, Chapman and Hall",
}
#: A prompt of more letters is not repeated.
LONGEST_PROMPT = 200
#: Counts trusted more than this were used nearly as they are.
TRUSTED = 0.9
_DESIGNS = {
    "proportional": "drawn without replacement by conditional Poisson sampling (fixed size, maximum entropy), with "
    "inclusion probabilities proportional to the half width of each count's own interval plus a constant",
    "random": "a simple random sample, drawn without replacement",
    "stratified": "a stratified random sample, drawn without replacement, allocated in proportion to the counts' doubt",
}
_ESTIMATORS = {
    "difference": "the difference estimator (the sum of the automatic counts plus the design-weighted sum of what "
    "they missed in the sample)",
    "ratio": "the ratio estimator (the sum of the automatic counts times the design-weighted ratio of hand counts to "
    "automatic counts in the sample)",
    "regression": "the regression estimator with a power-tuned slope ({slope:.3f})",
    "horvitz-thompson": "the Horvitz-Thompson estimator, of the hand counts alone",
    "hand": "the Hájek estimator, of the hand counts alone",
}


def methods_text(found: Known) -> str:
    """The paragraph, and a line of what to cite."""
    made = found.made
    if found.complete:
        return (
            f"Objects were counted automatically in all {len(found.names)} pictures{_model(found)}, and all of these "
            f"were counted by hand. The total is the sum of the hand counts, {told(found.total.value)}, without any "
            f"sampling error; the automatic counts add up to {told(found.counted)}."
        )
    seeds = f" (seed {', '.join(map(str, made.seeds))})" if made.seeds else ""
    estimator = _ESTIMATORS[made.estimator].format(slope=made.slope)
    text = (
        f"Objects were counted automatically in all {len(found.names)} pictures{_model(found)}. {found.by_hand} of "
        f"the pictures were counted by hand: {_DESIGNS[made.design]}{seeds}. The total was estimated by "
        f"{estimator}{_steadied(found)}, with {_interval(found)}. The estimate is {told(found.total.value)} "
        f"objects{_ends(found)}; the automatic counts add up to {told(found.counted)}."
    )
    if made.by is not None:
        groups = f"the {len(found.groups)} groups ({made.by})"
        text += f" Totals of {groups} are separate ratio estimates from the hand counts of each."
    if made.taught:
        text += f" {made.taught} pictures that the model was taught by entered with their true counts only."
    if made.crossfitted:
        text += f" {made.crossfitted} pictures that the model was taught by had the count of a model without them."
    return f"{text}\n\nCite: {'; '.join(CITED[key] for key in _cited(found))}."


def _model(found: Known) -> str:
    about = found.made.about
    said = [f"likewise {version('likewise')}"]
    if "model" in about:
        said.append(f"model {about['model']}")
    if "sha256" in about:
        said.append(f"weights with SHA-256 {about['sha256'][:16]}")
    if "settings" in about:
        said.append(f"settings {about['settings']}")
    if 0 < len(about.get("prompt", "")) <= LONGEST_PROMPT:
        said.append(f"asked {about['prompt']}")
    return f" ({', '.join(said)}, numpy {np.__version__})"


def _steadied(found: Known) -> str:
    if found.made.estimator in ("horvitz-thompson", "hand") or found.made.trust > TRUSTED:
        return ""
    return "; the counts were drawn towards their mean before, as wide as their own intervals are"


def _interval(found: Known) -> str:
    level = f"a {100 * found.level:g} % interval"
    if found.made.interval == "bootstrap":
        return f"{level} by bootstrap-t, with the finite population correction"
    scale = " on a log scale" if found.made.interval == "log" else ""
    return f"{level} by Student's t{scale} from the design variance (Hájek), with the finite population correction"


def _ends(found: Known) -> str:
    if found.total.low is None or found.total.high is None:
        return ""
    return f" (interval {told(found.total.low)} to {told(found.total.high)})"


def _cited(found: Known) -> list[str]:
    design, estimator = found.made.design, found.made.estimator
    keys = ["survey", *(["proportional", "entropy"] if design == "proportional" else [])]
    keys += ["ppi"] if estimator in ("difference", "regression") else []
    keys += ["tuned"] if estimator == "regression" else []
    keys += ["crossfit"] if found.made.crossfitted else []
    keys += [found.made.interval] if found.made.interval in ("log", "bootstrap") else []
    return keys
