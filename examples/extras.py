"""A picture four times as large, with its infotext kept: python examples/extras.py [flags]"""

import sys

import hexfusion

studio = hexfusion.build(sys.argv[1:])
small = studio.txt2img(hexfusion.Txt2Img(prompt="a yellow star", width=64, height=64)).pictures[0]

best = studio.upscalers()[-1].name
request = hexfusion.ExtrasRequest(upscaler_1=best, upscaling_resize=4)
(large,) = studio.extras(request, small).pictures
large.save("picture.png")
print(f"{best}: {small.image.size} -> {large.image.size}")
print(studio.picture_info(large).info)
