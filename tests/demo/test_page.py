"""The demo page in Chromium: a file and the microphone in, sound and figures out; errors, names, keyboard, widths."""

import base64
import json
from functools import partial

import numpy as np
import pytest

from .. import pages
from ..pages import size

pytestmark = pytest.mark.browser
wait = partial(pages.wait, seconds=40)
FINISHED = "document.querySelectorAll('#scenarios tbody tr').length == 4"


@pytest.fixture
def page(browser, server):
    """The page, freshly loaded at 1100 px."""
    size(browser, 1100)
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(server.url)
    wait(browser, "document.querySelectorAll('#model option').length > 0")
    return browser


def drop(page, content: bytes, name: str) -> None:
    """Let a file fall on the page."""
    script = """
      const data = Uint8Array.from(atob(arguments[0]), c => c.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([data], arguments[1]));
      document.getElementById("drop").dispatchEvent(
        new DragEvent("drop", {bubbles: true, cancelable: true, dataTransfer: transfer}));"""
    page.execute_script(script, base64.b64encode(content).decode(), name)


def text(page, name: str) -> str:
    return page.execute_script("return document.getElementById(arguments[0]).textContent", name)


def test_a_dropped_file_is_heard_before_and_after_without_errors_or_other_requests(page, recording, server):
    drop(page, recording, "tones.flac")
    wait(page, FINISHED)
    assert text(page, "sound") == "tones.flac"
    assert "s5_sparse" in text(page, "about")
    assert "4 ms" in text(page, "figures")
    durations = page.execute_script("return [...document.querySelectorAll('audio')].map(a => a.duration)")
    assert durations == [1.5, 1.5]
    before, after = page.find_elements("css selector", ".play")
    before.click()
    wait(page, "document.querySelectorAll('audio')[0].currentTime > 0.2")
    after.click()
    pressed = "[...document.querySelectorAll('.play')].map(b => b.getAttribute('aria-pressed')).join() == 'false,true'"
    playing = "((a, b) => a.paused && !b.paused && b.currentTime > 0.3)(...document.querySelectorAll('audio'))"
    wait(page, f"{playing} && {pressed}")  # at once: on a busy machine the sound is over before the next question
    wait(page, "document.querySelectorAll('.play')[1].getAttribute('aria-pressed') == 'false'")
    drawn = "c => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; return new Set(d).size; }"
    assert min(page.execute_script(f"return [...document.querySelectorAll('canvas')].map({drawn})")) > 50
    assert page.execute_script("return document.querySelectorAll('#layers tbody tr').length") == 11
    assert page.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert any("/denoise?" in url for url in urls)
    assert all(url.startswith((server.url, "blob:", "data:")) for url in urls), urls


def test_a_chosen_file_can_be_saved_under_a_name_of_its_own(page, recording, tmp_path):
    path = tmp_path / "my tones.flac"
    path.write_bytes(recording)
    page.find_element("id", "file").send_keys(str(path))
    wait(page, FINISHED)
    link = page.find_element("id", "save")
    assert link.get_attribute("download") == "my tones-denoised.wav"
    assert link.get_attribute("href") == page.execute_script("return document.querySelectorAll('audio')[1].src")


def test_names_are_text_and_bad_files_get_a_sentence(page, recording):
    name = "<img src=x onerror=document.title='hacked'>.wav"
    drop(page, b"no sound at all", name)
    wait(page, "document.getElementById('error').textContent")
    assert text(page, "error").startswith(f"{name}: cannot be read as audio")
    drop(page, recording, name)
    wait(page, FINISHED)
    assert text(page, "sound") == name
    assert text(page, "error") == ""
    assert page.title == "ndns demo"
    assert page.execute_script("return document.images.length") == 0


def test_a_file_that_comes_while_another_is_denoised_is_told_to_wait(page, recording):
    page.execute_script(
        "const real = fetch; window.fetch = (...a) => new Promise(r => window.go = () => r(real(...a)))"
    )
    drop(page, recording, "first.flac")
    drop(page, recording, "second.flac")
    assert text(page, "error").startswith("second.flac: wait until the sound before is finished")
    assert text(page, "status") == "Denoising first.flac …"
    page.execute_script("window.go()")
    wait(page, FINISHED)
    assert text(page, "sound") == "first.flac"
    wait(page, "document.getElementById('error').textContent == ''")


def test_a_large_file_is_refused_before_it_is_sent(page):
    page.execute_script("limits.bytes = 1 << 20")
    drop(page, bytes((1 << 20) + 1), "large.wav")
    assert "large.wav: The file is larger than 1 MiB" in text(page, "error")


def test_the_microphone_is_recorded_as_it_is(page, server):
    record = page.find_element("id", "record")
    record.click()
    wait(page, "recording?.samples > 1.2 * recording?.context?.sampleRate")
    assert text(page, "status") == "Recording …"
    record.click()
    wait(page, FINISHED)
    assert text(page, "sound") == "microphone.wav"
    level = page.execute_script("return document.querySelector('.level').textContent")
    assert -40 < float(level.removesuffix(" dBFS")) < 0, "the fake microphone beeps"
    assert page.execute_script("return document.querySelectorAll('audio')[0].duration") > 1.1
    assert page.get_log("browser") == []


LENT = """
  window.lent = [];
  const lend = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wish) => {
    lent.push(await lend(wish));
    return lent.at(-1);
  };
  window.live = () => lent.flatMap(media => media.getTracks()).filter(track => track.readyState == "live").length;"""


def test_two_fast_clicks_borrow_the_microphone_once(page):
    page.execute_script(LENT + "const r = document.getElementById('record'); r.click(); r.click();")
    wait(page, "lent.length == 2 && recording?.samples > 0.3 * recording?.context?.sampleRate")
    assert page.execute_script("return live()") == 1
    page.find_element("id", "record").click()
    assert page.execute_script("return live()") == 0
    wait(page, FINISHED)


