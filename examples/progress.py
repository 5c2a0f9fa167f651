"""How far a job is, while it runs in a thread: python examples/progress.py [flags]

Ctrl-C has it finish the picture in hand from what there is.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from rich.progress import Progress

import hexfusion

studio = hexfusion.build(sys.argv[1:])
request = hexfusion.Txt2Img(prompt="a house with a tree", width=256, height=256, n_iter=2)

with ThreadPoolExecutor() as pool, Progress() as bar:
    task = bar.add_task("pictures", total=1.0)
    job = pool.submit(studio.txt2img, request)
    while not job.done():
        try:
            now = studio.progress()
            words = f"step {now.state.sampling_step} of {now.state.sampling_steps}"
            bar.update(task, completed=now.progress, description=words)
            time.sleep(0.1)
        except KeyboardInterrupt:
            studio.interrupt()
    bar.update(task, completed=1.0, description="done")

for number, picture in enumerate(job.result().pictures):
    picture.save(f"picture-{number}.webp")
