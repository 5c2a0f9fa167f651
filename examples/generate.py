"""A picture without a server: python examples/generate.py [flags of hexfusion]"""

import sys

import hexfusion

studio = hexfusion.build(sys.argv[1:])
request = hexfusion.Txt2Img(prompt="a red circle on a blue background", width=256, height=256)
made = studio.txt2img(request)
made.pictures[0].save("picture.png")
print(made.infotext)
