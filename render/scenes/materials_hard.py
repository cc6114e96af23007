"""Materials of hard things: metal, glass, plastic, paint, stone, brick, tile, ceramic, car paint, foil."""

from __future__ import annotations

from render.scenes.patterns import METALS, WOODS, Surface, shade, tint
from render.scenes.stage import Stage


def metal(stage: Stage, size: float) -> Surface:
    """Polished, brushed along one direction, or worn and rusted."""
    colour = METALS[stage.choose("metal", tuple(METALS))]
    finish = stage.choose("finish", ("polished", "brushed", "worn", "hammered"), (3, 3, 3, 1))
    s = Surface(stage, f"{finish} metal", size, colour, 0.1, Metallic=1.0)
    smear = s.grain(4.0, 6.0)
    low = stage.rng.uniform(0.04, 0.25)
    if finish == "brushed":
        streaks = s.grain(stage.rng.uniform(60.0, 260.0), 3.0, (1.0, 0.02, 1.0) if low > 0.14 else (0.02, 1.0, 1.0))
        s.raise_by(streaks, 0.002).put(Roughness=s.span(streaks, low, low + 0.35), Anisotropic=0.6)
        s.colour(streaks, shade(colour, 0.75), shade(colour, 1.15))
    elif finish == "worn":
        rust = s.wear(stage.rng.uniform(0.2, 0.6))
        crust = s.mix(s.grain(40.0, 8.0), (0.05, 0.012, 0.004), (0.33, 0.11, 0.025))
        s.put(Base_Color=s.mix(rust, colour, crust), Metallic=s.span(rust, 1.0, 0.1))
        s.put(Roughness=s.mix(rust, s.span(smear, low, low + 0.4), (0.9, 0.9, 0.9)))
        s.raise_by(s.math("MULTIPLY", rust, s.grain(90.0, 6.0)), 0.012)
    else:
        s.put(
            Roughness=s.span(s.math("MAXIMUM", s.step(smear, 0.35, 0.7), s.scratches(60.0, 0.03)), low * 0.5, low + 0.2)
        )
        if finish == "hammered":
            s.raise_by(s.cells(stage.rng.uniform(9.0, 25.0), "SMOOTH_F1"), -0.02)
    return s.finish()


def glass(stage: Stage, size: float) -> Surface:
    """Clear, tinted or frosted, with smudges; shadows stay light."""
    kind = stage.choose("glass", ("clear", "tinted", "frosted"), (4, 3, 1))
    colour = (0.96, 0.98, 0.97) if kind == "clear" else tint(stage, (0.25, 0.75), (0.65, 0.95))
    s = Surface(stage, f"{kind} glass", size, colour, 0.0, IOR=1.5, Transmission_Weight=1.0)
    smudge = s.step(s.grain(6.0, 7.0), 0.5, 0.75)
    s.put(Roughness=s.span(smudge, 0.25, 0.5) if kind == "frosted" else s.span(smudge, 0.0, 0.12))
    s.raise_by(s.grain(160.0 if kind == "frosted" else 2.0, 2.0), 0.0015).finish()
    path = [s.add("LightPath", out=f"Is {ray} Ray") for ray in ("Shadow", "Diffuse")]
    through = s.add("BsdfTransparent", (*shade(colour, 0.92), 1.0))
    mixed = s.add("MixShader", s.math("MAXIMUM", *path), s.bsdf.outputs[0], through)
    s.links.new(mixed, s.nodes["Material Output"].inputs["Surface"])
    return s


def plastic(stage: Stage, size: float) -> Surface:
    """Moulded, with a fine grain or glossy, dust and scratches."""
    colour, low = tint(stage, (0.0, 0.9), (0.08, 0.9)), stage.rng.uniform(0.08, 0.45)
    s = Surface(stage, "plastic", size, colour, low, Coat_Weight=float(stage.rng.choice((0.0, 0.0, 0.4))))
    marks = s.scratches(45.0, stage.rng.uniform(0.0, 0.06))
    dust = s.math("MULTIPLY", s.step(s.grain(200.0, 2.0), 0.55, 0.65), s.step(s.grain(2.0, 5.0), 0.45, 0.65))
    s.colour(s.math("MULTIPLY", dust, 0.5), s.mix(marks, colour, shade(colour, 1.6)), (0.35, 0.33, 0.3))
    s.put(Roughness=s.span(s.math("MAXIMUM", marks, dust), low, low + 0.4))
    if stage.happens("grained", 0.5):
        s.raise_by(s.cells(stage.rng.uniform(90.0, 250.0)), 0.0012)
    return s.raise_by(marks, -0.002).finish()


