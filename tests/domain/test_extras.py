"""How extras are told, and their order (spec images.md 10)."""

from hexfusion.domain.extras import description, html_info, steps_in_order


def names(first=(), disabled=()):
    return [step.name for step in steps_in_order(tuple(first), tuple(disabled))]


def test_the_order_of_steps():
    assert names() == ["Upscale", "GFPGAN", "CodeFormer"]
    assert names(["CodeFormer"]) == ["CodeFormer", "Upscale", "GFPGAN"]
    assert names(["CodeFormer", "GFPGAN", "CodeFormer"]) == ["CodeFormer", "GFPGAN", "Upscale"]
    assert names(["Caption"]) == ["Upscale", "GFPGAN", "CodeFormer"]
    assert names(disabled=["Upscale", "Caption"]) == ["GFPGAN", "CodeFormer"]


def test_what_was_done():
    done = {"Postprocess upscale by": 2.0, "Postprocess upscaler": "a, b <c>"}
    assert description(done) == 'Postprocess upscale by: 2.0, Postprocess upscaler: "a, b <c>"'
    assert html_info(done) == (
        "<p>Postprocess upscale by: 2.0, Postprocess upscaler: &quot;a, b &lt;c&gt;&quot;</p>"
    )
    assert html_info({}) == "<p></p>"
