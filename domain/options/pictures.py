"""Options: upscaling, faces, img2img, interrogation, postprocessing (spec api.md 17)."""

from hexfusion.domain.options.option import Option, Section
from hexfusion.domain.options.reasons import EXTRAS_ONLY, WRITTEN_BY_EXTRAS

UPSCALING = Section(
    "upscaling",
    "Upscaling",
    (
        Option(
            "ESRGAN_tile",
            192,
            "tile side in pixels for ESRGAN-type upscalers; 0 switches tiling off",
            span=(0, 512),
            bounds=(16, 8192),
            also=(0,),
        ),
        Option(
            "ESRGAN_tile_overlap",
            8,
            "tile overlap in pixels for ESRGAN-type upscalers",
            span=(0, 48),
            bounds=(0, 4096),
            at_most=("ESRGAN_tile", 0.75),
        ),
        Option(
            "realesrgan_enabled_models",
            ("R-ESRGAN 4x+", "R-ESRGAN 4x+ Anime6B"),
            "which R-ESRGAN names are upscalers",
        ),
        Option(
            "dat_enabled_models", ("DAT x2", "DAT x3", "DAT x4"), "which DAT names are upscalers"
        ),
        Option(
            "DAT_tile",
            192,
            "tile side in pixels for DAT upscalers; 0 switches tiling off",
            span=(0, 512),
            bounds=(16, 8192),
            also=(0,),
        ),
        Option(
            "DAT_tile_overlap",
            8,
            "tile overlap in pixels for DAT upscalers",
            span=(0, 48),
            bounds=(0, 4096),
            at_most=("DAT_tile", 0.75),
        ),
        Option(
            "upscaler_for_img2img",
            None,
            'upscaler used inside resize when enlarging (img2img, paste-back of "only masked")',
        ),
        Option("set_scale_by_when_changing_upscaler", False, interface_only=True),
    ),
)

FACE_RESTORATION = Section(
    "face-restoration",
    "Face restoration",
    (
        Option(
            "face_restoration",
            False,
            "default of request restore_faces when null",
            infotext="Face restoration",
        ),
        Option("face_restoration_model", "CodeFormer", "which face restorer is used"),
        Option(
            "code_former_weight",
            0.5,
            "CodeFormer fidelity w for generation (extras has its own)",
            span=(0, 1),
        ),
        Option("face_restoration_unload", False, "move nets to CPU after use"),
    ),
)

IMG2IMG = Section(
    "img2img",
    "img2img",
    (
        Option(
            "inpainting_mask_weight",
            1.0,
            "how far the masked area is blanked in the inpaint-model conditioning image",
            span=(0.0, 1.0),
            infotext="Conditional mask weight",
        ),
        Option(
            "initial_noise_multiplier",
            1.0,
            "img2img noise scale when request value is null",
            span=(0.0, 1.5),
            infotext="Noise multiplier",
            bounds=(-100, 100),
        ),
        Option(
            "img2img_extra_noise",
            0.0,
            "extra noise added after noising (img2img and hires)",
            span=(0.0, 1.0),
            infotext="Extra noise",
            bounds=(0, 10),
        ),
        Option("img2img_color_correction", False, "histogram-match result to the init image"),
        Option("img2img_fix_steps", False, "run exactly `steps` steps instead of steps*strength"),
        Option(
            "img2img_background_color",
            "#ffffff",
            "colour put behind transparent init images",
            form="colour",
        ),
        Option("img2img_editor_height", 720, span=(80, 1600), interface_only=True),
        Option("img2img_sketch_default_brush_color", "#ffffff", interface_only=True, form="colour"),
        Option("img2img_inpaint_mask_brush_color", "#ffffff", interface_only=True, form="colour"),
        Option(
            "img2img_inpaint_sketch_default_brush_color",
            "#ffffff",
            interface_only=True,
            form="colour",
        ),
        Option("return_mask", False, "append mask image after each result"),
        Option("return_mask_composite", False, "append masked composite after each result"),
        Option("img2img_batch_show_results_limit", 32, span=(-1, 1000), interface_only=True),
        Option("overlay_inpaint", True, "paste the untouched original over the result"),
    ),
)

INTERROGATE = Section(
    "interrogate",
    "Interrogate",
    (
        Option(
            "interrogate_keep_models_in_memory", False, "keep the captioning models on the device"
        ),
        Option("interrogate_return_ranks", False, "add to each found term how well it fits"),
        Option("interrogate_clip_num_beams", 1, "beams of the caption search", span=(1, 16)),
        Option(
            "interrogate_clip_min_length",
            24,
            "shortest caption in tokens",
            span=(1, 128),
            at_most=("interrogate_clip_max_length", 1),
        ),
        Option("interrogate_clip_max_length", 48, "longest caption in tokens", span=(1, 256)),
        Option(
            "interrogate_clip_dict_limit",
            1500,
            "how many lines of each term list to try; 0 means all",
            bounds=(0, 1_000_000_000),
            low_is_lowest=True,
        ),
        Option("interrogate_clip_skip_categories", (), "term lists left out"),
        Option(
            "interrogate_deepbooru_score_threshold",
            0.5,
            "tags below this probability are dropped",
            span=(0, 1),
        ),
        Option("deepbooru_sort_alpha", True, "sort tags by name, not by probability"),
        Option("deepbooru_use_spaces", True, "write tags with spaces, not underscores"),
        Option("deepbooru_escape", True, "escape brackets in tags"),
        Option("deepbooru_filter_tags", "", "comma-separated tags never reported", longest=65_536),
    ),
)

POSTPROCESSING = Section(
    "postprocessing",
    "Postprocessing",
    (
        Option(
            "postprocessing_enable_in_main_ui",
            (),
            "postprocessing scripts that also run on generated pictures",
            no_effect=EXTRAS_ONLY,
        ),
        Option("postprocessing_disable_in_extras", (), "names removed from the extras pipeline"),
        Option(
            "postprocessing_operation_order", (), "names that come first in the extras pipeline"
        ),
        Option("upscaling_max_images_in_cache", 5, "extras upscale cache size", span=(0, 10)),
        Option(
            "postprocessing_existing_caption_action",
            "Ignore",
            "caption file policy (disk writer only)",
            choices=("Ignore", "Keep", "Prepend", "Append"),
            no_effect=WRITTEN_BY_EXTRAS,
        ),
    ),
)
