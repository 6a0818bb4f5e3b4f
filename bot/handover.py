"""To a person and back: within the agents' hours the conversation is handed over, and the bot is silent until it is handed back."""

from __future__ import annotations

from bot.turn import Turn


def hand_over(turn: Turn, ground: str) -> bool:
    """Hands the conversation over, or says that nobody is there."""
    if not someone_is_there(turn):
        turn.say("system_agent_closed")
        return False
    queue = turn.assistant.escalation.queue
    turn.want("handover", queue, {"ground": ground})
    turn.state.handed_over = queue
    turn.say("system_handover")
    return True


def someone_is_there(turn: Turn) -> bool:
    """Whether the agents' hours, in the assistant's time zone, include now."""
    hours = turn.assistant.escalation.hours
    clock = turn.now.strftime("%H:%M")
    return not hours or any(begin <= clock < end for begin, end in hours.get(turn.now.isoweekday(), ()))


def offer(turn: Turn) -> None:
    """Offers an agent; the answer is awaited outside any flow."""
    turn.state.offer = {"kind": "agent"}
    turn.say("system_offer_agent", buttons=turn.yes_no())
