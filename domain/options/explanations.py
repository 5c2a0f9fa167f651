"""Help texts that A1111 lists among its options; the wording here is ours (spec api.md 13.1)."""

PROFILING_HELP = (
    "While profiling is on, each generation writes a trace of where its time and memory went, over "
    "the trace before it. Chrome (chrome:tracing) and "
    '<a href="https://ui.perfetto.dev/">Perfetto</a> show such files. They can be large.'
)
VAE_HELP = (
    "A <abbr title='variational autoencoder'>VAE</abbr> turns pictures into latents and back. "
    "Diffusion works on latents: the VAE decodes its result and, for img2img, encodes its input."
)
INFOTEXT_HELP = (
    "Infotext is the line of generation parameters stored inside a picture. "
    "It is enough to make the same picture again."
)
SETTINGS_IN_UI_HELP = "Options listed here become script arguments of txt2img and img2img."
HYPERTILE_HELP = (
    "Hypertile splits self-attention into tiles. Large pictures become faster, and differ a little."
)
