"""What structured codes, HTTP statuses, signals and, last, texts say about a failure: the tables.

Codes and statuses are what providers document; they are looked up, never searched for. Texts are the last resort,
so a pattern is a phrase that only the failure itself prints. Each row carries texts it must match and texts it must
leave alone; the tests run through them. They are searched for in what the agent program itself told as an error and
in the end of its standard error, never in what its tools printed.

Sources: OpenAI, Anthropic and Google API references (error codes); codex 0.169.0, gemini-cli 0.61.0, Claude Code 2.x.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from attractor.backends.failure_kinds import FailureKind

HTTP_KINDS: Final[Mapping[int, FailureKind]] = {
    400: FailureKind.BAD_REQUEST,
    401: FailureKind.AUTH,
    402: FailureKind.BILLING,
    403: FailureKind.AUTH,
    404: FailureKind.MODEL_NOT_FOUND,  # the only thing in a request that can be missing
    408: FailureKind.SERVER_ERROR,
    409: FailureKind.SERVER_ERROR,
    413: FailureKind.CONTEXT_OVERFLOW,
    422: FailureKind.BAD_REQUEST,
    429: FailureKind.RATE_LIMIT,
    499: FailureKind.STREAM_CUT,
    500: FailureKind.SERVER_ERROR,
    501: FailureKind.BAD_REQUEST,
    502: FailureKind.SERVER_ERROR,
    503: FailureKind.OVERLOADED,
    504: FailureKind.SERVER_ERROR,
    520: FailureKind.SERVER_ERROR,
    522: FailureKind.SERVER_ERROR,
    524: FailureKind.SERVER_ERROR,
    529: FailureKind.OVERLOADED,
}

CODE_KINDS: Final[Mapping[str, FailureKind]] = {
    # OpenAI
    "invalid_api_key": FailureKind.AUTH,
    "missing_api_key": FailureKind.AUTH,
    "token_expired": FailureKind.AUTH_EXPIRED,
    "insufficient_quota": FailureKind.BILLING,
    "billing_hard_limit_reached": FailureKind.BILLING,
    "usage_not_included": FailureKind.BILLING,
    "usage_limit_reached": FailureKind.QUOTA,
    "rate_limit_exceeded": FailureKind.RATE_LIMIT,
    "model_not_found": FailureKind.MODEL_NOT_FOUND,
    "context_length_exceeded": FailureKind.CONTEXT_OVERFLOW,
    "string_above_max_length": FailureKind.CONTEXT_OVERFLOW,
    "server_is_overloaded": FailureKind.OVERLOADED,
    "slow_down": FailureKind.OVERLOADED,
    "server_error": FailureKind.SERVER_ERROR,
    "content_policy_violation": FailureKind.CONTENT_REFUSED,
    "cyber_policy": FailureKind.CONTENT_REFUSED,
    "invalid_prompt": FailureKind.CONTENT_REFUSED,
    "invalid_request_error": FailureKind.BAD_REQUEST,
    "invalid_value": FailureKind.BAD_REQUEST,
    "missing_required_parameter": FailureKind.BAD_REQUEST,
    "unknown_parameter": FailureKind.BAD_REQUEST,
    "unsupported_parameter": FailureKind.BAD_REQUEST,
    "unsupported_value": FailureKind.BAD_REQUEST,
    # Anthropic, and the words of claude's own messages
    "authentication_error": FailureKind.AUTH,
    "authentication_failed": FailureKind.AUTH,
    "oauth_org_not_allowed": FailureKind.AUTH,
    "permission_error": FailureKind.AUTH,
    "billing_error": FailureKind.BILLING,
    "rate_limit": FailureKind.RATE_LIMIT,
    "rate_limit_error": FailureKind.RATE_LIMIT,
    "invalid_request": FailureKind.BAD_REQUEST,
    "not_found_error": FailureKind.MODEL_NOT_FOUND,
    "request_too_large": FailureKind.CONTEXT_OVERFLOW,
    "max_output_tokens": FailureKind.CONTEXT_OVERFLOW,
    "api_error": FailureKind.SERVER_ERROR,
    "timeout_error": FailureKind.SERVER_ERROR,
    "overloaded": FailureKind.OVERLOADED,
    "overloaded_error": FailureKind.OVERLOADED,
    "error_max_turns": FailureKind.TURN_LIMIT,
    "error_max_budget_usd": FailureKind.TURN_LIMIT,
    # Google
    "UNAUTHENTICATED": FailureKind.AUTH,
    "PERMISSION_DENIED": FailureKind.AUTH,
    "RESOURCE_EXHAUSTED": FailureKind.RATE_LIMIT,
    "NOT_FOUND": FailureKind.MODEL_NOT_FOUND,
    "INVALID_ARGUMENT": FailureKind.BAD_REQUEST,
    "FAILED_PRECONDITION": FailureKind.BAD_REQUEST,
    "UNAVAILABLE": FailureKind.OVERLOADED,
    "INTERNAL": FailureKind.SERVER_ERROR,
    "DEADLINE_EXCEEDED": FailureKind.SERVER_ERROR,
    # gemini's error classes
    "FatalAuthenticationError": FailureKind.AUTH,
    "UnauthorizedError": FailureKind.AUTH,
    "ValidationRequiredError": FailureKind.AUTH,
    "AccountSuspendedError": FailureKind.AUTH,
    "TerminalQuotaError": FailureKind.QUOTA,
    "RetryableQuotaError": FailureKind.RATE_LIMIT,
    "ModelNotFoundError": FailureKind.MODEL_NOT_FOUND,
    "FatalTurnLimitedError": FailureKind.TURN_LIMIT,
    "FatalSandboxError": FailureKind.SANDBOX_REFUSAL,
    "FatalUntrustedWorkspaceError": FailureKind.SANDBOX_REFUSAL,
    "FatalInputError": FailureKind.BAD_REQUEST,
    "FatalConfigError": FailureKind.BAD_REQUEST,
    "BadRequestError": FailureKind.BAD_REQUEST,
    "FatalToolExecutionError": FailureKind.NO_SPACE,
    "no_space_left": FailureKind.NO_SPACE,
    "FatalCancellationError": FailureKind.KILLED,
    # our own words for messages without a code (gemini.py)
    "loop_detected": FailureKind.LOOP,
    "content_blocked": FailureKind.CONTENT_REFUSED,
    "empty_response": FailureKind.SERVER_ERROR,
}

SIGNAL_KINDS: Final[Mapping[int, FailureKind]] = {
    **dict.fromkeys(
        (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGKILL, signal.SIGPIPE, signal.SIGTERM),
        FailureKind.KILLED,
    ),
    **dict.fromkeys(
        (signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV),
        FailureKind.CRASHED,
    ),
}


@dataclass(frozen=True, slots=True)
class TextHint:
    """One pattern, the kind it stands for, texts that must match it, and texts that must not."""

    pattern: re.Pattern[str]
    kind: FailureKind
    matches: tuple[str, ...]
    leaves: tuple[str, ...]


def _hint(pattern: str, kind: FailureKind, matches: tuple[str, ...], leaves: tuple[str, ...]) -> TextHint:
    return TextHint(re.compile(pattern, re.IGNORECASE), kind, matches, leaves)


# In order: the first row that matches decides.
TEXT_HINTS: Final[tuple[TextHint, ...]] = (
    _hint(
        r"\b(?:refresh|access|oauth|session) token (?:has |is |was )?(?:expired|already used|revoked)"
        r"|\baccess token could not be refreshed\b|\binvalid_grant\b|\blog out and sign in again\b",
        FailureKind.AUTH_EXPIRED,
        (
            "Your access token could not be refreshed because your refresh token was revoked.",
            "OAuth token has expired. Please obtain a new token or refresh your existing token.",
            "Error: invalid_grant",
        ),
        ("test_token_expired_page PASSED", "the cache entry expired", "FAIL tests/test_expired_tokens.py"),
    ),
    _hint(
        r"\b(?:invalid|incorrect) (?:x-)?api[- ]key\b|\bapi key not valid\b|\bnot logged in · please run /login\b"
        r"|\bplease run /login\b|\bmissing bearer or basic authentication\b|\bplease set an auth method\b"
        r"|\bmust specify the GEMINI_API_KEY\b|\bmissing environment variable: `\w*(?:KEY|TOKEN)\w*`",
        FailureKind.AUTH,
        (
            "Invalid API key · Fix external API key",
            "Incorrect API key provided: sk-x. You can find your API key at https://platform.openai.com",
            "API key not valid. Please pass a valid API key.",
            "Not logged in · Please run /login",
            "Please set an Auth method in your settings.json",
            "Missing environment variable: `OPENAI_API_KEY`.",
        ),
        ("GET /login 200 OK", "test_invalid_key_is_refused PASSED", "assert 401 == response.status_code"),
    ),
    _hint(
        r"\bcredit balance is too low\b|\bout of credits\b"
        r"|\bhit your spend cap\b|\bquota exceeded\. check your plan and billing\b|\bbilling hard limit\b"
        r"|\bto use codex with your chatgpt plan, upgrade\b",
        FailureKind.BILLING,
        (
            "Credit balance is too low",
            "Your workspace is out of credits. Add credits to continue.",
            "Quota exceeded. Check your plan and billing details.",
        ),
        ("account balance is too low to buy the item", "disk quota exceeded", "billing/plan.py: 3 tests passed"),
    ),
    _hint(
        r"\byou'?ve hit your (?:usage |session |weekly |opus )?limit\b|\busage limit reached\b"
        r"|\b(?:5-hour|weekly|daily|session) limit reached\b|\bquota will reset after\b"
        r"|\bexhausted your (?:daily )?quota\b|\bexhausted your capacity on this model\b"
        # Google says so for a minute's limit too; OpenAI's same words come with the code `insufficient_quota`.
        r"|\bexceeded your current quota, please check your plan\b",
        FailureKind.QUOTA,
        (
            "You've hit your usage limit. Try again at 3:05 PM.",
            "Claude AI usage limit reached|1791234567",
            "5-hour limit reached ∙ resets 3pm",
            "You exceeded your current quota, please check your plan and billing details.",
            "You have exhausted your capacity on this model. Your quota will reset after 2h3m4s.",
        ),
        ("the upload limit is reached by the test", "disk quota exceeded", "limit_reached() returned True"),
    ),
    _hint(
        r"\brate limit (?:reached|exceeded) for\b|\btoo many requests\b(?!['\"`/_])|\brequest rate limit exceeded\b"
        r"|\bthis request would exceed your (?:account|organization)'s rate limit\b",
        FailureKind.RATE_LIMIT,
        (
            "Rate limit reached for gpt-5.4 in organization org-x on tokens per min (TPM)",
            "exceeded retry limit, last status: 429 Too Many Requests",
            "This request would exceed your account's rate limit. Please try again later.",
        ),
        ("tests/test_rate_limit.py::test_exceeded PASSED", 'raise HTTPError("too many requests")', "line 429"),
    ),
    _hint(
        r"\bthe model [`'\"][^`'\"]+[`'\"] does not exist\b|\bmodel [`'\"][^`'\"]+[`'\"] (?:was )?not found\b"
        r"|\bissue with the selected model\b|\bmodels/\S+ is not found for API version\b"
        r"|[`'\"][^`'\"]+[`'\"] model is not supported when using codex\b|\brequested entity was not found\b",
        FailureKind.MODEL_NOT_FOUND,
        (
            "The model `gpt-9` does not exist or you do not have access to it.",
            "There's an issue with the selected model (claude-x). It may not exist or you may not have access to it.",
            "models/gemini-3-pro is not found for API version v1beta",
            "The 'gpt-9' model is not supported when using Codex with a ChatGPT account.",
        ),
        (
            "Model metadata for `gpt-5.4` not found. Defaulting to fallback metadata; this can degrade performance.",
            "django.core: model User does not exist in app",
            "404 page not found",
        ),
    ),
    _hint(
        r"\bran out of room in the model's context window\b|\bprompt is too long\b|\bmaximum context length is \d+"
        r"|\binput token count \(?\d+\)? exceeds the maximum\b|\bexceeds? the context window\b"
        r"|\binput length and `?max_tokens`? exceed context limit\b",
        FailureKind.CONTEXT_OVERFLOW,
        (
            "Codex ran out of room in the model's context window. Start a new thread.",
            "prompt is too long: 210000 tokens > 200000 maximum",
            "This model's maximum context length is 128000 tokens.",
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            "Your input exceeds the context window of this model.",
        ),
        ("E501 line too long", "context length exceeded in parser test", "the window of context lines is 3"),
    ),
    _hint(
        r"\breached max(?:imum)? (?:session )?turns\b|\bmaximum session turns exceeded\b|\breached maximum budget\b",
        FailureKind.TURN_LIMIT,
        ("Reached max session turns for this session.", "Maximum session turns exceeded", "Reached max turns (30)"),
        ("game ended after max turns", "max_turns = 30"),
    ),
    _hint(
        r"\bcannot be used with root/sudo privileges\b|\blandlock was not able to fully enforce\b"
        r"|\bcodex-linux-sandbox was required but not provided\b|\bnot running in a trusted directory\b"
        r"|\bnot inside a trusted directory\b|\bcannot be launched inside another claude code session\b",
        FailureKind.SANDBOX_REFUSAL,
        (
            "--dangerously-skip-permissions cannot be used with root/sudo privileges for security reasons",
            "sandbox error: Landlock was not able to fully enforce all sandbox rules",
            "Not inside a trusted directory and --skip-git-repo-check was not specified.",
        ),
        ("bash: /etc/x: Permission denied", "sandbox/test_rules.py passed", "run as root"),
    ),
    _hint(
        r"\bflagged for possible cybersecurity risk\b|\bflagged as potentially violating our usage\b"
        r"|\bblocked due to (?:safety settings|other policy settings|recitation)"
        r"|\bunable to respond to this request, which appears to violate\b",
        FailureKind.CONTENT_REFUSED,
        (
            "This request has been flagged for possible cybersecurity risk.",
            "The model response was blocked due to safety settings.",
            "Claude Code is unable to respond to this request, which appears to violate our Usage Policy",
        ),
        ("merge blocked due to failing checks", "safety settings saved", "PR flagged for review"),
    ),
    _hint(
        r"\bexperiencing high demand, which may cause temporary errors\b",
        FailureKind.SERVER_ERROR,
        ("We’re currently experiencing high demand, which may cause temporary errors.",),
        ("the shop is experiencing high demand", "temporary errors in test_retry"),
    ),
    _hint(
        r"\bselected model is at capacity\b|\boverloaded_error\b|\bthe model is overloaded\b|\bserver is overloaded\b"
        r"|\brepeated 529 overloaded errors\b",
        FailureKind.OVERLOADED,
        (
            "Selected model is at capacity. Please try a different model.",
            'API Error: 529 {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
            "The model is overloaded. Please try again later.",
        ),
        ("operator overloaded twice", "function is overloaded for int and str", "room at capacity"),
    ),
    _hint(
        r"\bstream disconnected before completion\b|\bstream closed before response\.completed\b"
        r"|\berror while reading the server response\b|\bconnection closed mid-response\b"
        r"|\bmodel stream ended without a finish reason\b",
        FailureKind.STREAM_CUT,
        (
            "stream disconnected before completion: stream closed before response.completed",
            "Model stream ended without a finish reason.",
        ),
        ("video stream disconnected", "stream.close() before completion of test"),
    ),
    _hint(
        r"\bconnection failed: error sending request\b|\bfetch failed sending request\b|\bapi error: connection error\b"
        r"|\berror sending request for url\b|\bapi error: request timed out\b|\bunable to connect to api\b"
        r"|\b(?:connect|read|getaddrinfo) "
        r"(?:ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)\b",
        FailureKind.NETWORK,
        (
            "Connection failed: error sending request",
            "Attempt 3 failed. Retrying with backoff... Error: exception TypeError: fetch failed sending request",
            "API Error: Connection error.",
            "API Error: Request timed out.",
            "Error: connect ECONNREFUSED 127.0.0.1:443",
            "getaddrinfo EAI_AGAIN generativelanguage.googleapis.com",
        ),
        (
            "FAILED tests/test_client.py::test_timeout - request timed out",
            "/srv/502/connection_refused.log",
            "assert 'connection refused' in page",
            "TypeError: fetch failed",
        ),
    ),
    _hint(
        r"\bjavascript heap out of memory\b|\bagent loop died unexpectedly\b"
        r"|\bthread '[^']*' (?:\(\d+\) )?panicked at\b",
        FailureKind.CRASHED,
        (
            "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
            "thread 'main' panicked at core/src/lib.rs:10:5",
            "internal error; agent loop died unexpectedly",
        ),
        ("out of memory test skipped", "don't panic"),
    ),
    _hint(
        r"\bno space left on device\b|\bENOSPC\b",
        FailureKind.NO_SPACE,
        ("Error: ENOSPC: no space left on device, write",),
        ("no space left on the line", "space left: 4 GB"),
    ),
    _hint(
        r"^error: (?:unexpected argument|unknown option|invalid value) |^unknown arguments?: ",
        FailureKind.BAD_REQUEST,
        ("error: unexpected argument '--jsonn' found", "error: unknown option '--effort'", "Unknown arguments: foo"),
        ("TypeError: f() got an unexpected argument 'x'", "an error: unexpected argument"),
    ),
)


def kind_of_text(text: str) -> FailureKind | None:
    """What the first matching row says, None where no row matches. Typographic apostrophes count as plain ones."""
    plain = text.replace("\u2019", "'")
    return next((hint.kind for hint in TEXT_HINTS if hint.pattern.search(plain)), None)
