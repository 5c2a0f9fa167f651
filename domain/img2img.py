"""Requests that start from a picture: the HTTP schema and the use-case's argument in one.

Source: spec api.md 6 (fields, defaults, order).
"""

from typing import Annotated, Any

from hexfusion.domain.generation import Generation, Txt2Img, described


class Img2Img(Generation, frozen=True, kw_only=True):
    """An image-to-image request: `POST /sdapi/v1/img2img`."""

    denoising_strength: Annotated[  # never null, unlike txt2img's
        float, described("How much of the picture is made anew, 0 to 1.")
    ] = 0.75
    init_images: Annotated[
        list[Any] | None, described("Pictures to start from: base64, data URIs or addresses.")
    ] = None
    resize_mode: Annotated[
        int, described("0 stretch, 1 crop, 2 fill, 3 stretch the latent.", ge=0, le=3)
    ] = 0
    image_cfg_scale: Annotated[
        float | None, described("Guidance by the picture, for InstructPix2Pix checkpoints.")
    ] = None
    mask: Annotated[str | None, described("Picture: white is made anew, black is kept.")] = None
    mask_blur_x: Annotated[int, described("Blur of the mask to the sides, pixels.")] = 4
    mask_blur_y: Annotated[int, described("Blur of the mask up and down, pixels.")] = 4
    mask_blur: Annotated[int | None, described("Both at once, if given.")] = None
    mask_round: Annotated[bool, described("Make every pixel of the mask all or nothing.")] = True
    inpainting_fill: Annotated[
        int, described("Under the mask: 0 fill, 1 original, 2 latent noise, 3 latent nothing.")
    ] = 0
    inpaint_full_res: Annotated[
        bool, described("Work on the masked region alone, at full resolution.")
    ] = True
    inpaint_full_res_padding: Annotated[int, described("Pixels around that region.")] = 0
    inpainting_mask_invert: Annotated[int, described("1: black is made anew.")] = 0
    initial_noise_multiplier: Annotated[
        float | None, described("Scale of the noise added to the picture. Null: the option.")
    ] = None
    latent_mask: Annotated[str | None, described("Not available over this API.")] = None
    force_task_id: Annotated[str | None, described("The job's id; null makes one.")] = None
    sampler_index: Annotated[str, described("Used when sampler_name is empty.")] = "Euler"
    include_init_images: Annotated[
        bool, described("Echo init_images and mask in `parameters`.")
    ] = False
    script_name: Annotated[str | None, described("Title of a script to run.")] = None
    script_args: Annotated[list[Any], described("Its arguments, in order.")] = []
    send_images: Annotated[bool, described("False: `images` comes back empty.")] = True
    save_images: Annotated[bool, described("Also write the pictures to the output folder.")] = False
    alwayson_scripts: Annotated[
        dict[str, Any], described('{"title": {"args": [...]}} for always-on scripts.')
    ] = {}
    infotext: Annotated[
        str | None, described("Fill fields that are not given from a picture's infotext.")
    ] = None


AnyRequest = Txt2Img | Img2Img
"""What has the fields that both share behind those of `Generation`."""
