"""`ndns demo`."""

from typing import Annotated

import typer

from ndns.use.cli import ModelName


def command(
    model: ModelName = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="of 127.0.0.1; 0 takes a free one")] = 8765,
    show: Annotated[bool, typer.Option("--open", help="open the page in the default browser")] = False,
) -> None:
    """Serve a page on this machine alone: record or drop a sound, hear it denoised, see what the network did."""
    import webbrowser

    from ndns.demo.server import Server

    server = Server(port, model)
    print(f"{server.url} (Ctrl-C ends it)", flush=True)
    if show:
        webbrowser.open(server.url)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
