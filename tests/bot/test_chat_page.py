"""The widget and the chat page in a real browser, on a site of another origin, against the real gateway; the bot repeats what it hears."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, expect

from infra.settings import Settings
from tests.answering import LATER, Answering
from tests.browsing import Site, Visitor, Wire, chromium, visiting
from vault.interaction import Received

SCRIPT = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    one = Wire()
    yield one
    one.close()


@pytest.fixture(scope="module")
def site(wire: Wire) -> Iterator[Site]:
    one = Site(wire.port)
    yield one
    one.close()


@pytest.fixture(scope="module")
def home(wire: Wire, site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answering]:
    settings = Settings(
        home=tmp_path_factory.mktemp("chat") / "home",
        log_partitions=2,
        gateway_port=wire.gateway_port,
        gateway_origin=f"http://127.0.0.1:{wire.port}",
        gateway_sites=f"{site.near} {site.far}",
        gateway_burst_messages=5,
        gateway_minute_messages=1,
    )
    with Answering(settings) as answering:
        yield answering


@pytest.fixture
def visitor(browser: Browser, home: Answering, site: Site) -> Iterator[Visitor]:
    del home
    with visiting(browser, site.near) as one:
        yield one


def stored(visitor: Visitor) -> dict[str, Any]:
    """What the browser keeps: cookies, and by origin what is in its storage."""
    kept = "JSON.stringify({session: {...sessionStorage}, local: {...localStorage}})"
    return {
        "cookies": visitor.page.context.cookies(),
        **{frame.url.partition("/chat")[0]: json.loads(frame.evaluate(kept)) for frame in visitor.page.frames},
    }


# Before


def test_before_the_chat_is_opened_nothing_but_the_script_is_loaded_and_nothing_is_stored(
    visitor: Visitor, site: Site, wire: Wire
) -> None:
    expect(visitor.launcher).to_be_visible()
    visitor.page.wait_for_load_state("networkidle")
    assert visitor.asked == [f"{site.near}/", f"http://127.0.0.1:{wire.port}/widget.js"]
    assert stored(visitor) == {"cookies": [], f"{site.near}/": {"session": {}, "local": {}}}
    assert visitor.complaints == []


def test_the_notice_is_shown_before_anything_can_be_typed(visitor: Visitor, home: Answering) -> None:
    visitor.open()
    expect(visitor.chat.get_by_role("heading", name="Avant de commencer")).to_be_visible()
    expect(visitor.chat.get_by_role("log").get_by_text("assistant automatique, pas à une personne")).to_be_visible()
    expect(visitor.field).to_be_hidden()
    visitor.button("Commencer la discussion").click()
    expect(visitor.field).to_be_focused()
    assert not [event for event in home.events() if isinstance(event, Received)], "nothing was said yet"


def test_the_whole_notice_is_one_link_away_in_the_language_of_the_page(visitor: Visitor) -> None:
    visitor.open()
    with visitor.page.expect_popup() as opened:
        visitor.chat.get_by_role("link", name="Lire toute").click()
    expect(opened.value.get_by_role("heading", level=1)).to_have_text("Ce que nous gardons de cette conversation")


# Talking


def test_a_message_is_answered_and_only_the_token_is_kept(visitor: Visitor, wire: Wire) -> None:
    visitor.begin().say("bonjour")
    visitor.sees("you said: bonjour")
    kept = stored(visitor)
    assert kept["cookies"] == []
    mine = kept[f"http://127.0.0.1:{wire.port}"]
    assert mine["local"] == {}
    assert set(mine["session"]) == {"parloir"}
    assert set(json.loads(mine["session"]["parloir"])) == {"token", "notice", "language"}
    assert "bonjour" not in json.dumps(kept)
    assert visitor.complaints == []


def test_what_follows_when_a_call_has_returned_is_shown_too(visitor: Visitor) -> None:
    visitor.begin().say(f"{LATER} on")
    visitor.sees(f"you said: {LATER} on")


def test_a_pressed_choice_is_said_and_the_others_are_withdrawn(visitor: Visitor) -> None:
    visitor.begin().say("bonjour")
    visitor.button("Again").click()
    visitor.sees("you said: /again")
    expect(visitor.messages("you").last).to_have_text("Again")
    expect(visitor.button("Again")).to_have_count(1)
    expect(visitor.field).to_be_focused()


def test_who_does_not_know_what_to_write_is_offered_what_can_be_asked(visitor: Visitor) -> None:
    visitor.begin()
    visitor.button("Rendez-vous").click()
    visitor.sees("you said: /book_appointment")
    expect(visitor.button("Rendez-vous")).to_be_hidden()


def test_script_in_text_is_text(visitor: Visitor) -> None:
    visitor.begin().say(SCRIPT)
    visitor.sees(f"you said: {SCRIPT}")
    expect(visitor.messages("you").first).to_have_text(SCRIPT)
    assert visitor.chat.locator("#list img, #list script").count() == 0
    assert visitor.frame.evaluate("document.title") == "Discussion"


def test_the_browser_itself_refuses_to_make_html_of_text_on_the_page(visitor: Visitor) -> None:
    visitor.begin()
    with pytest.raises(Error, match="TrustedHTML"):
        visitor.frame.evaluate("document.getElementById('list').innerHTML = 'x'")


def test_only_pages_mail_and_telephone_become_links(visitor: Visitor) -> None:
    visitor.begin()
    addresses = [
        "https://www.example.org/a",
        "mailto:accueil@example.org",
        "tel:+33123456789",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "//example.org",
        "",
    ]
    links = [{"title": f"link {number}", "url": url} for number, url in enumerate(addresses)]
    show(visitor, [{"speaker": "assistant", "text": "Voici", "links": links}])
    shown = visitor.chat.locator(".links a")
    assert [link.get_attribute("href") for link in shown.all()] == addresses[:3]
    assert {link.get_attribute("rel") for link in shown.all()} == {"noopener noreferrer"}


def test_each_text_runs_in_its_own_direction_and_long_words_stay_inside(visitor: Visitor) -> None:
    visitor.page.set_viewport_size({"width": 320, "height": 640})
    visitor.begin()
    show(visitor, [{"speaker": "assistant", "text": "مرحبا"}, {"speaker": "assistant", "text": "x" * 500}])
    directions = visitor.frame.evaluate(
        "[...document.querySelectorAll('.text')].map(one => getComputedStyle(one).direction)"
    )
    assert directions == ["rtl", "ltr"]
    widths = visitor.frame.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert widths[0] <= widths[1] == 320


def test_of_a_long_conversation_the_page_holds_the_newest_and_gives_the_others_when_asked(visitor: Visitor) -> None:
    visitor.begin()
    show(visitor, [{"speaker": "assistant", "text": f"message {number}"} for number in range(600)])
    expect(visitor.chat.get_by_text("message 599", exact=True)).to_be_in_viewport()
    held = visitor.chat.locator("#list > li")
    before = held.count()
    assert before <= 250
    assert held.first.locator(".text").inner_text() == f"message {600 - before}"
    visitor.button("Messages précédents").click()
    assert held.count() == before + 50
    assert held.first.locator(".text").inner_text() == f"message {600 - before - 50}"


def show(visitor: Visitor, replies: list[dict[str, Any]]) -> None:
    """Shows replies by the page's own list, as if they had come in."""
    visitor.frame.evaluate(
        """async (replies) => {
            const { Messages } = await import("/messages.js");
            const parts = ["log", "list", "typing", "earlier", "newer"].map((id) => [id, document.getElementById(id)]);
            const messages = new Messages({ ...Object.fromEntries(parts), choose: () => {}, again: () => {} });
            for (const reply of replies) messages.reply(reply);
        }""",
        replies,
    )


