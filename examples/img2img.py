"""A picture made anew from a sketch of one's own: python examples/img2img.py [flags]"""

import sys

from PIL import Image, ImageDraw

import hexfusion

sketch = Image.new("RGB", (256, 256), "blue")
ImageDraw.Draw(sketch).ellipse((48, 48, 208, 208), fill="red")

studio = hexfusion.build(sys.argv[1:])
request = hexfusion.Img2Img(
    prompt="a red circle on a blue background", denoising_strength=0.6, width=256, height=256
)
made = studio.img2img(request, sketch)
made.pictures[0].save("picture.png")

# The same again, but for the right half: white in a mask is made anew.
mask = Image.new("L", sketch.size)
mask.paste(255, (128, 0, 256, 256))
studio.img2img(request, made.pictures[0], mask).pictures[0].save("half.png")