def painted(stage: Stage, size: float) -> Surface:
    """Paint that chips and scratches down to a primer and to the metal or wood under it."""
    colour = tint(stage, (0.1, 0.95), (0.12, 0.9))
    under = METALS["steel"] if stage.happens("over metal", 0.6) else WOODS[2]
    s = Surface(stage, "chipped paint", size, colour, 0.4)
    share = stage.rng.uniform(0.05, 0.5)
    chips = s.math("MAXIMUM", s.wear(share), s.scratches(50.0, 0.04 + 0.04 * share))
    primer = s.wear(share + 0.12)
    faded = s.mix(s.grain(2.0, 6.0), shade(colour, 0.7), shade(colour, 1.15))
    s.put(Base_Color=s.mix(chips, s.mix(primer, faded, (0.25, 0.2, 0.17)), shade(under, 0.6)))
    s.put(Metallic=s.math("MULTIPLY", chips, float(under == METALS["steel"])))
    s.put(Roughness=s.span(s.grain(12.0, 6.0), 0.2, 0.75))
    s.grime(stage.rng.uniform(0.1, 0.7))
    return s.raise_by(chips, -0.006).raise_by(s.grain(120.0, 3.0), 0.0015).finish()


def stone(stage: Stage, size: float) -> Surface:
    """Polished veined marble, or speckled granite."""
    if stage.happens("granite", 0.4):
        s = Surface(stage, "granite", size, (0.3, 0.3, 0.3), stage.rng.uniform(0.08, 0.6))
        grey, fleck = tint(stage, (0.0, 0.3), (0.3, 0.8)), tint(stage, (0.0, 0.5), (0.1, 0.5))
        crystals = s.cells(stage.rng.uniform(60.0, 160.0), out="Color")
        s.put(Base_Color=s.mix(s.step(crystals, 0.3, 0.7), s.mix(s.grain(70.0, 3.0), grey, fleck), shade(fleck, 0.4)))
        return s.raise_by(crystals, 0.001).finish()
    ground = tint(stage, (0.0, 0.25), (0.1, 0.95))
    vein = shade(ground, 0.15) if sum(ground) > 0.9 else (0.6, 0.55, 0.45)
    s = Surface(stage, "marble", size, ground, 0.08, Subsurface_Weight=0.05, Subsurface_Scale=0.01 * size)
    ridges = [s.math("ABSOLUTE", s.math("SUBTRACT", s.grain(f, 9.0, warp=1.2), 0.5), 0.0) for f in (1.6, 5.0)]
    thick, thin = s.step(ridges[0], 0.035, 0.0), s.step(ridges[1], 0.012, 0.0)
    clouds = s.mix(s.grain(2.2, 8.0, warp=0.8), ground, shade(ground, 0.45))
    s.put(Base_Color=s.mix(s.math("MULTIPLY", s.math("MAXIMUM", thick, thin), 0.8), clouds, vein))
    return s.put(Roughness=s.span(s.scratches(60.0, 0.05), 0.06, 0.4)).finish()


def concrete(stage: Stage, size: float) -> Surface:
    """Cast or plastered: pores, stains, cracks; sometimes joints of the formwork."""
    colour = tint(stage, (0.0, 0.22), (0.45, 0.8))
    s = Surface(stage, "concrete", size, colour, 0.9)
    pores = s.step(s.cells(stage.rng.uniform(25.0, 60.0)), 0.13, 0.08)
    warp = s.mix(0.12, s.where, s.grain(6.0, 5.0), "ADD")
    cracks = s.math(
        "MULTIPLY",
        s.step(s.cells(2.5, "DISTANCE_TO_EDGE", where=warp), 0.012, 0.0),
        s.step(s.grain(1.3, 2.0), 0.5, 0.6),
    )
    fine = s.grain(150.0, 6.0)
    body = s.mix(s.grain(2.0, 9.0), shade(colour, 0.5), shade(colour, 1.25))
    body = s.mix(s.step(fine, 0.3, 0.7), shade(colour, 0.55), body)
    s.put(Base_Color=s.mix(s.math("MAXIMUM", s.math("MULTIPLY", pores, 0.6), cracks), body, shade(colour, 0.12)))
    s.grime(stage.rng.uniform(0.1, 0.8))
    return s.raise_by(fine, 0.004).raise_by(pores, -0.006).raise_by(cracks, -0.02).finish()


def brick(stage: Stage, size: float) -> Surface:
    wide = stage.rng.uniform(0.04, 0.14)
    colour = tint(stage, (0.15, 0.7), (0.35, 0.75), (0.01, 0.1))
    s = Surface(stage, "brick", size, colour, 0.9)
    own, joint = s.tiles(wide, wide * stage.rng.uniform(0.28, 0.4), wide * stage.rng.uniform(0.02, 0.06))
    coarse, fine = s.grain(9.0, 6.0), s.grain(180.0, 6.0)
    body = s.mix(own, shade(colour, 0.45), shade(colour, 1.3))
    body = s.mix(s.step(fine, 0.35, 0.75), body, shade(colour, 0.5))
    body = s.mix(s.step(coarse, 0.5, 0.7), body, (0.45, 0.4, 0.36))
    s.put(Base_Color=s.mix(joint, body, s.mix(fine, (0.2, 0.18, 0.16), (0.5, 0.47, 0.42))))
    s.grime(stage.rng.uniform(0.0, 0.8))
    return s.raise_by(joint, -0.08 * wide).raise_by(fine, 0.05 * wide).finish()


