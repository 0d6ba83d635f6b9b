"""The browser SDK in a real Chromium, in front of a collector that writes down what it gets."""

from collections.abc import Callable

import msgspec
import pytest
from playwright.sync_api import BrowserContext, Error, Page
from support.browser import (
    Recorder,
    begin,
    left_at,
    near,
    play,
    stored,
    told,
    until,
    wake_the_queue,
)

from schemas.view import View

Tab = Callable[[str], Page]
pytestmark = [pytest.mark.services, pytest.mark.timeout(120)]


def test_a_film_watched_to_its_end_is_one_view(site: str, recorder: Recorder, tab: Tab) -> None:
    page = tab(f"{site}/page.html?mail=x@y.example")
    begin(page, recorder.url, film=3)
    page.evaluate("follow(video, {attrs: {place: 'top'}})")
    page.evaluate("video.play()")
    until(recorder.ids, "no view", page)
    until(lambda: told(page)["accepted"], "not told", page)
    (request,) = recorder.requests
    (event,) = request.events
    near(event["watch_ms"], page.evaluate("progress"))
    near(event["watch_ms"], 3000)
    view = msgspec.convert(event, View)
    assert view.duration_ms == 3000
    assert view.visible_pct == 100
    assert view.muted
    assert view.autoplay is False, "Playwright's calls count as the gesture of a user"
    assert view.attrs == {"place": "top"}
    assert len(view.event_id) == 22
    assert view.sent_at - view.occurred_at >= view.watch_ms
    assert view.screen == page.evaluate("`${screen.width}x${screen.height}`")
    assert (view.campaign_id, view.promoter_id, view.post_id) == ("c-1", "p-1", "post-1")
    assert request.path == "/v1/views?key=vlpk_test"
    assert request.headers["Content-Type"] == "text/plain;charset=UTF-8"
    assert request.headers["Origin"] == site
    assert stored(page) == []


def test_a_short_pause_is_the_same_view_and_a_long_one_ends_it(
    site: str, recorder: Recorder, tab: Tab
) -> None:
    page = tab(f"{site}/page.html")
    begin(page, recorder.url, idleSeconds=3)
    page.evaluate("follow()")
    play(page, 1000)
    page.evaluate("video.pause()")
    page.wait_for_timeout(400)
    play(page, 1000)
    page.evaluate("video.pause()")
    first = page.evaluate("progress")
    until(lambda: len(recorder.ids()) == 1, "no view", page)
    play(page, 700)
    page.evaluate("video.pause()")
    until(lambda: len(recorder.ids()) == 2, "no second view", page)
    one, two = recorder.events()
    near(one["watch_ms"], first)
    near(two["watch_ms"], page.evaluate("progress") - first)


def test_loops_seeks_speed_and_taps(site: str, recorder: Recorder, tab: Tab) -> None:
    page = tab(f"{site}/page.html")
    begin(page, recorder.url, film=1)
    page.evaluate("video.loop = true; window.handle = follow()")
    play(page, 2500)
    page.mouse.click(20, 20)
    for muted in ("false", "true"):  # a browser tells of a change later, and not of each by itself
        page.evaluate(f"heard('volumechange', () => {{ video.muted = {muted} }})")
    looped = page.evaluate("(() => { handle.stop(); return progress })()")
    until(recorder.ids, "no view", page)
    page.evaluate("video.loop = false; video.pause()")
    page.evaluate("window.film(30)")
    page.evaluate("video.playbackRate = 2; video.currentTime = 10; window.handle = follow()")
    start = page.evaluate("video.currentTime")
    page.evaluate("video.play()")
    page.wait_for_function(f"video.currentTime >= {start + 3}", polling=20)
    sought = page.evaluate(
        "(() => { const at = video.currentTime; video.currentTime = 25; return at })()"
    )
    page.wait_for_function("video.currentTime >= 26", polling=20)
    end = page.evaluate("(() => { handle.stop(); return video.currentTime })()")
    until(lambda: len(recorder.ids()) == 2, "no second view", page)
    one, two = recorder.events()
    near(one["watch_ms"], looped)
    assert one["duration_ms"] == 1000
    assert one["interactions"] == 2, "a tap and an unmute; a loop is none"
    assert one["muted"] is False
    near(two["watch_ms"], (sought - start + end - 25) * 1000 / 2)
    assert two["interactions"] == 1, "one seek"


