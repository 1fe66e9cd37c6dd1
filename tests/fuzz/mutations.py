"""Mutations without coverage, the same in every run: what the test-suite tries beside the corpus.
`make fuzz` looks further, led by coverage."""

import random
from collections.abc import Iterator, Sequence

LONGEST = 64 * 1024


def mutations(
    seeds: Sequence[bytes], tokens: Sequence[bytes], *, number: int, seed: int = 0
) -> Iterator[bytes]:
    """So many inputs made from the seeds by one to four changes each."""
    chance = random.Random(seed)
    for _ in range(number):
        data = chance.choice(seeds)
        for _ in range(chance.randint(1, 4)):
            data = _changed(data, seeds, tokens, chance)[:LONGEST]
        yield data


def _changed(
    data: bytes, seeds: Sequence[bytes], tokens: Sequence[bytes], chance: random.Random
) -> bytes:
    at, to = sorted((chance.randint(0, len(data)), chance.randint(0, len(data))))
    match chance.randrange(7):
        case 0:  # another byte
            return data[:at] + chance.randbytes(1) + data[at + 1 :]
        case 1:  # a part is missing
            return data[:at] + data[to:]
        case 2:  # a part comes twice
            return data[:to] + data[at:to] + data[to:]
        case 3:  # the end of another
            other = chance.choice(seeds)
            return data[:at] + other[chance.randint(0, len(other)) :]
        case 4:  # a word in the place of another
            return data[:at] + chance.choice(tokens) + data[min(to, at + 12) :]
        case 5:  # cut off
            return data[:to]
        case _:  # a word more
            return data[:at] + chance.choice(tokens) + data[at:]
