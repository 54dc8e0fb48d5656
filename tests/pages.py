"""What tests of pages ask of the browser."""


def size(browser, width: int, scheme: str = "light") -> None:
    """Set the width of the page in px and the colour scheme that the reader prefers."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def wait(page, condition: str, seconds: float = 10) -> None:
    """Wait until a JavaScript expression holds."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(page, seconds, poll_frequency=0.05).until(lambda driver: driver.execute_script(f"return {condition}"))
