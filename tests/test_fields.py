"""Channel names to kinds: the names that renderers and compositors write."""

from __future__ import annotations

import pytest

from deepupscale.fields import METHOD_OF_KIND, Kind, Method, fields_of, unclear_channels


@pytest.mark.parametrize(
    ("channels", "part", "kind"),
    [
        (["R", "G", "B"], "", Kind.COLOUR),
        (["left.R", "left.G", "left.B"], "rgba", Kind.COLOUR),
        (["ViewLayer.Combined.R", "ViewLayer.Combined.G", "ViewLayer.Combined.B"], "", Kind.COLOUR),
        (["diffuse_indirect.red", "diffuse_indirect.green", "diffuse_indirect.blue"], "", Kind.COLOUR),
        (["G"], "", Kind.COLOUR),
        (["A"], "rgba_right", Kind.ALPHA),
        (["AR", "AG", "AB"], "", Kind.ALPHA),
        (["Z"], "depth_left", Kind.DISTANCE),
        (["Z"], "forward_left", Kind.DISTANCE),
        (["left.Z"], "", Kind.DISTANCE),
        (["ViewLayer.Depth.Z"], "", Kind.DISTANCE),
        (["depth.R", "depth.G", "depth.B"], "", Kind.DISTANCE),
        (["N.X", "N.Y", "N.Z"], "", Kind.UNIT_VECTOR),
        (["x", "y", "z"], "N", Kind.UNIT_VECTOR),
        (["R", "G", "B"], "normals", Kind.UNIT_VECTOR),
        (["worldNormal.red"], "", Kind.UNIT_VECTOR),
        (["P.x", "P.y", "P.z"], "", Kind.POSITION),
        (["UV.U", "UV.V"], "", Kind.POSITION),
        (["forward.u", "forward.v"], "forward_left", Kind.MOTION),
        (["forward.left.u", "forward.left.v"], "rgba", Kind.MOTION),
        (["disparityL.x", "disparityL.y"], "disparityL", Kind.MOTION),
        (["ViewLayer.Vector.X", "ViewLayer.Vector.W"], "", Kind.MOTION),
        (["motionVector.R", "motionVector.G"], "", Kind.MOTION),
        (["velocity.x", "velocity.y", "velocity.z"], "", Kind.VELOCITY),
        (["whitebarmask.left.mask"], "", Kind.MASK),
        (["density"], "", Kind.DENSITY),
        (["crypto_object00.R", "crypto_object00.A"], "", Kind.ID),
        (["ViewLayer.CryptoMaterial02.r"], "", Kind.ID),
        (["objectId"], "", Kind.ID),
        (["ViewLayer.IndexOB.X"], "", Kind.ID),
        (["foo"], "", Kind.OTHER),
        (["ViewLayer.Denoising Albedo.R"], "", Kind.COLOUR),
    ],
)
def test_names_tell_kinds(channels: list[str], part: str, kind: Kind) -> None:
    assert {field.kind for field in fields_of(channels, part)} == {kind}


def test_every_kind_has_a_method() -> None:
    assert set(METHOD_OF_KIND) == set(Kind)


def test_colour_is_ordered_red_green_blue_and_knows_its_alpha() -> None:
    colour, alpha = fields_of(["A", "B", "G", "R"])[::-1]
    assert colour.channels == ("R", "G", "B")
    assert colour.alpha == "A"
    assert alpha.kind is Kind.ALPHA


def test_layers_have_alphas_of_their_own() -> None:
    fields = {
        field.layer: field for field in fields_of(["R", "G", "B", "left.R", "left.A"]) if field.kind is Kind.COLOUR
    }
    assert fields[""].alpha == ""
    assert fields["left"].alpha == "left.A"


def test_uint_channels_are_ids_whatever_their_name() -> None:
    assert fields_of(["R"], uint_channels=["R"])[0].kind is Kind.ID


def test_cryptomatte_that_the_metadata_declares_is_ids() -> None:
    (field,) = fields_of(["vray_thing00.R", "vray_thing00.G"], cryptomatte_layers=["vray_thing"])
    assert (field.kind, field.method) == (Kind.ID, Method.NEAREST)


def test_overrides_reach_layers_channels_and_parts() -> None:
    assert fields_of(["spec.R"], overrides={"spec": Method.DROP})[0].method is Method.DROP
    assert fields_of(["Z"], "depth", overrides={"depth": Method.NEAREST})[0].method is Method.NEAREST
    by_channel = fields_of(["R", "G", "B", "A"], overrides={"A": Method.DROP, "R": Method.FILTER})
    assert {field.channels: field.method for field in by_channel} == {
        ("R",): Method.FILTER,
        ("G", "B"): Method.NET,
        ("A",): Method.DROP,
    }


def test_no_channel_is_lost_or_doubled() -> None:
    names = ["R", "G", "B", "A", "Z", "N.X", "N.Y", "N.Z", "left.R", "left.Z", "id", "foo", "forward.u", "forward.v"]
    found = [channel for field in fields_of(names) for channel in field.channels]
    assert sorted(found) == sorted(names)


def test_luminance_asks_what_it_is() -> None:
    assert "luminance-chroma" in unclear_channels(["Y", "RY", "BY"], "", {})
    assert "--layer Y=" in unclear_channels(["Y"], "", {})
    assert "--layer Y=" in unclear_channels(["Y"], "grey", {"other": Method.NET})
    assert unclear_channels(["Y"], "", {"Y": Method.NET}) == ""
    assert unclear_channels(["Y"], "grey", {"grey": Method.NET}) == ""
    assert unclear_channels(["X", "Y", "Z"], "", {}) == ""
    assert unclear_channels(["N.Y"], "", {}) == ""
