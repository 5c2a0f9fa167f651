"""A picture over HTTP with nothing but the standard library: python examples/client.py [URL]"""

import base64
import json
import sys
from pathlib import Path
from urllib.request import Request, urlopen

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7861"
order = {"prompt": "a red circle on a blue background", "width": 256, "height": 256, "steps": 20}
body, headers = json.dumps(order).encode(), {"Content-Type": "application/json"}
with urlopen(Request(f"{url}/sdapi/v1/txt2img", body, headers)) as reply:
    answer = json.load(reply)
Path("picture.png").write_bytes(base64.b64decode(answer["images"][0]))
print(json.loads(answer["info"])["infotexts"][0])
