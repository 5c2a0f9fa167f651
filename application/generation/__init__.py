"""The use-cases txt2img and img2img: prepare a request, render its plan, describe and save."""
