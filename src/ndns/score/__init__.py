"""Quality of denoised clips: SI-SNR and its improvements, DNSMOS, PESQ, ESTOI, and what they say about a system.

What a clip's row says when the clip is special (each metric's docstring has the details):

| clip | SI-SNR | DNSMOS | PESQ | ESTOI |
|---|---|---|---|---|
| silent clean | empty | a number, of the denoised clip alone | empty | empty |
| silent denoised | -80 dB | a number that means little | empty | 0 |
| shorter than 9.01 s | defined | doubled until long enough | empty under 0.25 s | empty under 30 active frames |
| other level | unchanged | judged | unchanged | unchanged |
| delayed | counted as noise | hardly matters | aligned by the standard | counted as distortion |
| clipped, beyond full scale | counted as noise | limited to full scale, then judged | judged | judged |
| NaN, other length, other content than the manifest says | refused: one sentence that names the file(s) ||||
"""
