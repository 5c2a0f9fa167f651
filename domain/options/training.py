"""Options: training (spec api.md 17)."""

from hexfusion.domain.options.option import Option, Section
from hexfusion.domain.options.reasons import NO_TRAINING

TRAINING = Section(
    "training",
    "Training",
    (
        Option(
            "unload_models_when_training",
            False,
            "make room by moving VAE and text encoder off the device",
            no_effect=NO_TRAINING,
        ),
        Option("pin_memory", False, "pin the training data in memory", no_effect=NO_TRAINING),
        Option(
            "save_optimizer_state",
            False,
            "save the optimiser state, so that training can resume",
            no_effect=NO_TRAINING,
        ),
        Option(
            "save_training_settings_to_txt",
            True,
            "write the settings of each training run to a text file",
            no_effect=NO_TRAINING,
        ),
        Option(
            "dataset_filename_word_regex",
            "",
            "regular expression for words in file names of training pictures",
            no_effect=NO_TRAINING,
        ),
        Option(
            "dataset_filename_join_string", " ", "what joins those words", no_effect=NO_TRAINING
        ),
        Option(
            "training_image_repeats_per_epoch",
            1,
            "how often an epoch repeats each picture (display only)",
            no_effect=NO_TRAINING,
        ),
        Option(
            "training_write_csv_every",
            500,
            "write the loss to CSV every so many steps; 0 for never",
            no_effect=NO_TRAINING,
        ),
        Option(
            "training_xattention_optimizations",
            False,
            "use the attention optimisation when training too",
            no_effect=NO_TRAINING,
        ),
        Option(
            "training_enable_tensorboard",
            False,
            "log training for TensorBoard",
            no_effect=NO_TRAINING,
        ),
        Option(
            "training_tensorboard_save_images",
            False,
            "log previews for TensorBoard",
            no_effect=NO_TRAINING,
        ),
        Option(
            "training_tensorboard_flush_every",
            120,
            "seconds between TensorBoard flushes",
            no_effect=NO_TRAINING,
        ),
    ),
)
