"""Seeded names, titles and sentences in several scripts, and lettering as curves."""

# ruff: noqa: SIM905 -- lists of words read better as text

from __future__ import annotations

import bpy
import numpy as np

from render.blender import DATA, Shader, place

# Only faces whose outlines fill well: variable ones with overlapping strokes come out with holes.
FACES = {
    "plain": None,
    "mono": "DejaVuSansMono.woff2",
    "sans": "NotoSansMath-Regular.woff2",
    "cjk": "Noto Sans CJK Regular.woff2",
    "hebrew": "NotoSansHebrew-Regular.woff2",
    "georgian": "NotoSansGeorgian-VariableFont_wdth,wght.woff2",
    "ethiopic": "NotoSansEthiopic-Regular.woff2",
    "thai": "NotoSansThai-VariableFont_wdth,wght.woff2",
}
LATIN = ("plain", "mono", "sans")
FIRST = """Ada Anneke Bao Bruno Carla Chidi Dagny Dario Edda Emeka Farah Finn Greta Goran Hana Hugo Ines Ivo Jorun Jamal
Kaya Klaus Lena Luc Mara Milo Noor Nils Odile Omar Petra Paolo Quyen Rhea Rasmus Sanna Sven Tove Tariq Uma Ulrich Vera
Viktor Wanda Wim Xenia Yara Yusuf Zita Zoltan Renée Søren Zoë""".split()
STEMS = """Ash Bell Brand Carr Dahl Eller Fair Gran Hal Holm Ibar Jank Kess Lind Mar Nord Oak Pell Quin Ross Sand Thorn
Ul Vest Wald Yar Zell Okon Tana Mura Sato Ferr Mor Czern Pav""".split()
ENDS = "berg man son ström er well ova ides ić ez ard by ford wick ley ura moto ado elli eau inen aga u stein".split()
ROLES = """Director|Producer|Camera|Gaffer|Key Grip|Focus Puller|Best Boy|Sound Mixer|Boom Operator|Editor|Colourist|
Costume Design|Set Decoration|Props|Make-up|Stunts|Second Unit|Script|Casting|Composer|Foley|Matte Painting|Rigging|
Compositing|Look Development|Roto & Paint|Data Wrangler|Drivers|Catering|Title Design|Legal""".replace("\n", "").split(
    "|"
)
NOUNS = """harbour winter lantern orchard signal river glass engine letter mountain shadow garden clock bridge mirror
island thread storm kitchen theatre summer museum copper window library tower forest market silver carpet""".split()
VERBS = "holds finds turns hides breaks keeps carries paints opens follows loses measures lights crosses mends".split()
SMALL = "the a of in by under over near with without between behind before after for to and".split()
FINE = "silent bright ancient narrow quiet broken northern second careful distant pale golden hollow last open".split()
SIGNS = """OPEN|CAFÉ|HOTEL|BAR|EXIT|BAKERY|CINEMA|No. 7|TAXI|BOOKS|24 H|PARKING|MARKT|TABAC|PHARMACY|LIVE|METRO|
NOODLES|TICKETS|RADIO|GARAGE|STUDIO 4|LAUNDRY|FLOWERS|KINO|BANK|Ristorante|PIANO|Platform 9|DANGER|KEEP CLEAR|SALE -30%|
NO ENTRY|HIGH VOLTAGE|STAGE DOOR|BARBER|REPAIRS|FRESH FISH|OPTICIAN""".replace("\n", "").split("|")
SCRIPTS = {
    "cjk": "監督 撮影 照明 録音 編集 美術 衣装 音楽 製作 冬の港 夜の駅 静かな庭 導演 감독 촬영 조명 편집".split(),
    "hebrew": "בימוי צילום עריכה מוזיקה תאורה הפקה תפאורה הנמל בחורף".split(),
    "georgian": "რეჟისორი ოპერატორი მუსიკა მონტაჟი მხატვარი სინათლე ზამთარი".split(),
    "ethiopic": "ዳይሬክተር ሙዚቃ ብርሃን ፊልም ድምፅ አርታኢ".split(),
    "thai": "ภาพ เสียง ดนตรี ผู้กำกับ ตัดต่อ แสง".split(),
    "mono": "Режиссёр Оператор Монтаж Музыка Художник Σκηνοθεσία Φωτογραφία Μουσική Μοντάζ Зимняя гавань".split(),
}


class Words:
    """Invents what is to be read."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def pick(self, options) -> str:
        return options[int(self.rng.integers(len(options)))]

    def name(self) -> str:
        middle = f" {self.pick('ABCDEFGHJKLMNOPRSTW')}." if self.rng.random() < 0.2 else ""
        return f"{self.pick(FIRST)}{middle} {self.pick(STEMS)}{self.pick(ENDS)}"

    def role(self) -> str:
        return self.pick(ROLES)

    def title(self) -> str:
        shapes = ("The {1} {0}", "{0} of the {2}", "{1} {0}s", "{0} & {2}", "A {0} {3} the {2}", "{0} {4}")
        drawn = (self.pick(NOUNS), self.pick(FINE), self.pick(NOUNS), self.pick(VERBS), self.rng.integers(2, 99))
        return self.pick(shapes).format(*drawn).title()

    def sentence(self) -> str:
        """Five to fifteen words that nearly mean something."""
        said = [self.pick(("the", "a", "one", "her", "their")), self.pick(FINE), self.pick(NOUNS), self.pick(VERBS)]
        for _ in range(int(self.rng.integers(1, 5))):
            said += [self.pick(SMALL), self.pick(NOUNS)]
        end = self.pick((".", ".", ".", "?", "!", ";"))
        return f"{' '.join(said).capitalize()}{end}"

    def number(self) -> str:
        a, b, c = (int(n) for n in self.rng.integers(0, 60, 3))
        forms = (f"{a:02d}:{b:02d}:{c:02d}", f"{a}.{b:02d}", f"{a * b}", f"-{a}.{c} dB", f"{b}%", f"f/{1 + a / 4:.1f}")
        return self.pick(forms)

    def code(self) -> str:
        """A number plate, a serial number."""
        letters = "".join(self.pick("ABCDEFGHJKLMNPRSTUVWXYZ") for _ in range(3))
        return f"{letters[:2]}{self.rng.integers(10, 99)} {letters}{self.rng.integers(0, 9)}"

    def lines(self, count: int, wide: int) -> list[str]:
        """Running text set in count lines of at most wide characters."""
        lines, line = [], ""
        while len(lines) < count:
            for word in self.sentence().split():
                if len(line) + len(word) >= wide:
                    lines.append(line)
                    line = ""
                line = f"{line} {word}".strip()
        return lines[:count]

    def foreign(self, script: str) -> str:
        words = " ".join(self.pick(SCRIPTS[script]) for _ in range(int(self.rng.integers(1, 4))))
        return words[::-1] if script == "hebrew" else words  # Blender sets every script from left to right


def text(
    words: str,
    size: float,
    shader: Shader,
    parent=None,
    at=(0, 0, 0),
    face="plain",
    align="LEFT",
    depth=0.0,
    turn=(90, 0, 0),
):
    """Lettering that faces -y; size: metres of an em; depth: metres that it is raised by, half on either side."""
    curve = bpy.data.curves.new(words[:24], "FONT")
    curve.body, curve.size, curve.extrude, curve.align_x = words, size, 0.5 * depth, align
    curve.resolution_u = 4 if len(words) < 30 else 2
    if FACES[face]:
        curve.font = bpy.data.fonts.load(str(DATA / "fonts" / FACES[face]), check_existing=True)
    return place(words[:24], curve, shader, parent, at, turn)