def test_a_hidden_tab_ends_the_view_and_coming_back_is_the_next(
    site: str, recorder: Recorder, tab: Tab
) -> None:
    page = tab(f"{site}/page.html")
    begin(page, recorder.url, idleSeconds=60)
    page.evaluate("window.handle = follow()")
    play(page, 1500)
    other = tab(f"{site}/elsewhere")
    assert page.evaluate("document.visibilityState") == "hidden"
    until(recorder.ids, "nothing was sent when the page was hidden", other)
    hidden = page.evaluate("progress")
    other.wait_for_timeout(1500)
    page.bring_to_front()
    play(page, 1000)
    page.evaluate("handle.stop()")
    until(lambda: len(recorder.ids()) == 2, "no second view", page)
    one, two = recorder.events()
    near(one["watch_ms"], hidden)
    near(two["watch_ms"], page.evaluate("progress") - hidden)
    assert stored(page) == [], "the page lived on, so it got the answer"


@pytest.mark.parametrize("consent", [None, "denied"])
def test_closing_the_page_loses_nothing(
    site: str, recorder: Recorder, tab: Tab, consent: str | None
) -> None:
    page = tab(f"{site}/page.html")
    begin(page, recorder.url, **({"consent": consent} if consent else {}))
    page.evaluate("follow()")
    play(page, 1500)
    page.close()
    next_page = tab(f"{site}/page.html")
    until(recorder.ids, "the beacon did not come", next_page)
    (event,) = recorder.events()
    near(event["watch_ms"], left_at(next_page))
    assert event.get("consent") == consent
    # Whether it came is not known to the next page: it asks again, under the same id.
    begin(next_page, recorder.url)
    wake_the_queue(next_page)
    until(lambda: stored(next_page) == [], "still queued", next_page)
    assert len(recorder.ids()) == 1


def test_reload_in_the_middle(site: str, recorder: Recorder, tab: Tab) -> None:
    page = tab(f"{site}/page.html")
    begin(page, recorder.url)
    page.evaluate("follow()")
    play(page, 1500)
    page.reload()
    progress = left_at(page)
    begin(page, recorder.url)
    page.evaluate("follow()")
    play(page, 1000)
    page.evaluate("video.pause()")
    until(lambda: len(recorder.ids()) == 2, "two views", page)
    wake_the_queue(page)
    until(lambda: stored(page) == [], "still queued", page)
    by_id = {event["event_id"]: event for event in recorder.events()}
    one, two = by_id.values()
    near(one["watch_ms"], progress)
    near(two["watch_ms"], page.evaluate("progress"))
    assert one["viewer_id"] == two["viewer_id"]
    assert one["session_id"] == two["session_id"]


def test_reload_before_the_answer_sends_the_same_event_again(
    site: str, recorder: Recorder, tab: Tab
) -> None:
    recorder.answers += [(503, {})] * 2
    page = tab(f"{site}/page.html")
    begin(page, recorder.url)
    page.evaluate("follow()")
    play(page, 800)
    page.reload()
    until(lambda: recorder.requests, "nothing was sent", page)
    begin(page, recorder.url)
    for _ in range(3):
        wake_the_queue(page)
        page.wait_for_timeout(300)
    until(recorder.ids, "lost", page)
    first, *_, last = recorder.requests
    assert first.events[0]["sent_at"] < last.events[0]["sent_at"]
    assert first.events[0] | {"sent_at": 0} == last.events[0] | {"sent_at": 0}


def test_offline_and_back(
    site: str, recorder: Recorder, tab: Tab, chromium: BrowserContext
) -> None:
    page = tab(f"{site}/page.html")
    begin(page, recorder.url)
    page.evaluate("follow()")
    play(page, 800)
    page.evaluate("Math.random = () => 1000")  # a pause that only the network's return ends
    chromium.set_offline(True)
    play(page, 800)
    page.evaluate("video.pause()")
    until(lambda: told(page)["views"], "no view", page)
    page.wait_for_timeout(600)
    assert recorder.requests == []
    assert len(stored(page)) == 1
    chromium.set_offline(False)
    until(recorder.ids, "not sent once the network was back", page)
    (event,) = recorder.events()
    near(event["watch_ms"], page.evaluate("progress"))
    until(lambda: stored(page) == [], "still queued", page)


def test_closed_while_offline_is_sent_by_the_next_page(
    site: str, recorder: Recorder, tab: Tab, chromium: BrowserContext
) -> None:
    page = tab(f"{site}/page.html")
    begin(page, recorder.url)
    page.evaluate("follow()")
    play(page, 800)
    chromium.set_offline(True)
    page.close()
    chromium.set_offline(False)
    page = tab(f"{site}/page.html")
    begin(page, recorder.url)
    wake_the_queue(page)
    until(recorder.ids, "lost", page)
    (event,) = recorder.events()
    near(event["watch_ms"], left_at(page))


