"""The encoder of known words: what it takes for the same, what it refuses, and that texts do not see each other."""

from __future__ import annotations

import pytest
import torch

from likewise.errors import LikewiseError
from likewise.methods.countx.word_encoder import WordEncoder

NAMES = ("strawberry", "red bell pepper", "hot pepper", "t-shirt", "nucleus", "large")


@pytest.fixture
def encoder():
    return WordEncoder(NAMES, 16).eval()


def test_words_of_the_names_are_what_is_known(encoder):
    assert sorted(encoder.index) == ["bell", "hot", "large", "nucleus", "pepper", "red", "shirt", "strawberry", "t"]
    assert encoder.knows("Some large, striped T-shirts!") == ("large", "t", "shirt")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("Strawberries!", "strawberry"),
        ("how many strawberries are there?", "strawberry"),
        ("the red bell peppers", "pepper, bell, red"),
        ("nuclei", "nucleus"),
        ("the sweet strawberries", "strawberry"),
    ],
)
def test_texts_that_say_the_same_are_the_same(encoder, text, same):
    assert torch.equal(encoder([text]), encoder([same]))


def test_other_words_are_another_vector_of_bounded_length(encoder):
    with torch.inference_mode():
        vectors = encoder(["strawberry", "hot pepper", "red pepper", "large strawberry"])
    assert vectors.shape == (4, 16)
    assert float(torch.cdist(vectors, vectors).add(torch.eye(4) * 9).min()) > 0.1
    assert torch.allclose(vectors.norm(dim=1), torch.full((4,), 4.0), atol=1e-3)  # LayerNorm: sqrt(width)


def test_a_text_is_encoded_as_if_it_were_alone(encoder):
    texts = ["strawberry", "large red hot bell pepper", "nuclei"]
    alone = torch.cat([encoder([text]) for text in texts])
    assert torch.allclose(encoder(texts), alone, atol=1e-6)


def test_every_parameter_learns(encoder):
    encoder(["large red pepper", "strawberry"])[:, :3].square().sum().backward()
    assert all(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in encoder.parameters())


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("strawbery", "'strawberry'"),
        ("green strawbberrys", "'strawberry'"),
        ("xylophone zzz", "it knows 6 names, such as 'strawberry'"),
    ],
)
def test_a_text_without_a_known_word_is_refused_with_the_nearest(encoder, text, hint):
    with pytest.raises(LikewiseError, match=hint):
        encoder.check(text)
    with pytest.raises(LikewiseError, match="no word of"):
        encoder(["strawberry", text])


def test_a_vocabulary_is_needed():
    with pytest.raises(LikewiseError, match="vocabulary is empty"):
        WordEncoder((), 8)
