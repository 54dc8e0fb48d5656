"""The report in Chromium: sorting, sound, no errors, no network, no overflow, in light, dark and on a phone."""

import pytest

from ..pages import size, wait

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser, report):
    """The report of the toy study, freshly loaded at 1100 px."""
    size(browser, 1100)
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(report.as_uri())
    return browser


def names(page) -> list[str]:
    """First column of the quality table as shown."""
    return page.execute_script(
        "return [...document.querySelectorAll('#results table')[0].tBodies[0].rows].map(r => r.cells[0].dataset.sort)"
    )


def test_a_heading_sorts_by_click_and_by_keyboard(page):
    assert names(page) == ["noisy", "sdnn-seed1", "intel_sdnn"]
    heading = page.find_elements("css selector", "#results th[aria-sort]")[1]
    button = heading.find_element("tag name", "button")
    button.click()
    assert names(page) == ["sdnn-seed1", "intel_sdnn", "noisy"]
    assert heading.get_attribute("aria-sort") == "descending"
    button.send_keys("\n")
    assert names(page) == ["noisy", "intel_sdnn", "sdnn-seed1"]
    assert heading.get_attribute("aria-sort") == "ascending"
    sorted_headings = page.execute_script(
        "return document.querySelectorAll('#results table')[0].querySelectorAll('th[aria-sort$=ending]').length"
    )
    assert sorted_headings == 1
    page.find_elements("css selector", "#results th[aria-sort] button")[0].click()
    assert names(page) == ["intel_sdnn", "noisy", "sdnn-seed1"]


def test_undefined_figures_sort_last_in_both_directions(page):
    first = "document.querySelectorAll('#power table')[0].tBodies[0].rows"
    page.execute_script("document.querySelector('#power details').open = true")
    button = page.find_elements("css selector", "#power th[aria-sort] button")[4]
    for expected in (6110.76, 1.16):
        button.click()
        column = page.execute_script(f"return [...{first}].map(r => r.children[4].dataset.sort)")
        assert float(column[0]) == expected
        assert column[-1] == ""


def test_versions_of_a_clip_play_one_at_a_time_from_one_position(page):
    page.execute_script("document.querySelectorAll('audio').forEach(a => a.playbackRate = 0.1)")  # 1.5 s take 15 s
    plays = page.find_elements("css selector", ".play")
    plays[1].click()
    wait(page, "document.querySelectorAll('audio')[1].currentTime > 0.1")
    assert plays[1].get_attribute("aria-pressed") == "true"
    plays[2].click()
    wait(
        page, "!document.querySelectorAll('audio')[2].paused && document.querySelectorAll('audio')[2].currentTime > 0.1"
    )
    assert page.execute_script("return document.querySelectorAll('audio')[1].paused")
    assert plays[1].get_attribute("aria-pressed") == "false"
    plays[2].click()
    assert page.execute_script("return [...document.querySelectorAll('audio')].every(a => a.paused)")


def test_a_spectrogram_moves_the_position(page):
    seek = page.find_elements("css selector", ".seek")[0]
    seek.send_keys("\ue014" * 10)
    assert seek.get_attribute("value") == "0.5"
    assert page.execute_script("return document.querySelectorAll('.seek')[3].value") == "0.5"
    assert page.execute_script("return document.querySelectorAll('.seek')[4].value") == "0"
    page.find_elements("css selector", ".play")[0].click()
    wait(
        page,
        "!document.querySelectorAll('audio')[0].paused && document.querySelectorAll('audio')[0].currentTime >= 0.5",
    )


def test_a_clip_that_ends_can_be_played_again(page):
    page.find_elements("css selector", ".play")[3].click()
    wait(page, "document.querySelectorAll('audio')[3].currentTime > 0.1")
    wait(page, "document.querySelectorAll('.play')[3].getAttribute('aria-pressed') == 'false'")
    assert page.execute_script("return document.querySelectorAll('.seek')[3].value") == "0"


def test_a_sound_that_the_browser_pauses_is_no_longer_shown_as_playing(page):
    page.find_element("css selector", ".play").click()
    wait(page, "document.querySelector('audio').currentTime > 0.1")
    page.execute_script("document.querySelector('audio').pause()")
    wait(page, "document.querySelector('.play').getAttribute('aria-pressed') == 'false'", seconds=5)


def test_all_sounds_decode_and_all_pictures_show(page):
    wait(page, "[...document.querySelectorAll('audio')].every(a => a.readyState > 0)")
    durations = page.execute_script("return [...document.querySelectorAll('audio')].map(a => a.duration)")
    assert len(durations) == 12
    assert all(duration == pytest.approx(1.5, abs=0.01) for duration in durations)
    assert page.execute_script("return [...document.images].every(i => i.complete && i.naturalHeight == 128)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 375, 700, 1100, 1600])
def test_nothing_overflows_the_page(page, width, scheme):
    size(page, width, scheme)
    page.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    shown = page.execute_script(
        "return [...document.querySelectorAll('.chart svg')].filter(s => s.clientWidth > 0).length"
    )
    assert shown == 7, "power, latency, noise level, activity, training, and a chip for each of two networks"
    dark = page.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(19, 21, 24)"
    assert dark == (scheme == "dark")


def test_no_error_and_no_request_leaves_the_page(page):
    page.find_elements("css selector", ".play")[0].click()
    wait(page, "document.querySelectorAll('audio')[0].currentTime > 0")
    assert page.get_log("browser") == []
    import json

    messages = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert any(url.startswith("file:") for url in urls)
    assert all(url.startswith(("file:", "data:")) for url in urls)
    assert sum(url.startswith("file:") for url in urls) == 1


def test_text_has_contrast_in_both_schemes(page):
    script = """
      const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map(v => (v /= 255) <= 0.03928
        ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
      const paper = light(getComputedStyle(document.body).backgroundColor);
      const ratio = c => { const l = light(c); return (Math.max(l, paper) + 0.05) / (Math.min(l, paper) + 0.05); };
      const all = [...document.querySelectorAll('p, td, th, dt, dd, summary, small, .unit, li')].map(
        e => ratio(getComputedStyle(e).color));
      const drawn = [...document.querySelectorAll('.chart .wide text')].map(e => ratio(getComputedStyle(e).fill));
      return Math.min(...all, ...drawn);"""
    for scheme in ("light", "dark"):
        size(page, 1100, scheme)
        assert page.execute_script(script) >= 4.5


def test_every_control_has_a_name(page):
    script = """return [...document.querySelectorAll('button, input, img, [role=img], [role=region]')].filter(
      e => !(e.getAttribute('aria-label') || e.alt || e.textContent.trim())).length"""
    assert page.execute_script(script) == 0
    assert page.execute_script("return [...document.querySelectorAll('table')].every(t => t.caption)")
