"""The pages of an extraction, through all its stages at a time: one reads, some decode, one encodes, one writes.

A page is read and its new contents are given to the decoders while earlier ones are encoded; finished pages are written in the
order they were read, several in one transaction where writing is the slower. What waits between the stages is bounded in number
and bytes. Contents that two pages share are embedded for the first. An error in any stage ends the run with that error; what is
whole is written before it is raised.
"""

from dataclasses import dataclass

from milkprep.engine import decoders
from milkprep.engine.embedding import Batcher
from milkprep.engine.reading import Reading
from milkprep.engine.telling import Telling
from milkprep.engine.work import UnderWay, Work
from milkprep.engine.writing import Writing
from schemas.reporting import Progress


@dataclass(frozen=True, slots=True)
class Embeddings:
    """How many contents were embedded, and whether Ctrl-C ended it before all were."""

    n: int
    interrupted: bool


def embed_pages(work: Work, progress: Progress) -> Embeddings:
    """Embed page after page.

    Args:
        work: what is to be done.
        progress: told of each item, and what each stage has behind it.
    """
    under_way, telling = UnderWay(), Telling(progress)
    using = decoders.of(work.encoder, n_workers=work.n_workers)
    reading, writing = Reading(work, using, under_way, telling), Writing(work, under_way, telling)
    batcher = Batcher(work.encoder, batch_size=work.batch_size, stages=work.stages)
    n, interrupted = 0, False
    try:
        reading.start()
        while (page := reading.next_page()) is not None:
            telling.taken(page)
            outcome = batcher.embed(reading.answers(), done=telling.encoded)
            writing.put(page, outcome)
            n += outcome.vectors.height
    except KeyboardInterrupt:
        interrupted = True
    finally:
        reading.stop()
        using.close()
        writing.close()
        telling.flush()
    writing.raise_error()
    return Embeddings(n, interrupted)
