"""The upscalers that need no weights, by A1111's names (spec images.md 9.1 and 9.6)."""

LATENT_MODES = (
    "Latent",
    "Latent (antialiased)",
    "Latent (bicubic)",
    "Latent (bicubic antialiased)",
    "Latent (nearest)",
    "Latent (nearest-exact)",
)
"""Ways of enlarging a latent, for hires fix only. The first is the default."""

IMAGE_UPSCALERS = ("None", "Lanczos", "Nearest")
