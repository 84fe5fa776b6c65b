"""A thing's name in sentences, as CLIP's text tower is asked about it."""

from __future__ import annotations

import functools
import re
from typing import Any

#: What VLCounter says about a thing (Kang et al., AAAI 2024): things in numbers, of any size.
TEMPLATES = (
    "a photo of a number of {}.",
    "a photo of a number of small {}.",
    "a photo of a number of medium {}.",
    "a photo of a number of large {}.",
    "there are a photo of a number of {}.",
    "there are a photo of a number of small {}.",
    "there are a photo of a number of medium {}.",
    "there are a photo of a number of large {}.",
    "a number of {} in the scene.",
    "a photo of a number of {} in the scene.",
    "there are a number of {} in the scene.",
)
#: The control of the ablation. That there are fifteen is published; how they read here is ours, after the plural ones.
SINGULAR_TEMPLATES = (
    "a photo of a {}.",
    "a photo of a small {}.",
    "a photo of a medium {}.",
    "a photo of a large {}.",
    "this is a photo of a {}.",
    "this is a photo of a small {}.",
    "this is a photo of a medium {}.",
    "this is a photo of a large {}.",
    "a {} in the scene.",
    "a photo of a {} in the scene.",
    "there is a {} in the scene.",
    "there is the {} in the scene.",
    "there is a small {} in the scene.",
    "there is a medium {} in the scene.",
    "there is a large {} in the scene.",
)

#: Words whose s belongs to the singular; inflect would take them for plurals, of "bu", "len" or "atla".
SINGULAR_ENDINGS = re.compile(
    r"((?<!\bem)(?<!\bgn)(?<!\bmen)(?<!\bgur)us|lens|\bgas|\bbias|\balias|atlas|canvas|christmas|pancreas|\biris|\bibis|"
    r"tennis|mantis|clematis|pelvis|basis|oasis|crisis|thesis|ysis|rhinoceros|thermos|cosmos|chaos)$"
)
#: Plurals that inflect does not know.
PLURALS = frozenset({"cacti", "cattle", "octopi"})
#: What follows such a word tells more of the thing, and is in whatever number it is.
PREPOSITIONS = r"\s+(?=(?:of|in|with|on|at|from|for|without|under|inside|beside)\s)"


@functools.lru_cache(maxsize=4096)
def sentences(name: str, *, plural: bool = True) -> tuple[str, ...]:
    """The sentences about a thing, eleven of many or fifteen of one.

    Args:
        name: "strawberry", "strawberries" or "the strawberries": an article in front is left out.
        plural: about many of it, in the plural; False: about one, in the singular.
    """
    bare = re.sub(r"^(the|an?)\s+(?=\S)", "", " ".join(name.split()), flags=re.IGNORECASE)
    noun = pluralize(bare) if plural else singularize(bare)
    return tuple(template.format(noun) for template in (TEMPLATES if plural else SINGULAR_TEMPLATES))


def pluralize(name: str) -> str:
    """A name in the plural; one that is there already stays as it is.

    >>> pluralize("sea shell"), pluralize("sea shells"), pluralize("glass"), pluralize("sheep")
    ('sea shells', 'sea shells', 'glasses', 'sheep')
    >>> pluralize("bus"), pluralize("kiwis"), pluralize("flamingos"), pluralize("C3")
    ('buses', 'kiwis', 'flamingos', 'C3')
    >>> pluralize("strawberry covered in chocolate"), pluralize("bags of rice")
    ('strawberries covered in chocolate', 'bags of rice')
    """
    before, head, after = _parted(name)
    return name if _is_plural(head) else f"{before}{_plural(head)}{after}"


def singularize(name: str) -> str:
    """A name in the singular; one that is there already stays as it is.

    >>> singularize("sea shells"), singularize("sea shell"), singularize("glass"), singularize("bags of rice")
    ('sea shell', 'sea shell', 'glass', 'bag of rice')
    """
    before, head, after = _parted(name)
    return f"{before}{_engine().singular_noun(head) or head}{after}" if _is_plural(head) else name


def _parted(name: str) -> tuple[str, str, str]:
    """A name's head, the word that says what it is and in which number, and what stands before and after it."""
    whole, *rest = re.split(PREPOSITIONS, name, maxsplit=1, flags=re.IGNORECASE)
    # "strawberries covered in chocolate", but neither "a seed in a pot" nor "red on white"
    described = re.fullmatch(r"(.*\S)(\s+\S*(?:[^e\s]ed|ing))", whole, re.IGNORECASE) if rest else None
    phrase = described[1] if described else whole
    if described and described[2].lower().endswith("ing") and not _is_plural(phrase.split()[-1]):
        phrase = whole  # an onion ring, not people standing
    before, head = re.fullmatch(r"(.*?)(\S*)", phrase).groups()  # type: ignore[union-attr]  # anything matches
    return before, head, name[len(phrase) :]


def _plural(word: str) -> str:
    formed = str(_engine().plural_noun(word) or word)
    # "clematis" and "thermos", which inflect takes for plurals
    return f"{word}es" if formed == f"{word}s" and word.lower().endswith("s") else formed


def _is_plural(word: str) -> bool:
    """Whether a word is in the plural, or has none (a number).

    It is where taking the plural away and forming it again gives the word back: as inflect forms it, or by one of the
    regular endings, since there are flamingos beside flamingoes, and fishes beside fish.
    """
    plain = word.lower()
    if not word[-1:].isalpha() or plain in PLURALS:
        return True
    if SINGULAR_ENDINGS.search(plain):
        return False
    singular = str(_engine().singular_noun(plain) or "")
    regular = {f"{singular}s", f"{singular}es", f"{singular.removesuffix('y')}ies"}
    return bool(singular) and plain in {_engine().plural_noun(singular), *regular}


@functools.cache
def _engine() -> Any:
    import inflect

    return inflect.engine()
