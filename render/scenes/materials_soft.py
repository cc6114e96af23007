"""Materials of soft, grown and printed things: wood, fabric, leather, skin, leaves, wax, soil, prints, and light."""

from __future__ import annotations

from render.scenes.patterns import WOODS, Colour, Surface, shade, tint
from render.scenes.stage import Stage


def wood(stage: Stage, size: float) -> Surface:
    """One block with rings and fibres, or planks with gaps, raw or varnished."""
    n = stage.integer("wood", 0, len(WOODS) - 2)
    dark, pale = WOODS[n], WOODS[n + 1]
    s = Surface(
        stage, "wood", size, pale, 0.5, Coat_Weight=float(stage.rng.choice((0.0, 0.0, 0.3, 0.8))), Coat_Roughness=0.15
    )
    long = (1.0, 0.07, 1.0) if stage.happens("lengthwise", 0.5) else (0.07, 1.0, 1.0)
    planks = stage.happens("planks", 0.5)
    where = s.where
    if planks:
        wide = stage.rng.uniform(0.05, 0.16)
        own, gap = (
            s.tiles(wide * 9.0, wide, wide * 0.015) if long[0] < 1.0 else s.tiles(wide, wide * 9.0, wide * 0.015, 0.0)
        )
        where = s.mix(1.0, s.where, s.mix(1.0, own, (7.0, 3.0, 5.0), "MULTIPLY"), "ADD")
    warped = s.grain(stage.rng.uniform(1.5, 4.0), 3.0, long, 0.6, where)
    rings = s.math("FRACT", s.math("MULTIPLY", warped, stage.rng.uniform(8.0, 26.0)), 0.0)
    fibres = s.grain(stage.rng.uniform(90.0, 200.0), 4.0, long, 0.0, where)
    body = s.mix(s.step(rings, 0.05, 0.95), pale, dark)
    body = s.mix(s.step(fibres, 0.38, 0.62), shade(dark, 0.5), body)
    s.put(Base_Color=body, Roughness=s.span(fibres, 0.7, 0.3))
    if planks:
        body = s.mix(s.span(own, 0.0, 0.6), body, shade(dark, 1.2))
        s.put(Base_Color=s.mix(gap, body, (0.01, 0.007, 0.004))).raise_by(gap, -0.006)
    s.grime(stage.rng.uniform(0.0, 0.5))
    return s.raise_by(fibres, 0.003).raise_by(s.scratches(40.0, 0.02), -0.002).finish()


def fabric(stage: Stage, size: float) -> Surface:
    """Crossing threads in one or two colours, with a check or stripes in the yarn, slubs and sheen."""
    first, second = tint(stage, (0.0, 0.8), (0.1, 0.9)), tint(stage, (0.0, 0.8), (0.1, 0.9))
    s = Surface(stage, "fabric", size, first, 0.9, Sheen_Weight=stage.rng.uniform(0.1, 0.7), Sheen_Roughness=0.4)
    count = stage.log_uniform("threads", 40.0, 220.0)
    turned = s.mix(0.01, s.flat(), s.grain(5.0, 3.0), "ADD")
    along, up, _ = s.split(turned)
    warp, weft = s.sine(along, count), s.sine(up, count)
    over = s.math("GREATER_THAN", s.math("MULTIPLY", s.sine(along, count / 2.0), 1.0), s.sine(up, count / 2.0))
    weave = s.mix(over, warp, weft)
    pattern = stage.choose("yarn", ("plain", "stripes", "check", "two-tone"))
    yarn = first
    if pattern in ("stripes", "check"):
        wide, high = s.checks(stage.rng.uniform(3.0, 14.0), stage.rng.uniform(0.2, 0.6), turned)
        yarn = s.mix(
            wide if pattern == "stripes" else s.math("MULTIPLY", s.math("ADD", wide, high), 0.5), first, second
        )
    elif pattern == "two-tone":
        yarn = s.mix(over, first, second)
    slubs = s.mix(s.grain(count, 2.0, (1.0, 0.1, 0.1)), shade(first, 0.5), (1.0, 1.0, 1.0))
    yarn = s.mix(0.4, yarn, s.mix(1.0, yarn, slubs, "MULTIPLY"))
    s.put(Base_Color=s.mix(s.step(weave, 0.0, 0.6), shade(first, 0.15), yarn))
    return s.raise_by(weave, 0.35 / count).raise_by(s.grain(6.0, 4.0), 0.01).finish()


def leather(stage: Stage, size: float) -> Surface:
    colour = tint(stage, (0.3, 0.85), (0.1, 0.65), (0.0, 0.12))
    s = Surface(stage, "leather", size, colour, 0.4, Specular_IOR_Level=0.6)
    warp = s.mix(0.03, s.where, s.grain(20.0, 3.0), "ADD")
    grain = s.cells(stage.rng.uniform(50.0, 130.0), "DISTANCE_TO_EDGE", where=warp)
    folds = s.step(s.cells(7.0, "DISTANCE_TO_EDGE", where=warp), 0.05, 0.0)
    worn = s.step(s.grain(3.0, 6.0), 0.5, 0.7)
    body = s.mix(s.step(grain, 0.0, 0.12), shade(colour, 0.3), s.mix(worn, colour, shade(colour, 1.8)))
    s.put(Base_Color=body, Roughness=s.span(worn, 0.3, 0.65))
    return s.raise_by(s.step(grain, 0.0, 0.2), 0.003).raise_by(folds, -0.008).finish()


