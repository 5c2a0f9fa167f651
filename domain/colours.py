"""Which texts name a colour: CSS notation, as the options with colours hold it.

Source: CSS Color Module Level 4 (https://www.w3.org/TR/css-color-4/), without alpha in functions.
"""

import re

_NAMES = """
    aliceblue antiquewhite aqua aquamarine azure beige bisque black blanchedalmond blue blueviolet
    brown burlywood cadetblue chartreuse chocolate coral cornflowerblue cornsilk crimson cyan
    darkblue darkcyan darkgoldenrod darkgray darkgreen darkgrey darkkhaki darkmagenta
    darkolivegreen darkorange darkorchid darkred darksalmon darkseagreen darkslateblue
    darkslategray darkslategrey darkturquoise darkviolet deeppink deepskyblue dimgray dimgrey
    dodgerblue firebrick floralwhite forestgreen fuchsia gainsboro ghostwhite gold goldenrod gray
    green greenyellow grey honeydew hotpink indianred indigo ivory khaki lavender lavenderblush
    lawngreen lemonchiffon lightblue lightcoral lightcyan lightgoldenrodyellow lightgray lightgreen
    lightgrey lightpink lightsalmon lightseagreen lightskyblue lightslategray lightslategrey
    lightsteelblue lightyellow lime limegreen linen magenta maroon mediumaquamarine mediumblue
    mediumorchid mediumpurple mediumseagreen mediumslateblue mediumspringgreen mediumturquoise
    mediumvioletred midnightblue mintcream mistyrose moccasin navajowhite navy oldlace olive
    olivedrab orange orangered orchid palegoldenrod palegreen paleturquoise palevioletred
    papayawhip peachpuff peru pink plum powderblue purple rebeccapurple red rosybrown royalblue
    saddlebrown salmon sandybrown seagreen seashell sienna silver skyblue slateblue slategray
    slategrey snow springgreen steelblue tan teal thistle tomato turquoise violet wheat white
    whitesmoke yellow yellowgreen
"""

NAMES = frozenset(_NAMES.split())
"""The named colours of CSS (section 6.1), as Pillow knows them too, which draws."""

_HEX = re.compile(r"#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})", re.ASCII)
_NUMBERS = re.compile(
    r"(rgb|hsl|hsv)\(\s*([0-9]{1,3})(%?)\s*,\s*([0-9]{1,3})(%?)\s*,\s*([0-9]{1,3})(%?)\s*\)",
    re.ASCII,
)


def is_colour(text: str) -> bool:
    """Whether the text is a colour: a name, `#rgb`, `#rgba`, `#rrggbb`, `#rrggbbaa`,
    `rgb(0-255, 0-255, 0-255)`, `rgb(0-100%, ...)`, `hsl(0-360, 0-100%, 0-100%)` or `hsv(...)`; in
    any case.
    """
    text = text.lower()
    if text in NAMES or _HEX.fullmatch(text):
        return True
    found = _NUMBERS.fullmatch(text)
    if found is None:
        return False
    kind, *parts = found.groups()
    numbers = [int(number) for number in parts[::2]]
    percent = tuple(map(bool, parts[1::2]))
    if kind == "rgb":
        most = 100 if all(percent) else 255
        return len(set(percent)) == 1 and max(numbers) <= most
    return percent == (False, True, True) and numbers[0] <= 360 and max(numbers[1:]) <= 100