def test_503_is_tried_again_when_it_says(site: str, recorder: Recorder, tab: Tab) -> None:
    recorder.answers += [(503, {"Retry-After": "2"})]
    page = tab(f"{site}/page.html")
    begin(page, recorder.url)
    page.evaluate("window.handle = follow()")
    play(page, 500)
    page.evaluate("handle.stop()")
    until(recorder.ids, "not tried again", page)
    one, two = recorder.requests
    assert two.at - one.at >= 2
    assert one.events[0]["event_id"] == two.events[0]["event_id"]
    assert one.events[0]["occurred_at"] == two.events[0]["occurred_at"]
    assert one.events[0]["sent_at"] < two.events[0]["sent_at"]


def test_a_post_counts_while_half_of_it_can_be_seen(
    site: str, recorder: Recorder, tab: Tab
) -> None:
    page = tab(f"{site}/page.html")
    begin(page, recorder.url, film=0, idleSeconds=8)

    def scroll(to: int) -> float:
        at: float = page.evaluate(f"(() => {{ scrollTo(0, {to}); return performance.now() }})()")
        page.wait_for_timeout(1500)
        return at

    page.evaluate("follow(post)")
    begun, gone, back = scroll(0), scroll(180 + 100), scroll(180 + 60)
    assert told(page)["views"] == [], "out of sight, but not for long"
    end = scroll(3000)
    until(recorder.ids, "no view", page)
    (event,) = recorder.events()
    whole, two_thirds = gone - begun, end - back
    near(event["watch_ms"], whole + two_thirds)
    shares = (whole * 100 + two_thirds * 200 / 3) / (whole + two_thirds)
    assert event["visible_pct"] == pytest.approx(shares, abs=8)
    assert event["duration_ms"] == 0
    assert "muted" not in event


def test_single_page_applications(site: str, recorder: Recorder, tab: Tab) -> None:
    page = tab(f"{site}/page.html")
    begin(page, recorder.url)
    page.evaluate("follow().stop(); follow(); follow()")
    play(page, 1000)
    page.evaluate("follow()")
    page.evaluate("video.remove()")
    page.wait_for_timeout(200)
    page.evaluate("document.body.prepend(video)")
    play(page, 500)
    progress = page.evaluate("(() => { video.remove(); return progress })()")
    until(recorder.ids, "no view of what was taken out of the page", page)
    (event,) = recorder.events()
    near(event["watch_ms"], progress)
    page.evaluate("document.body.prepend(video)")
    play(page, 500)
    page.evaluate("follow(video, {post: 'post-2'})")
    play(page, 500)
    page.evaluate("video.pause()")
    until(lambda: len(recorder.ids()) == 3, "three views", page)
    assert [one["post_id"] for one in recorder.events()] == ["post-1", "post-1", "post-2"]
    near(sum(one["watch_ms"] for one in recorder.events()), page.evaluate("progress"))


def test_back_and_forward_through_the_cache(site: str, recorder: Recorder, tab: Tab) -> None:
    page = tab(f"{site}/page.html")
    begin(page, recorder.url)
    page.evaluate("follow()")
    play(page, 1000)
    page.goto(f"{site}/elsewhere")
    until(recorder.ids, "nothing was sent when the page was left", page)
    page.go_back(wait_until="commit")  # it was loaded long ago
    if not page.evaluate("told.restored"):
        pytest.skip("this Chromium did not keep the page")
    progress = left_at(page)
    play(page, 1000)
    page.evaluate("video.pause()")
    until(lambda: len(recorder.ids()) == 2, "no view after coming back", page)
    wake_the_queue(page)
    until(lambda: stored(page) == [], "still queued", page)
    by_id = {event["event_id"]: event for event in recorder.events()}
    assert len(by_id) == 2
    one, two = by_id.values()
    near(one["watch_ms"], progress)
    near(one["watch_ms"] + two["watch_ms"], page.evaluate("progress"))


def test_a_crash_loses_a_few_seconds_at_most(site: str, recorder: Recorder, tab: Tab) -> None:
    page = tab(f"{site}/page.html")
    begin(page, recorder.url)
    page.evaluate("follow()")
    play(page, 7000)
    assert len(stored(page)) == 1
    progress = page.evaluate("progress")
    with page.expect_event("crash"), pytest.raises(Error):
        page.goto("chrome://crash", timeout=5000)
    page = tab(f"{site}/page.html")
    begin(page, recorder.url)
    wake_the_queue(page)
    until(recorder.ids, "lost", page)
    (event,) = recorder.events()
    assert 4500 <= event["watch_ms"] <= progress + 5000, "saved every five seconds"


