"""A page that has grown is loaded anew, once."""

from channelkit.browser.growth import Growth


def test_only_a_page_past_the_limit_is_loaded_anew():
    growth = Growth(limit_bytes=100)
    assert not growth.is_due(100)
    assert growth.is_due(101)


def test_a_page_that_stays_large_is_not_loaded_in_a_circle():
    growth = Growth(limit_bytes=100)
    growth.reloaded()
    assert not growth.is_due(500)
    assert Growth(limit_bytes=100, least_pause_seconds=0).is_due(500)
