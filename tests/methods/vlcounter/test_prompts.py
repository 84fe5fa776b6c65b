"""Names in sentences: what is plural stays, what is singular becomes plural, and the ablation's control is singular."""

from __future__ import annotations

import pytest

from likewise.methods.vlcounter.prompts import SINGULAR_TEMPLATES, TEMPLATES, pluralize, sentences, singularize

#: Classes of FSC-147 that are in the plural.
PLURAL = """
alcohol bottles, apples, baguette rolls, balls, bananas, beads, bees, birds, biscuits, boats, books, bottle caps,
bottles, boxes, bread rolls, bricks, buffaloes, buns, calamari rings, candles, candy pieces, cans, caps,
carrom board pieces, cars, cartridges, cashew nuts, cassettes, cement bags, cereals, chairs, chewing gum pieces,
chicken wings, clams, coffee beans, coins, comic books, cotton balls, cows, crab cakes, cranes, crayons, croissants,
crows, cupcakes, cups, deers, desks, eggs, elephants, finger foods, fishes, flamingos, flower pots, flowers, geese,
gemstones, goats, grapes, green peas, horses, hot air balloons, ice cream cones, instant noodles, jade stones, jeans,
keyboard keys, kidney beans, kitchen towels, kiwis, legos, lighters, m&m pieces, macarons, marbles, markers, matches,
meat skewers, mini blinds, mosaic tiles, nails, nuts, onion rings, oranges, oyster shells, oysters, peaches, pearls,
pencils, penguins, pens, people, peppers, pigeons, pills, polka dot tiles, polka dots, potato chips, potatoes,
prawn crackers, red beans, rice bags, roof tiles, sauce bottles, screws, sea shells, seagulls, sheep, shoes,
skateboards, skis, spring rolls, stairs, stamps, sticky notes, straws, strawberries, strawberries covered in chocolate,
sunglasses, swans, tomatoes, tree logs, watches, windows, zebras
""".replace("\n", " ")


@pytest.mark.parametrize("name", [name.strip() for name in PLURAL.split(",")])
def test_what_is_plural_already_stays(name):
    assert pluralize(name) == name
    assert pluralize(name.upper()) == name.upper()


@pytest.mark.parametrize(
    "name",
    [
        "mangos", "mangoes", "mosquitos", "volcanoes", "zeros", "zeroes", "shrimps", "salmons", "scarfs", "scarves",
        "roofs", "hippos", "taxis", "zucchinis", "emus", "gnus", "menus", "dice", "scissors", "cattle", "cacti",
        "octopi", "nuclei", "series", "species", "leaves", "cookies", "pies", "statuses", "lenses", "boats on a lake",
        "people standing in line", "bags of rice", "eggs in cartons", "flies on a wall", "children with balloons",
    ],
)  # fmt: skip
def test_other_plurals_stay_too(name):
    assert pluralize(name) == name


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("strawberry", "strawberries"), ("bottle cap", "bottle caps"), ("watermelon", "watermelons"),
        ("ice cream", "ice creams"), ("cupcake tray", "cupcake trays"), ("box", "boxes"), ("glass", "glasses"),
        ("bus", "buses"), ("lens", "lenses"), ("octopus", "octopuses"), ("walrus", "walruses"), ("atlas", "atlases"),
        ("canvas", "canvases"), ("iris", "irises"), ("mantis", "mantises"), ("child", "children"),
        ("goose", "geese"), ("leaf", "leaves"), ("bag of rice", "bags of rice"), ("pair of shoes", "pairs of shoes"),
        ("boat on a lake", "boats on a lake"), ("strawberry covered in chocolate", "strawberries covered in chocolate"),
        ("onion ring in a bowl", "onion rings in a bowl"), ("seed in a pot", "seeds in a pot"),
    ],
)  # fmt: skip
def test_what_is_singular_becomes_plural_and_back(one, many):
    assert pluralize(one) == many
    assert pluralize(many) == many
    assert singularize(one) == one
    assert singularize(many) == one


def test_words_whose_s_is_their_own_get_a_plural_that_inflect_does_not_know():
    assert [pluralize(word) for word in ("thermos", "clematis")] == ["thermoses", "clematises"]


def test_a_name_without_a_plural_stays():
    assert pluralize("C3") == singularize("C3") == "C3"


def test_there_are_eleven_sentences_of_many_and_fifteen_of_one():
    many, one = sentences("the sea shell"), sentences("sea shells", plural=False)
    assert (len(set(many)), len(set(one))) == (len(TEMPLATES), len(SINGULAR_TEMPLATES)) == (11, 15)
    assert all("sea shells" in each for each in many)
    assert all("sea shell" in each and "shells" not in each for each in one)
    assert all(each.endswith(".") and "{}" not in each for each in (*many, *one))
