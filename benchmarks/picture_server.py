"""A web server of small pictures for `fetch_media.py`, in a process of its own: it answers as fast as one thread of Python can.

Run: python benchmarks/picture_server.py NUMBER_OF_PICTURES; it prints its port, and ends with its standard input.
"""

import asyncio
import io
import sys

import numpy as np
from PIL import Image

SIDE, DRAWN = 100, 64


def pictures(n: int) -> list[bytes]:
    """JPEG files of some kilobytes, each another content: a few drawn, and a comment that tells them apart."""
    generator = np.random.default_rng(0)
    drawn = []
    for _ in range(min(n, DRAWN)):
        small = Image.fromarray(generator.integers(0, 256, size=(SIDE // 5, SIDE // 5, 3), dtype=np.uint8))
        file = io.BytesIO()
        small.resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(file, "JPEG", quality=90)
        drawn.append(file.getvalue())
    comment = b"\xff\xfe\x00\x0a%08d"
    return [drawn[i % len(drawn)][:2] + comment % i + drawn[i % len(drawn)][2:] for i in range(n)]


class Server(asyncio.Protocol):
    """Answers `GET /<number>.jpg` on connections that stay."""

    def __init__(self, answers: list[bytes]) -> None:
        self._answers, self._asked = answers, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to answer."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole question."""
        self._asked += data
        while (end := self._asked.find(b"\r\n\r\n")) >= 0:
            head, self._asked = self._asked[:end], self._asked[end + 4 :]
            self._transport.write(self._answers[int(head[head.index(b"/") + 1 : head.index(b".")])])


async def main(n: int) -> None:
    """Serve until standard input ends."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
    answers = [head % len(picture) + picture for picture in pictures(n)]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Server(answers), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