# What goes wrong


def test_a_connection_that_is_cut_is_said_and_resumed_and_what_was_said_meanwhile_arrives_once(
    visitor: Visitor, wire: Wire, home: Answering
) -> None:
    visitor.begin().say("avant la coupure")
    visitor.sees("you said: avant la coupure")
    wire.cut()
    expect(visitor.chat.get_by_text("Connexion perdue")).to_be_visible()
    visitor.say("pendant la coupure")
    expect(visitor.chat.get_by_text("Envoi…")).to_be_visible()
    visitor.button("Réessayer").click()
    expect(visitor.chat.get_by_text("Connexion perdue")).to_be_visible()
    wire.mend()
    visitor.sees("you said: pendant la coupure")
    expect(visitor.chat.get_by_text("Envoi…")).to_have_count(0)
    expect(visitor.messages("you")).to_have_text(["avant la coupure", "pendant la coupure"])
    expect(visitor.messages("assistant")).to_have_count(2)
    home.until(lambda: home.about("pendant la coupure") == (1, 1, 1))


def test_without_a_try_of_the_person_the_connection_comes_back_by_itself(visitor: Visitor, wire: Wire) -> None:
    visitor.begin().say("bonjour")
    visitor.sees("you said: bonjour")
    wire.cut()
    expect(visitor.chat.get_by_text("Connexion perdue")).to_be_visible()
    wire.mend()
    expect(visitor.chat.get_by_text("Connexion perdue")).to_be_hidden()
    visitor.say("me revoilà")
    visitor.sees("you said: me revoilà")


