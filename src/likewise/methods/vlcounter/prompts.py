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
#: The control of the ablation: the same sentences about one thing.
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
)

#: Words that inflect would take for plurals: of "bu", "len", "ga" and "iri".
SINGULAR_ENDINGS = r"(us|lens|\bgas|\biris)$"


@functools.lru_cache(maxsize=4096)
def sentences(name: str, *, plural: bool = True) -> tuple[str, ...]:
    """The eleven sentences about a thing.

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
    >>> pluralize("bus"), pluralize("kiwis"), pluralize("C3")
    ('buses', 'kiwis', 'C3')
    """
    return name if _is_plural(name) else str(_engine().plural_noun(name) or name)


def singularize(name: str) -> str:
    """A name in the singular; one that is there already stays as it is.

    >>> singularize("sea shells"), singularize("sea shell"), singularize("glass")
    ('sea shell', 'sea shell', 'glass')
    """
    return str(_engine().singular_noun(name) or name) if _is_plural(name) else name


def _is_plural(name: str) -> bool:
    """Whether taking the plural away and forming it again gives the name back, or the name has no plural (a number)."""
    if not name[-1:].isalpha():
        return True
    if re.search(SINGULAR_ENDINGS, name, flags=re.IGNORECASE):
        return False
    singular = _engine().singular_noun(name)
    return bool(singular) and _engine().plural_noun(singular) == name


@functools.cache
def _engine() -> Any:
    import inflect

    return inflect.engine()
