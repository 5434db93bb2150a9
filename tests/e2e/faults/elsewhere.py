"""Faults that have a test of their own: of connections, of the host, of tools, and of the system."""

from __future__ import annotations

from tests.e2e.faults.rows import Elsewhere

_E2E, _UNIT = "tests/e2e/test_", "tests/unit/"

CONNECTIONS = [
    Elsewhere(
        "lost-playing",
        "The connection is lost while the host still plays an answer, which is interrupted then",
        "The model knows as much of it as was heard.",
        f"{_E2E}reconnect_heard.py::test_what_is_cut_after_the_loss_is_known_as_far_as_it_was_heard",
    ),
    Elsewhere(
        "close-codes",
        "The connection is closed, with whatever code",
        "The same as when it is reset; what was on its way is sent again.",
        f"{_E2E}reconnect.py::test_a_text_that_was_on_its_way_is_answered_on_the_next_connection",
    ),
    Elsewhere(
        "refused-again",
        "The next connections are refused for a while",
        "Attempts with growing pauses, each told.",
        f"{_E2E}reconnect.py::test_attempts_go_on_with_pauses_until_one_succeeds",
    ),
    Elsewhere(
        "all-attempts-fail",
        "All attempts fail, or their deadline passes",
        "The session ends: `connectionLost` (or `expired`), with how often it was tried.",
        f"{_E2E}reconnect.py::test_when_all_attempts_fail_the_session_ends_with_the_first_reason",
    ),
    Elsewhere(
        "attempt-hangs",
        "An attempt is never answered",
        "It ends after 10 s or at the deadline.",
        f"{_E2E}reconnect.py::test_a_deadline_ends_an_attempt_that_hangs",
    ),
    Elsewhere(
        "flapping",
        "Each connection is lost as soon as it is there",
        "After three in a row the session ends: `connectionLost`, which says so.",
        f"{_E2E}reconnect.py::test_connections_that_are_lost_at_once_again_and_again_end_the_session",
    ),
    Elsewhere(
        "not-wanted",
        "A connection is lost and `reconnect` is `false`",
        "The session ends: `connectionLost`.",
        f"{_E2E}reconnect.py::test_without_reconnecting_a_lost_connection_ends_the_session",
    ),
    Elsewhere(
        "closed-for-good",
        "The close says that the key, the account or the content is refused, as [above](#reconnecting)",
        "The session ends: `error` with `auth_failed` or `provider_error`, or `content`.",
        f"{_E2E}reconnect.py::test_what_another_connection_would_not_help_ends_with_its_reason",
    ),
    Elsewhere(
        "key-refused-again",
        "The next connection is refused with HTTP 401 or 403",
        "The session ends: `error`, `auth_failed`; no further attempt.",
        f"{_E2E}reconnect.py::test_a_refusal_of_the_key_ends_the_attempts",
    ),
    Elsewhere(
        "quota-used-up-meanwhile",
        "The next connection is refused as the account has no quota left",
        "The session ends: `error`, `provider_error`; no further attempt.",
        f"{_E2E}reconnect.py::test_an_account_that_has_nothing_left_ends_the_attempts",
    ),
    Elsewhere(
        "page-instead",
        "The next connection meets a page of something else: HTTP 200, a redirect, 400 or 404",
        "Further attempts; when none is left `connectionLost`, with what was met.",
        f"{_E2E}reconnect.py::test_a_page_in_the_place_of_the_provider_may_be_gone_at_the_next_attempt",
    ),
    Elsewhere(
        "expired",
        "The provider's limit comes as a surprise",
        "As when the connection is lost, with the cause `expired`.",
        f"{_E2E}reconnect.py::test_a_limit_that_comes_as_a_surprise_is_told_as_the_cause",
    ),
    Elsewhere(
        "ids-again",
        "The server counts its ids anew on the next connection",
        "Items, responses and calls have ids that were not there before: `item_1` is `item_1_2`.",
        f"{_UNIT}sessions/test_ids.py::test_a_host_sees_each_id_once_though_the_server_counts_anew",
    ),
    Elsewhere(
        "provider-killed",
        "The provider's process is killed and comes back",
        "As when the connection is lost.",
        f"{_E2E}fault_system.py::test_a_provider_that_is_killed_and_comes_back_is_found_again",
    ),
    Elsewhere(
        "provider-takes-nothing",
        "The provider reads no more, and the host sends on",
        "120 s of audio are taken, more is `overloaded`; a stop is not held up.",
        f"{_E2E}sessions_faults.py::test_a_provider_that_takes_nothing_fills_the_queue_which_says_so",
    ),
]