def test_where_no_websocket_passes_messages_go_by_post_and_replies_come_as_a_stream(
    visitor: Visitor, wire: Wire
) -> None:
    wire.sockets_pass = False
    try:
        visitor.begin().say("par un autre chemin")
        visitor.sees("you said: par un autre chemin")
        visitor.say("encore")
        visitor.sees("you said: encore")
    finally:
        wire.sockets_pass = True
    wire.cut()
    expect(visitor.chat.get_by_text("Connexion perdue")).to_be_visible()
    wire.mend()
    visitor.say("toujours là")
    visitor.sees("you said: toujours là")
    expect(visitor.messages("you")).to_have_text(["par un autre chemin", "encore", "toujours là"])


def test_a_page_that_is_loaded_again_goes_on_with_the_conversation(visitor: Visitor) -> None:
    visitor.begin().say("bonjour")
    visitor.sees("you said: bonjour")
    visitor.page.reload()
    visitor.open()
    visitor.sees("you said: bonjour")
    expect(visitor.messages("you")).to_have_text(["bonjour"])
    expect(visitor.field).to_be_visible()


def test_who_writes_too_fast_is_told_and_can_send_what_was_refused_again(visitor: Visitor) -> None:
    visitor.begin()
    for number in range(6):
        visitor.say(f"vite {number}")
    expect(visitor.chat.get_by_text("Non envoyé.")).to_be_visible()
    expect(visitor.chat.locator(".line")).to_have_count(1)
    expect(visitor.button("Renvoyer")).to_be_visible()
    expect(visitor.messages("you")).to_have_count(6)


def test_where_the_browser_blocks_storage_the_chat_works_from_memory(
    browser: Browser, home: Answering, site: Site
) -> None:
    del home
    with visiting(browser, site.far) as visitor:
        visitor.begin()
        tried = "(() => { try { return String(sessionStorage); } catch (error) { return error.name; } })()"
        assert visitor.frame.evaluate(tried) == "SecurityError"
        visitor.say("bonjour")
        visitor.sees("you said: bonjour")
        assert visitor.complaints == []


def test_who_is_erased_is_told_and_nothing_of_the_conversation_stays(
    visitor: Visitor, home: Answering, wire: Wire
) -> None:
    visitor.begin().say("à effacer bientôt")
    visitor.sees("you said: à effacer bientôt")
    (subject,) = home.subjects("à effacer bientôt")
    home.house.registrar.erase(subject, ground="request", decided_by="tests")
    expect(visitor.chat.get_by_text("Vos données ont été effacées.")).to_be_visible()
    assert visitor.chat.locator("#list > li").count() == 0
    assert stored(visitor)[f"http://127.0.0.1:{wire.port}"]["session"] == {}


# Ending, languages


def test_ending_asks_first_and_then_clears_everything(visitor: Visitor, wire: Wire) -> None:
    visitor.begin().say("bonjour")
    visitor.sees("you said: bonjour")
    visitor.button("Terminer").click()
    visitor.button("Continuer la discussion").click()
    visitor.sees("you said: bonjour")
    visitor.button("Terminer").click()
    visitor.chat.get_by_role("dialog").get_by_role("button", name="Terminer").click()
    expect(visitor.chat.get_by_text("La discussion est terminée.")).to_be_visible()
    assert stored(visitor)[f"http://127.0.0.1:{wire.port}"]["session"] == {}
    visitor.button("Nouvelle discussion").click()
    expect(visitor.chat.get_by_role("heading", name="Avant de commencer")).to_be_visible()
    expect(visitor.messages("you")).to_have_count(0)


def test_the_language_changes_for_the_page_the_notice_and_the_assistant(visitor: Visitor) -> None:
    visitor.begin()
    visitor.button("English").click()
    expect(visitor.chat.get_by_role("log").get_by_text("an automatic assistant, not")).to_be_visible()
    expect(visitor.field).to_have_attribute("placeholder", "Write your message")
    assert visitor.messages("you").count() == 0, "before anything is said the assistant need not be told"
    visitor.say("hello")
    visitor.sees("you said: hello")
    visitor.button("Français").click()
    visitor.sees("you said: /speak_french")
    expect(visitor.messages("you")).to_have_text(["hello", "Français"])
    assert visitor.frame.evaluate("document.documentElement.lang") == "fr"


# Everybody


def test_everything_can_be_done_by_the_keyboard(visitor: Visitor) -> None:
    keys = visitor.page.keyboard
    for _ in range(2):
        keys.press("Tab")
    keys.press("Enter")
    expect(visitor.chat.get_by_role("heading", name="Avant de commencer")).to_be_focused()
    for key in ("Tab", "Tab", "Enter"):
        keys.press(key)
    expect(visitor.field).to_be_focused()
    keys.type("une ligne")
    keys.press("Shift+Enter")
    keys.type("et une autre")
    keys.press("Enter")
    visitor.sees("you said: une ligne\net une autre")
    keys.press("Shift+Tab")
    expect(visitor.chat.get_by_role("link", name="Read")).not_to_be_focused()
    assert visitor.focus() == "choice"
    keys.press("Enter")
    visitor.sees("you said: /again")
    keys.press("Escape")
    expect(visitor.launcher).to_be_focused()
    expect(visitor.launcher).to_have_attribute("aria-expanded", "false")
    keys.press("Enter")
    expect(visitor.field).to_be_focused()