def skin(stage: Stage, size: float) -> Surface:
    """Mottled, with pores and fine creases; light goes under it."""
    n = stage.rng.uniform(0.0, 1.0)
    colour = (0.62 - 0.53 * n, 0.36 - 0.32 * n, 0.26 - 0.245 * n)
    radius = {"Subsurface_Weight": 0.5, "Subsurface_Scale": 0.03 * size}
    s = Surface(stage, "skin", size, colour, 0.42, **radius)
    pores, creases = s.cells(170.0), s.cells(60.0, "DISTANCE_TO_EDGE")
    mottle = s.mix(s.step(s.grain(5.0, 7.0), 0.35, 0.7), colour, (colour[0], colour[1] * 0.62, colour[2] * 0.6))
    spots = s.math("MULTIPLY", s.step(s.cells(22.0), 0.12, 0.06), s.step(s.grain(2.0, 2.0), 0.5, 0.6))
    s.put(Base_Color=s.mix(s.math("MULTIPLY", spots, 0.6), mottle, shade(colour, 0.25)))
    s.put(Roughness=s.span(s.grain(30.0, 4.0), 0.3, 0.6))
    return s.raise_by(s.step(pores, 0.0, 0.4), 0.0015).raise_by(s.step(creases, 0.0, 0.08), 0.0015).finish()


def foliage(stage: Stage, size: float) -> Surface:
    """A leaf's flesh: veins, blotches, light from behind; works on blades and on round things alike."""
    fresh, dry = tint(stage, (0.5, 0.9), (0.25, 0.6), (0.17, 0.38)), tint(stage, (0.4, 0.8), (0.3, 0.7), (0.05, 0.14))
    s = Surface(stage, "leaf", size, fresh, 0.45, Subsurface_Weight=0.2, Subsurface_Scale=0.02 * size)
    veins = s.step(s.cells(stage.rng.uniform(10.0, 25.0), "DISTANCE_TO_EDGE"), 0.05, 0.0)
    body = s.mix(s.step(s.grain(4.0, 8.0), 0.42, 0.65), fresh, dry)
    body = s.mix(s.math("MULTIPLY", veins, 0.6), body, shade(fresh, 2.0))
    s.put(Base_Color=s.mix(s.step(s.cells(30.0), 0.12, 0.07), body, (0.05, 0.025, 0.01)))
    s.raise_by(veins, 0.004).raise_by(s.grain(70.0, 4.0), 0.003).finish()
    through = s.add("BsdfTranslucent", body)
    mixed = s.add("MixShader", 0.3, s.bsdf.outputs[0], through)
    s.links.new(mixed, s.nodes["Material Output"].inputs["Surface"])
    return s


def wax(stage: Stage, size: float) -> Surface:
    """Light goes deep; drips, dents and dust."""
    colour = tint(stage, (0.0, 0.7), (0.6, 0.95), (0.0, 0.16))
    s = Surface(stage, "wax", size, colour, 0.35, Subsurface_Weight=0.8, Subsurface_Scale=0.08 * size)
    drips = s.grain(6.0, 3.0, (1.0, 1.0, 0.15), 0.4)
    s.put(Base_Color=s.mix(s.step(s.grain(90.0, 5.0), 0.5, 0.75), colour, shade(colour, 0.4)))
    s.put(Roughness=s.span(s.grain(9.0, 6.0), 0.15, 0.7))
    return s.raise_by(drips, 0.04).raise_by(s.cells(35.0), 0.003).finish()


def soil(stage: Stage, size: float) -> Surface:
    """Earth or gravel: pebbles of their own colours in two sizes, dark between them."""
    colour = tint(stage, (0.05, 0.5), (0.2, 0.65), (0.04, 0.12))
    s = Surface(stage, "soil", size, colour, 0.95)
    count = stage.log_uniform("pebbles", 12.0, 70.0)
    warp = s.mix(0.25 / count, s.where, s.grain(3.0 * count, 3.0), "ADD")
    large, small = (s.cells(count * k, where=warp) for k in (1.0, 3.7))
    own = s.cells(count, out="Color", where=warp)
    body = s.mix(s.step(own, 0.0, 1.0), shade(colour, 0.4), shade(colour, 1.9))
    body = s.mix(s.step(s.grain(4.0 * count, 6.0), 0.35, 0.7), body, shade(colour, 0.5))
    s.put(Base_Color=s.mix(s.step(large, 0.45, 0.75), body, shade(colour, 0.12)))
    s.raise_by(large, -0.5 / count).raise_by(small, -0.15 / count).raise_by(s.grain(6.0 * count, 4.0), 0.15 / count)
    return s.finish()


