"""A picture without a server: python examples/generate.py [flags of hexfusion]"""

import sys

from hexfusion import bootstrap
from hexfusion.domain.generation import Txt2Img

use = bootstrap.build(sys.argv[1:])
result = use.txt2img(Txt2Img(prompt="a red circle on a blue background", width=256, height=256))
result.pictures[0].image.save("picture.png")
print(result.pictures[0].infotext)
