"""Names of things as words: how a thing may be asked for, and which things answer to a question.

A question is a set of words. A thing answers to it when every word of the question is one of its own: "heart" asks
for red and blue hearts alike, "red heart" for the red ones. Word order, plurals and small words such as "the" do not
matter.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from functools import lru_cache

from numpy.random import Generator

from likewise.errors import LikewiseError

#: Words that tell nothing about what is to be counted.
SMALL_WORDS = frozenset(("a", "an", "the", "of", "in", "on", "at", "with", "and", "or", "to", "for", "no", "is", "are"))
SMALL_WORDS |= {"there", "this", "that", "these", "those", "how", "many", "much", "number", "all", "every", "each"}
SMALL_WORDS |= {"some", "any", "what", "photo", "picture", "image", "count", "please"}
#: Plurals that the rules of `singular` would get wrong, and singulars that look like plurals.
_IRREGULAR = {
    "series": "series",
    "species": "species",
    "specimen": "specimen",
    "abdomen": "abdomen",
    "mice": "mouse",
    "geese": "goose",
    "children": "child",
    "feet": "foot",
    "teeth": "tooth",
    "oxen": "ox",
    "men": "man",
    "nuclei": "nucleus",
    "cacti": "cactus",
    "octopi": "octopus",
    "fungi": "fungus",
    "bacteria": "bacterium",
    "dice": "die",
    **{w: w for w in ("gas", "lens", "christmas", "canvas", "atlas", "chess", "rhinoceros")},
    **{w + "s": w for w in ("bikini", "taxi", "sari", "kiwi", "zucchini", "broccoli", "necktie", "tie", "pie", "tv")},
    **{w + "s": w for w in ("cookie", "movie", "zombie", "selfie", "genie", "brownie", "toe", "canoe", "oboe", "aloe")},
    **{w + "s": w for w in ("axe", "moustache", "brioche", "house", "blouse")},
    **{w + "es": w for w in ("bus", "gas", "lens", "iris", "rhinoceros", "walrus")},
    **{
        w + "ves": w + "f" for w in ("lea", "loa", "wol", "shel", "hal", "cal", "scar", "headscar", "el", "thie", "hoo")
    },
    **{w + "ves": w + "fe" for w in ("kni", "wi", "li")},
}
#: Endings of plurals and what they become, the first that fits; what is listed as itself is a singular.
_ENDINGS = (
    *(("men", "man"), ("people", "person"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("zes", "z")),
    *(
        ("shoes", "shoe"),
        ("oes", "o"),
        ("uses", "us"),
        ("ies", "y"),
        ("ss", "ss"),
        ("us", "us"),
        ("is", "is"),
        ("s", ""),
    ),
)
#: Between the items of a list: commas and their like, but not within a number; "/", "&" and "+" where words are apart.
_LISTED = re.compile(r"(?<!\d),|,(?!\d)|[;|\u3001\uff0c\uff1b]|(?<=[^\W\d])/(?=[^\W\d])|\s[/&+]\s")
_JOINED = re.compile(r"\s(?:and|or)\s", re.IGNORECASE)
#: The last item of a list may begin with it.
#: Plurals that are their own singulars.
_UNCHANGED = frozenset({"aircraft", "deer", "fish", "sheep", "shrimp", "spacecraft", "squid"})
_AND = re.compile(r"^(?:and|or)\s+", re.IGNORECASE)
#: What leaves something out of what was named.
_LEFT_OUT = re.compile(
    r"\b(?:except(?:ing)?|excluding|exclude|all but|(?:every|any)thing but|but not|but no|other than|apart from"
    r"|aside from|without|not|minus|rather than|instead of)\b",
    re.IGNORECASE,
)
#: Things that are called by what they lack.
_LACKING = re.compile(r"\b(?:snowm[ae]n without snow|faces? without mouths?)\b", re.IGNORECASE)
#: Words behind which "and" joins parts of one name, such as "face with open eyes and hand over mouth".
_WITHIN = frozenset(("with", "of", "in", "on", "at", "for", "from", "over", "under", "between", "around", "to"))
COLOURS: tuple[str, ...] = (
    *("black", "blue", "brown", "cyan", "green", "grey", "olive", "orange", "pink", "purple", "red", "white"),
    "yellow",
)
#: How drawn shapes look, and how they lie.
SURFACES: tuple[str, ...] = (
    *("glossy", "glowing", "matte", "mottled", "nucleated", "outlined", "packed", "plain", "ringed", "speckled"),
    *("striped", "textured", "translucent", "two-tone"),
)
SIZES = ("small", "large")
ADJECTIVES = frozenset((*COLOURS, *SURFACES, *SIZES))

#: Other words for the same: each may stand in a name for the other.
SYNONYMS = (
    *(("aubergine", "eggplant"), ("zucchini", "courgette"), ("hot pepper", "chili pepper"), ("cutlery", "tableware")),
    *(("grey", "gray"), ("purple", "violet"), ("cyan", "turquoise"), ("small", "little"), ("large", "big")),
    *(("disc", "disk"), ("disc", "circle"), ("rod", "bar"), ("pebble", "rock"), ("tablet", "pill")),
    *(("nucleus", "cell nucleus"), ("blossom", "bloom"), ("box", "crate"), ("speckled", "spotted"), ("plain", "flat")),
    *(("automobile", "car"), ("mobile phone", "cell phone"), ("television", "tv"), ("airplane", "plane")),
    *(("bicycle", "bike"), ("doughnut", "donut"), ("cookie", "biscuit"), ("ear of maize", "corn"), ("mug", "cup")),
    *(("tangerine", "mandarin"), ("french fries", "chips"), ("soccer ball", "football"), ("t-shirt", "tee shirt")),
    *(("jumper", "pullover"), ("sweater", "pullover"), ("pants", "trousers"), ("purse", "handbag"), ("bag", "sack")),
    *(("poultry leg", "chicken leg"), ("spiral shell", "sea shell"), ("honeybee", "bee"), ("lady beetle", "ladybug")),
    *(("mouse", "computer mouse"), ("rabbit", "bunny"), ("dromedary camel", "camel"), ("pistol", "gun")),
    *(("delivery truck", "lorry"), ("oncoming automobile", "oncoming car"), ("vest", "waistcoat")),
    *(("yoghurt", "yogurt"), ("soyghurt", "soy yogurt"), ("cantaloupe", "melon"), ("suit", "costume")),
    *(("white blood cells", "leukocytes"), ("platelets", "thrombocytes"), ("adipocytes", "fat cells")),
    *(("present", "gift"), ("billiards", "pool ball"), ("coat", "overcoat"), ("romper", "jumpsuit"), ("hat", "cap")),
)


def singular(word: str) -> str:
    """The singular of a lower-case English word; what is singular already stays as it is."""
    if word in _IRREGULAR or len(word) < 4:
        return _IRREGULAR.get(word, word)
    for ending, becomes in _ENDINGS:
        if word.endswith(ending):
            return word.removesuffix(ending) + becomes
    return word


@lru_cache(maxsize=65536)
def words_of(text: str) -> tuple[str, ...]:
    """The words of a name in their order, lower-case and singular, without punctuation, small words and numbers.

    A text of nothing but small words keeps them: it is still a name.
    """
    # a number in a generated name tells two textures apart, which no one could tell from the name
    found = re.findall(r"[^\W_]+", re.sub(r"\bno\. \d+", "", text.lower().replace("'s", "s")))
    telling = [w for w in found if w not in SMALL_WORDS] or found
    return tuple(dict.fromkeys(singular(w) for w in telling))


@lru_cache(maxsize=65536)
def spellings(name: str) -> tuple[str, ...]:
    """The name itself and the same with one part in other words."""
    forms = [name]
    for pair in SYNONYMS:
        for part, other in (pair, pair[::-1]):
            changed = re.sub(rf"\b{re.escape(part)}\b", other, name)
            if changed != name and changed not in forms:
                forms.append(changed)
    return tuple(forms)


@lru_cache(maxsize=65536)
def words_for(name: str) -> frozenset[str]:
    """Every word the thing of that name may be asked for with."""
    return frozenset(word for form in spellings(name) for word in words_of(form))


def check_question(text: str) -> None:
    """See that a question names one kind of thing, and nothing that is to be left out.

    "Salt and pepper shakers", "black or white pawns" and "hammer and pick" are one kind; "coins, apples" and "coins and
    apples", where a plural stands before the "and", are two.

    Raises:
        LikewiseError: a list, or "except" and its like; says what to do instead.
    """
    left_out = _LEFT_OUT.search(_LACKING.sub("", text))
    if left_out:
        raise LikewiseError(
            f"text = {text!r}: {left_out.group().lower()!r} is not understood, and what follows it would be counted "
            "too; expected the name of one thing, such as 'coins'. To leave look-alikes out, name them too, as kinds "
            "of their own: text=['coins', 'buttons'], --text 'coins, buttons'; or show an example with a box, and "
            "boxes round them as negatives"
        )
    items = listed(text)
    if len(items) > 1:
        raise LikewiseError(
            f"text = {text!r} is a list; expected one kind of thing, such as {items[0]!r}, or the names of several "
            f"kinds: text={list(items)}"
        )


def listed(text: str) -> tuple[str, ...]:
    """The kinds that a text names: the items of a list, and of those what plurals before an "and" name.

    Example:
        >>> listed("apples, oranges and pears"), listed("salt and pepper shakers")
        (('apples', 'oranges', 'pears'), ('salt and pepper shakers',))
    """
    items = [item for item in map(str.strip, _LISTED.split(text)) if re.search(r"\w", item)]
    parts = [_AND.sub("", part).strip() for item in items for part in _split(item)]
    return tuple(parts) if len(parts) > 1 else (text,)


def _split(text: str) -> list[str]:
    """What stands before and behind each "and" or "or" that joins things by themselves."""
    for before, behind in _pairs(text):
        if _is_plural(before):
            return [before, *_split(behind)]
    return [text]


def _pairs(text: str) -> list[tuple[str, str]]:
    """What stands before each "and" or "or", and behind it."""
    return [(text[: found.start()].strip(), text[found.end() :].strip()) for found in _JOINED.finditer(text)]


def _is_plural(text: str) -> bool:
    """Whether a text is things by itself: its last word is a plural, and nothing before it begins a part of a name."""
    words = re.findall(r"[^\W_]+", text.lower())
    if not words or _WITHIN.intersection(words):
        return False
    return words[-1] in _UNCHANGED or singular(words[-1]) != words[-1]


def nearest_names(text: str, known: Sequence[str]) -> str:
    """The end of a message about a text that is not known: names that look like it, or some of the names there are."""
    names = {name.lower(): name for name in known}
    near = difflib.get_close_matches(" ".join(text.lower().split()), names, n=3, cutoff=0.55)
    for word in words_of(text):
        near += difflib.get_close_matches(word, names, n=2, cutoff=0.7)
    if near:
        return "; the nearest known names are " + ", ".join(repr(names[n]) for n in dict.fromkeys(near))
    some = known[:: max(1, len(known) // 8)][:8]
    return f"; it knows {len(known)} names, such as {', '.join(map(repr, some))}"


def answers(name: str, question: str) -> bool:
    """Whether a thing of that name is one of those the question asks for."""
    return words_for(name).issuperset(words_of(question))


def unanswered(names: Sequence[str], questions: Sequence[str]) -> list[list[bool]]:
    """For every thing, which of the questions do not ask for it."""
    asked = [frozenset(words_of(question)) for question in questions]
    return [[not question <= may for question in asked] for may in map(words_for, names)]


@lru_cache(maxsize=65536)
def base_name(name: str) -> str:
    """The name without its leading adjectives, the last word always kept, and without a generated number."""
    parts = re.sub(r" no\. \d+$", "", name).split()
    while len(parts) > 1 and parts[0] in ADJECTIVES:
        parts = parts[1:]
    return " ".join(parts)


def ways_to_ask(name: str, rng: Generator, *, keep: float = 0.75, other: float = 0.3) -> str:
    """One way to ask for a thing, at random.

    Args:
        name: what the thing is called.
        rng: decides.
        keep: probability with which each leading adjective stays.
        other: probability of other words, where there are some.
    """
    base = base_name(name)
    parts = re.sub(r" no\. \d+$", "", name).split()
    leading = [part for part in parts[: len(parts) - len(base.split())] if rng.random() < keep]
    asked = " ".join((*leading, base))
    forms = spellings(asked)
    return forms[int(rng.integers(1, len(forms)))] if len(forms) > 1 and rng.random() < other else asked


def vocabulary(names: list[str]) -> tuple[str, ...]:
    """The base names of things and the adjectives they come with, in all spellings, sorted: what a model is taught."""
    bases = {base_name(name) for name in names}
    met = {part for name in names for part in name.split() if part in ADJECTIVES}
    whole = {part for pair in SYNONYMS if set(pair) & set(names) for part in pair}  # with an adjective in the name
    return tuple(sorted({form for name in bases | met | whole for form in spellings(name)}))
