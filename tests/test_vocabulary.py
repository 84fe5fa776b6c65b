"""Names as words: plurals against the inflect library, and which things answer to which questions."""

from __future__ import annotations

import json
from pathlib import Path

import inflect
import numpy as np
import pytest

from likewise.errors import LikewiseError
from likewise.registry import preset
from likewise.vocabulary import (
    SYNONYMS,
    answers,
    base_name,
    check_question,
    listed,
    singular,
    spellings,
    unanswered,
    vocabulary,
    ways_to_ask,
    words_of,
)

THINGS = (
    *("apple", "berry", "box", "bus", "bench", "brush", "glass", "watch", "fox"),
    *("leaf", "knife", "wolf", "potato", "tomato", "shoe", "toe", "horse", "house"),
    *("rose", "vase", "mouse", "goose", "child", "foot", "tooth", "man", "woman"),
    *("person", "nucleus", "cactus", "octopus", "bacterium", "cookie", "pie", "kiwi", "taxi"),
    *("axe", "canoe", "glove", "olive", "shelf", "scarf", "loaf", "buffalo", "volcano"),
    *("cherry", "strawberry", "tie", "lens", "dress", "peach", "cell", "egg", "rhinoceros"),
)


@pytest.mark.parametrize("word", THINGS)
def test_the_singular_of_a_plural_is_the_word(word):
    engine = inflect.engine()
    assert singular(word) == word
    assert singular(engine.plural_noun(word)) == word


def test_words_leave_out_what_tells_nothing():
    assert words_of("How many of the two-tone Berries are there?") == ("two", "tone", "berry")
    assert words_of("textured ring no. 386") == ("textured", "ring")
    assert words_of("the") == ("the",)


@pytest.mark.parametrize(
    ("name", "question", "yes"),
    [
        ("red heart", "heart", True),
        ("red heart", "red hearts", True),
        ("red heart", "blue heart", False),
        ("heart", "red heart", False),
        ("aubergine", "eggplants", True),
        ("grey disc", "gray disk", True),
        ("small nucleated white blob", "white blobs", True),
        ("cat face", "cat", True),
        ("cat", "cat face", False),
    ],
)
def test_a_thing_answers_when_all_words_are_its_own(name, question, yes):
    assert answers(name, question) is yes


def test_a_base_name_keeps_its_noun():
    assert base_name("small nucleated white blob") == "blob"
    assert base_name("textured ring no. 386") == "ring"
    assert base_name("orange") == "orange"
    assert base_name("hot pepper") == "hot pepper"


def test_every_way_to_ask_is_answered_and_all_are_met():
    rng = np.random.default_rng(0)
    asked = {ways_to_ask("small grey bean", rng) for _ in range(300)}
    assert all(answers("small grey bean", question) for question in asked)
    assert {"bean", "grey bean", "small bean", "small grey bean", "small gray bean", "little grey bean"} <= asked


def test_synonyms_go_both_ways_and_hold_two_different_words():
    for one, other in SYNONYMS:
        assert other in spellings(one)
        assert one in spellings(other)
        assert words_of(one) != words_of(other)


def test_a_vocabulary_is_base_names_and_the_adjectives_that_occur():
    known = vocabulary(["red heart", "blue heart", "aubergine", "textured ring no. 3"])
    assert known == ("aubergine", "blue", "eggplant", "heart", "red", "ring", "textured")


def test_questions_that_do_not_ask_for_a_thing():
    names, questions = ["red heart", "blue heart", "coin"], ["heart", "blue heart", "coins", "red coin"]
    table = [[not answers(name, question) for question in questions] for name in names]
    assert unanswered(names, questions) == table
    assert table == [[False, True, True, True], [False, False, True, True], [True, True, False, True]]


@pytest.mark.parametrize(
    "text",
    [
        "coins",
        "coins,",
        "salt and pepper shakers",
        "red and blue hearts",
        "black or white pawns",
        "hammer and pick",
        "smiling face with smiling eyes and three hearts",
        "the strawberries covered in white or dark chocolate",
        "the cupcakes in or around the cupcake tray",
        "the m&m pieces",
        "1,000 yen coins",
        "1/2 inch bolts",
        "knots",
        "snowman without snow",
    ],
)
def test_one_kind_of_thing_may_be_asked_for_in_any_words(text: str) -> None:
    check_question(text)
    assert listed(text) == (text,)


@pytest.mark.parametrize("joint", [", ", "; ", ",", " and ", " or ", " & ", " + ", "/", "|", "、", "，", " AND "])
def test_a_list_is_refused_and_its_first_item_named(joint: str) -> None:
    with pytest.raises(LikewiseError, match=r"is a list; expected one kind of thing, such as 'coins', or the names"):
        check_question(f"coins{joint}apples")
    with pytest.raises(LikewiseError, match="is a list"):
        check_question(f"coins{joint}sheep{joint}red apples")
    assert listed(f"coins{joint}sheep{joint}red apples") == ("coins", "sheep", "red apples")
    assert listed(f"coins, sheep, and apples{joint}pears") == ("coins", "sheep", "apples", "pears")


@pytest.mark.parametrize(
    "text",
    [
        *("everything except coins", "all but coins", "not coins", "anything but coins", "Everything EXCEPT coins"),
        *("coins other than pennies", "coins without holes", "coins excluding pennies", "coins apart from pennies"),
        *("coins, but not pennies", "coins rather than buttons"),
    ],
)
def test_what_leaves_something_out_is_refused_with_what_to_do_instead(text: str) -> None:
    with pytest.raises(LikewiseError, match=r"is not understood.*boxes round them as negatives"):
        check_question(text)


def test_every_name_of_the_published_sets_and_of_the_bundled_model_may_be_asked_for(data_dir: Path) -> None:
    described = json.loads((data_dir / "fsc147" / "FSC-147-D.json").read_text())
    classes = (data_dir / "fsc147" / "ImageClasses_FSC147.txt").read_text().splitlines()
    names = {text for record in described.values() for text in record.values() if isinstance(text, str)}
    names |= {line.partition("\t")[2].strip() for line in classes}
    names |= set(preset("countx-lite").config.vocabulary)
    assert len(names) > 300
    for name in sorted(names - {""}):
        check_question(name)
