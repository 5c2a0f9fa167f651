"""Options of other servers and of A1111's extensions, which clients send to whoever answers.

SillyTavern, Resolver and others were written for several servers, and set Forge's options in every
request; A1111 and Forge Neo answer those with 500 `KeyError`
(github.com/Haoming02/sd-webui-forge-classic/issues/1206). Here they are accepted, told in the log
once, and nothing is stored under them. What has a meaning here is honoured instead: as an option of
the registry, or as an alias of one (`Option.aliases`).

A family of keys is given by what they begin with.
"""

from hexfusion.domain.options.option import Option

#: Owner -> (beginnings of its keys, whole keys).
_OWNERS: dict[str, tuple[str, str]] = {
    "Forge": ("forge_", ""),
    "SD.Next": (
        """
        autocomplete_ cache_dit_ caption_ civitai_ compile_ control_ cuda_ cudnn_ detailer_
        diffusers_ fc_ freeu_ hidiffusion_ huggingface_ hypertile_unet_ hypertile_vae_ ipex_
        model_ nunchaku_ olive_ onnx_ openvino_ pab_ pag_ schedulers_ sdnq_ sdp_ server_ tagger_
        te_ teacache_ theme_ torch_ trt_ uiux_
        """,
        """
        attention_slicing clip_skip_enabled color_correction_method device_map font_color
        grid_background image_background image_metadata image_watermark image_watermark_enabled
        include_mask inference_mode keep_incomplete latent_history live_preview_downscale
        mask_apply_overlay n_cols no_half no_half_vae opt_channelslast outdir_control_grids
        outdir_control_samples outdir_video prompt_attention prompt_mean_norm scheduler_eta
        sd_backend sd_checkpoint_autodownload sd_checkpoint_autoload sd_model_dict
        sd_model_refiner sd_parallel_load sd_text_encoder sd_textencoder_cache_size
        sequential_seed show_samplers stream_load taesd_layers taesd_variant todo_ratio
        token_merging_method tome_ratio upcast_sampling upscaler_tile_overlap upscaler_tile_size
        """,
    ),
    "A1111 before 1.3": ("", "quicksettings ui_reorder"),
    "the extension ControlNet": ("control_net_ controlnet_", ""),
    "the extension ADetailer": ("ad_", ""),
    "the extension Tag Autocomplete": ("tac_", ""),
    "the extension Dynamic Prompts": ("dp_", ""),
}


def foreign_option(key: str) -> Option | None:
    """The option `key` of another server, None if no known one has it.

    Options of a family are one: its key is the family's, so that it is told once.
    """
    return _KEYS.get(key) or next(
        (option for beginning, option in _FAMILIES.items() if key.startswith(beginning)), None
    )


def _option(key: str, owner: str) -> Option:
    return Option(key, None, foreign=owner, web_ui_only=True)


_KEYS = {key: _option(key, owner) for owner, (_, keys) in _OWNERS.items() for key in keys.split()}
#: The longest beginning first, so that `control_net_` is not `control_`.
_FAMILIES = {
    beginning: _option(f"{beginning}*", owner)
    for beginning, owner in sorted(
        (
            (each, owner)
            for owner, (beginnings, _) in _OWNERS.items()
            for each in beginnings.split()
        ),
        key=lambda pair: -len(pair[0]),
    )
}