def test_on_a_phone_the_chat_takes_the_screen_and_the_page_behind_rests(
    browser: Browser, home: Answering, site: Site
) -> None:
    del home
    with visiting(browser, site.near, viewport={"width": 390, "height": 844}, has_touch=True) as visitor:
        visitor.open()
        box = visitor.page.locator("iframe").bounding_box()
        assert box == {"x": 0, "y": 0, "width": 390, "height": 844}
        assert visitor.page.evaluate("document.querySelector('main').inert") is True
        visitor.button("Fermer la discussion").click()
        expect(visitor.launcher).to_be_focused()
        assert visitor.page.evaluate("document.querySelector('main').inert") is False


def test_on_a_small_screen_the_notice_begins_at_its_top_and_the_newest_is_always_in_view(
    browser: Browser, home: Answering, site: Site
) -> None:
    del home
    with visiting(browser, site.near, viewport={"width": 320, "height": 400}, has_touch=True) as visitor:
        visitor.open()
        expect(visitor.chat.get_by_role("heading", name="Avant de commencer")).to_be_in_viewport()
        visitor.button("Commencer la discussion").click()
        expect(visitor.button("Parler à un agent")).to_be_in_viewport()
        visitor.say("bonjour")
        for number in range(2, 4):
            visitor.button("Again").click()
            expect(visitor.messages("assistant")).to_have_count(number)
            expect(visitor.button("Again")).to_be_in_viewport()
        expect(visitor.button("Nouveaux messages")).to_be_hidden()


def test_a_browser_that_goes_offline_says_so_and_comes_back(visitor: Visitor) -> None:
    visitor.begin().say("bonjour")
    visitor.sees("you said: bonjour")
    visitor.page.context.set_offline(True)
    expect(visitor.chat.get_by_text("Vous êtes hors ligne.")).to_be_visible()
    visitor.say("hors ligne")
    visitor.page.context.set_offline(False)
    visitor.sees("you said: hors ligne")


def test_a_reply_that_comes_while_the_chat_is_closed_is_counted_on_the_button(visitor: Visitor, wire: Wire) -> None:
    visitor.begin().say("bonjour")
    visitor.sees("you said: bonjour")
    wire.cut()
    expect(visitor.chat.get_by_text("Connexion perdue")).to_be_visible()
    visitor.say("en passant")
    visitor.button("Fermer la discussion").click()
    wire.mend()
    expect(visitor.page.get_by_role("button", name="Ouvrir la discussion (1 message non lu)")).to_be_visible()


def test_axe_finds_nothing_against_wcag_2_2_aa(visitor: Visitor) -> None:
    visitor.open()
    expect(visitor.chat.get_by_role("heading", name="Avant de commencer")).to_be_visible()
    assert visitor.faults() == []
    visitor.button("Commencer la discussion").click()
    visitor.say("bonjour")
    visitor.sees("you said: bonjour")
    assert visitor.faults() == []
    visitor.button("Vos données").click()
    assert visitor.faults() == []
    visitor.button("Fermer").click()
    visitor.page.keyboard.press("Escape")
    assert visitor.faults(of_site=True) == []


def test_axe_finds_nothing_in_the_dark_either(browser: Browser, home: Answering, site: Site) -> None:
    del home
    with visiting(browser, site.near, color_scheme="dark") as visitor:
        visitor.begin().say("bonjour")
        visitor.sees("you said: bonjour")
        assert visitor.faults() == []


def test_any_colour_of_a_site_can_be_read(visitor: Visitor) -> None:
    visitor.open()
    worst = visitor.frame.evaluate(
        """async () => {
            const { contrast, readable } = await import("/colour.js");
            const steps = ["00", "33", "66", "99", "cc", "ff"];
            const colours = steps.flatMap((r) => steps.flatMap((g) => steps.map((b) => r + g + b)));
            const on = ["eef1f5", "ffffff", "272d36", "14171c"];
            const written = colours.map((each) => Math.max(contrast(each, "000000"), contrast(each, "ffffff")));
            const beside = colours.flatMap((each) => [
                ...on.slice(0, 2).map((ground) => contrast(readable(each, on[0]), ground)),
                ...on.slice(2).map((ground) => contrast(readable(each, on[2]), ground)),
            ]);
            return Math.min(...written, ...beside);
        }"""
    )
    assert worst >= 4.5
