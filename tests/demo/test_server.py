"""The demo's server without a browser: results beside the denoiser, hand-counted energy, and what it refuses."""

import base64
import http.client
import io
import json
import socket
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
import yaml

from ndns.config import FrontEnd
from ndns.demo import analysis
from ndns.demo import server as module
from ndns.demo.analysis import Analyst, Recording, level_dbfs, read_recording
from ndns.demo.server import Server, sources
from ndns.errors import UserError
from ndns.loihi2 import engine, netx, scenarios
from ndns.loihi2.denoiser import Denoiser, encode_clip
from ndns.loihi2.nodes import Delta, Sigma, SigmaDelta, Synapse
from ndns.loihi2.program import Program
from ndns.use import Model, registry


def ask(server: Server, method: str, path: str, body: bytes | None = None, **headers: str):
    """Return status, headers and body of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=60)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


def denoised(server: Server, body: bytes, name: str = "a.flac", model: str = "s5_sparse") -> list[dict]:
    status, _, content = ask(server, "POST", f"/denoise?model={model}&name={name}", body)
    assert status == 200, content
    return [json.loads(line) for line in content.splitlines()]


def refused(server: Server, body: bytes | None, status: int, sentence: str, path: str = "", **headers: str) -> None:
    found, _, content = ask(server, "POST", path or "/denoise?model=s5_sparse&name=a.wav", body, **headers)
    assert found == status
    assert sentence in json.loads(content)["error"]


def decoded(text: str) -> np.ndarray:
    return soundfile.read(io.BytesIO(base64.b64decode(text)), dtype="int16")[0]


def test_sound_and_activity_are_those_of_the_denoiser(server, recording, sound, program):
    result, _ = denoised(server, recording)
    np.testing.assert_array_equal(decoded(result["tracks"]["before"]["audio"]), sound)
    after = decoded(result["tracks"]["after"]["audio"])
    np.testing.assert_allclose(after / 32768, Denoiser(program).denoise(sound / 32768), atol=2**-15)
    assert np.abs(after - sound).max() > 500
    _, x = encode_clip(program, sound / 32768)
    _, seen = engine.record(program, x)
    for layer, events in zip(result["layers"], seen.events_per_step, strict=True):
        assert layer["share"] == pytest.approx(events.mean() / layer["neurons"])
        bars = np.frombuffer(base64.b64decode(layer["bars"]), np.uint8)
        assert bars.mean() / 255 == pytest.approx(layer["share"], abs=0.02)
    assert result["latency_ms"] == 4.0
    assert result["seconds"] == 1.5


def test_the_tone_is_where_the_picture_is_bright(server, recording):
    result, _ = denoised(server, recording)
    for track in result["tracks"].values():
        picture = np.frombuffer(base64.b64decode(track["picture"]), np.uint8).reshape(result["rows"], track["columns"])
        row = 127 - picture.mean(axis=1).argmax()
        assert row * 62.5 == pytest.approx(1000, abs=63)
    assert picture.max() == 255


def routed_j(placement, messages: dict[str, int], constants: dict) -> float:
    """Return the joules of all hops, core by core: a message goes to each core of the next layer."""
    following, total = {"input": "hidden1", "hidden1": "output"}, 0.0
    for source in placement.cores:
        if source.population not in following:
            continue
        of_layer = [core for core in placement.cores if core.population == source.population]
        part = (source.stop - source.start) / sum(core.stop - core.start for core in of_layer)
        for target in placement.cores:
            if target.population == following[source.population]:
                across = abs(source.column - target.column) * constants["hop_x_j"]["value"]
                along = abs(source.row - target.row) * constants["hop_y_j"]["value"]
                total += messages[source.population] * part * (across + along)
    return total


def test_energy_is_operations_times_the_scenarios_joules(sound):
    rng = np.random.default_rng(2)
    nodes = (
        *(Delta(33, 6), Synapse(rng.integers(-20, 20, (24, 33))), SigmaDelta(24, 6)),
        *(Synapse(rng.integers(-20, 20, (33, 24))), Sigma(33)),
    )
    program = Program(nodes, ("input", "fc1", "hidden1", "fc2", "output"), front_end=FrontEnd(n_fft=64, hop=16))
    analyst = Analyst(Model(program, "small"))
    _, activity = analyst.denoise(Recording(sound / 32768, 1.5))
    rows = {row["name"]: row for row in analyst.energy(activity)}
    assert list(rows) == scenarios.names()
    constants = yaml.safe_load((scenarios.FOLDER / "fitted.yaml").read_text())
    _, x = encode_clip(program, sound / 32768)
    _, seen = engine.record(program, x)
    steps, neurons = x.shape[1], 33 + 24 + 33
    dynamic = steps * neurons * constants["neuron_update_j"]["value"]
    dynamic += seen.synops_per_step.sum() * constants["synop_j"]["value"]
    dynamic += routed_j(
        analyst.placements["fitted"], dict(zip(seen.layers, seen.events_per_step.sum(axis=1), strict=True)), constants
    )
    fitted, seconds = rows["fitted"]["value"], steps * 16 / 16_000
    assert fitted["dynamic_j"] == pytest.approx(dynamic)
    assert fitted["static_j"] == pytest.approx(constants["static_w"]["value"] * seconds)
    assert fitted["power_w"] == pytest.approx((fitted["dynamic_j"] + fitted["static_j"]) / seconds)
    for row in rows.values():
        assert row["chips"] == 1
        assert row["low"]["power_w"] <= row["value"]["power_w"] <= row["high"]["power_w"]


def test_the_page_gets_the_energy_after_the_sound(server, recording):
    result, energy = denoised(server, recording)
    assert "tracks" in result
    assert [row["name"] for row in energy["energy"]] == scenarios.names()


def test_operations_are_counted_by_hand(server, recording, program, sound):
    result, _ = denoised(server, recording)
    _, x = encode_clip(program, sound / 32768)
    _, seen = engine.record(program, x)
    per_step = seen.synops_per_step.sum() / x.shape[1] + 10 * sum(layer.neurons for layer in program.layers)
    assert result["operations_s"] == pytest.approx(per_step * 1000)


def test_other_rates_and_channels_become_one_at_sixteen_kilohertz(server, sound):
    buffer = io.BytesIO()
    both = np.stack([sound, np.zeros_like(sound)], axis=1)
    soundfile.write(buffer, both, 48_000, format="WAV", subtype="PCM_24")
    result, _ = denoised(server, buffer.getvalue())
    assert result["seconds"] == 0.5
    assert len(decoded(result["tracks"]["after"]["audio"])) == 8000


def test_a_long_recording_is_cut_and_memory_stays_bounded(monkeypatch, recording):
    monkeypatch.setattr(analysis, "MOST_SECONDS", 1.0)
    found = read_recording(recording, "a")
    assert (found.seconds, found.whole_seconds) == (1.0, 1.5)
    monkeypatch.setattr(analysis, "MOST_SAMPLES", 8000)
    assert read_recording(recording, "a").seconds == 0.5


def test_silence_is_no_trouble(server, program):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(1, np.int16), 16_000, format="WAV")
    result, _ = denoised(server, buffer.getvalue())
    assert result["tracks"]["before"]["level_dbfs"] == analysis.SILENCE_DB
    assert level_dbfs(np.array([0.1, -0.1])) == pytest.approx(-20)


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b"hello", 422, "a.wav: cannot be read as audio; choose a WAV"),
        (b"", 422, "a.wav: cannot be read as audio"),
        ("nan", 422, "a.wav: contains NaN"),
        ("empty", 422, "a.wav: holds no samples"),
    ],
)
def test_bad_files_get_a_sentence(server, body, status, sentence):
    if isinstance(body, str):
        buffer = io.BytesIO()
        samples = np.array([0.0, np.nan]) if body == "nan" else np.zeros(0)
        soundfile.write(buffer, samples, 16_000, format="WAV", subtype="FLOAT")
        body = buffer.getvalue()
    refused(server, body, status, sentence)


def test_a_file_that_is_cut_short_gets_a_sentence(server, recording):
    refused(server, recording[: len(recording) // 2], 422, "a.wav: ")
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(8000), 16_000, format="WAV")
    refused(server, buffer.getvalue()[:8000], 422, "a.wav: ends after 7956 of 16000 bytes of samples")


def test_a_rate_that_no_recording_has_gets_a_sentence(server):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(30), 3, format="WAV")
    refused(server, buffer.getvalue(), 422, "a.wav: its header says 3 Hz; expected 1000 to 1000000")


def test_a_recording_of_less_than_a_sample_gets_a_sentence(server):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(1), 48_000, format="WAV")
    refused(server, buffer.getvalue(), 422, "a.wav: is shorter than one sample at 16000 Hz")


@pytest.mark.parametrize(
    ("length", "status", "sentence"),
    [
        (f"Content-Length: {module.MOST_BYTES + 1}\r\n", 413, "larger than 64 MiB"),
        ("", 411, "does not say how long"),
        ("Content-Length: -1\r\n", 411, "does not say how long"),
        ("Transfer-Encoding: chunked\r\n", 411, "does not say how long"),
    ],
)
def test_what_is_too_large_or_of_unknown_length_is_not_read(server, length, status, sentence):
    with socket.create_connection(server.server_address, timeout=10) as plain:
        head = f"POST /denoise?model=s5_sparse HTTP/1.1\r\nHost: {server.hosts[0]}\r\n{length}\r\n"
        plain.sendall(head.encode())
        answer = b"".join(iter(lambda: plain.recv(4096), b"")).decode()
    assert f" {status} " in answer.splitlines()[0]
    assert sentence in answer


def test_unknown_models_and_paths_are_refused(server, recording):
    for model in ("/etc/passwd", "..%2F..%2Fx.net", ""):
        refused(server, recording, 404, "no such model here", f"/denoise?model={model}&name=a")
    refused(server, recording, 404, "nothing here", "/other")
    assert ask(server, "GET", "/../../etc/passwd")[0] == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Host": "127.0.0.1:1"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_other_hosts_and_origins_are_refused(server, recording, headers):
    refused(server, recording, 403, "answers its own page alone", **headers)
    assert ask(server, "GET", "/", **headers)[0] == 403
    own = {"Host": server.hosts[1], "Origin": f"http://{server.hosts[1]}"}
    assert ask(server, "GET", "/models", **own)[0] == 200


def test_only_this_machine_is_served_and_the_page_asks_for_nothing_else(server):
    assert server.server_address[0] == "127.0.0.1"
    status, headers, content = ask(server, "GET", "/")
    text = content.decode()
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "page.css */" not in text
    assert "page.js */" not in text
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in text
    assert "innerHTML" not in text


def test_a_taken_port_and_an_absent_model_are_named(server, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "CHECKOUT", tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"--port \d+: cannot be had"):
        Server(server.server_address[1], str(server.sources["s5_sparse"].path))
    with pytest.raises(UserError, match="no model is here"):
        Server(0)
    with pytest.raises(UserError, match=r"absent.net: no such file"):
        Server(0, "absent.net")


def test_models_of_studies_are_offered_and_the_named_one_comes_first(program, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "CHECKOUT", tmp_path)
    monkeypatch.chdir(tmp_path)
    for run in ("a-seed1", "b-seed1"):
        netx.write(f"results/tiny/quantize/{run}/program.net", program)
    assert list(sources(None)) == ["tiny/a-seed1", "tiny/b-seed1"]
    assert list(sources("b")) == ["tiny/b-seed1", "tiny/a-seed1"]


def test_one_placement_serves_all_recordings(program, sound):
    analyst = Analyst(Model(program, "small"))
    _, first = analyst.denoise(Recording(sound / 32768, 1.5))
    _, quiet = analyst.denoise(Recording(np.zeros(1600), 0.1))
    busy, idle = analyst.energy(first)[0]["value"], analyst.energy(quiet)[0]["value"]
    assert analyst.placements is analyst.placements
    assert busy["dynamic_j"] > 10 * idle["dynamic_j"]


def test_floats_scaled_like_integers_are_refused_as_by_the_command(server, sound):
    buffer = io.BytesIO()
    soundfile.write(buffer, sound.astype(np.float32), 16_000, format="WAV", subtype="FLOAT")
    refused(server, buffer.getvalue(), 422, "a.wav: samples reach")


def test_silence_is_dark_in_the_picture(server):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(8000, np.int16), 16_000, format="WAV")
    result, _ = denoised(server, buffer.getvalue())
    for track in result["tracks"].values():
        assert max(base64.b64decode(track["picture"])) == 0


def test_an_upload_that_is_given_up_leaves_the_terminal_alone(server, capfd):
    for _ in range(3):
        with socket.create_connection(server.server_address, timeout=10) as plain:
            head = f"POST /denoise?model=s5_sparse HTTP/1.1\r\nHost: {server.hosts[0]}\r\nContent-Length: 1000\r\n\r\n"
            plain.sendall(head.encode() + b"abc")
    assert ask(server, "GET", "/")[0] == 200
    time.sleep(0.2)
    assert capfd.readouterr().err == ""


def test_browsers_name_no_port_where_it_is_eighty(server, monkeypatch):
    assert server.hosts[1] == f"localhost:{server.server_address[1]}"
    monkeypatch.setattr(server, "server_address", ("127.0.0.1", 80))
    assert server.hosts == ("127.0.0.1", "localhost")


def test_one_recording_is_denoised_at_a_time(server, recording, monkeypatch):
    inside, most = [], []
    whole = Analyst.denoise

    def slow(*given):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.1)
        found = whole(*given)
        inside.pop()
        return found

    monkeypatch.setattr(Analyst, "denoise", slow)
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: denoised(server, recording), range(3)))
    assert [len(lines) for lines in answers] == [2, 2, 2]
    assert most == [1, 1, 1]


def test_the_networks_asked_last_are_kept(server, monkeypatch):
    monkeypatch.setattr(module, "KEPT_MODELS", 2)
    monkeypatch.setattr(server, "sources", {name: server.sources["s5_sparse"] for name in "abc"})
    monkeypatch.setattr(server, "_analysts", OrderedDict())
    for name in "abac":
        assert server.analyst(name).model.name == name
    assert [name for name, _ in server._analysts] == ["a", "c"]


def test_a_network_that_was_trained_anew_is_heard_without_a_restart(server, recording, program, tmp_path, monkeypatch):
    path, other = tmp_path / "mine.net", server.sources["s5_sparse"].path.with_name("s5_dense_qat.net")
    netx.write(path, program)
    monkeypatch.setattr(server, "sources", {"mine": registry.Source("mine", path)})
    sounds = [denoised(server, recording, model="mine")[0]["tracks"]["after"]["audio"] for _ in range(2)]
    netx.write(path, netx.read(other))
    sounds.append(denoised(server, recording, model="mine")[0]["tracks"]["after"]["audio"])
    assert sounds[0] == sounds[1] != sounds[2]
    path.unlink()
    refused(server, recording, 422, "mine.net is not here", path="/denoise?model=mine&name=a.flac")