def test_without_consent_nothing_is_stored(site: str, recorder: Recorder, tab: Tab) -> None:
    page = tab(f"{site}/page.html")
    begin(page, recorder.url, consent="denied")
    page.evaluate("follow()")
    play(page, 600)
    page.evaluate("video.pause()")
    until(lambda: told(page)["accepted"], "no view", page)
    stores = "[...Object.keys(localStorage), ...Object.keys(sessionStorage)]"
    assert page.evaluate(stores) == []
    page.evaluate("viewledger.setConsent('granted')")
    assert len(page.evaluate(stores)) == 2
    play(page, 600)
    page.evaluate("viewledger.setConsent('denied')")
    assert page.evaluate(stores) == []
    play(page, 600)
    page.evaluate("video.pause()")
    until(lambda: len(recorder.ids()) == 3, "three views", page)
    events = recorder.events()
    assert [event["consent"] for event in events] == ["denied", "granted", "denied"]
    assert len({event["viewer_id"] for event in events}) == 3
    near(sum(event["watch_ms"] for event in events), page.evaluate("progress"))


def test_what_waits_when_the_viewer_says_no_is_sent_and_no_longer_stored(
    site: str, recorder: Recorder, tab: Tab
) -> None:
    recorder.answers += [(503, {"Retry-After": "2"})]
    page = tab(f"{site}/page.html")
    begin(page, recorder.url)
    page.evaluate("window.handle = follow()")
    play(page, 500)
    page.evaluate("handle.stop()")
    until(lambda: recorder.requests, "not tried", page)
    page.reload()
    assert len(stored(page)) == 1
    begin(page, recorder.url, film=0, consent="denied")
    assert page.evaluate("Object.keys(localStorage)") == ["progress"], "of the test page itself"
    until(recorder.ids, "lost", page)


def test_where_stores_are_forbidden_views_are_still_sent(
    site: str, recorder: Recorder, tab: Tab
) -> None:
    page = tab(f"{site}/elsewhere")
    page.evaluate(
        "url => { const frame = document.createElement('iframe'); frame.sandbox = 'allow-scripts';"
        " frame.width = 400; frame.height = 400; frame.src = url; document.body.append(frame); }",
        f"{site}/page.html",
    )
    until(lambda: len(page.frames) == 2, "no frame", page)
    frame = page.frames[1]
    frame.wait_for_function("window.viewledger")
    frame.evaluate("options => start(options)", {"endpoint": recorder.url})
    frame.evaluate("follow(post)")
    page.wait_for_timeout(1000)
    frame.evaluate("scrollTo(0, 3000)")
    until(recorder.ids, "no view", page)
    assert frame.evaluate("told.errors") == []
    assert recorder.requests[0].headers["Origin"] == "null"


def test_it_never_throws_into_the_page(site: str, recorder: Recorder, tab: Tab) -> None:
    page = tab(f"{site}/page.html")
    page.evaluate(
        """() => {
            viewledger.track(video, {});
            viewledger.setConsent("denied");
            viewledger.init();
            viewledger.init({ key: "vlsk_secret", endpoint: "https://x.example" });
            viewledger.init({ key: "vlpk_x", endpoint: "x" });
            start({ endpoint: "http://127.0.0.1:9", onView: () => { throw Error("theirs"); } });
            viewledger.track(null, {});
            viewledger.track(video).stop();
            viewledger.track(video, { attrs: 7 }).stop();
        }"""
    )
    page.evaluate("window.film(5)")
    page.evaluate("window.handle = follow()")
    play(page, 500)
    page.evaluate("handle.stop(); handle.stop()")
    page.wait_for_timeout(300)
    told(page)
    assert recorder.requests == []


def test_two_tabs_send_each_view_once(site: str, recorder: Recorder, tab: Tab) -> None:
    recorder.answers += [(503, {"Retry-After": "1"})] * 2
    pages = [tab(f"{site}/page.html") for _ in range(2)]
    for page in pages:
        page.bring_to_front()
        begin(page, recorder.url)
        page.evaluate("window.handle = follow()")
        play(page, 500)
        page.evaluate("handle.stop()")
    page = pages[1]
    until(lambda: len(recorder.ids()) == 2 and not stored(page), "both views", page)
    assert len(recorder.events()) == 2


def test_the_example_page(site: str, recorder: Recorder, tab: Tab) -> None:
    query = f"key=vlpk_example&endpoint={recorder.url}&campaign=spring-shoes&promoter=lena"
    page = tab(f"{site}/example/?{query}")
    page.wait_for_function("document.getElementById('hint').textContent.includes('Play it')")
    page.evaluate("video.play()")
    page.wait_for_function("video.ended")
    page.click("#stop")
    until(lambda: len(recorder.ids()) == 2, "a video and a post", page)
    by_post = {event["post_id"]: event for event in recorder.events()}
    near(by_post["example-video"]["watch_ms"], page.evaluate("video.duration * 1000"))
    assert 4000 <= by_post["example-video"]["duration_ms"] <= 7000
    assert by_post["example-post"]["watch_ms"] > 3000
    assert "accepted" in page.text_content("#log")
