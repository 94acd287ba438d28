"""Words of CBV are one word in every spelling; a user's own stay what they are."""

import pytest

from chain.errors import InvalidMessage
from client.epcis.vocabulary import (
    BIZ_STEPS,
    BIZ_TRANSACTION_TYPES,
    COMPONENTS,
    DISPOSITIONS,
    ERROR_REASONS,
    MEASUREMENT_TYPES,
    SENSOR_ALERTS,
    SOURCE_DESTINATION_TYPES,
    Vocabulary,
)

CBV = (
    (BIZ_STEPS, "bizstep", "BizStep"),
    (DISPOSITIONS, "disp", "Disp"),
    (BIZ_TRANSACTION_TYPES, "btt", "BTT"),
    (SOURCE_DESTINATION_TYPES, "sdt", "SDT"),
    (ERROR_REASONS, "er", "ER"),
    (COMPONENTS, "comp", "Comp"),
)


@pytest.mark.parametrize(("vocabulary", "urn", "web"), CBV)
def test_every_word_in_every_spelling(vocabulary: Vocabulary, urn: str, web: str) -> None:
    for word in vocabulary.words:
        spellings = (
            word,
            f"urn:epcglobal:cbv:{urn}:{word}",
            f"https://ref.gs1.org/cbv/{web}-{word}",
            f"http://ref.gs1.org/cbv/{web}-{word}",
            f"cbv:{web}-{word}",
        )
        assert {vocabulary.normalise(spelling) for spelling in spellings} == {word}
        assert vocabulary.web_uri(word) == spellings[2]


@pytest.mark.parametrize("vocabulary", [MEASUREMENT_TYPES, SENSOR_ALERTS])
def test_words_of_the_web_vocabulary(vocabulary: Vocabulary) -> None:
    for word in vocabulary.words:
        for start in ("", "gs1:", "https://gs1.org/voc/", "https://ref.gs1.org/voc/"):
            assert vocabulary.normalise(start + word) == word


def test_the_standard_has_so_many_words() -> None:
    counts = [len(vocabulary.words) for vocabulary, _, _ in CBV]
    assert counts == [41, 33, 13, 3, 2, 14]


@pytest.mark.parametrize("text", ["https://acme.example/step/tasting", "ex:tasting", "urn:acme:s"])
def test_a_users_own_words_stay(text: str) -> None:
    assert BIZ_STEPS.normalise(text) == text == BIZ_STEPS.web_uri(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("sipping", "vocabulary.unknown_word"),
        ("Shipping", "vocabulary.unknown_word"),
        ("urn:epcglobal:cbv:bizstep:sipping", "vocabulary.unknown_word"),
        ("https://ref.gs1.org/cbv/BizStep-sipping", "vocabulary.unknown_word"),
        ("cbv:BizStep-", "vocabulary.unknown_word"),
        ("in transit", "identifier.not_a_uri"),
        ("", "identifier.not_a_uri"),
        ("urn:acme:" + "a" * 600, "identifier.not_a_uri"),
    ],
)
def test_other_words_are_refused(text: str, code: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        BIZ_STEPS.normalise(text, "/bizStep")
    assert (caught.value.code, caught.value.field) == (code, "/bizStep")