def tile(stage: Stage, size: float) -> Surface:
    """Glazed tiles in one or two colours, down to mosaic, with dirty joints."""
    wide = stage.log_uniform("tile share", 0.012, 0.12)
    first, second = tint(stage, (0.0, 0.8), (0.15, 0.95)), tint(stage, (0.0, 0.8), (0.15, 0.95))
    s = Surface(stage, "tile", size, first, 0.1, Coat_Weight=0.5)
    own, joint = s.tiles(
        wide, wide * float(stage.rng.choice((1.0, 1.0, 0.5))), wide * 0.035, float(stage.rng.choice((0.0, 0.5)))
    )
    pick = s.math("GREATER_THAN", own, 0.5) if stage.happens("two colours", 0.5) else s.math("MULTIPLY", own, 0.2)
    body = s.mix(s.math("MULTIPLY", s.grain(14.0, 6.0), 0.3), s.mix(pick, first, second), shade(first, 0.5))
    s.put(Base_Color=s.mix(joint, body, s.mix(s.grain(3.0, 6.0), (0.3, 0.28, 0.25), (0.05, 0.045, 0.04))))
    s.put(
        Roughness=s.math("MAXIMUM", joint, s.span(s.grain(20.0, 5.0), 0.02, 0.35)), Coat_Weight=s.span(joint, 0.5, 0.0)
    )
    s.grime(stage.rng.uniform(0.0, 0.4))
    return s.raise_by(joint, -0.05 * wide).raise_by(own, 0.02 * wide).finish()


def ceramic(stage: Stage, size: float) -> Surface:
    """Glaze over clay: running colour, crackle, specks, sometimes painted bands."""
    colour, second = tint(stage, (0.0, 0.7), (0.2, 0.95)), tint(stage, (0.3, 0.9), (0.1, 0.6))
    s = Surface(stage, "ceramic", size, colour, 0.15, Coat_Weight=0.7, Coat_Roughness=0.03)
    up = s.split(s.where)[2]
    runs = s.grain(3.0, 5.0, (3.0, 3.0, 0.4), 0.4)
    body = s.mix(s.step(runs, 0.35, 0.65), colour, shade(colour, 0.55))
    if stage.happens("bands", 0.5):
        ripple = s.math("ADD", up, s.math("MULTIPLY", s.grain(8.0, 2.0), 0.02))
        body = s.mix(s.step(s.sine(ripple, stage.rng.uniform(2.0, 12.0)), 0.7, 0.74), body, second)
    body = s.mix(s.step(s.cells(55.0), 0.12, 0.08), body, shade(colour, 0.2))
    if stage.happens("crackle", 0.5):
        lines = s.step(s.cells(stage.rng.uniform(9.0, 30.0), "DISTANCE_TO_EDGE"), 0.02, 0.0)
        body = s.mix(s.math("MULTIPLY", lines, 0.7), body, (0.06, 0.04, 0.03))
    return s.put(Base_Color=body, Roughness=s.span(s.grain(9.0, 6.0), 0.05, 0.4)).raise_by(runs, 0.004).finish()


def car_paint(stage: Stage, size: float) -> Surface:
    """Flakes under a clear coat with orange peel, swirl marks and road dust."""
    colour = tint(stage, (0.2, 1.0), (0.05, 0.8))
    s = Surface(stage, "car paint", size, colour, 0.35, Metallic=0.7, Coat_Weight=1.0, Coat_Roughness=0.02)
    flakes = s.cells(stage.rng.uniform(200.0, 420.0), out="Color")
    s.put(Base_Color=s.mix(s.step(flakes, 0.6, 0.95), colour, shade(colour, 3.0)))
    s.put(
        Coat_Roughness=s.span(
            s.math("MAXIMUM", s.scratches(90.0, 0.03), s.step(s.grain(5.0, 8.0), 0.5, 0.7)), 0.01, 0.25
        )
    )
    s.grime(stage.rng.uniform(0.0, 0.4))
    return s.raise_by(flakes, 0.0012).finish()


def foil(stage: Stage, size: float) -> Surface:
    """Crumpled metal foil, or a film of iridescent oil."""
    s = Surface(stage, "foil", size, METALS[stage.choose("foil", ("aluminium", "gold", "copper"))], 0.12, Metallic=1.0)
    facets = s.cells(stage.rng.uniform(5.0, 14.0), where=s.mix(0.15, s.where, s.grain(8.0, 3.0), "ADD"))
    s.raise_by(facets, 0.08).raise_by(s.grain(40.0, 3.0), 0.004)
    if stage.happens("iridescent", 0.5):
        thick = s.span(s.grain(2.5, 5.0, warp=1.5), 180.0, 900.0)
        s.put(Thin_Film_Thickness=thick, Thin_Film_IOR=1.7, Metallic=0.0, Specular_IOR_Level=1.0, IOR=2.2)
        s.put(Base_Color=tint(stage, (0.0, 0.6), (0.02, 0.35)))
    return s.finish()
