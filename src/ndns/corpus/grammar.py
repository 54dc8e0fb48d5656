"""English sentences from a small seeded grammar: material for synthetic speech, not for reading.

The word lists are our own. They hold every English phoneme many times, and a sentence has 7 to 16 words.
"""

import numpy as np

WORDS: dict[str, tuple[str, ...]] = {
    name: tuple(text.replace("\n", " ").split())
    for name, text in {
        "adjective": """quiet heavy frozen golden narrow gentle clever hungry rusty silver ancient bitter shallow
            curious broken polite thirsty enormous cheerful dusty hollow velvet crooked modern fragile nervous yellow
            purple wooden foggy sleepy brilliant careless damp eager faithful generous honest icy jolly lazy muddy
            noisy orange peculiar rapid salty tender unusual vivid weary young bright cautious distant fresh grateful
            harsh joyful loyal marble plain quick rough sharp thick urgent vacant warm wild""",
        "person": """farmer teacher pilot baker doctor sailor painter neighbour driver lawyer singer gardener captain
            student stranger uncle daughter brother grandmother engineer waiter tailor judge nurse plumber guard
            jeweller musician dancer shepherd hunter writer visitor chairman officer cousin child mayor clerk
            messenger butcher carpenter dentist editor fisherman goalkeeper housekeeper inspector juggler librarian
            mechanic optician poet referee surgeon translator usher violinist welder""",
        "thing": """basket river window bridge letter garden engine kitchen mountain blanket candle ladder orchard
            pocket station village whistle saddle carriage picture treasure umbrella thermometer piano hammer kettle
            lantern market newspaper pillow question ribbon sandwich telephone vase wagon bicycle cottage drawer
            envelope feather giraffe harbour island jacket keyboard lemon measure needle oyster pebble quarry
            rabbit shelter thunder uniform valley waterfall xylophone yacht zebra anchor bucket cherry dolphin elbow
            furnace glove hedge igloo jungle knife leather mirror notebook onion parcel quilt rocket scissors tractor
            trousers vehicle wheelbarrow axe beach church desk earth fountain gate house judgement""",
        "did": """carried followed painted measured borrowed collected described discovered examined finished gathered
            hid imagined joined knocked lifted mended noticed opened polished questioned repaired shook touched
            unfolded visited watched wrapped admired brought chose dragged exchanged forgot guarded handled ignored
            judged kept left missed named offered pushed returned showed threw used valued weighed""",
        "do": """carry follow paint measure borrow collect describe discover examine finish gather hide imagine join
            lift mend notice open polish question repair shake touch unfold visit watch wrap admire bring choose
            drag exchange forget guard handle ignore judge keep leave miss offer push return show throw use weigh""",
        "went": """walked waited laughed whispered vanished slept danced hurried listened shivered wandered argued
            stumbled shouted rested travelled worked yawned smiled gossiped paused swam climbed fished grumbled""",
        "adverb": """slowly quietly carefully suddenly happily rarely politely angrily bravely usually perfectly
            together twice yesterday tomorrow tonight often outside upstairs nearby gladly roughly smoothly
            nervously obviously patiently""",
        "where": """across behind under beside above near through around inside beyond against below past toward""",
        "name": """Agnes Victor Julia George Thelma Martin Yvonne Oscar Charlotte Hugh Beatrice Leo Zoe Walter Irene
            Philip Ruth Edgar Joyce Arthur Paula Simon Hazel Norman Vera Quentin Ursula Kenneth Dorothy Fergus""",
        "number": """two three four five six seven eight nine ten eleven twelve thirteen fifteen twenty thirty forty
            fifty ninety""",
        "things": """apples boxes horses judges bottles chairs doors eagles fences garages hours islands jugs keys
            leaves matches noises oranges pages roses shoes teeth valleys wishes years bridges churches thieves""",
        "when": """morning evening winter summer autumn spring afternoon night weekend holiday""",
        "because": """because although while until unless whenever before after since""",
        "mass": """sugar bread water thunder sunshine music silence advice butter cheese honey smoke snow sand rice
            coffee leather paper vinegar wool""",
    }.items()
}
"""Word lists; a template's `{name}` draws one word of the list `name`."""

TEMPLATES = (
    "The {adjective} {person} {did} the {adjective} {thing} {where} the {thing}.",
    "The {person} {adverb} {did} {number} {things} {where} the {adjective} {thing}.",
    "Why did {name} {do} the {adjective} {thing} {where} the {thing}?",
    "{name} and {name} {went} {adverb} {where} the {adjective} {thing} last {when}.",
    "Every {when}, the {person} {did} a {adjective} {thing} {because} the {person} {went} {adverb}.",
    "Please {do} the {adjective} {thing} and {do} the {thing} {where} the {person}.",
    "There were {number} {adjective} {things} {where} the {thing}, and {name} {did} them {adverb}.",
    "Nobody {did} the {person}'s {thing} {because} the {mass} {where} the {thing} smelled of {mass}.",
    "Could you {do} {number} {things} for the {adjective} {person} this {when}?",
    "{because} {name} {went} {where} the {thing}, the {adjective} {person} {did} {mass} and {mass}.",
    "{name} said that the {thing} costs {number} pounds, but the {person} {adverb} {did} it.",
    "If the {mass} is {adjective}, {do} the {thing} {adverb} and {do} {number} {things}.",
    "What a {adjective} {thing}! The {person} {went} {where} it for {number} hours.",
    "The {thing} {where} the {thing} is {adjective}, yet {name} would never {do} it.",
    "On {number} {adjective} {things}, {name} {did} {mass} {where} the {person}.",
)


def sentence(rng: np.random.Generator) -> str:
    """Return one sentence; the same generator state gives the same sentence."""
    template = TEMPLATES[rng.integers(len(TEMPLATES))]
    words: list[str] = []
    for part in template.split("{"):
        name, brace, rest = part.partition("}")
        words.append(WORDS[name][rng.integers(len(WORDS[name]))] + rest if brace else part)
    text = "".join(words)
    return text[0].upper() + text[1:]


def text(rng: np.random.Generator, words: int) -> str:
    """Return whole sentences with at least `words` words altogether."""
    sentences = [sentence(rng)]
    while sum(len(each.split()) for each in sentences) < words:
        sentences.append(sentence(rng))
    return " ".join(sentences)
