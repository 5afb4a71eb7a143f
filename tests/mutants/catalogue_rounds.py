"""Mutants of rounds, of subscriptions' lives, and of what goes on which channel. DESIGN.md sections 1 and 6."""

from tests.mutants.mutant import Mutant

HUB = "services/notify/live/hub.py"
RECOVERY = "services/notify/live/recovery.py"
CONNECTION = "services/notify/live/connection.py"
EVENTS = "shared/events.py"
_ROUNDS = "tests/notify/live/test_rounds.py::"
_FOLLOWING = "tests/notify/live/test_following.py::"
_CREDENTIALS = "tests/notify/live/test_credentials.py::"
_CLOSING = "tests/notify/live/test_closing.py::"
_HOME = f"{_FOLLOWING}test_home_follows_joining_and_leaving_and_names_real_channels"
LANES = "services/notify/live/lanes.py"

MUTANTS = [
    Mutant(
        "frames encoded for each socket",
        "6",
        "a frame is encoded once a channel and round, however many sockets there are",
        HUB,
        "            if frames := self._encode(channel, followed, bodies):\n",
        "            for _ in followed.sessions:\n"
        "                queues, last = {n: list(q) for n, q in followed.queues.items()}, list(followed.last)\n"
        "                self._encode(channel, followed, bodies)\n"
        "                followed.queues, followed.last = queues, last\n"
        "            if frames := self._encode(channel, followed, bodies):\n",
        (f"{_ROUNDS}test_a_round_encodes_each_event_once_and_each_frame_once_a_channel",),
    ),
    Mutant(
        "an event encoded for each channel",
        "6",
        "an event is encoded once, however many channels it is on",
        "services/notify/live/fanout.py",
        "        if made is None or made[0] is not entry:",
        "        if made is None or made:",
        (f"{_ROUNDS}test_a_round_encodes_each_event_once_and_each_frame_once_a_channel",),
    ),
    Mutant(
        "two writes a round",
        "6",
        "a round is a single write for each socket",
        LANES,
        "                    if not session.outlet.offer(frames):\n",
        "                    cut = 2 + frames[1] if frames[1] < 126 else 4 + int.from_bytes(frames[2:4])\n"
        "                    both = [session.outlet.offer(part) for part in (frames[:cut], frames[cut:])]\n"
        "                    if not all(both):\n",
        (f"{_ROUNDS}test_a_round_is_one_write_for_each_socket",),
    ),
    Mutant(
        "a round holds up the loop",
        "6",
        "the loop has its turn after each slice of sockets",
        HUB,
        "            if first + SLICE <= len(gathered):\n",
        "            if first > len(gathered):\n",
        ("tests/notify/live/test_hub.py::test_joining_in_the_middle_of_a_round_misses_nothing",),
    ),
    Mutant(
        "the newest first",
        "1.6",
        "a channel is in order within one log",
        HUB,
        "followed.queues.setdefault(number, []).append(entry)\n",
        "followed.queues.setdefault(number, []).insert(0, entry)\n",
        (f"{_ROUNDS}test_what_comes_in_is_handed_out_in_its_order",),
    ),
    Mutant(
        "compression is taken up",
        "6",
        "no compression",
        "services/notify/serve.py",
        "        ws_per_message_deflate=False,\n",
        "        ws_per_message_deflate=True,\n",
        (f"{_ROUNDS}test_nothing_is_compressed_though_it_is_offered",),
    ),
    Mutant(
        "a subscription does not end when told",
        "6",
        "unsubscribe ends the frames",
        CONNECTION,
        "                self._generation.hub.drop(session, subscription)\n",
        "                pass\n",
        (f"{_FOLLOWING}test_unsubscribing_ends_the_frames",),
    ),
    Mutant(
        "subscribed bears no id",
        "6",
        "`subscribed` bears the request's id",
        RECOVERY,
        "                id=subscription.request_id, channel=",
        "                id=None, channel=",
        (f"{_FOLLOWING}test_subscribing_from_a_page_leaves_no_gap_and_answers_with_the_request_s_id",),
    ),
    Mutant(
        "home resumes with one channel",
        "6",
        "home resumes all its channels from the position that it was given",
        RECOVERY,
        "        at_end = self._advance(session, subscription.channels, position,",
        "        at_end = self._advance(session, subscription.channels[:1], position,",
        (f"{_FOLLOWING}test_home_resumes_from_the_lowest_position",),
    ),
    Mutant(
        "page: home asks from the highest position",
        "6",
        "resuming home sends the lowest position per log",
        "services/feed/web/proof.js",
        "Math.min(...all.map(",
        "Math.max(...all.map(",
        ("tests/browser/test_home.py::test_home_proves_as_the_cases_say",),
    ),
    Mutant(
        "home does not say what it stands for",
        "6",
        "home's `subscribed` lists its channels",
        RECOVERY,
        'list(subscription.channels) if subscription.name == "home" else None',
        "None",
        (_HOME,),
    ),
    Mutant(
        "home changes in silence",
        "6",
        "`home.changed` tells what came and what went",
        "services/notify/live/home.py",
        "        session.outlet.tell(encode(HomeChanged(added=added,",
        "        _ = (encode(HomeChanged(added=added,",
        (_HOME,),
    ),
    Mutant(
        "marks too seldom",
        "6",
        "a mark comes at least every 15 s",
        "services/notify/live/codes.py",
        "MARK_INTERVAL = 5.0\n",
        "MARK_INTERVAL = 20.0\n",
        ("tests/contract/test_protocol_text.py::test_the_limits_are_those_of_the_code",),
    ),
    Mutant(
        "who has drained is forgotten",
        "6",
        "on drain a session that is behind catches up",
        CONNECTION,
        "            self._generation.recovery.resume(session)\n",
        "            pass\n",
        (f"{_FOLLOWING}test_a_slow_reader_catches_up_by_itself_and_hears_no_mark_meanwhile",),
    ),
    Mutant(
        "no notice before credentials end",
        "6",
        "`expiring` comes before 4001",
        CONNECTION,
        "        self.protocol.tell(encode(Expiring(in_=round(notice, 1))))\n",
        "",
        (f"{_CREDENTIALS}test_credentials_run_out_with_notice_and_can_be_renewed",),
    ),
    Mutant(
        "renewing renews nothing",
        "6",
        "renewed credentials last as long as they say",
        CONNECTION,
        "        self._expire_in(expires_in)\n        self.protocol.tell(encode(Renewed",
        "        self.protocol.tell(encode(Renewed",
        (f"{_CREDENTIALS}test_credentials_run_out_with_notice_and_can_be_renewed",),
    ),
    Mutant(
        "who waits for 4006 is served",
        "6",
        "a hub whose epoch has ended answers nobody",
        CONNECTION,
        "        if self._generation.retired:\n",
        "        if self._generation.retired is None:\n",
        (f"{_CLOSING}test_who_still_waits_for_4006_learns_nothing_more_whoever_was_revoked",),
    ),
    Mutant(
        "a refusal in silence",
        "6",
        "a frame that is refused is answered by `error`",
        CONNECTION,
        "        self.protocol.tell(encode(frame))\n",
        "",
        (f"{_CLOSING}test_another_frame_is_no_hello",),
    ),
    Mutant(
        "a drain is not announced",
        "6",
        "each socket is told its slot",
        "services/notify/live/gateway.py",
        "                session.outlet.write(encode(Drain(in_=round(place * step, 3))))\n",
        "                pass\n",
        (f"{_CLOSING}test_a_drain_tells_each_its_slot_then_4000",),
    ),
    Mutant(
        "what breaks the log leaves its readers waiting",
        "6",
        "what can't go on is 4004",
        "services/notify/app.py",
        "        self.gateway.close_all(Close.INTERNAL)\n",
        "        pass\n",
        (f"{_CLOSING}test_when_the_following_breaks_everybody_is_told_and_the_process_is_asked_to_end",),
    ),
    Mutant(
        "a comment stays with its post",
        "6",
        "a comment's events go to its post's channel and its author's",
        EVENTS,
        '    return [f"post:{post_id}", f"member:{author_id}"]\n',
        '    return [f"post:{post_id}"]\n',
        ("tests/feed/test_comments.py::test_a_comment_tells_its_post_and_both_counts",),
    ),
    Mutant(
        "a post's author is not told of",
        "6",
        "a post's events go to its post: channel, its topics' and its author's",
        EVENTS,
        'for slug in dict.fromkeys(topics)), f"member:{author_id}"]\n',
        "for slug in dict.fromkeys(topics))]\n",
        ("tests/feed/test_journey.py::test_a_post_stands_on_its_topics_page_and_its_events_in_the_outbox",),
    ),
    Mutant(
        "one's own reaction is told to all",
        "6",
        "what only its owner may see goes to their inbox: channel",
        "services/feed/reactions.py",
        "    return Draft(str(account_id), event, events.inbox_channels(str(account_id)))\n",
        '    return Draft(str(account_id), event, [f"post:{post_id}"])\n',
        ("tests/feed/test_reactions.py::test_a_reaction_tells_the_counts_to_all_and_the_choice_to_its_member",),
    ),
]
