"""What synthetic speakers say besides the keyword; nothing that one split says is said in another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anchorstream.data.clip import Split

_WORD_LIST = """
able about above across action after again against agree almost along already always among animal another
answer anybody apple april around arrive autumn banana basket battery because bedroom before begin behind
believe better between beyond bicycle birthday bottle bottom bread breakfast bridge brother butter button
camera candle captain carpet carry castle ceiling chair channel chicken children chocolate circle city
climate clothes coffee colour company complete concert condition consider contain continue control cooking
copper corner cotton country couple cover crowd cucumber culture curtain cushion customer daughter december
decide deliver dinner direction distance doctor dollar double drawing driver during early earth eleven empty
engine enough evening every example explain factory family farmer father favourite february finger finish
flower follow football forest forget forward freedom friday friend further garden gentle glasses golden
grandmother green guitar hammer happen harbour holiday hospital hundred hungry husband idea important
include industry inside island january jacket journey kitchen ladder language laughter learn leather letter
library listen little living machine magazine manage market matter measure medicine meeting member middle
minute mirror modern moment monday money morning mother mountain movement museum music narrow nature nearly
neighbour never newspaper nobody normal nothing november number object ocean october office often onion open
orange order outside paper parent partner pencil people pepper perhaps person picture pillow planet plastic
pleasant pocket policeman popular possible potato present president problem promise protect public quality
quarter question quickly quiet rabbit radio railway rather reason receive record remember report return
river sailor salad saturday school season second secret september seven several shadow shoulder silver
simple singer sister sleeping slowly somebody station story straight strawberry street student subject sugar
summer sunday supper surprise table teacher telephone temperature theatre thirteen thousand thursday ticket
together tomato tomorrow tonight towards traffic travel tuesday twenty umbrella uncle under understand
university until usual vegetable village visitor volume waiter water weather wednesday weekend welcome wheel
whisper window winter without woman wonder yellow yesterday young
"""
_WORDS = _WORD_LIST.split()

_TEMPLATES = (
    "please put the {} on the {}",
    "i will be back before {}",
    "have you seen my {} anywhere",
    "the {} was not as {} as we thought",
    "could you turn the {} down a bit",
    "we talked about the {} and the {}",
    "she said that {} would be better",
    "there is a {} in front of the {}",
    "what time does the {} leave",
    "nobody told me about the {}",
    "let us meet near the {} at half past six",
    "he bought {} and {} for dinner",
    "it has been raining since {}",
    "why is the {} still {}",
    "set a timer for {} minutes",
    "remind me to call the {} about the {}",
    "play some {} music",
    "do not forget the {} this time",
    "one {} is enough for two of us",
    "they moved the {} to the other side of the {}",
    "how far is it to the {}",
    "my {} likes {} more than anything",
    "after the {} we went home",
    "is there any {} left",
    "the train to {} is late again",
    "open the {} and wait a moment",
    "i think {} was the right answer",
    "switch off the light in the {}",
    "that {} costs more than a {}",
    "everybody wants to hear about the {}",
)

# Words that share their beginning, their end or their melody with a keyword.
_NEAR_MISSES = {
    "computer": (
        "commuter", "compute", "computing", "compete her", "computation", "compost", "commute", "competitor",
        "compare her", "compelled her", "scooter", "tutor", "shooter", "come here", "come to her", "commission",
        "come, peter", "looter", "complain", "permuter", "compact", "pewter", "company", "suitor", "comfort her",
        "neuter", "compass", "composer", "combine", "recruiter",
    ),
}  # fmt: skip

_SHARES: dict[Split, tuple[int, ...]] = {"train": (0, 1, 2), "dev": (3,), "test": (4,)}
_TRIES = 100


class OtherSpeech:
    """The words, near misses and sentences of one split, free of every keyword.

    Args:
        keywords: what must not be said.
        split: whose texts; the splits share none.
    """

    def __init__(self, keywords: Sequence[str], split: Split) -> None:
        self._keywords = [_plain(keyword) for keyword in keywords]
        taken = {near for keyword in keywords for near in near_misses(keyword)}
        self._words = [word for word in _share(_WORDS, split) if word not in taken]
        self._templates = _share(_TEMPLATES, split)
        self._near_misses = [near for keyword in keywords for near in _share(near_misses(keyword), split)]

    def draw(self, rng: np.random.Generator) -> str:
        """A near miss, one or two words, or a sentence that may hold a near miss.

        Raises:
            ValueError: if a keyword is so common that nothing can be said without it.
        """
        for _ in range(_TRIES):
            text = self._draw(rng)
            if not any(keyword in _plain(text) for keyword in self._keywords):
                return text
        raise ValueError(f"nothing can be said without one of the keywords {', '.join(self._keywords)}")

    def _draw(self, rng: np.random.Generator) -> str:
        sort = rng.random()
        if sort < 0.3 and self._near_misses:
            return _pick(self._near_misses, rng)
        if sort < 0.65:
            return " ".join(_pick(self._words, rng) for _ in range(rng.integers(1, 3)))
        template = _pick(self._templates, rng)
        pools = [
            self._near_misses if self._near_misses and rng.random() < 0.2 else self._words
            for _ in range(template.count("{}"))
        ]
        return template.format(*(_pick(pool, rng) for pool in pools))


def near_misses(keyword: str) -> tuple[str, ...]:
    """What sounds like a keyword and is not: words written down for it, or its parts and its rhymes.

    Example:
        >>> near_misses("alexa")
        ('alex', 'lexa', 'ale', 'exa', 'balexa', 'malexa', 'salexa', 'talexa')
        >>> near_misses("view glass")[:3]
        ('view', 'glass', 'glass view')
    """
    keyword = keyword.lower().strip()
    if keyword in _NEAR_MISSES:
        return _NEAR_MISSES[keyword]
    words = keyword.split()
    found = [*words, " ".join(reversed(words))] if len(words) > 1 else []
    third = max(1, len(keyword) // 3)
    found += [keyword[:-1], keyword[1:], keyword[: -third - 1], keyword[third + 1 :]]
    # Another first sound before the first vowel.
    rest = keyword.lstrip("bcdfghjklmnpqrstvwxyz") or keyword
    found += [sound + rest for sound in "bmst"]
    unique = dict.fromkeys(text.strip() for text in found)
    return tuple(text for text in unique if text != keyword and len(text) > 1)


def _plain(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalpha())


def _share(texts: Sequence[str], split: Split) -> list[str]:
    return [text for index, text in enumerate(texts) if index % 5 in _SHARES[split]]


def _pick(texts: Sequence[str], rng: np.random.Generator) -> str:
    return texts[int(rng.integers(len(texts)))]