SILENCE = [
    Elsewhere(
        "silent-answer",
        "The provider falls silent in mid-answer",
        "After 60 s the response is cancelled, with a `realtime.error`.",
        f"{_UNIT}sessions/test_strays.py::test_a_response_of_which_nothing_more_comes_is_cancelled",
    ),
]

HOST = [
    Elsewhere(
        "host-does-not-read",
        "The host stops reading",
        "Audio beyond 32 MiB is dropped, told by `realtime.flow`, and kept in storage; all else waits.",
        f"{_E2E}sessions_slow_host.py::test_audio_that_a_host_is_too_slow_for_is_told_and_kept_on_disk",
    ),
    Elsewhere(
        "host-interrupts-late",
        "The host interrupts what it has not read yet",
        "What has not left is dropped, and `realtime.audioInterrupted` is next.",
        f"{_E2E}sessions_slow_host.py::test_an_interrupt_drops_the_audio_that_a_slow_host_has_not_got",
    ),
    Elsewhere(
        "host-floods-audio",
        "The host sends faster than the provider takes",
        "All of a chunk is taken, or none: `overloaded`, retryable.",
        f"{_E2E}sessions_inputs.py::test_a_full_queue_takes_all_of_a_chunk_or_none",
    ),
    Elsewhere(
        "host-floods-requests",
        "The host has too many requests in flight",
        "More are `overloaded`; answers, cancels and notifications still get through.",
        f"{_UNIT}rpc/test_connection.py::test_too_many_requests_in_flight_are_refused_and_answers_still_get_through",
    ),
    Elsewhere(
        "host-never-reads-again",
        "The host reads nothing at all any more, and what is no audio grows beyond 128 MiB",
        "The host counts as gone: the daemon ends.",
        f"{_UNIT}rpc/test_lanes.py::test_events_that_are_no_audio_go_on_until_the_host_is_given_up",
    ),
    Elsewhere(
        "message-too-large",
        "A message is longer than allowed",
        "It is skipped in constant memory: `message_too_large`; the next is read.",
        f"{_E2E}transport.py::test_a_message_that_is_too_long_is_skipped_and_told",
    ),
    Elsewhere(
        "stdin-broken-off",
        "stdin ends in the midst of a message",
        "`parse_error`, then the orderly end; exit code 0.",
        f"{_E2E}transport_streams.py::test_stdin_that_ends_in_the_middle_of_a_framed_message_is_told",
    ),
    Elsewhere(
        "stdin-ends",
        "stdin ends while sessions talk",
        "What is in flight is finished; `realtime.closed` says `hostGone`; exit code 0.",
        f"{_E2E}sessions_ends.py::test_the_end_of_stdin_finishes_the_waits",
    ),
    Elsewhere(
        "stdout-closed",
        "The reader of stdout is gone",
        "Silence (EPIPE); stdin is read on, and once it has ended the daemon is gone at once.",
        f"{_E2E}lifecycle.py::test_a_closed_stdout_is_silent_and_stdin_is_read_on",
    ),
    Elsewhere(
        "host-dies",
        "The process named by `processId` dies",
        "As when stdin ends.",
        f"{_E2E}lifecycle.py::test_the_death_of_the_host_process_ends_the_daemon",
    ),
]