def test_a_microphone_that_cannot_be_heard_is_handed_back(page):
    page.execute_script(LENT + "AudioContext.prototype.createMediaStreamSource = () => { throw new Error('rates'); };")
    page.find_element("id", "record").click()
    wait(page, "document.getElementById('error').textContent.includes('cannot be used (rates)')")
    assert page.execute_script("return [live(), recording]") == [0, None]


def test_a_file_does_not_cost_the_recording(page, recording):
    record = page.find_element("id", "record")
    record.click()
    wait(page, "recording?.samples > 0.3 * recording?.context?.sampleRate")
    drop(page, recording, "a.flac")
    assert "stop it first" in text(page, "error")
    record.click()
    wait(page, FINISHED)
    assert text(page, "sound") == "microphone.wav"
    assert text(page, "error") == ""


def test_a_file_is_denoised_while_the_browser_asks_for_the_microphone(page, recording):
    ask = "navigator.mediaDevices.getUserMedia = () => new Promise((lend, refuse) => { window.refuse = refuse; });"
    page.execute_script(ask)
    page.find_element("id", "record").click()
    drop(page, recording, "a.flac")
    page.execute_script("refuse(new Error('late'))")
    wait(page, FINISHED)
    assert text(page, "error") == ""


@pytest.mark.parametrize("lines", [0, 1])
def test_an_answer_that_breaks_off_is_told(page, recording, lines):
    page.execute_script(
        """
        const whole = window.fetch;
        window.fetch = async (...given) => {
          const lines = (await (await whole(...given)).text()).split("\\n").slice(0, arguments[0]);
          return new Response(lines.map(line => line + "\\n").join(""));
        };""",
        lines,
    )
    drop(page, recording, "a.flac")
    wait(page, "document.getElementById('error').textContent.includes('broke off')")
    assert not page.execute_script("return document.body.classList.contains('busy')")
    assert text(page, "energy-note") == ""


def test_a_sound_that_the_browser_pauses_is_no_longer_shown_as_playing(page, recording):
    drop(page, recording, "a.flac")
    wait(page, FINISHED)
    page.find_element("css selector", ".play").click()
    wait(page, "document.querySelector('audio').currentTime > 0.1")
    page.execute_script("document.querySelector('audio').pause()")
    wait(page, "document.querySelector('.play').getAttribute('aria-pressed') == 'false'")


def test_changing_between_both_sounds_leaves_one_loop_behind(page, recording):
    drop(page, recording, "a.flac")
    wait(page, FINISHED)
    page.execute_script(
        """
        const frame = window.requestAnimationFrame.bind(window);
        window.asked = 0;
        window.requestAnimationFrame = (then) => { asked += 1; return frame(then); };"""
    )
    buttons = page.find_elements("css selector", ".play")
    for button in buttons * 3:
        button.click()
    script = "asked = 0; setTimeout(arguments[0], 300)"
    page.execute_async_script(script)
    assert 5 < page.execute_script("return asked") < 40, "60 frames a second"


def test_a_dead_server_is_noticed(page, recording):
    page.execute_script("window.fetch = () => Promise.reject(new TypeError('Failed to fetch'))")
    drop(page, recording, "a.flac")
    wait(page, "document.getElementById('error').textContent.includes('is it still running')")
    assert not page.execute_script("return document.body.classList.contains('busy')")


def test_the_keyboard_reaches_everything_and_moves_both_positions(page, recording):
    drop(page, recording, "a.flac")
    wait(page, FINISHED)
    assert page.execute_script("return document.activeElement.id") == "sound"
    first, second = page.find_elements("css selector", ".seek")
    first.send_keys("\ue014" * 4)
    assert second.get_attribute("value") == first.get_attribute("value") == "0.2"
    page.find_element("css selector", ".play").send_keys("\n")
    wait(page, "document.querySelector('audio').currentTime > 0.2")
    reachable = "#model, #file, #record, .play, .seek, #save, .scroll"
    assert page.execute_script(f"return [...document.querySelectorAll('{reachable}')].every(e => e.tabIndex >= 0)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows_and_text_has_contrast(page, recording, scheme):
    drop(page, recording, "a-rather-long-name-without-any-place-to-break-it-" * 3 + ".flac")
    wait(page, FINISHED)
    contrast = """
      const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map(v => (v /= 255) <= 0.03928
        ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
      const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      const paper = light(getComputedStyle(document.body).backgroundColor);
      const panel = light(getComputedStyle(document.getElementById("drop")).backgroundColor);
      const all = [...document.querySelectorAll("p, td, th, dt, dd, small, b, label, .level, #error")].map(
        e => ratio(light(getComputedStyle(e).color), e.closest(".ways") ? panel : paper));
      return [Math.min(...all), paper];"""
    for width in (320, 700, 1600):
        size(page, width, scheme)
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
        least, paper = page.execute_script(contrast)
        assert least >= 4.5
        assert (paper < 0.1) == (scheme == "dark")


def test_every_control_and_picture_has_a_name(page, recording):
    drop(page, recording, "a.flac")
    wait(page, FINISHED)
    script = """return [...document.querySelectorAll("button, input, select, [role=img], [role=region]")].filter(
      e => !(e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || (e.labels && e.labels.length)
        || e.textContent.trim())).map(e => e.outerHTML)"""
    assert page.execute_script(script) == []
    assert page.execute_script("return [...document.querySelectorAll('table')].every(t => t.caption)")
    assert np.all(page.execute_script("return ['status', 'error'].map(i => !!document.getElementById(i).role)"))
