"""Speaks one utterance with eSpeak NG and exits: the library keeps state that changes the next utterance's samples.

Runs as a script under `python -I -S`, so it imports nothing outside the standard library.
Arguments: path of the shared library, folder with its data.
Standard input: JSON `{"voice", "text", "rate", "pitch", "pitch_range"}`.
Standard output: int16 samples at 22050 Hz, little endian.
"""

import ctypes
import json
import sys

SYNCHRONOUS, UTF8, DONT_EXIT, RATE_HZ = 2, 1, 0x8000, 22_050
PARAMETERS = {"rate": 1, "volume": 2, "pitch": 3, "pitch_range": 4}
VOLUME = 30  # several variants saturate inside the library at its default of 100, the loudest still at 50


def speak(library: str, data: str, voice: str, text: str, **parameters: int) -> bytes:
    """Return the samples of `text`.

    Raises:
        RuntimeError: the library refuses its data, the voice or the text.
    """
    lib = ctypes.CDLL(library)
    callback_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
    pieces: list[bytes] = []

    def collect(samples: int | None, count: int, _events: int) -> int:
        if samples and count > 0:
            pieces.append(ctypes.string_at(samples, 2 * count))
        return 0

    callback = callback_type(collect)
    if lib.espeak_Initialize(SYNCHRONOUS, 0, data.encode(), DONT_EXIT) != RATE_HZ:
        raise RuntimeError(f"eSpeak NG does not start with the data in {data}")
    lib.espeak_SetSynthCallback(callback)
    lib.espeak_ng_SetRandSeed(ctypes.c_long(1))
    if lib.espeak_SetVoiceByName(voice.encode()):
        raise RuntimeError(f"eSpeak NG has no voice {voice!r}")
    for name, value in {"volume": VOLUME, **parameters}.items():
        lib.espeak_SetParameter(PARAMETERS[name], value, 0)
    encoded = text.encode()
    if lib.espeak_Synth(encoded, ctypes.c_size_t(len(encoded) + 1), 0, 0, 0, UTF8, None, None):
        raise RuntimeError(f"eSpeak NG cannot speak {text!r}")
    return b"".join(pieces)


if __name__ == "__main__":
    sys.stdout.buffer.write(speak(sys.argv[1], sys.argv[2], **json.loads(sys.stdin.buffer.read())))
