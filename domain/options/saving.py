"""Options: writing pictures to disk (spec api.md 17)."""

from hexfusion.domain.options.option import PICTURE_FORMATS, Option, Section
from hexfusion.domain.options.reasons import (
    INTERFACE_ROUTES,
    NO_XYZ_PLOT,
    NOT_READ,
    WRITTEN_BY_EXTRAS,
)

SAVING_IMAGES = Section(
    "saving-images",
    "Saving images and grids",
    (
        Option(
            "samples_save",
            True,
            "write finished pictures to disk, when the request has save_images too",
        ),
        Option(
            "samples_format",
            "png",
            "picture format of files and API replies: png, jpg, jpeg or webp",
            choices=PICTURE_FORMATS,
            any_case=True,
        ),
        Option(
            "samples_filename_pattern",
            "",
            "pattern of file names; empty: [seed], or [seed]-[prompt_spaces] without sub-folders",
            path_locked=True,
        ),
        Option(
            "save_images_add_number",
            True,
            "prefix names with a running number of 5 digits (4 after a basename)",
            path_locked=True,
        ),
        Option(
            "save_images_replace_action",
            "Replace",
            'when target exists: overwrite, or append "-1", "-2"...',
            choices=("Replace", "Add number suffix"),
            path_locked=True,
        ),
        Option("grid_save", True, "write grids to disk"),
        Option(
            "grid_format", "png", "file extension for grids", choices=PICTURE_FORMATS, any_case=True
        ),
        Option(
            "grid_extended_filename",
            False,
            "use the full pattern for grid names instead of just the number",
        ),
        Option("grid_only_if_multiple", True, "no grid for a single image"),
        Option(
            "grid_prevent_empty_spots", False, "autodetected row count must divide the image count"
        ),
        Option("grid_zip_filename_pattern", "", interface_only=True),
        Option(
            "n_rows",
            -1,
            "grid rows: >0 fixed, 0 = batch size, -1 = round(sqrt(n))",
            span=(-1, 16),
            bounds=(-1, 1000),
            low_is_lowest=True,
        ),
        Option(
            "font", "", "TrueType file for grid captions; empty for the built-in one", form="file"
        ),
        Option("grid_text_active_color", "#000000", "colour of grid captions", form="colour"),
        Option(
            "grid_text_inactive_color",
            "#999999",
            "colour of greyed-out grid captions",
            form="colour",
        ),
        Option("grid_background_color", "#ffffff", "colour behind grid captions", form="colour"),
        Option(
            "save_images_before_face_restoration",
            False,
            'extra file, suffix "-before-face-restoration"',
        ),
        Option("save_images_before_highres_fix", False, 'extra file, suffix "-before-highres-fix"'),
        Option(
            "save_images_before_color_correction",
            False,
            'extra file, suffix "-before-color-correction"',
        ),
        Option("save_mask", False, 'extra file, suffix "-mask"'),
        Option("save_mask_composite", False, 'extra file, suffix "-mask-composite"'),
        Option("jpeg_quality", 80, "quality for jpg/webp, files and API responses", span=(1, 100)),
        Option(
            "webp_lossless", False, "lossless flag for webp written to disk (not for API responses)"
        ),
        Option(
            "export_for_4chan",
            True,
            "also write a .jpg copy of a picture over one of the two limits below",
        ),
        Option(
            "img_downscale_threshold", 4.0, "size limit in MiB for that copy", bounds=(0, 1_000_000)
        ),
        Option(
            "target_side_length",
            4000,
            "side limit in pixels for that copy; the long side is shrunk to it",
            bounds=(1, 1_000_000),
        ),
        Option(
            "img_max_size_mp",
            200,
            "X/Y/Z plot refuses when cells*w*h/1e6 (rounded) is not below it",
            no_effect=NO_XYZ_PLOT,
            bounds=(0, 1_000_000),
        ),
        Option(
            "use_original_name_batch",
            True,
            "extras batch: keep the source file name",
            no_effect=WRITTEN_BY_EXTRAS,
        ),
        Option("use_upscaler_name_as_suffix", False, "without effect", no_effect=NOT_READ),
        Option("save_selected_only", True, interface_only=True),
        Option("save_write_log_csv", True, interface_only=True),
        Option(
            "save_init_img",
            False,
            "write the img2img input, named by the md5 of its pixels, and its hash into infotext",
        ),
        Option("temp_dir", "", interface_only=True, form="folder"),
        Option("clean_temp_dir_at_start", False, interface_only=True),
        Option(
            "save_incomplete_images", False, "also write images whose job was interrupted/skipped"
        ),
        Option("notification_audio", True, interface_only=True),
        Option("notification_volume", 100, span=(0, 100), interface_only=True),
    ),
)

SAVING_PATHS = Section(
    "saving-paths",
    "Paths for saving",
    (
        Option(
            "outdir_samples",
            "",
            "one folder instead of the three below, for the interface and for extras",
            path_locked=True,
            no_effect=INTERFACE_ROUTES,
            form="folder",
        ),
        Option(
            "outdir_txt2img_samples",
            "outputs/txt2img-images",
            "folder of txt2img pictures",
            path_locked=True,
            form="folder",
        ),
        Option(
            "outdir_img2img_samples",
            "outputs/img2img-images",
            "folder of img2img pictures",
            path_locked=True,
            form="folder",
        ),
        Option(
            "outdir_extras_samples",
            "outputs/extras-images",
            "folder of extras pictures",
            path_locked=True,
            no_effect=WRITTEN_BY_EXTRAS,
            form="folder",
        ),
        Option(
            "outdir_grids",
            "",
            "one folder instead of the two below, for the interface only",
            path_locked=True,
            no_effect=INTERFACE_ROUTES,
            form="folder",
        ),
        Option(
            "outdir_txt2img_grids",
            "outputs/txt2img-grids",
            "folder of txt2img grids",
            path_locked=True,
            form="folder",
        ),
        Option(
            "outdir_img2img_grids",
            "outputs/img2img-grids",
            "folder of img2img grids",
            path_locked=True,
            form="folder",
        ),
        Option("outdir_save", "log/images", interface_only=True, form="folder"),
        Option(
            "outdir_init_images",
            "outputs/init-images",
            "folder of img2img input pictures",
            path_locked=True,
            form="folder",
        ),
    ),
)

SAVING_TO_DIRS = Section(
    "saving-to-dirs",
    "Saving to a directory",
    (
        Option(
            "save_to_dirs",
            True,
            "put pictures into a sub-folder named by directories_filename_pattern",
        ),
        Option("grid_save_to_dirs", True, "the same for grids"),
        Option("use_save_to_dirs_for_ui", False, interface_only=True),
        Option(
            "directories_filename_pattern",
            "[date]",
            "sub-folder pattern",
            path_locked=True,
            form="sub-folders",
        ),
        Option(
            "directories_max_prompt_words",
            8,
            "word limit of [prompt_words]",
            span=(1, 20),
            path_locked=True,
            bounds=(1, 1000),
        ),
    ),
)