def printed(stage: Stage, size: float) -> Surface:
    """Ink on paper, card or film: stripes, checks, dots, halftone or lines of label print, scuffed."""
    paper, ink = tint(stage, (0.0, 0.4), (0.7, 0.95)), tint(stage, (0.3, 1.0), (0.02, 0.7))
    s = Surface(stage, "print", size, paper, stage.rng.uniform(0.15, 0.7))
    kind = stage.choose("print", ("stripes", "checks", "dots", "halftone", "rules", "zigzag"))
    count = stage.log_uniform("print periods", 5.0, 60.0)
    first, second = s.checks(count, stage.rng.uniform(0.25, 0.6))
    if kind == "stripes":
        mask = first
    elif kind == "checks":
        mask = s.math("ABSOLUTE", s.math("SUBTRACT", first, second), 0.0)
    elif kind == "dots":
        mask = s.step(s.cells(count, where=s.flat(), randomness=0.0), 0.32, 0.3)
    elif kind == "halftone":
        spread = s.math("SUBTRACT", s.cells(count * 2.0, where=s.flat(), randomness=0.0), s.grain(3.0, 2.0))
        mask = s.step(spread, 0.03, -0.03)
    elif kind == "rules":
        words = s.step(s.grain(count, 1.0, (3.0, 3.0, 0.01), where=s.flat()), 0.46, 0.47)
        mask = s.math("MULTIPLY", s.checks(count * 0.7, 0.4)[1], words)
    else:
        along, up, _ = s.split(s.flat())
        bent = s.math("ADD", up, s.math("MULTIPLY", s.math("PINGPONG", along, 0.5 / count), 1.0))
        mask = s.math("LESS_THAN", s.math("FRACT", s.math("MULTIPLY", bent, count), 0.0), 0.5)
    third = s.mix(s.step(s.grain(1.2, 1.0), 0.49, 0.5), ink, tint(stage, (0.3, 1.0), (0.1, 0.8)))
    rubbed = s.math("MULTIPLY", mask, s.math("SUBTRACT", 1.0, s.math("MULTIPLY", s.wear(0.25), 0.8)))
    s.put(Base_Color=s.mix(rubbed, s.mix(s.grain(120.0, 4.0), shade(paper, 0.8), paper), third))
    s.grime(stage.rng.uniform(0.0, 0.3))
    return s.raise_by(s.grain(150.0, 3.0), 0.001).finish()


def glow(stage: Stage, name: str, colour: Colour, strength: float) -> Surface:
    """A plain emitter; strength: its radiance in the picture's units."""
    return Surface(stage, name, 1.0, (0.0, 0.0, 0.0), 1.0).put(Emission_Color=colour, Emission_Strength=strength)


def emission(stage: Stage, size: float) -> Surface:
    """A light: even, in strips, or a screen of red, green and blue pixels showing large blocks and lines."""
    strength = stage.log_uniform("emission", 5.0, 600.0)
    kind = stage.choose("lamp", ("even", "strips", "screen"))
    colour = tint(stage, (0.0, 0.85), (0.85, 1.0))
    s = Surface(stage, f"{kind} light", size, (0.01, 0.01, 0.01), 0.2)
    if kind == "even":
        return s.put(Emission_Color=colour, Emission_Strength=s.span(s.grain(3.0, 2.0), 0.5 * strength, strength))
    if kind == "strips":
        lit = s.checks(stage.rng.uniform(4.0, 30.0), stage.rng.uniform(0.15, 0.6))[0]
        return s.put(Emission_Color=colour, Emission_Strength=s.math("MULTIPLY", lit, strength))
    count = stage.log_uniform("screen pixels", 40.0, 220.0)
    along, up, _ = s.split(s.flat())
    cell = s.join(*(s.math("FLOOR", s.math("MULTIPLY", axis, count), 0.0) for axis in (along, up)))
    stripes = s.math("FRACT", s.math("MULTIPLY", along, count), 0.0)
    thirds = [s.math("COMPARE", stripes, k / 6.0) for k in (1.0, 3.0, 5.0)]
    for third in thirds:
        third.node.inputs[2].default_value = 0.14
    picture = s.mix(
        1.0, s.add("TexNoise", out="Color", Vector=cell, Scale=4.0 / count, Detail=5.0), s.join(*thirds), "MULTIPLY"
    )
    rows = s.math("LESS_THAN", s.math("FRACT", s.math("MULTIPLY", up, count), 0.0), 0.85)
    flickers = s.step(s.add("TexNoise", Vector=cell, Scale=9.0 / count, Detail=1.0), 0.42, 0.46)
    return s.put(
        Emission_Color=picture,
        Emission_Strength=s.math("MULTIPLY", s.math("MULTIPLY", rows, flickers), 0.2 * strength),
    )