TOOLS = [
    Elsewhere(
        "tool-unanswered",
        "The host never answers a tool",
        "`toolEnd` with `timedOut`, and the call is withdrawn; the model is told, and the talk goes on.",
        f"{_E2E}sessions_tools.py::test_a_call_that_is_not_answered_times_out_and_is_withdrawn",
    ),
    Elsewhere(
        "tool-answers-nonsense",
        "The host answers a tool with what fits no result",
        "`toolEnd` with `failed`.",
        f"{_E2E}sessions_tools.py::test_an_answer_that_does_not_fit_fails_the_call_and_nothing_else",
    ),
    Elsewhere(
        "approval-nonsense",
        "The host answers a question for approval with neither yes nor no",
        "It is a no.",
        f"{_E2E}approvals.py::test_an_answer_that_is_no_yes_is_a_no",
    ),
    Elsewhere(
        "approval-at-the-end",
        "The session ends while the host is asked",
        "The question is withdrawn; the tool ends as `rejected`.",
        f"{_E2E}approvals.py::test_the_end_of_the_session_withdraws_the_question",
    ),
    Elsewhere(
        "python-tool-hangs",
        "A Python tool hangs",
        "`toolEnd` with `timedOut` after `timeout_s`; other tools and the audio go on.",
        f"{_UNIT}sessions/test_python_tools.py::test_a_tool_that_hangs_is_given_up",
    ),
    Elsewhere(
        "mcp-killed",
        "An MCP server dies in a call",
        "`toolEnd` with `failed` and `realtime.mcpStatus`; it is started again at its next use.",
        f"{_UNIT}sessions/test_mcp.py::test_a_server_that_dies_in_a_call_is_told_and_the_talk_goes_on",
    ),
    Elsewhere(
        "mcp-missing",
        "A `required` MCP server does not start",
        "`session.start` fails with `mcp_server_failed`, and nothing is left behind.",
        f"{_E2E}mcp.py::test_a_required_server_that_fails_fails_the_start_and_leaves_nothing",
    ),
]

SYSTEM = [
    Elsewhere(
        "sigterm",
        "SIGTERM, SIGINT or SIGHUP",
        "Requests get `shutting_down`, `realtime.closed` says `shutdown`; gone in 5 s, exit code 0.",
        f"{_E2E}sessions_ends.py::test_a_signal_in_mid_speech_ends_every_session_as_it_should",
    ),
    Elsewhere(
        "second-signal",
        "A second signal",
        "The daemon is gone at once, with exit code 128 + the signal's number.",
        f"{_E2E}lifecycle.py::test_a_second_signal_forces",
    ),
    Elsewhere(
        "daemon-killed",
        "The daemon is killed (`kill -9`)",
        "At most the last 200 ms are missing from what is stored; the next start mends the rest.",
        f"{_E2E}kills.py::test_a_kill_costs_nothing_that_was_there_200_ms_before",
    ),
    Elsewhere(
        "daemon-killed-children",
        "The same, while MCP servers run",
        "None outlives it.",
        f"{_E2E}mcp.py::test_no_process_of_a_server_outlives_a_daemon_that_is_killed",
    ),
    Elsewhere(
        "disk-full",
        "The disk is full, or a file can't be written",
        "One `realtime.error` (`storage_failed`, not fatal); the voice goes on, and so does storing later.",
        f"{_E2E}fault_system.py::test_a_full_disk_is_told_once_and_the_talk_goes_on",
    ),
    Elsewhere(
        "disk-read-only",
        "The data directory is read-only",
        "The same.",
        f"{_UNIT}storage/test_problems.py::test_in_a_read_only_directory_the_session_goes_on_and_hears_of_it_once",
    ),
    Elsewhere(
        "disk-slow",
        "The disk is slower than the audio",
        "`realtime.flow` with `direction: storage`; the voice goes on.",
        f"{_UNIT}sessions/test_recording.py::test_a_disk_that_is_slow_is_told_before_anything_is_lost",
    ),
    Elsewhere(
        "database-damaged",
        "The database is damaged",
        "It is set aside and a new one begun; `storage verify --repair` takes the files in again.",
        f"{_UNIT}storage/test_problems.py::test_a_damaged_database_is_set_aside_and_a_new_one_begun",
    ),
    Elsewhere(
        "no-descriptors",
        "No file descriptor is left",
        "`overloaded` with `reason: descriptors`, until there are some again.",
        f"{_E2E}process.py::test_without_descriptors_everything_says_so_and_works_again_when_there_are_some",
    ),
]
